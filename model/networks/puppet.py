"""People as the initial network poses them, to see by how much what it says misses what it was told."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from model.body.skinning import Kinematics

from .straight_view import LANDMARKS

_HIPS = [23, 24]
LEAST_DEPTH = 0.25
"""Nearer to the lens than this share of the hips' distance nothing is projected."""


class Layout(Protocol):
    """Between the numbers of a network and a skeleton; ``model.estimate.pose_layout.PoseLayout`` is one."""

    parents: tuple[int, ...]

    def local(self, balls: Tensor, hinges: Tensor, orientation: Tensor) -> Tensor:
        """(..., S, 3, 3) local rotations of the moving bones."""
        ...


class Puppet(nn.Module):
    """People with landmarks, of a standing height of 1.7 m; none of it is saved with the network's weights.

    Args:
        layout: of their poses. levers: (1 + P, 33, S, 3) of the average person (see ``PoseSpace.levers``), and how they
            change with each of P shape numbers.
    """

    levers: Tensor

    def __init__(self, layout: Layout, levers: Tensor) -> None:
        super().__init__()
        self._layout, self._kinematics = layout, Kinematics(layout.parents)
        self.register_buffer("levers", levers.float(), persistent=False)

    def forward(self, balls: Tensor, hinges: Tensor, orientation: Tensor, shape: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, 33, 3) landmarks about the head of the hips' bone and about the hips' landmarks.

        Args:
            balls: (B, T, J, 3, 3). hinges: (B, T, H, 2). orientation: (B, T, 3, 3), all as ``InitialOutput`` has them.
                shape: (B, P) of each window.
        """
        windows, frames = orientation.shape[:2]
        local = self._layout.local(balls, hinges, orientation).flatten(0, 1)
        rotations = self._kinematics.rotations(local)
        whole = torch.cat([torch.ones_like(shape[:, :1]), shape], 1)
        levers = (whole @ self.levers.flatten(1)).reshape(windows, LANDMARKS, -1)
        # (B, T * 3, S * 3) times (B, S * 3, 33)
        flat = rotations.transpose(1, 2).reshape(windows, frames * 3, -1)
        points = (flat @ levers.transpose(1, 2)).reshape(windows, frames, 3, LANDMARKS).transpose(2, 3)
        return points, points - points[:, :, _HIPS].mean(2, keepdim=True)


def projected(points: Tensor, place: Tensor, log_size: Tensor, per_metre: Tensor) -> Tensor:
    """(B, T, L, 2) of the straight view, where ``features`` have the landmarks.

    Args:
        points: (B, T, L, 3) of a body of 1.7 m. place: (B, T, 3) of ``InitialOutput``. log_size: (B, T) logarithm of
            the body's size against it. per_metre: (B, T) of ``StraightView``.
    """
    size = (log_size - place[..., 2]).clamp(-1, 1).exp()[..., None, None]
    away = 1 + (per_metre[..., None, None] * points[..., 2:] * size)
    return (size * points[..., :2] + place[..., None, :2]) / away.clamp(min=LEAST_DEPTH)
