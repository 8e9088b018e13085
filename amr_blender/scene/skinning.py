"""Forward kinematics and linear blend skinning as Blender's armature modifier does them.  numpy only."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contract import rotations as rot
from ..contract.take import Take

Array = NDArray[Any]


def root_and_hips_offsets(take: Take, translation_m: Array) -> tuple[Array, Array]:
    """Split the path of the hips: the root bone carries it over the ground, the hips go up and down.

    Args:
        translation_m: (N, 3) world positions of the head of ``hips``.

    Returns:
        (N, 3) displacement of ``root`` in the plane Z = 0 and (N, 3) displacement of ``hips`` along Z, armature space.
    """
    offset = translation_m - take.bone_rest[1, :3, 3]
    ground, height = offset.copy(), offset.copy()
    ground[:, 2] = 0.0
    height[:, :2] = 0.0
    return ground, height


def bone_locations(take: Take, translation_m: Array) -> tuple[Array, Array]:
    """:func:`root_and_hips_offsets` as Blender's ``location`` of both pose bones, in their rest frames."""
    ground, height = root_and_hips_offsets(take, translation_m)
    return ground @ take.bone_rest[0, :3, :3], height @ take.bone_rest[1, :3, :3]


def skin_matrices(take: Take, rotations: Array, translation_m: Array) -> Array:
    """(B, N, 4, 4): what each bone does to a vertex of the rest mesh, in the armature's space.

    Args:
        rotations: (N, B, 4) wxyz in the bones' rest frames.
        translation_m: (N, 3) world positions of the head of ``hips``.
    """
    frames, bones = rotations.shape[:2]
    rest = take.bone_rest.astype(np.float64)
    rest_inverse = np.linalg.inv(rest)
    turned = rot.matrix_from_quaternion(np.ascontiguousarray(rotations.swapaxes(0, 1), np.float64))
    basis = np.tile(np.eye(4), (frames, 1, 1))
    posed = np.empty((bones, frames, 4, 4))
    locations = bone_locations(take, translation_m)
    for bone, parent in enumerate(take.bone_parents.tolist()):
        basis[:, :3, :3] = turned[bone]
        basis[:, :3, 3] = locations[bone] if bone < len(locations) else 0.0
        posed[bone] = rest[bone] @ basis if parent < 0 else posed[parent] @ (rest_inverse[parent] @ rest[bone]) @ basis
    return posed @ rest_inverse[:, None]


def dense_weights(take: Take) -> Array:
    """(V, B) float32 skin weights, rows summing to 1 as Blender's armature modifier makes them."""
    count, bones = len(take.vertices_m), len(take.bone_names)
    weights = np.zeros((count, bones), np.float32)
    rows = np.repeat(np.arange(count), take.skin_bones.shape[1])
    np.add.at(weights, (rows, take.skin_bones.reshape(-1)), take.skin_weights.reshape(-1))
    total = weights.sum(1, keepdims=True)
    return weights / np.where(total > 0, total, 1.0)


@dataclass(frozen=True)
class Skin:
    """Displacements of some vertices over all frames, a block at a time, so that memory stays bounded."""

    rest_m: Array
    """(V, 3) float32."""
    weights: Array
    """(V, B) float32."""
    matrices: Array
    """(B, 3, 4, N) float32: skin matrices minus the identity."""
    offsets: tuple[Array, Array] | None = None
    """Corrective shapes: (K, V, 3) offsets of the rest mesh and (N, K) their weights."""

    def displacements(self, vertices: Array) -> Array:
        """(n, 3, N) float32: how far ``vertices`` (n,) are from their rest positions."""
        weights = self.weights[vertices]
        bones = np.flatnonzero(weights.any(0))
        weights, matrices = weights[:, bones], self.matrices[bones]
        count, frames = len(vertices), matrices.shape[-1]
        rest = self.rest_m[vertices]
        if self.offsets is None:
            if len(bones) == 0:
                return np.zeros((count, 3, frames), np.float32)
            # sum_b w_b A_b (x, y, z, 1): both sums in one matrix product.
            homogeneous = np.concatenate([rest, np.ones((count, 1), np.float32)], 1)
            load = (weights[:, :, None] * homogeneous[:, None, :]).reshape(count, -1)
            columns = matrices.transpose(0, 2, 1, 3).reshape(-1, 3 * frames)
            product: Array = load @ columns
            return product.reshape(count, 3, frames)
        basis, amounts = self.offsets
        shift = (basis[:, vertices].reshape(len(basis), -1).T @ amounts.T).reshape(count, 3, frames)
        corrected = rest[:, :, None] + shift
        blended = (weights @ matrices.reshape(len(bones), -1)).reshape(count, 3, 4, frames)
        moved: Array = np.einsum("vcjt,vjt->vct", blended[:, :, :3], corrected) + blended[:, :, 3] + shift
        return moved

    def seen_through(self, modes: Array) -> tuple[Skin, Skin]:
        """The part of the motion along orthonormal ``modes`` (k, N), as amounts of each mode, and the part left over.

        Skinning is linear in the matrices, so both follow from the matrices alone; not so with corrective shapes.
        """
        amounts = self.matrices @ modes.T
        return replace(self, matrices=amounts), replace(self, matrices=self.matrices - amounts @ modes)

    def blocks(self, size: int) -> list[Array]:
        """All vertices in groups of ``size`` that share bones, so that each group needs few matrices."""
        strongest = np.argsort(-self.weights, axis=1, kind="stable")[:, :2]
        order = np.lexsort(tuple(strongest.T[::-1]))
        return [order[i : i + size] for i in range(0, len(order), size)]
