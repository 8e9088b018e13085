"""Small body models in the official formats of SMPL, SMPL-H and SMPL-X, made here: Anny in a T-pose, seen coarsely.

A few hundred of Anny's vertices carry skin weights merged to the models' joints, shapes are principal components of
Anny's people, and a joint regressor puts the joints where Anny's are.  So a model of this kind can express Anny's
people and poses nearly exactly, and what a transfer loses is the transfer's.  Pose correctives are random.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from model.body import AnnyBody
from model.body.smpl_file import FAMILIES, Family
from model.paths import assets_folder
from tests.model.body.python2_pickle import chumpy, dump, sparse

Array = np.ndarray[Any, Any]
BETAS = 10
_TO_MODEL = np.array([[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]])  # Z up, facing -Y, to Y up, facing +Z
_FINGERS = {"thumb": 1, "index": 2, "middle": 3, "ring": 4, "pinky": 5}
_BONES = {
    "pelvis": ("root",), "spine1": ("spine04",), "spine2": ("spine03",), "spine3": ("spine02",), "neck": ("neck01",),
    "head": ("head",), "jaw": ("head",), "hip": ("upperleg01",), "knee": ("lowerleg01",), "ankle": ("foot",),
    "foot": ("toe2-1", "toe3-1"), "collar": ("clavicle",), "shoulder": ("upperarm01",), "elbow": ("lowerarm01",),
    "wrist": ("wrist",), "hand": ("finger3-1",), "eye": ("eye",),
}  # fmt: skip


def anny_bones(joint: str) -> list[str]:
    """Anny's bones whose heads, on average, are the joint."""
    stem, dot, side = joint.partition(".")
    bones = _BONES.get(stem) or (f"finger{_FINGERS[stem[:-1]]}-{stem[-1]}",)
    return [f"{bone}{dot}{side}" for bone in bones]


def smallest_turn(a: Array, b: Array) -> Array:
    """(3, 3) the smallest rotation that takes the direction ``a`` to ``b``."""
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    v = np.cross(a, b)
    k = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
    turn: Array = np.eye(3) + k + k @ k / (1 + a @ b)
    return turn


def t_pose(anny: AnnyBody, heads: Array) -> Array:
    """(B, 3, 3) world rotations that spread Anny's arms, palms down, fingers straight."""
    at = {name: heads[i] for i, name in enumerate(anny.bone_names)}
    world = np.tile(np.eye(3), (len(heads), 1, 1))
    for side, out in (("L", np.array([1.0, 0, 0])), ("R", np.array([-1.0, 0, 0]))):

        def head(bone: str, side: str = side) -> Array:
            return at[f"{bone}.{side}"]

        # The elbow's axis is upright in a T-pose whose palms look down.
        bend = np.cross(head("lowerarm01") - head("upperarm01"), head("wrist") - head("lowerarm01"))
        down = np.array([0, 0, -out[0]])
        across = np.cross(head("finger2-1") - head("wrist"), head("finger5-1") - head("wrist"))
        turns = {}
        for stem, along, axis, wanted in (
            ("upperarm", head("lowerarm01") - head("upperarm01"), bend, down),
            ("lowerarm", head("wrist") - head("lowerarm01"), bend, down),
            ("hand", head("finger3-1") - head("wrist"), across, -down),
        ):
            turns[stem] = _frame(out, wanted) @ _frame(along, axis).T
        for i, name in enumerate(anny.bone_names):
            if not name.endswith(f".{side}"):
                continue
            if name.startswith(("upperarm", "lowerarm")):
                world[i] = turns[name[:8]]
            elif name.startswith(("wrist", "metacarpal")):
                world[i] = turns["hand"]
            elif name.startswith("finger"):
                finger, part = name[6], min(int(name[8]), 2)
                along = turns["hand"] @ (head(f"finger{finger}-{part + 1}") - head(f"finger{finger}-{part}"))
                straight = smallest_turn(along, out) if finger != "1" else np.eye(3)
                world[i] = straight @ turns["hand"]
    return world


def _frame(x: Array, z: Array) -> Array:
    x = x / np.linalg.norm(x)
    z = z - x * (x @ z)
    z = z / np.linalg.norm(z)
    return np.stack([x, np.cross(z, x), z], -1)


@cache
def _people() -> tuple[AnnyBody, Array, Array]:
    """Anny, and (N, V, 3) vertices and (N, B, 3) joints of N people in the T-pose; the first is the average one."""
    anny = AnnyBody.load(assets_folder())
    generator = torch.Generator().manual_seed(3)
    parents, vertices, joints = anny.bone_parents, [], []
    for number in range(24):
        shape = anny.default_shape()
        if number:
            changes = torch.randn(len(shape), generator=generator, dtype=torch.float64)
            free = [anny.shape_names.index("height"), *range(len(anny.phenotype_names), len(shape))]
            shape[free] = (shape[free] + 0.3 * changes[free]).clamp(0.05, 0.95)
            shape[free[1:]] = (0.3 * changes[free[1:]]).clamp(-0.95, 0.95)
        rest = anny.rest(shape)
        world = t_pose(anny, rest.heads_m.double().numpy())
        local = np.stack([world[b] if p < 0 else world[p].T @ world[b] for b, p in enumerate(parents)])
        at = torch.zeros((1, 3))
        posed = anny.pose(rest, torch.from_numpy(local)[None].float(), at)[0].double().numpy()
        heads = anny.kinematics(torch.from_numpy(local)[None].float(), rest.heads_m, at)[1][0].double().numpy()
        vertices.append(posed @ _TO_MODEL.T)
        joints.append(heads @ _TO_MODEL.T)
    return anny, np.stack(vertices), np.stack(joints)


@cache
def model_arrays(name: str, elsewhere: bool = False) -> dict[str, Any]:
    """The arrays of a model in the official layout.

    Args:
        name: of the family, ``SMPL``, ``SMPL-H`` or ``SMPL-X``.
        elsewhere: joints are where the official models have them: hips lower and further inside, ankles higher.
    """
    family = next(f for f in FAMILIES if f.name == name)
    anny, people, heads = _people()
    random = np.random.default_rng(5)
    chosen = chosen_vertices()
    label = np.concatenate(
        [_nearest(people[0][i : i + 2000], people[0][chosen]) for i in range(0, len(people[0]), 2000)]
    )
    corners = label[anny.quads]
    triangles = np.concatenate([corners[:, [0, 1, 2]], corners[:, [0, 2, 3]]])
    triangles = triangles[(np.diff(np.sort(triangles, 1), axis=1) > 0).all(1)]
    _, first = np.unique(np.sort(triangles, 1), axis=0, return_index=True)
    faces = triangles[np.sort(first)]
    mesh = people[:, chosen]
    joints = np.stack([np.mean([heads[:, anny.bone(b)] for b in anny_bones(j)], axis=0) for j in family.joints], axis=1)
    if elsewhere:
        for joint, offset in (("hip", (-0.045, -0.05, 0.005)), ("ankle", (0.0, 0.025, -0.01))):
            for side, mirror in (("L", 1), ("R", -1)):
                joints[:, family.joints.index(f"{joint}.{side}")] += np.multiply(offset, (mirror, 1, 1))
    # Principal components of people, a standard deviation each.
    spread = (mesh - mesh[0]).reshape(len(mesh), -1)[1:]
    _, strength, modes = np.linalg.svd(spread, full_matrices=False)
    shapes = (modes[:BETAS] * strength[:BETAS, None] / np.sqrt(len(spread))).reshape(BETAS, -1, 3)
    weights = _merged(anny, family)[chosen]
    size = 9 * (len(family.joints) - 1)
    return {
        "v_template": mesh[0],
        "shapedirs": shapes.transpose(1, 2, 0),
        "posedirs": 0.002 * random.standard_normal((len(chosen), 3, size)) / np.sqrt(size / 20),
        "J_regressor": _regressor(mesh, joints),
        "weights": weights,
        "f": faces.astype(np.uint32),
        "kintree_table": np.array([[2**32 - 1, *family.parents[1:]], range(len(family.joints))], np.uint32),
        "J": joints[0],
        "bs_style": "lbs",
        "bs_type": "lrotmin",
    }


@cache
def chosen_vertices() -> Array:
    """(V,) which of Anny's vertices the models have: all over the body, more of them on the soles."""
    points = _people()[1][0]
    soles = np.flatnonzero(points[:, 1] < points[:, 1].min() + 0.01)
    return np.union1d(_spread(points, 260), soles[_spread(points[soles], 60)])


def _spread(points: Array, count: int) -> Array:
    """(count,) points as far from each other as possible."""
    chosen, distance = [int(points[:, 1].argmin())], np.full(len(points), np.inf)
    while len(chosen) < count:
        distance = np.minimum(distance, ((points - points[chosen[-1]]) ** 2).sum(1))
        chosen.append(int(distance.argmax()))
    return np.array(chosen)


def _nearest(points: Array, to: Array) -> Array:
    nearest: Array = ((points[:, None] - to[None]) ** 2).sum(-1).argmin(1)
    return nearest


def _merged(anny: AnnyBody, family: Family) -> Array:
    """(V, J) Anny's weights, those of a bone given to the joint that moves it."""
    joint_of = {bone: j for j, joint in enumerate(family.joints) for bone in anny_bones(joint)}
    carrier: list[int] = []
    for bone, parent in enumerate(anny.bone_parents):
        carrier.append(joint_of.get(anny.bone_names[bone], carrier[parent] if parent >= 0 else 0))
    merged = np.zeros((len(anny.skin_weights_dense), len(family.joints)))
    np.add.at(merged.T, carrier, anny.skin_weights_dense.double().numpy().T)
    return merged


def _regressor(mesh: Array, joints: Array) -> Array:
    """(J, V) affine combinations of near vertices that give the joints of all these people."""
    regressor = np.zeros((joints.shape[1], mesh.shape[1]))
    for j in range(joints.shape[1]):
        near = np.argsort(((mesh[0] - joints[0, j]) ** 2).sum(-1))[:24]
        offsets = (mesh[:, near] - joints[:, j, None]).transpose(0, 2, 1).reshape(-1, len(near))
        equations = np.concatenate([offsets, 1e-3 * np.eye(len(near)), 1e3 * np.ones((1, len(near)))])
        target = np.concatenate([np.zeros(len(equations) - 1), [1e3]])
        regressor[j, near] = np.linalg.lstsq(equations, target, rcond=None)[0]
    return regressor / regressor.sum(1, keepdims=True)


def _hands(arrays: dict[str, Any]) -> dict[str, Any]:
    random = np.random.default_rng(6)
    made = {}
    for side in "lr":
        made[f"hands_components{side}"] = random.standard_normal((45, 45))
        made[f"hands_mean{side}"] = 0.2 * random.standard_normal(45)
        made[f"hands_coeffs{side}"] = random.standard_normal((60, 45))
    return arrays | made


def write_smpl(folder: Path, protocol: int = 2) -> Path:
    """``SMPL_FEMALE.pkl``, by Python 2 with chumpy and scipy."""
    arrays = model_arrays("SMPL")
    values = arrays | {name: chumpy(arrays[name]) for name in ("v_template", "shapedirs", "weights", "J")}
    values |= {name: sparse(arrays["J_regressor"]) for name in ("J_regressor", "J_regressor_prior")}
    values |= {"vert_sym_idxs": np.arange(9), "pose_training_info": {"gender": "female"}, "weights_prior": np.ones(3)}
    return dump(values, folder / "SMPL_FEMALE.pkl", protocol)


def write_smplh(folder: Path, suffix: str = ".npz") -> Path:
    """``SMPLH_male.pkl`` as MANO distributes it, or ``male/model.npz`` with 16 betas as AMASS does."""
    if suffix == ".pkl":
        arrays = _hands(model_arrays("SMPL-H"))
        values = arrays | {"J_regressor": sparse(arrays["J_regressor"]), "posedirs": chumpy(arrays["posedirs"])}
        return dump(values, folder / "SMPLH_male.pkl")
    arrays = model_arrays("SMPL-H")
    shapes = np.concatenate([arrays["shapedirs"], np.zeros((len(arrays["v_template"]), 3, 6))], -1)
    (folder / "male").mkdir(exist_ok=True)
    path = folder / "male" / "model.npz"
    np.savez(path, **(arrays | {"shapedirs": shapes, "kintree_table": arrays["kintree_table"].astype(np.int64)}))
    return path


def smplx_arrays(columns: int = 400) -> dict[str, Any]:
    """SMPL-X with its expressions, hands, landmarks, texture, and the dictionaries that only a pickle can hold."""
    arrays = _hands(model_arrays("SMPL-X"))
    random = np.random.default_rng(7)
    shapes = np.zeros((len(arrays["v_template"]), 3, columns))
    shapes[..., :BETAS] = arrays["shapedirs"]
    expressions = 300 if columns == 400 else BETAS
    shapes[..., expressions:] = 0.01 * random.standard_normal(shapes[..., expressions:].shape)
    return arrays | {
        "shapedirs": shapes,
        "vt": random.random((50, 2)),
        "ft": random.integers(0, 50, arrays["f"].shape).astype(np.uint32),
        "lmk_faces_idx": np.arange(51, dtype=np.uint32),
        "lmk_bary_coords": np.full((51, 3), 1 / 3),
        "dynamic_lmk_faces_idx": np.zeros((79, 17), np.int64),
        "dynamic_lmk_bary_coords": np.full((79, 17, 3), 1 / 3),
        "joint2num": np.array({"Pelvis": 0}, object),
        "part2num": np.array({"Global": 0}, object),
    }


def write_smplx(folder: Path, suffix: str = ".npz", columns: int = 400) -> Path:
    """``SMPLX_NEUTRAL.npz`` or ``.pkl``."""
    path = folder / f"SMPLX_NEUTRAL{suffix}"
    if suffix == ".npz":
        np.savez(path, **smplx_arrays(columns))
        return path
    return dump(smplx_arrays(columns) | {"joint2num": {"Pelvis": 0}, "part2num": {"Global": 0}}, path)
