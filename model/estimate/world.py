"""From the camera's space to a world with gravity: which way is up, and where the ground is."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .evidence import LEFT_HIP, LEFT_SHOULDER, RIGHT_HIP, RIGHT_SHOULDER
from .fit import CONTACT_LANDMARKS

CAMERA_UP_SIGMA = 0.35
"""rad; how far cameras are tilted, before anything is seen."""
BALANCE_SIGMA = 0.12
"""rad; how well the body's balance over its feet tells the vertical."""
STILL_M_S, LOW_M = 0.35, 0.05
"""Speed and height above the ground at which a foot hardly rests any more."""
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
    """(3,) robust mean direction from the feet to the shoulders, camera space: up, for whoever is mostly upright."""
    feet = points_m[:, list(CONTACT_LANDMARKS)].mean(1)
    axis = points_m[:, [LEFT_SHOULDER, RIGHT_SHOULDER]].mean(1) - feet
    axis = axis[present] / axis[present].norm(dim=-1, keepdim=True).clamp(min=1e-6)
    up = axis.new_tensor([0.0, -1.0, 0.0])
    for _ in range(10):
        off = torch.linalg.cross(axis, up.expand_as(axis)).norm(dim=-1)
        up = (axis / (1 + (off / 0.2) ** 2)[:, None]).sum(0) + 1e-3 * up
        up = up / up.norm()
    return up


def contact_probability(
    points_m: Tensor, time_s: Tensor, present: Tensor, ground: Ground | None, clearance_m: Tensor
) -> Tensor:
    """(T, 4) probability that heels and toes (``CONTACT_LANDMARKS``) rest on the ground.

    A resting foot is still; motion along the viewing ray is left out, for one camera hardly sees it.  It is low as
    well: near a known ground, or else no higher than the lowest foot of its frame.

    Args:
        points_m: (T, 33, 3). time_s: (T,). present: (T,). clearance_m: (4,) the landmarks' heights above the soles.
    """
    feet = points_m[:, list(CONTACT_LANDMARKS)]
    if len(feet) < 2:
        speed = torch.zeros(feet.shape[:2], dtype=feet.dtype)
    else:
        velocity = torch.gradient(feet, spacing=(time_s,), dim=0)[0]
        ray = feet / feet.norm(dim=-1, keepdim=True)
        speed = (velocity - (velocity * ray).sum(-1, keepdim=True) * ray).norm(dim=-1)
    still = torch.exp(-((speed / STILL_M_S) ** 2))
    if ground is None:
        soles = feet @ body_up(points_m, present) - clearance_m
        height = soles - soles.amin(1, keepdim=True)
    else:
        height = ground.above_m(feet) - clearance_m
    low = torch.exp(-(((height - 0.01).clamp(min=0) / LOW_M) ** 2))
    return still * low * present[:, None]


def find_ground(points_m: Tensor, contacts: Tensor, present: Tensor, fps: float, clearance_m: Tensor) -> Ground:
    """Up and ground from the fitted landmarks (T, 33, 3), contacts (T, 4) and the landmarks' heights over soles (4,).

    The body of someone who stands is over their feet: the mean direction from the feet that carry to the middle of
    the body is up.  Footholds that lie apart correct it: they lie on one plane.
    """
    feet = points_m[:, list(CONTACT_LANDMARKS)]
    weight = contacts * present[:, None]
    middle = points_m[:, [LEFT_HIP, RIGHT_HIP, LEFT_SHOULDER, RIGHT_SHOULDER]].mean(1)
    carried = weight.sum(1)
    support = (weight[..., None] * feet).sum(1) / carried.clamp(min=1e-6)[:, None]
    lean = middle - support
    lean = lean / lean.norm(dim=-1, keepdim=True).clamp(min=1e-6)
    prior = torch.tensor([0.0, -1.0, 0.0], dtype=points_m.dtype)
    up = body_up(points_m, present)
    strength = float(carried.clamp(max=1).sum()) / max(fps, 1.0)  # seconds of standing
    for _ in range(10):  # robust mean of directions, with the camera's usual up as one more vote
        off = torch.linalg.cross(lean, up.expand_as(lean)).norm(dim=-1)
        votes = carried.clamp(max=1) / (1 + (off / 0.25) ** 2)
        balance = (votes[:, None] * lean).sum(0) / votes.sum().clamp(min=1e-6)
        trust = min(1.0, 2 * strength) / BALANCE_SIGMA**2
        up = balance * trust + prior * CAMERA_UP_SIGMA**-2
        up = up / up.norm()
    up = _level(feet, weight, up, trust + CAMERA_UP_SIGMA**-2, fps)
    soles = feet @ up - clearance_m
    heights = soles[weight > 0.5]
    if len(heights) == 0:  # never still: the lowest that the feet come
        heights = soles[present].amin(1)
    return Ground(up, float(heights.median()))


def _level(feet: Tensor, weight: Tensor, up: Tensor, precision: float, fps: float) -> Tensor:
    """Tilt ``up`` so that footholds lie on one plane, against its own precision (1/rad^2)."""
    share = (weight / GROUND_POINT_SIGMA_M**2 * POINTS_PER_SECOND / max(fps, 1.0)).flatten()
    points = feet.reshape(-1, 3)
    start = up
    for _ in range(5):
        center = (share[:, None] * points).sum(0) / share.sum().clamp(min=1e-9)
        spread = points - center
        first = torch.linalg.cross(up, torch.tensor([0.0, 0.0, 1.0], dtype=up.dtype))
        first = first / first.norm().clamp(min=1e-9)
        tangent = torch.stack([first, torch.linalg.cross(up, first)])  # (2, 3)
        rows = spread @ tangent.T
        height = spread @ up
        robust = share / (1 + (height / (2 * GROUND_POINT_SIGMA_M)) ** 2)
        matrix = (robust[:, None] * rows).T @ rows + precision * torch.eye(2, dtype=up.dtype)
        target = -(robust[:, None] * rows).T @ height + precision * (tangent @ (start - up))
        up = up + torch.linalg.solve(matrix, target) @ tangent
        up = up / up.norm()
    return up


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
