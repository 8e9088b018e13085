"""From the camera's space to a world with gravity: which way is up, and where the ground is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from model.body.body_points import FEET

from .evidence import LEFT_SHOULDER, RIGHT_SHOULDER
from .scene_camera import SceneCamera
from .support_terms import CONTACT_POINTS, MASS_SHARES, pressure_shares, tangents

PITCH_SIGMA, ROLL_SIGMA, ROLL_REACH = 0.4, 0.06, 2.0
"""rad; how far cameras look down or up, and how far they are tilted sideways, before anything is seen; a camera that is
tilted by more sigmas than the reach may be tilted by any angle."""
BALANCE_SIGMA = (0.06, 0.12)
"""rad; how well the body's balance over what carries it tells the vertical: across the picture, and in depth."""
LEAN_REACH = 0.4
"""rad; who leans further from what is believed to be up does not stand."""
UPRIGHT_CAMERA = 0.15
"""What the camera's own up counts, beside that of a body which is upright in it."""
LEARNED_SIGMA = 0.25
"""rad; what the initial network's vertical counts beside the others: it errs alike in all frames, and is twice as good
as theirs on made clips but no better on the real ones."""
SCENE_REACH = 0.35
"""rad; a direction of the scene's lines that is further from what everything else says is not up."""
GROUND_POINT_SIGMA_M = 0.05
POINTS_PER_SECOND = 2.0
"""How many independent footholds a second of contact is worth."""


@dataclass(frozen=True)
class Ground:
    """``up`` (3,) unit vector and ``height_m``: points x with up . x = height lie on the ground, camera space."""

    up: Tensor
    height_m: float

    def above_m(self, points: Tensor) -> Tensor:
        """(..., 3) points to (...) heights above the ground."""
        return points @ self.up - self.height_m


def body_up(points_m: Tensor, present: Tensor) -> Tensor:
    """(3,) up to begin with, camera space: from the feet to the shoulders of whoever is upright in a camera that is
    held nearly level; the camera's own up for whoever sits, crawls or lies."""
    feet = points_m[:, CONTACT_POINTS][:, :FEET].mean(1)
    axis = points_m[:, [LEFT_SHOULDER, RIGHT_SHOULDER]].mean(1) - feet
    axis = axis[present] / axis[present].norm(dim=-1, keepdim=True).clamp(min=1e-6)
    up = level = axis.new_tensor([0.0, -1.0, 0.0])
    for _ in range(10):
        off = torch.linalg.cross(axis, up.expand_as(axis)).norm(dim=-1)
        up = (axis / (1 + (off / 0.2) ** 2)[:, None]).mean(0) + UPRIGHT_CAMERA * level
        up = up / up.norm()
    return up


def find_ground(
    points_m: Tensor, grounded: Tensor, present: Tensor, fps: float, start: Tensor | None = None,
    learned: Tensor | None = None, scene: SceneCamera | None = None,
) -> Ground:  # fmt: skip
    """Up and ground from the fit's points and what rests on the ground.

    Five things tell the vertical: cameras are held nearly level; the initial network says so; who stands is balanced
    over what carries; footholds that lie apart lie on one plane; and, where the others agree, the scene's lines.

    Args:
        points_m: (T, L + C + B, 3). grounded: (T, C). present: (T,). start: (3,) up to begin with. learned: (3,) up as
            the network has it. scene: what the scene's lines tell.
    """
    resting, weight = points_m[:, CONTACT_POINTS], grounded * present[:, None]
    standing = _Standing(points_m, resting, weight, fps)
    known = [] if learned is None else [(learned, LEARNED_SIGMA)]
    up = standing.settled(body_up(points_m, present) if start is None else start, known)
    vertical = None if scene is None else _vertical(up, scene)
    if vertical is not None:
        up = standing.settled(vertical[0], [*known, vertical])
    heights = (resting @ up)[weight > 0.5]
    if len(heights) == 0:  # never still: the lowest that the feet come
        heights = (resting[:, :FEET] @ up)[present].amin(1)
    return Ground(up, float(heights.median()))


class _Standing:
    """What the body tells of the vertical.

    Args:
        points_m: (T, L + C + B, 3). resting: (T, C, 3) of them. weight: (T, C) how much each rests on the ground.
    """

    def __init__(self, points_m: Tensor, resting: Tensor, weight: Tensor, fps: float) -> None:
        support = (pressure_shares(weight)[..., None] * resting).sum(1)
        lean = torch.einsum("l,tld->td", MASS_SHARES, points_m) - support
        self._lean = lean / lean.norm(dim=-1, keepdim=True).clamp(min=1e-6)
        self._carried = weight.sum(1).clamp(max=1)
        seconds = float(self._carried.sum()) / max(fps, 1.0)
        self._trust = min(1.0, 2 * seconds) * torch.tensor(BALANCE_SIGMA, dtype=points_m.dtype) ** -2
        self._share = (weight / GROUND_POINT_SIGMA_M**2 * POINTS_PER_SECOND / max(fps, 1.0)).flatten()
        self._feet = resting.reshape(-1, 3)

    def settled(self, up: Tensor, known: list[tuple[Tensor, float]]) -> Tensor:
        """(3,) up, from where it begins, with what else is ``known`` of it: (3,) and sigma in rad, of each."""
        for _ in range(6):
            level = tangents(up)
            across = self._lean @ level.T
            votes = self._carried / (1 + (across.norm(dim=-1) / LEAN_REACH) ** 2) ** 2
            votes = votes / self._carried.sum().clamp(min=1e-6)  # who does not stand tells little
            precision, away = _known(up, known)
            center = (self._share[:, None] * self._feet).sum(0) / self._share.sum().clamp(min=1e-9)
            spread = self._feet - center
            rows, height = spread @ level.T, spread @ up
            robust = self._share / (1 + (height / (2 * GROUND_POINT_SIGMA_M)) ** 2)
            matrix = (robust[:, None] * rows).T @ rows
            target = -(robust[:, None] * rows).T @ height
            matrix = matrix + torch.diag(votes.sum() * self._trust) + (level * precision) @ level.T
            target = target + self._trust * (votes[:, None] * across).sum(0) - level @ (precision * away)
            step = torch.linalg.solve(matrix, target).clamp(-0.3, 0.3)
            up = up + step @ level
            up = up / up.norm()
        return up


def _vertical(up: Tensor, scene: SceneCamera) -> tuple[Tensor, float] | None:
    """Which of the scene's directions is up, and how well it is known; None where none is near ``up``."""
    if len(scene.axes) == 0:
        return None
    axes = torch.from_numpy(scene.axes).to(up)
    along = axes @ up
    nearest = int(along.abs().argmax())
    if float(along[nearest].abs()) < math.cos(SCENE_REACH):
        return None
    return axes[nearest] * along[nearest].sign(), float(scene.axes_sigma_rad[nearest])


def _known(up: Tensor, more: list[tuple[Tensor, float]]) -> tuple[Tensor, Tensor]:
    """(3,) precisions along the camera's axes, and (3,) how far ``up`` is from what is known before feet are seen."""
    doubt = 1 + (float(up[0]) / (ROLL_REACH * ROLL_SIGMA)) ** 2
    precision = torch.tensor([ROLL_SIGMA**-2 / doubt, 0.0, PITCH_SIGMA**-2], dtype=up.dtype)
    if not more:
        return precision, up
    pull = torch.stack([target * sigma**-2 for target, sigma in more]).sum(0)
    precision = precision + sum(sigma**-2 for _, sigma in more)
    return precision, up - pull / precision


def camera_to_world(ground: Ground, hips_cam_m: Tensor, forward_cam: Tensor) -> Tensor:
    """(4, 4): ground at Z = 0, the person of the first frame over the origin, facing -Y.

    Args:
        ground: in camera space.
        hips_cam_m: (3,) of the first frame. forward_cam: (3,) where the body faces there.
    """
    z = ground.up
    back = -(forward_cam - (forward_cam @ z) * z)
    if float(back.norm()) < 1e-3:  # lying: take the camera's own direction
        axis = torch.tensor([0.0, 0.0, 1.0], dtype=z.dtype)
        back = axis - (axis @ z) * z
    y = back / back.norm()
    rotation = torch.stack([torch.linalg.cross(y, z), y, z])
    origin = hips_cam_m - ground.above_m(hips_cam_m) * z
    matrix = torch.eye(4, dtype=z.dtype)
    matrix[:3, :3] = rotation
    matrix[:3, 3] = -rotation @ origin
    return matrix
