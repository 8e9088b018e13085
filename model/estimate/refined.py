"""What a refinement gives back, and how it is laid on the estimate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.body.anny import AnnyBody, RestBody
from model.body.landmarks import LandmarkRegressor
from model.body.skinning import skin

from .pose_space import Pose, PoseSpace
from .rotation import matrix_from_rotvec

if TYPE_CHECKING:
    from . import Solved

Fingers = tuple[list[int], Tensor]
"""Bones and their rotations, as ``relaxed_fingers`` gives them."""


@dataclass(frozen=True)
class Refined:
    """The refinement of T frames, S moving bones."""

    turn: Tensor
    """(T, S, 3) float64 rotation vectors, to be applied after (on the right of) the bones' own rotations."""
    shift_m: Tensor
    """(T, 3) float64, camera axes."""
    attention: NDArray[np.float16] | None
    """(T, V) 0..1; None where nothing was refined by it."""
    uncertainty_mm: NDArray[np.float16]
    """(T, V)."""
    basis: NDArray[np.float32] | None
    """(K, V, 3) metres in the rest pose; None where bones say it all."""
    weights: NDArray[np.float32] | None
    """(T, K)."""
    error_mm: float
    """The most by which a vertex is off because there are no more than K."""
    spent: dict[str, Any]
    """What was spent where, JSON-able."""

    def turned(self, local: Tensor, frames: slice, bones: list[int]) -> Tensor:
        """(t, B, 3, 3) local rotations of a stretch of frames with the turns of the moving ``bones``, as a copy."""
        out = local.clone()
        out[:, bones] = local[:, bones] @ matrix_from_rotvec(self.turn[frames].to(local))
        return out

    def landmarks(
        self, body: AnnyBody, regressor: LandmarkRegressor, rest: RestBody, local: Tensor, root_m: Tensor, frames: slice
    ) -> Tensor:
        """(t, L, 3) of a stretch of frames, from its refined rotations and places."""
        chosen, slots = regressor.vertex_index.unique(return_inverse=True)
        weights, heads = body.skin_weights_dense.to(local)[chosen], rest.heads_m.to(local)
        rotations, posed = body.kinematics(local, heads, root_m)
        vertices = rest.vertices_m.to(local)[chosen]
        points = skin(vertices, heads, weights, rotations, posed)
        if self.basis is not None and self.weights is not None:
            offsets = torch.from_numpy(np.tensordot(self.weights[frames], self.basis[:, chosen.numpy()], 1))
            # Skinning is linear in the vertices: what is left without a place is how an offset is turned.
            turns = torch.einsum("vb,tbij->tvij", weights, rotations)
            points = points + (turns @ offsets[..., None].to(local))[..., 0]
        return (points[:, slots] * regressor.weight[..., None].to(local)).sum(-2)


class Refine(Protocol):
    """A stage that refines; ``model.refine`` has it."""

    def __call__(self, space: PoseSpace, found: Solved, tell: Callable[[int, int], None]) -> Refined:
        """Refine what was found of T frames; ``tell`` receives (done, total) frames."""
        ...


def all_rotations(space: PoseSpace, pose: Pose, fingers: Fingers) -> Tensor:
    """(T, B, 3, 3) local rotations of all bones, the first in camera axes, with hands at ease."""
    local = space.local_rotations(pose.orientation, pose.angles)
    bones, turns = fingers
    local[:, bones] = turns
    return local
