"""Many people's skeletons and points at hand, to be posed by the batch."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from model.body.skinning import depth_levels
from model.estimate.pose_space import PoseSpace

from ..scene.scenes import random_person


@dataclass(frozen=True)
class Crowd:
    """N people, float32; S moving bones, L points of the pose space's regressor, P shape numbers."""

    heads_m: Tensor
    """(N, S, 3) rest heads of the moving bones."""
    arms_m: Tensor
    """(N, L, S, 3) weighted lever arms of the points."""
    shares: Tensor
    """(L, S)."""
    shape: Tensor
    """(N, P)."""
    stature_m: Tensor
    """(N,) standing height."""
    leg_scale: Tensor
    """(N,) legs against the average body's."""

    @classmethod
    def draw(cls, space: PoseSpace, bodies: tuple[int, int], count: int) -> Crowd:
        """``count`` people of the ``bodies`` (first, end) that a split may use."""
        body, person = space.body, space.people()
        heads, arms, shapes, statures = [], [], [], []
        first, end = bodies
        for number in range(count):
            rng = np.random.default_rng([first + number % (end - first), 14])
            shape = random_person(body, rng)
            attachment, stature_m = person(shape)
            heads.append(attachment.heads_m.float())
            arms.append(attachment.arms_m.float())
            shapes.append(shape.float())
            statures.append(stature_m)
        average = space.attach(body.rest(body.default_shape()))
        hip, foot = (space.skeleton.names.index(n) for n in ("upperleg01.L", "foot.L"))
        whole = torch.stack(heads)
        leg = whole[:, hip, 2] - whole[:, foot, 2]
        usual = float(average.heads_m[hip, 2] - average.heads_m[foot, 2])
        return cls(
            whole,
            torch.stack(arms),
            average.shares.float(),
            torch.stack(shapes),
            torch.tensor(statures),
            leg / usual,
        )

    def points(self, person: Tensor, local: Tensor, parents: tuple[int, ...]) -> Tensor:
        """Posed points of many people, about the head of the hips' bone.

        Args:
            person: (B,) who. local: (B, T, S, 3, 3) local rotations of the moving bones, the first one's the
                orientation of the hips. parents: of the moving bones.

        Returns:
            (B, T, L, 3) metres, in the axes of the orientation.
        """
        rest, levels = self.heads_m[person], depth_levels(parents)
        order = torch.argsort(torch.cat(levels))
        turned, placed, first = [local[:, :, :1]], [torch.zeros_like(local[:, :, :1, 0])], 0
        for above_level, level in pairwise(levels):  # one batched product per level of the tree
            parent = torch.tensor([parents[bone] for bone in level.tolist()])
            above = order[parent] - first
            step = (rest[:, level] - rest[:, parent])[:, None, :, :, None]
            placed.append(placed[-1][:, :, above] + (turned[-1][:, :, above] @ step)[..., 0])
            turned.append(turned[-1][:, :, above] @ local[:, :, level])
            first += len(above_level)
        rotations, heads = torch.cat(turned, 2)[:, :, order], torch.cat(placed, 2)[:, :, order]
        batch, frames, bones = heads.shape[:3]
        arms = self.arms_m[person].permute(0, 2, 3, 1).reshape(batch, bones * 3, -1)  # (B, S * 3, L)
        flat = rotations.permute(0, 1, 3, 2, 4).reshape(batch, frames * 3, bones * 3)
        swung = (flat @ arms).reshape(batch, frames, 3, -1).transpose(2, 3)
        return swung + torch.einsum("ls,btsd->btld", self.shares, heads)
