"""Small synthetic takes in numpy: a rig of twenty-odd bones with a tube around each, in motion.  No torch, no bpy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from amr_blender.contract import rotations as rot
from amr_blender.contract.take import Take, validate

Array = NDArray[Any]

# name: (parent, head, tail, group); metres, facing -Y, left on +X.
_SIDE = {
    "clavicle": ("spine02", (0.03, 0.0, 1.40), (0.16, 0.0, 1.42), "Arm"),
    "upperarm": ("clavicle", (0.16, 0.0, 1.42), (0.42, 0.0, 1.42), "Arm"),
    "lowerarm": ("upperarm", (0.42, 0.0, 1.42), (0.66, -0.02, 1.42), "Arm"),
    "hand": ("lowerarm", (0.66, -0.02, 1.42), (0.80, -0.02, 1.41), "Hand"),
    "finger": ("hand", (0.80, -0.02, 1.41), (0.86, -0.02, 1.40), "Hand"),
    "upperleg": ("hips", (0.09, 0.0, 0.92), (0.10, -0.01, 0.50), "Leg"),
    "lowerleg": ("upperleg", (0.10, -0.01, 0.50), (0.10, 0.02, 0.09), "Leg"),
    "foot": ("lowerleg", (0.10, 0.02, 0.09), (0.11, -0.14, 0.02), "Leg"),
}
_MIDDLE = {
    "root": (None, (0.0, 0.0, 0.0), (0.0, 0.3, 0.0), "Root"),
    "hips": ("root", (0.0, 0.0, 0.95), (0.0, 0.0, 1.08), "Torso"),
    "spine01": ("hips", (0.0, 0.0, 1.08), (0.0, 0.01, 1.25), "Torso"),
    "spine02": ("spine01", (0.0, 0.01, 1.25), (0.0, 0.0, 1.45), "Torso"),
    "neck": ("spine02", (0.0, 0.0, 1.45), (0.0, -0.01, 1.54), "Head"),
    "head": ("neck", (0.0, -0.01, 1.54), (0.0, -0.01, 1.75), "Head"),
}


def make_take(
    frames: int = 30,
    *,
    fps: float = 30.0,
    width: int = 640,
    height: int = 360,
    focal_px: float = 700.0,
    principal_px: tuple[float, float] | None = None,
    gaps: tuple[tuple[int, int], ...] = (),
    filled: tuple[tuple[int, int], ...] = (),
    moving_camera: bool = False,
    refinement: int = 0,
    attention: bool = False,
    rings: int = 6,
    first_frame: int = 0,
    name: str = "walk.mp4",
    seed: int = 0,
) -> Take:
    """A valid take: somebody walks in a circle and waves.

    Args:
        gaps: half-open ranges of take frames on which nobody was seen.
        filled: such ranges on which nobody was seen either, but the pose is bridged.
        refinement: number of corrective shapes.
        attention: whether there is attention, a spot that wanders from head to feet and back, and uncertainty with it.
        rings: rings of eight vertices around each bone.
        first_frame: source number of the first frame.
    """
    random = np.random.default_rng(seed)
    bones = _bones()
    names = list(bones)
    parents = np.array([-1 if p is None else names.index(p) for p, *_ in bones.values()], np.int16)
    heads = np.array([h for _, h, _, _ in bones.values()])
    tails = np.array([t for _, _, t, _ in bones.values()])
    lengths = np.linalg.norm(tails - heads, axis=1)
    rest = _rest_matrices(heads, tails, random)
    vertices, quads, skin_bones, skin_weights = _tubes(parents, rest, lengths, rings)
    t = np.arange(frames) / fps
    present = np.ones(frames, bool)
    for start, stop in gaps + filled:
        present[start:stop] = False
    bridged = np.zeros(frames, bool)
    for start, stop in filled:
        bridged[start:stop] = True
    K = np.array([[focal_px, 0, width / 2], [0, focal_px, height / 2], [0, 0, 1.0]])
    if principal_px is not None:
        K[:2, 2] = principal_px
    nobody = np.where(present, 1.0, np.nan)
    nowhere = np.where(present | bridged, 1.0, np.nan)
    take = Take(
        meta={
            "source": {
                "name": name, "width": width, "height": height, "fps": fps,
                "frame_count": first_frame + frames, "rotation_deg": 0, "sha256": "0" * 64,
            },
            "settings": {}, "person": {"index": 0, "count": 1}, "actor_height_m": 1.75, "height_source": "assumed",
            "focal_source": "assumed", "body": {"name": "tubes", "licence": "CC0-1.0"}, "warnings": [],
            "amr_version": "0",
        },
        frames=np.arange(first_frame, first_frame + frames, dtype=np.int32),
        time_s=(first_frame + np.arange(frames)) / fps,
        present=present,
        bone_names=np.array(names),
        bone_parents=parents,
        bone_rest=rest.astype(np.float32),
        bone_length_m=lengths.astype(np.float32),
        bone_groups=np.array([g for *_, g in bones.values()]),
        vertices_m=vertices.astype(np.float32),
        quads=quads,
        uvs=random.random((len(quads), 4, 2)).astype(np.float32),
        skin_bones=skin_bones,
        skin_weights=skin_weights,
        shape_names=np.array(["height"]),
        shape_values=np.zeros(1, np.float32),
        rotations=_rotations(t, names, random).astype(np.float32),
        translation_m=np.stack([1.2 * np.sin(t), 0.4 * np.cos(t), 0.93 + 0.03 * np.sin(9 * t)], -1).astype(np.float32),
        K=K,
        camera_to_world=_cameras(t, moving_camera),
        landmarks_px=(random.random((frames, 33, 2)) * nobody[:, None, None]).astype(np.float32),
        landmark_confidence=random.random((frames, 33)).astype(np.float32),
        joints12_cam_m=(random.random((frames, 12, 3)) * nowhere[:, None, None]).astype(np.float32),
        joint_confidence=random.random((frames, 12)).astype(np.float32),
        contact_names=np.array(["foot.L", "foot.R"]),
        contacts=random.random((frames, 2)).astype(np.float32),
        filled=bridged if filled else None,
    )  # fmt: skip
    if refinement:
        take.refinement_basis = (0.01 * random.standard_normal((refinement, len(vertices), 3))).astype(np.float32)
        take.refinement_weights = (3.0 * np.sin(np.outer(t, np.arange(2, refinement + 2)))).astype(np.float32)
        take.refinement_error_mm = np.array(0.5, np.float32)
    if attention:
        take.attention, take.uncertainty_mm = wandering_spot(take)
    validate(take)
    return take


def wandering_spot(take: Take) -> tuple[Array, Array]:
    """(T, V) float16 attention in 0..1 and uncertainty in mm: smooth on the mesh and in time, no two frames alike.

    The spot goes round once in the clip and is strongest a quarter and three quarters through.
    """
    turn = 2 * np.pi * np.arange(take.frame_count) / take.frame_count
    height = take.vertices_m[:, 2] - take.vertices_m[:, 2].min()
    centre = height.max() * (0.5 + 0.5 * np.cos(turn))
    spot = np.exp(-(((height - centre[:, None]) / (0.15 * height.max())) ** 2))
    strength = 0.25 + 0.7 * np.sin(turn) ** 2 + 0.05 * turn / (2 * np.pi)
    attention = (strength[:, None] * spot).astype(np.float16)
    return attention, (8 + 60 * strength[:, None] * (0.2 + spot)).astype(np.float16)


def _bones() -> dict[str, tuple[str | None, Any, Any, str]]:
    bones: dict[str, tuple[str | None, Any, Any, str]] = dict(_MIDDLE)
    for side, sign in (("L", 1.0), ("R", -1.0)):
        for bone, (parent, head, tail, group) in _SIDE.items():
            mirrored = [(sign * p[0], p[1], p[2]) for p in (head, tail)]
            parent = f"{parent}.{side}" if parent in _SIDE else parent
            bones[f"{bone}.{side}"] = (parent, *mirrored, f"{group}.{side}")
    return bones


def _rest_matrices(heads: Array, tails: Array, random: np.random.Generator) -> Array:
    """(B, 4, 4) with Y along each bone and any roll."""
    rest = np.tile(np.eye(4), (len(heads), 1, 1))
    for i, (head, tail) in enumerate(zip(heads, tails, strict=True)):
        y = (tail - head) / np.linalg.norm(tail - head)
        x = np.cross(y, random.standard_normal(3))
        x /= np.linalg.norm(x)
        rest[i, :3] = np.stack([x, y, np.cross(x, y), head], -1)
    return rest


def _tubes(parents: Array, rest: Array, lengths: Array, rings: int) -> tuple[Array, Array, Array, Array]:
    """A tube of quads around each bone but the root; weights blend into the parent near the head."""
    angles = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    vertices, quads, bones, weights = [], [], [], []
    for bone in range(1, len(rest)):
        start = len(vertices) * rings * 8
        along = np.linspace(0, 1, rings)
        y, angle = np.meshgrid(along * lengths[bone], angles, indexing="ij")
        local = np.stack([0.04 * np.cos(angle), y, 0.04 * np.sin(angle)], -1).reshape(-1, 3)
        vertices.append(local @ rest[bone, :3, :3].T + rest[bone, :3, 3])
        for ring in range(rings - 1):
            for side in range(8):
                here, after = start + 8 * ring, start + 8 * (ring + 1)
                quads.append([here + side, here + (side + 1) % 8, after + (side + 1) % 8, after + side])
        own = np.repeat(np.clip(0.5 + 1.5 * along, 0, 1), 8)
        parent = max(1, int(parents[bone]))
        bones.append(np.stack([np.full(len(own), bone), np.full(len(own), parent), np.zeros(len(own))], -1))
        weights.append(np.stack([own, 1 - own, np.zeros(len(own))], -1))
    return (
        np.concatenate(vertices),
        np.array(quads, np.int32),
        np.concatenate(bones).astype(np.int16),
        np.concatenate(weights).astype(np.float32),
    )


def _rotations(t: Array, names: list[str], random: np.random.Generator) -> Array:
    """(T, B, 4): every bone swings but root and fingers; the hips turn right round."""
    angles = np.sin(t[:, None] * random.uniform(2, 9, len(names)) + random.uniform(0, 6, len(names)))
    angles *= random.uniform(0.2, 0.8, len(names))
    axes = random.standard_normal((len(names), 3))
    axes[1] = (0.0, 1.0, 0.0)
    angles[:, 1] = 3.0 * t
    angles[:, [0] + [i for i, n in enumerate(names) if n.startswith("finger")]] = 0.0
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    quaternions = np.concatenate([np.cos(angles / 2)[..., None], np.sin(angles / 2)[..., None] * axes], -1)
    return rot.continuous(quaternions)


def _cameras(t: Array, moving: bool) -> Array:
    """(T, 4, 4): 4 m in front of the person, a little above, tilted down."""
    tilt = np.radians(8.0)
    forward = np.array([0.0, np.cos(tilt), -np.sin(tilt)])
    right = np.array([1.0, 0.0, 0.0])
    cameras = np.tile(np.eye(4), (len(t), 1, 1))
    cameras[:, :3, :3] = np.stack([right, np.cross(forward, right), forward], -1)
    cameras[:, :3, 3] = (0.3, -4.0, 1.5)
    if moving:
        cameras[:, 0, 3] += 0.2 * np.sin(2 * t)
        turn = np.stack([np.cos(0.05 * t), 0 * t, 0 * t, np.sin(0.05 * t)], -1)
        cameras[:, :3, :3] = rot.matrix_from_quaternion(turn) @ cameras[:, :3, :3]
    return cameras
