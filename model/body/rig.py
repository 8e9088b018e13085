"""The body's rig as Blender has it: rest matrices, names and groups, and poses as bone rotations.

The take's rig has one bone more than the body: ``root`` on the ground under the hips, bone 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from amr_blender.contract.rotations import continuous, quaternion_from_matrix

from .anny import AnnyBody, RestBody

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


def bone_matrices(heads: Array, tails: Array, rolls: Array) -> Array:
    """(B, 4, 4) rest matrices in Blender's convention: the smallest rotation of Y onto the bone, after its roll."""
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
    matrices = np.tile(np.eye(4), (len(y), 1, 1))
    matrices[:, :3, :3] = turn @ rolls
    matrices[:, :3, 3] = heads
    return matrices


def _group(name: str) -> str:
    stem, _, side = name.partition(".")
    for group, stems in (
        ("Foot", ("foot", "toe")),
        ("Leg", ("pelvis", "upperleg", "lowerleg")),
        ("Hand", ("wrist", "finger", "metacarpal")),
        ("Arm", ("clavicle", "shoulder", "upperarm", "lowerarm")),
        ("Head", ("neck", "head", "eye")),
        ("Torso", ("hips", "spine")),
    ):
        if stem.startswith(stems):
            return f"{group}.{side}" if side and group != "Head" else group
    return "Torso"


def build_rig(body: AnnyBody, rest: RestBody) -> Rig:
    """The rig and rest mesh of one person."""
    heads = rest.heads_m.double().cpu().numpy()
    tails = rest.tails_m.double().cpu().numpy()
    vertices = rest.vertices_m.double().cpu().numpy()
    rolls = body.bone_rolls.copy()
    # Anny's first bone comes out of the back; as `hips` it points up the spine.
    tails[0], rolls[0] = heads[body.bone("spine04")], np.eye(3)
    tails[0, :2] = heads[0, :2]
    offset = np.array([-heads[0, 0], -heads[0, 1], -vertices[:, 2].min()])
    root = np.eye(4)
    rest_matrices = np.concatenate([root[None], bone_matrices(heads + offset, tails + offset, rolls)])
    lengths = np.concatenate([[ROOT_LENGTH_M], np.linalg.norm(tails - heads, axis=-1)])
    names = ["root", "hips", *body.bone_names[1:]]
    return Rig(
        names,
        np.array([-1, *(p + 1 for p in body.bone_parents)], np.int16),
        rest_matrices.astype(np.float32),
        lengths.astype(np.float32),
        ["Root", *(_group(n) for n in names[1:])],
        (vertices + offset).astype(np.float32),
        offset,
    )
