"""Where BlazePose sees its landmarks on the body: sparse vertex regressors, and their motion with the pose.

A landmark is a convex combination of a few vertices, as in SMPL's joint regressors (Loper et al., 2015), but onto
the joint definition of BlazePose (Bazarevsky et al., 2020), so that body and detector mean the same points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from amr_blender.contract.errors import RuntimeSetupError

from .anny import AnnyBody
from .skinning import Kinematics

LANDMARK_NAMES = (
    "nose", "l_eye_inner", "l_eye", "l_eye_outer", "r_eye_inner", "r_eye", "r_eye_outer", "l_ear", "r_ear",
    "l_mouth", "r_mouth", "l_shoulder", "r_shoulder", "l_elbow", "r_elbow", "l_wrist", "r_wrist",
    "l_pinky", "r_pinky", "l_index", "r_index", "l_thumb", "r_thumb", "l_hip", "r_hip", "l_knee", "r_knee",
    "l_ankle", "r_ankle", "l_heel", "r_heel", "l_foot_index", "r_foot_index",
)  # fmt: skip


@dataclass(frozen=True)
class LandmarkRegressor:
    """(L, N) vertices and (L, N) weights that sum to 1 per landmark; L = 33 in BlazePose's order."""

    vertex_index: Tensor
    weight: Tensor

    @classmethod
    def load(cls, path: Path) -> LandmarkRegressor:
        """Read ``landmark_regressor.npz``.

        Raises:
            RuntimeSetupError: the file is missing or damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as archive:
                index, weight = archive["vertex_index"], archive["weight"]
            if index.shape != weight.shape or len(index) != len(LANDMARK_NAMES):
                raise ValueError("wrong shapes")
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise RuntimeSetupError(
                "weights-damaged", f"{path.name} can't be read ({error}).", "Install the add-on again."
            ) from error
        return cls(torch.from_numpy(index.astype(np.int64)), torch.from_numpy(weight.astype(np.float64)))

    def joined(self, other: LandmarkRegressor) -> LandmarkRegressor:
        """The rows of this one, then those of ``other``."""
        return LandmarkRegressor(
            torch.cat([self.vertex_index, other.vertex_index]), torch.cat([self.weight, other.weight])
        )

    def positions(self, vertices: Tensor) -> Tensor:
        """(..., V, 3) vertices to (..., L, 3) landmarks."""
        return (vertices[..., self.vertex_index, :] * self.weight[..., None].to(vertices)).sum(-2)


class Skeleton:
    """The tree of the bones that move on their own; every other bone is rigid with its nearest moving ancestor.

    S moving bones.  Landmarks are carried along exactly as skinning carries their vertices.

    Attributes:
        bones: (S,) the moving ones among the body's. names, parents: of them.
        carrier: for each of the body's bones the moving one that carries it.
    """

    def __init__(self, body: AnnyBody, regressor: LandmarkRegressor, moving: Sequence[str]) -> None:
        bones = sorted({body.bone(name) for name in moving} | {0})
        slot_of = {bone: slot for slot, bone in enumerate(bones)}
        carrier: list[int] = []
        for bone, parent in enumerate(body.bone_parents):
            carrier.append(slot_of[bone] if bone in slot_of else carrier[parent])
        parents = [-1 if b == 0 else carrier[body.bone_parents[b]] for b in bones]
        self.bones = bones
        self.carrier = carrier
        self.names = [body.bone_names[b] for b in bones]
        self.kinematics = Kinematics(parents)
        self.parents = parents
        self.regressor = regressor
        weights = body.skin_weights_dense.double().cpu()[regressor.vertex_index]  # (L, N, B)
        merged = torch.zeros((*weights.shape[:2], len(bones)), dtype=torch.float64)
        merged.index_add_(2, torch.tensor(carrier), weights)
        self._weights = merged * regressor.weight[..., None]  # (L, N, S)
        below = torch.zeros((len(bones), len(bones)), dtype=torch.float64)  # [s, b] = 1: s is b or below it
        for slot in range(len(bones)):
            walk = slot
            while walk >= 0:
                below[slot, walk] = 1.0
                walk = parents[walk]
        self.below = below

    def attach(self, heads_m: Tensor, vertices_m: Tensor) -> Attachment:
        """Landmarks of one person in the frames of the moving bones.

        Args:
            heads_m: (B, 3) rest heads of all bones. vertices_m: (L, N, 3) rest vertices of the regressor.
        """
        heads = heads_m[self.bones]
        arms = torch.einsum("lns,lnsd->lsd", self._weights, vertices_m[:, :, None] - heads)
        return Attachment(heads, arms, self._weights.sum(1))


@dataclass(frozen=True)
class Attachment:
    """``heads_m`` (S, 3) rest heads; ``arms_m`` (L, S, 3) weighted lever arms; ``shares`` (L, S) skin shares."""

    heads_m: Tensor
    arms_m: Tensor
    shares: Tensor

    def per_bone(self, rotations: Tensor, heads: Tensor) -> Tensor:
        """(T, L, S, 3) each bone's share of each landmark; summed over S they are the landmarks."""
        turned = torch.einsum("tsij,lsj->tlsi", rotations, self.arms_m)
        return turned + self.shares[None, :, :, None] * heads[:, None]
