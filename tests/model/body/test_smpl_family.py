"""Bodies of the SMPL family from files in the official formats, against the ``smplx`` package's own models."""

from __future__ import annotations

import builtins
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from amr_blender.contract.errors import RuntimeSetupError, SettingsError
from model.body.rig import build_rig
from model.body.skinning import Kinematics
from model.body.smpl_family import SmplBody, pose_features
from model.body.smpl_file import FAMILIES, Z_UP, gender_of, read_model
from tests.model.body import tiny_smpl
from tests.model.body.smplx_reference import reference

WRITERS: dict[str, Callable[[Path], Path]] = {
    "SMPL pkl": tiny_smpl.write_smpl,
    "SMPL-H pkl": lambda folder: tiny_smpl.write_smplh(folder, ".pkl"),
    "SMPL-H npz": tiny_smpl.write_smplh,
    "SMPL-X npz": tiny_smpl.write_smplx,
    "SMPL-X npz of 20 columns": lambda folder: tiny_smpl.write_smplx(folder, columns=20),
    "SMPL-X pkl": lambda folder: tiny_smpl.write_smplx(folder, ".pkl"),
}


@pytest.fixture(scope="module", params=WRITERS)
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("smplx")
    return WRITERS[request.param](tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def body(path: Path) -> SmplBody:
    return SmplBody.load(path)


def random_pose(joints: int, frames: int = 3) -> torch.Tensor:
    """(T, J, 3) rotation vectors in the model's axes."""
    generator = torch.Generator().manual_seed(joints)
    return 0.5 * torch.randn((frames, joints, 3), generator=generator, dtype=torch.float64)


def random_betas(body: SmplBody) -> torch.Tensor:
    return torch.randn(len(body.shape_names), generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def local_of(rotvecs: torch.Tensor) -> torch.Tensor:
    """The same rotations in the take's axes."""
    turn = torch.from_numpy(Z_UP)
    skew = torch.zeros((*rotvecs.shape, 3), dtype=torch.float64)
    for i, (a, b, sign) in enumerate(((1, 2, 1), (2, 0, 1), (0, 1, 1))):
        skew[..., b, a], skew[..., a, b] = sign * rotvecs[..., i], -sign * rotvecs[..., i]
    return turn @ torch.linalg.matrix_exp(skew) @ turn.T


def test_every_official_file_is_read(path: Path, body: SmplBody) -> None:
    assert body.family.name in ("SMPL", "SMPL-H", "SMPL-X")
    assert len(body.bone_names) == {"SMPL": 24, "SMPL-H": 52, "SMPL-X": 55}[body.family.name]
    assert body.gender == {"SMPL": "female", "SMPL-H": "male", "SMPL-X": "neutral"}[body.family.name]
    assert (body.uvs is not None) == (body.family.name == "SMPL-X")
    assert (body.quads[:, 2] == body.quads[:, 3]).all()
    np.testing.assert_allclose(body.skin_weights.sum(1), 1, atol=1e-6)


def test_betas_are_the_shapes_and_no_expressions(tmp_path: Path) -> None:
    pytest.importorskip("smplx")
    counts = {name: len(SmplBody.load(write(tmp_path)).shape_names) for name, write in WRITERS.items()}
    assert counts == {
        "SMPL pkl": 10, "SMPL-H pkl": 10, "SMPL-H npz": 16, "SMPL-X npz": 16, "SMPL-X npz of 20 columns": 10,
        "SMPL-X pkl": 16,
    }  # fmt: skip


def test_equals_the_package_to_a_hundredth_of_a_millimetre(path: Path, body: SmplBody) -> None:
    """Shape, pose, pose correctives and translation, in the take's axes against the model's own."""
    betas, rotvecs = random_betas(body), random_pose(len(body.bone_names))
    rest = body.rest(betas)
    at = torch.tensor([[0.3, -0.2, 1.1], [0.0, 0, 0], [-2.0, 1.0, 0.9]], dtype=torch.float64)
    vertices = body.pose(rest, local_of(rotvecs), at)
    turn = torch.from_numpy(Z_UP)
    root = reference(path, betas, torch.zeros_like(rotvecs), torch.zeros_like(at)).joints[0, 0].double()
    expected = reference(path, betas, rotvecs, at @ turn - root)
    assert (vertices - expected.vertices.double() @ turn.T).norm(dim=-1).max() < 1e-5
    still = reference(path, betas, torch.zeros_like(rotvecs), torch.zeros_like(at))
    assert (rest.vertices_m - still.vertices[0].double() @ turn.T).norm(dim=-1).max() < 1e-5
    assert (rest.heads_m - still.joints[0, : len(body.bone_names)].double() @ turn.T).norm(dim=-1).max() < 1e-5


def test_joints_and_stature_are_linear_in_the_betas(body: SmplBody) -> None:
    betas = random_betas(body)
    rest = body.rest(betas)
    template, moves = body.joints()
    np.testing.assert_allclose(template + moves @ betas.numpy(), rest.heads_m.numpy(), atol=1e-9)
    height, slope = body.stature()
    assert height + float(slope @ betas.numpy()) == pytest.approx(float(rest.height_m), abs=0.01)


def test_correctives_are_what_skinning_leaves(body: SmplBody) -> None:
    """Skinned rest vertices plus correctives are the posed body."""
    betas, local = random_betas(body), local_of(random_pose(len(body.bone_names)))
    rest = body.rest(betas)
    offsets = torch.einsum("tp,pvd->tvd", pose_features(local), body.correctives.double())
    assert 1e-3 < offsets.norm(dim=-1).max() < 0.2
    rotations, heads = Kinematics(body.bone_parents).double()(local, rest.heads_m, torch.zeros((3, 3)).double())
    weights = torch.from_numpy(dense(body)).double()
    moved = torch.einsum(
        "vj,tjab,tvjb->tva", weights, rotations, (rest.vertices_m + offsets)[:, :, None] - rest.heads_m
    )
    expected = moved + torch.einsum("vj,tja->tva", weights, heads)
    found = body.pose(rest, local, torch.zeros((3, 3), dtype=torch.float64))
    assert (found - expected).norm(dim=-1).max() < 1e-5


def dense(body: SmplBody) -> Any:
    weights = np.zeros((len(body.skin_bones), len(body.bone_names)))
    np.add.at(weights, (np.arange(len(weights))[:, None], body.skin_bones), body.skin_weights)
    return weights


def test_its_rig_is_as_blender_wants_it(body: SmplBody) -> None:
    rig = build_rig(body, body.rest(random_betas(body)))
    assert rig.bone_names[:2] == ["root", "hips"]
    assert rig.vertices_m[:, 2].min() == pytest.approx(0, abs=1e-6)
    assert (rig.bone_length_m > 0.005).all()
    axes = rig.bone_rest[:, :3, :3].astype(float)
    np.testing.assert_allclose(axes @ axes.swapaxes(1, 2), np.tile(np.eye(3), (len(axes), 1, 1)), atol=1e-5)
    np.testing.assert_allclose(np.linalg.det(axes), 1, atol=1e-5)
    at = {name: rig.bone_rest[i] for i, name in enumerate(rig.bone_names)}
    assert at["wrist.L"][0, 3] > 0.3 and at["wrist.R"][0, 3] < -0.3, "the left is at +X"
    assert at["foot.L"][1, 3] < at["ankle.L"][1, 3] - 0.05, "it faces -Y"
    assert at["head"][2, 3] > at["hips"][2, 3] + 0.3, "it stands upright"
    assert at["shoulder.L"][0, 1] > 0.9, "bones point along their own Y"
    for name in rig.bone_names:
        if name.endswith(".L"):
            mirrored = at[name][:3, 1] * [-1, 1, 1]
            assert mirrored @ at[name[:-1] + "R"][:3, 1] > 0.9, name
    groups = dict(zip(rig.bone_names, rig.bone_groups, strict=True))
    assert groups["hips"] == "Torso" and groups["hip.L"] == "Leg.L" and groups["ankle.R"] == "Foot.R"
    assert groups["wrist.L"] == "Hand.L" and groups["collar.R"] == "Arm.R" and groups["head"] == "Head"


def test_the_joint_trees_are_the_models() -> None:
    names = {f.name: f for f in FAMILIES}
    assert names["SMPL"].joints[22:] == ("hand.L", "hand.R") and names["SMPL"].parents[22:] == (20, 21)
    assert names["SMPL-H"].joints[22] == "index1.L" and names["SMPL-H"].parents[37] == 21
    assert names["SMPL-X"].joints[22:26] == ("jaw", "eye.L", "eye.R", "index1.L")
    assert names["SMPL-X"].parents[22:27] == (15, 15, 15, 20, 25)
    joint_names = pytest.importorskip("smplx.joint_names").JOINT_NAMES
    for mine, theirs in zip(names["SMPL-X"].joints, joint_names, strict=False):
        stem, _, side = mine.partition(".")
        known = f"{ {'L': 'left_', 'R': 'right_', '': ''}[side] }{stem}"
        assert theirs.removesuffix("_smplhf") == known


@pytest.mark.parametrize(
    ("name", "gender"),
    [
        ("SMPL_FEMALE.pkl", "female"), ("basicModel_f_lbs_10_207_0_v1.0.0.pkl", "female"),
        ("basicmodel_m_lbs_10_207_0_v1.1.0.pkl", "male"), ("SMPLX_NEUTRAL.npz", "neutral"), ("SMPLH_male.pkl", "male"),
        ("smplh/male/model.npz", "male"), ("female/SMPLX_NEUTRAL.npz", "neutral"), ("model.npz", "neutral"),
    ],
)  # fmt: skip
def test_gender(name: str, gender: str) -> None:
    assert gender_of(Path("/models") / name) == gender


# What is no model


def refused(path: Path, word: str = "") -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        read_model(path)
    assert word in caught.value.message
    for text in (caught.value.message, caught.value.remedy):
        assert text.endswith(".") and "\n" not in text
    return caught.value


def changed(**changes: Any) -> dict[str, Any]:
    arrays = tiny_smpl.model_arrays("SMPL") | changes
    return {name: array for name, array in arrays.items() if array is not None}


def broken(name: str, index: Any, value: Any) -> Any:
    array = tiny_smpl.model_arrays("SMPL")[name].copy()
    array[index] = value
    return array


# What changes, given the number of vertices; None leaves an array out.
WRONG: dict[str, Callable[[int], dict[str, Any]]] = {
    "no weights": lambda n: {"weights": None},
    "other joints": lambda n: {"J_regressor": np.ones((33, n))},
    "no regressor but a number": lambda n: {"J_regressor": np.array(24.0)},
    "other vertices": lambda n: {"weights": np.ones((7, 24)) / 24},
    "other correctives": lambda n: {"posedirs": np.zeros((n, 3, 9))},
    "no shapes": lambda n: {"shapedirs": np.zeros((n, 3, 0))},
    "flat shapes": lambda n: {"shapedirs": np.zeros((n, 30))},
    "words": lambda n: {"v_template": np.array(["a", "b"])},
    "integers": lambda n: {"v_template": np.zeros((n, 3), int)},
    "not finite": lambda n: {"v_template": broken("v_template", (0, 0), np.nan)},
    "faces outside": lambda n: {"f": broken("f", (0, 0), n)},
    "another tree": lambda n: {"kintree_table": broken("kintree_table", (0, 5), 0)},
    "weights of nothing": lambda n: {"weights": np.zeros((n, 24))},
    "negative weights": lambda n: {"weights": broken("weights", (0, slice(0, 2)), [1.5, -0.5])},
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_model(tmp_path: Path, case: str) -> None:
    np.savez(tmp_path / "model.npz", **changed(**WRONG[case](len(tiny_smpl.chosen_vertices()))))
    refused(tmp_path / "model.npz", "'model.npz' is no SMPL, SMPL-H or SMPL-X model")


def test_another_kind_of_npz(tmp_path: Path) -> None:
    np.savez(tmp_path / "poses.npz", poses=np.zeros((3, 156)), trans=np.zeros((3, 3)))
    refused(tmp_path / "poses.npz", "it has no 'v_template'")


def test_arrays_that_only_a_pickle_could_hold(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "owned",))

    np.savez(tmp_path / "evil.npz", **changed(v_template=np.array(Evil(), object)))
    refused(tmp_path / "evil.npz", "damaged, or no model")
    np.savez(tmp_path / "beside.npz", **changed(extra=np.array(Evil(), object)))
    assert read_model(tmp_path / "beside.npz")[1].name == "SMPL", "what is not needed is not read"
    assert not (tmp_path / "owned").exists()
    pickle.loads(pickle.dumps(Evil()))
    assert (tmp_path / "owned").exists()


def test_a_truncated_and_a_huge_npz(tmp_path: Path) -> None:
    whole = tiny_smpl.write_smplh(tmp_path)
    (tmp_path / "cut.npz").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    refused(tmp_path / "cut.npz")
    bomb = zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED)
    with bomb, bomb.open("f.npy", "w") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|i1", "fortran_order": False, "shape": (1 << 27,)})
        for _ in range(1 << 7):
            file.write(bytes(1 << 20))
    assert (tmp_path / "bomb.npz").stat().st_size < 2 << 20
    refused(tmp_path / "bomb.npz", "too large")


@pytest.mark.parametrize("name", ["none.pkl", "none.npz"])
def test_no_such_file(tmp_path: Path, name: str) -> None:
    refused(tmp_path / name, "can't be read")


def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.partition(".")[0] == "smplx":
            raise ModuleNotFoundError("No module named 'smplx'", name="smplx")
        return real(name, *rest)

    path = tiny_smpl.write_smplh(tmp_path)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(RuntimeSetupError) as caught:
        SmplBody.load(path)
    assert caught.value.code == "smplx-missing"
    assert "pip install --no-deps smplx==0.1.28" in caught.value.remedy


def test_the_default_path_never_imports_the_package() -> None:
    import subprocess
    import sys

    script = "import sys, model.pipeline, model.estimate, model.body; sys.exit('smplx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
