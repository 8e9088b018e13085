"""People as the initial network poses them, to see by how much what it says misses what it was told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from model.body.skinning import Kinematics, swung

from .straight_view import LANDMARKS

_HIPS = [23, 24]
_FAR_RAD = 0.7
"""Farther no joint is pulled."""
LEAST_DEPTH = 0.25
"""Nearer to the lens than this share of the hips' distance nothing is projected."""


class Layout(Protocol):
    """Between the numbers of a network and a skeleton; ``model.estimate.pose_layout.PoseLayout`` is one."""

    parents: tuple[int, ...]

    def local(self, balls: Tensor, hinges: Tensor, orientation: Tensor) -> Tensor:
        """(..., S, 3, 3) local rotations of the moving bones."""
        ...

    def pulled(self, turns: Tensor) -> tuple[Tensor, Tensor]:
        """(..., S, 3) small turns of the bones to (..., J, 3) and (..., H) of the joints."""
        ...


@dataclass(frozen=True)
class Posed:
    """B windows of T frames in the network's pose, about the head of the hips' bone."""

    points: Tensor
    """(B, T, 33, 3) landmarks."""
    rotations: Tensor
    """(B, T, S, 3, 3) of the bones against rest."""
    levers: Tensor
    """(B, 33, S, 3) of the windows' people."""

    @property
    def about(self) -> Tensor:
        """(B, T, 33, 3) about the hips' landmarks."""
        return self.points - self.points[:, :, _HIPS].mean(2, keepdim=True)


class Puppet(nn.Module):
    """People with landmarks, of a standing height of 1.7 m; none of it is saved with the network's weights.

    Args:
        layout: of their poses. levers: (1 + P, 33, S, 3) of the average person (see ``PoseSpace.levers``), and how they
            change with each of P shape numbers.
    """

    levers: Tensor
    below: Tensor
    above: Tensor
    inertia: Tensor

    def __init__(self, layout: Layout, levers: Tensor) -> None:
        super().__init__()
        self._layout, self._kinematics = layout, Kinematics(layout.parents)
        bones = len(layout.parents)
        below = torch.eye(bones)
        for bone in range(bones - 1, 0, -1):  # parents precede children
            below[layout.parents[bone]] += below[bone]
        at_rest = torch.einsum("bs,lsd->lbd", below, levers[0].float())
        inertia = at_rest.square().sum((0, 2))
        above = torch.tensor([max(parent, 0) for parent in layout.parents])
        tables = {"levers": levers.float(), "below": below, "above": above, "inertia": inertia}
        for name, table in tables.items():
            self.register_buffer(name, table, persistent=False)

    def forward(self, balls: Tensor, hinges: Tensor, orientation: Tensor, shape: Tensor) -> Posed:
        """Pose people.

        Args:
            balls: (B, T, J, 3, 3). hinges: (B, T, H, 2). orientation: (B, T, 3, 3), all as ``InitialOutput`` has them.
            shape: (B, P) of each window.
        """
        windows, frames = orientation.shape[:2]
        local = self._layout.local(balls, hinges, orientation).flatten(0, 1)
        rotations = self._kinematics.rotations(local)
        whole = torch.cat([torch.ones_like(shape[:, :1]), shape], 1)
        levers = (whole @ self.levers.flatten(1)).reshape(windows, LANDMARKS, -1)
        points = swung(rotations, levers, frames)
        return Posed(points, rotations.unflatten(0, (windows, frames)), levers.unflatten(-1, (-1, 3)))

    def pulled(self, posed: Posed, missed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """By how much each joint alone would have to turn for the landmarks to go where they are pulled: the gradient
        of half the squared distances, by each bone's inertia at rest.

        Args:
            missed: (B, T, 33, 3) metres.

        Returns:
            (B, T, J, 3) and (B, T, 3) rotation vectors of the balls' bones, in the axes of the bones above them, and of
            the hips; (B, T, H) radians of the hinges.
        """
        windows, frames = missed.shape[:2]
        arms = posed.levers.flatten(2).transpose(1, 2)  # (B, S * 3, 33)
        products = arms @ missed.permute(0, 2, 1, 3).reshape(windows, LANDMARKS, -1)
        products = products.reshape(windows, -1, 3, frames, 3).permute(
            0, 3, 1, 2, 4
        )  # sums over landmarks, arm times pull
        turned = posed.rotations @ products
        torque = torch.stack([turned[..., i, j] - turned[..., j, i] for i, j in ((1, 2), (2, 0), (0, 1))], -1)
        turns = (self.below @ torque / self.inertia[:, None]).clamp(-_FAR_RAD, _FAR_RAD)
        own = (posed.rotations[:, :, self.above].transpose(-1, -2) @ turns[..., None])[..., 0]
        balls, hinges = self._layout.pulled(own)
        return balls, turns[:, :, 0], hinges


def projected(points: Tensor, place: Tensor, log_size: Tensor, per_metre: Tensor) -> Tensor:
    """(B, T, L, 2) of the straight view, where ``features`` have the landmarks.

    Args:
        points: (B, T, L, 3) of a body of 1.7 m. place: (B, T, 3) of ``InitialOutput``. log_size: (B, T) logarithm of
            the body's size against it. per_metre: (B, T) of ``StraightView``.
    """
    size = (log_size - place[..., 2]).clamp(-1, 1).exp()[..., None, None]
    away = 1 + (per_metre[..., None, None] * points[..., 2:] * size)
    return (size * points[..., :2] + place[..., None, :2]) / away.clamp(min=LEAST_DEPTH)
