"""What a body must offer to become a rig, a mesh and a take.  Anny does, and so do the bodies of the SMPL family.

Every body stands here as the take has it: metres, Z up, facing -Y, its left side at +X.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.floating]


@dataclass(frozen=True)
class RestBody:
    """One person's body in the rest pose, metres."""

    vertices_m: Tensor
    """(V, 3)."""
    heads_m: Tensor
    """(B, 3): heads of the bones, which are the joints."""
    tails_m: Tensor
    """(B, 3): tails of the bones."""

    @property
    def height_m(self) -> Tensor:
        """() extent along Z: the standing height, a little less than with straight knees."""
        return self.vertices_m[:, 2].max() - self.vertices_m[:, 2].min()


class Body(Protocol):
    """A skinned body whose shape follows from P numbers.  B bones, V vertices, F faces."""

    bone_names: list[str]
    """``.L``/``.R`` suffixed.  The first is the hips, under whatever name."""
    bone_parents: list[int]
    """-1 for the first; parents precede children."""
    bone_groups: list[str]
    """Bone collection of each: ``Torso``, ``Head``, ``Arm.L``, ``Hand.L``, ``Leg.L``, ``Foot.L`` ..."""
    quads: NDArray[np.int32]
    """(F, 4); a triangle repeats its third corner."""
    uvs: NDArray[np.float32] | None
    """(F, 4, 2), None where the model has none."""
    skin_bones: NDArray[np.int16]
    """(V, S)."""
    skin_weights: NDArray[np.float32]
    """(V, S), rows sum to 1."""
    shape_names: list[str]
    """(P,)."""

    def rest(self, shape: Tensor) -> RestBody:
        """The body of a person with the shape values (P,), float64."""

    def bones(self, rest: RestBody) -> tuple[Array, Array]:
        """(B, 3) tails of the bones as a rig shows them, and (B, 3, 3) their axes in columns, Y along the bone."""


def groups_of(names: Sequence[str], stems: dict[str, tuple[str, ...]]) -> list[str]:
    """The bone collection of each bone by what its name starts with, the first that fits; ``Torso`` for the rest."""
    groups = []
    for name in names:
        stem, _, side = name.partition(".")
        group = next((group for group, starts in stems.items() if stem.startswith(starts)), "Torso")
        groups.append(f"{group}.{side}" if side and group != "Head" else group)
    return groups
