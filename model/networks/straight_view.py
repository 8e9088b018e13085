"""Landmarks as a camera would see them that looks straight at the person and keeps a metre at one size.

What a lens, a crop or a person's place in the picture does to landmarks is geometry, and need not be learned: the
network sees everything turned into the viewing ray through the trunk and divided by the size of a metre, and its answer
is turned back.  So it is the same for every focal length and for every place in the picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

TRUNK = (11, 12, 23, 24)
SMOOTH_S, BRIDGE_S = 0.25, 3.0
"""Standard deviations in time of the path that the straight view follows, and of what bridges gaps."""
REACH = 4.0
"""In metres; a landmark farther away than this is an error and is moved there."""
LANDMARKS = 33
FEATURES = 33 * (2 + 1 + 3) + 2 + 2 + 1 + 1 + 1 + 2 + 1
"""Numbers per frame; see :func:`straight_view`."""
FLAT, CONFIDENCE, WORLD, PRESENT, LOG_PER_METRE = slice(0, 66), slice(66, 99), slice(99, 198), 203, FEATURES - 1
"""Of them: the landmarks in the picture, how sure they are, BlazePose's 3D, whether anybody is seen, and how large a
metre is: how strong the perspective."""


@dataclass(frozen=True)
class StraightView:
    """B windows of T frames."""

    turn: Tensor
    """(B, T, 3, 3) from the straight view's axes to the camera's."""
    per_metre: Tensor
    """(B, T) size of a metre in units of focal lengths, by BlazePose's 3D: about 1 / depth."""
    centre: Tensor
    """(B, T, 2) the ray that the straight view looks along."""
    features: Tensor
    """(B, T, FEATURES) what the network reads."""


def straight_view(
    rays: Tensor, confidence: Tensor, world_m: Tensor, present: Tensor, time_s: Tensor, height_m: Tensor
) -> StraightView:
    """Turn and scale.

    Args:
        rays: (B, T, 33, 2) x/z and y/z. confidence: (B, T, 33). world_m: (B, T, 33, 3) BlazePose's 3D.
        present: (B, T) bool. time_s: (B, T). height_m: (B,) the person's height where it is known, else 0.
    """
    mask = present.to(rays)[:, :, None]
    trunk = list(TRUNK)
    weight = (confidence[:, :, trunk] + 0.02) * mask  # (B, T, 4)
    own = (weight[..., None] * rays[:, :, trunk]).sum(2) / weight.sum(2, keepdim=True).clamp(min=1e-6)
    size = _per_metre(_turned(rays, own), world_m, confidence).clamp(min=1e-3, max=10.0).log()
    path = _smoothed(torch.cat([own, size[..., None]], -1), weight.mean(2), time_s)
    centre, per_metre = path[..., :2], path[..., 2].exp()
    flat = _turned(rays, centre) / per_metre[..., None, None]
    flat = flat.clamp(-REACH, REACH) * mask[..., None]
    world = world_m.clamp(-REACH, REACH) * mask[..., None]
    step = (
        torch.diff(time_s, dim=1, append=2 * time_s[:, -1:] - time_s[:, -2:-1]) if time_s.shape[1] > 1 else 0 * time_s
    )
    known = (height_m > 0).to(rays)
    height = torch.where(height_m > 0, height_m, torch.ones_like(height_m)).log()
    frames = rays.shape[1]
    features = torch.cat(
        [
            flat.flatten(2),
            (confidence * mask).flatten(2),
            world.flatten(2),
            centre,
            ((own - centre) / per_metre[..., None]).clamp(-REACH, REACH) * mask,
            (path[..., 2:] - path[..., 2:].median(1, keepdim=True).values).clamp(-2, 2),
            mask,
            step[..., None] * 20.0,
            torch.stack([known, height * known], -1)[:, None].expand(-1, frames, -1),
            path[..., 2:],
        ],
        -1,
    )
    return StraightView(towards(centre), per_metre, centre, features)


def parted(features: Tensor) -> tuple[Tensor, ...]:
    """(..., FEATURES) to the landmarks in the picture, confidences, BlazePose's 3D, the ray looked along, how far the
    trunk is from it, and what has neither side nor direction."""
    sizes = [2 * LANDMARKS, LANDMARKS, 3 * LANDMARKS, 2, 2]
    return features.split([*sizes, FEATURES - sum(sizes)], -1)


def _turned(rays: Tensor, centre: Tensor) -> Tensor:
    """(B, T, L, 2) as a camera has them that looks along (B, T, 2) ``centre``."""
    direct = torch.cat([rays, torch.ones_like(rays[..., :1])], -1) @ towards(centre)  # columns are its axes
    return direct[..., :2] / direct[..., 2:].clamp(min=0.05)


def _per_metre(rays: Tensor, world_m: Tensor, confidence: Tensor) -> Tensor:
    """(B, T) scale of BlazePose's flat 3D to the picture, by least squares."""
    weight = confidence[..., None] + 1e-4
    total = weight.sum(2, keepdim=True)
    flat = world_m[..., :2] - (weight * world_m[..., :2]).sum(2, keepdim=True) / total
    seen = rays - (weight * rays).sum(2, keepdim=True) / total
    return (weight * flat * seen).sum((2, 3)) / (weight * flat * flat).sum((2, 3)).clamp(min=1e-9)


def _smoothed(values: Tensor, weight: Tensor, time_s: Tensor) -> Tensor:
    """(B, T, D) values along a path that is smooth in time and crosses gaps; ``weight`` (B, T)."""
    away = time_s[:, :, None] - time_s[:, None]
    kernel = torch.exp(-0.5 * (away / SMOOTH_S) ** 2) + 1e-3 * torch.exp(-0.5 * (away / BRIDGE_S) ** 2) + 1e-7
    kernel = kernel * weight[:, None]
    return (kernel @ values) / kernel.sum(-1, keepdim=True).clamp(min=1e-12)


def towards(rays: Tensor) -> Tensor:
    """(..., 2) to the (..., 3, 3) smallest rotations that turn the optical axis into the rays (Rodrigues)."""
    x, y = rays.unbind(-1)
    length = (1 + x * x + y * y).sqrt()
    a, b, c = x / length, y / length, 1 / length
    k = 1 / (1 + c)
    rows = torch.stack([1 - k * a * a, -k * a * b, a, -k * a * b, 1 - k * b * b, b, -a, -b, c], -1)
    return rows.reshape(*rays.shape[:-1], 3, 3)
