"""Many people's skeletons and points at hand, to be posed by the batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from model.body.landmarks import Attachment
from model.body.skinning import Kinematics, swung
from model.estimate.pose_space import PoseSpace

from ..scene.scenes import random_person


@dataclass(frozen=True)
class Crowd:
    """N people, float32; S moving bones, L points of the pose space's regressor, P shape numbers."""

    kinematics: Kinematics
    """Of the moving bones."""
    levers_m: Tensor
    """(N, L, S, 3) from the head of the hips' bone to the points (see ``PoseSpace.levers``)."""
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
        levers, legs, shapes, statures = [], [], [], []
        hip, foot = (space.skeleton.names.index(n) for n in ("upperleg01.L", "foot.L"))

        def leg_m(attachment: Attachment) -> float:
            return float(attachment.heads_m[hip, 2] - attachment.heads_m[foot, 2])

        usual_m = leg_m(space.attach(body.rest(body.default_shape())))
        first, end = bodies
        for number in range(count):
            rng = np.random.default_rng([first + number % (end - first), 14])
            shape = random_person(body, rng)
            attachment, stature_m = person(shape)
            levers.append(space.levers(attachment).float())
            legs.append(leg_m(attachment) / usual_m)
            shapes.append(shape.float())
            statures.append(stature_m)
        kinematics = space.skeleton.kinematics
        return cls(kinematics, torch.stack(levers), torch.stack(shapes), torch.tensor(statures), torch.tensor(legs))

    def points(self, person: Tensor, local: Tensor) -> Tensor:
        """Posed points of many people, about the head of the hips' bone.

        Args:
            person: (B,) who. local: (B, T, S, 3, 3) local rotations of the moving bones, the first one's the
                orientation of the hips.

        Returns:
            (B, T, L, 3) metres, in the axes of the orientation.
        """
        return swung(self.kinematics.rotations(local.flatten(0, 1)), self.levers_m[person].flatten(2), local.shape[1])
