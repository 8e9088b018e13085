"""The landmarks as evidence in the camera's space: what the fit is asked to explain, and how far to trust it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from model.detect.landmarks import Landmarks

from .rotation import matrix_from_rotvec

LEFT_HIP, RIGHT_HIP, LEFT_SHOULDER, RIGHT_SHOULDER = 23, 24, 11, 12
STATURE_M = 1.7
"""Nominal stature that turns pixels per metre into the size of a person in pixels."""


@dataclass(frozen=True)
class Evidence:
    """T frames, L landmarks, float64.  Frames without the person hold zeros with zero confidence."""

    time_s: Tensor
    """(T,)."""
    present: Tensor
    """(T,) bool."""
    px: Tensor
    """(T, L, 2)."""
    rays: Tensor
    """(T, L, 2): x/z and y/z of the viewing ray."""
    confidence: Tensor
    """(T, L) in 0..1."""
    world_m: Tensor
    """(T, L, 3): BlazePose's 3D about the mid-hip, as if the camera looked straight at the person."""
    relative_m: Tensor
    """(T, L, 3): the same, turned into the camera's axes."""
    direction: Tensor
    """(T, 3): unit vector of the viewing ray through the hips."""
    per_metre: Tensor
    """(T,): image size of a metre at the person's depth, in units of focal lengths (1 / depth)."""
    focal_px: float
    center_px: Tensor
    """(2,) principal point."""

    def part(self, frames: slice) -> Evidence:
        """The evidence of a stretch of frames."""
        kept = ("focal_px", "center_px")
        return Evidence(**{k: v if k in kept else v[frames] for k, v in vars(self).items()})

    def at(self, focal_px: float) -> Evidence:
        """The same landmarks seen through another lens."""
        return _through(self.time_s, self.present, self.px, self.confidence, self.world_m, focal_px, self.center_px)


def ray_rotation(rays: Tensor) -> Tensor:
    """(..., 2) rays to the (..., 3, 3) smallest rotation that turns the optical axis into them.

    BlazePose sees a crop as if the camera looked straight at it, so its 3D is relative to the viewing ray.
    """
    direction = torch.cat([rays, torch.ones_like(rays[..., :1])], -1)
    direction = direction / direction.norm(dim=-1, keepdim=True)
    forward = torch.zeros_like(direction)
    forward[..., 2] = 1.0
    axis = torch.linalg.cross(forward, direction)
    sine = axis.norm(dim=-1, keepdim=True)
    angle = torch.atan2(sine, direction[..., 2:3])
    return matrix_from_rotvec(axis / sine.clamp(min=1e-12) * angle)


def gather(landmarks: Landmarks, focal_px: float, center_px: tuple[float, float]) -> Evidence:
    """Turn landmarks into evidence for a camera of this focal length."""
    present = torch.from_numpy(landmarks.present)
    mask = present[:, None, None]

    def tensor(array: object) -> Tensor:
        return torch.nan_to_num(torch.as_tensor(array, dtype=torch.float64))

    px = torch.where(mask, tensor(landmarks.px), 0.0)
    world = torch.where(mask, tensor(landmarks.world_m), 0.0)
    world = world - (world[:, LEFT_HIP] + world[:, RIGHT_HIP])[:, None] / 2
    confidence = torch.where(mask[..., 0], tensor(landmarks.visibility), 0.0).clamp(0.0, 1.0)
    center = torch.tensor(center_px, dtype=torch.float64)
    return _through(torch.from_numpy(landmarks.time_s), present, px, confidence, world, focal_px, center)


def _through(
    time_s: Tensor, present: Tensor, px: Tensor, confidence: Tensor, world: Tensor, focal_px: float, center: Tensor
) -> Evidence:
    """What depends on the lens: rays, and with them the axes of BlazePose's 3D and the size of a metre."""
    rays = (px - center) / focal_px
    turn = ray_rotation((rays[:, LEFT_HIP] + rays[:, RIGHT_HIP]) / 2)
    relative = torch.einsum("tij,tlj->tli", turn, world)
    weight = confidence[..., None] + 1e-9
    flat, seen = world[..., :2], rays
    flat = flat - (weight * flat).sum(1, keepdim=True) / weight.sum(1, keepdim=True)
    seen = seen - (weight * seen).sum(1, keepdim=True) / weight.sum(1, keepdim=True)
    spread = (weight * flat * flat).sum((1, 2)).clamp(min=1e-9)
    per_metre = ((weight * flat * seen).sum((1, 2)) / spread).clamp(min=1e-4)
    direction = turn[:, :, 2]
    return Evidence(time_s, present, px, rays, confidence, world, relative, direction, per_metre, focal_px, center)
