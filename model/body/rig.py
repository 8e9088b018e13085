"""A body's rig as Blender has it: rest matrices, names and groups, and poses as bone rotations.

The take's rig has one bone more than the body: ``root`` on the ground under the hips, bone 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amr_blender.contract.rotations import continuous, matrix_from_quaternion, quaternion_from_matrix

from .interface import Body, RestBody

Array = NDArray[np.floating]
ROOT_LENGTH_M = 0.3


@dataclass(frozen=True)
class Rig:
    """Arrays of a take's rig (see ``amr_blender.contract.take``), and where the body's rest pose went."""

    bone_names: list[str]
    bone_parents: Array
    bone_rest: Array
    bone_length_m: Array
    bone_groups: list[str]
    vertices_m: Array
    offset_m: Array
    """(3,) armature space minus body space: soles on the ground, hips over the origin."""

    def rotations(self, local: Array) -> Array:
        """(T, B, 3, 3) world-aligned local rotations of the body's bones to the take's (T, B + 1, 4) quaternions."""
        rest = self.bone_rest[1:, :3, :3].astype(np.float64)
        turned = np.swapaxes(rest, -1, -2) @ local @ rest
        out = np.zeros((len(local), len(self.bone_names), 4))
        out[:, 0, 0] = 1.0
        out[:, 1:] = continuous(quaternion_from_matrix(turned))
        return out


def local_rotations(rotations: Array, bone_rest: Array) -> Array:
    """The inverse of :meth:`Rig.rotations`: what a take's rotations say in world-aligned axes.

    Args:
        rotations: (T, B, 4) wxyz of a take. bone_rest: (B, 4, 4) of the same.

    Returns:
        (T, B, 3, 3) float64 local rotations; bone 0 is ``root``.
    """
    rest = bone_rest[:, :3, :3].astype(np.float64)
    turned = matrix_from_quaternion(rotations.astype(np.float64))
    return np.einsum("bij,tbjk,blk->tbil", rest, turned, rest, optimize=True)


def bone_axes(heads: Array, tails: Array, rolls: Array) -> Array:
    """(B, 3, 3) rest axes in Blender's convention: the smallest rotation of Y onto the bone, after its roll."""
    y = tails - heads
    y = y / np.linalg.norm(y, axis=-1, keepdims=True)
    cosine = y[:, 1]
    axis = np.stack([y[:, 2], np.zeros(len(y)), -y[:, 0]], -1)  # cross of Y and the bone
    k = np.zeros((len(y), 3, 3))
    k[:, 0, 1], k[:, 0, 2], k[:, 1, 2] = -axis[:, 2], axis[:, 1], -axis[:, 0]
    k -= np.swapaxes(k, 1, 2)
    opposite = cosine < -1 + 1e-8
    turn = np.eye(3) + k + (k @ k) / np.where(opposite, 1.0, 1 + cosine)[:, None, None]
    turn[opposite] = np.diag([1.0, -1.0, -1.0])
    axes: Array = turn @ rolls
    return axes


def build_rig(body: Body, rest: RestBody) -> Rig:
    """The rig and rest mesh of one person."""
    heads = rest.heads_m.double().cpu().numpy()
    vertices = rest.vertices_m.double().cpu().numpy()
    tails, axes = body.bones(rest)
    offset = np.array([-heads[0, 0], -heads[0, 1], -vertices[:, 2].min()])
    matrices = np.tile(np.eye(4), (len(heads) + 1, 1, 1))
    matrices[1:, :3, :3] = axes
    matrices[1:, :3, 3] = heads + offset
    lengths = np.concatenate([[ROOT_LENGTH_M], np.linalg.norm(tails - heads, axis=-1)])
    return Rig(
        ["root", "hips", *body.bone_names[1:]],
        np.array([-1, *(p + 1 for p in body.bone_parents)], np.int16),
        matrices.astype(np.float32),
        lengths.astype(np.float32),
        ["Root", *body.bone_groups],
        (vertices + offset).astype(np.float32),
        offset,
    )


def rig_arrays(body: Body, rig: Rig) -> dict[str, Any]:
    """The arrays of a take that describe its rig and its mesh, by name."""
    return {
        "bone_names": np.array(rig.bone_names),
        "bone_parents": rig.bone_parents,
        "bone_rest": rig.bone_rest,
        "bone_length_m": rig.bone_length_m,
        "bone_groups": np.array(rig.bone_groups),
        "vertices_m": rig.vertices_m,
        "quads": body.quads,
        "uvs": body.uvs,
        "skin_bones": (body.skin_bones + 1).astype(np.int16),  # `root` comes first in the take
        "skin_weights": body.skin_weights,
    }
