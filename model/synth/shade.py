"""Light on the rasterised mesh and on the place around it: Lambert, a soft sky, hard or softened shadows.

Colours are linear until ``effects.develop`` turns light into 8-bit sRGB.  World: metres, Z up.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .raster import rasterise, visible

_MAP_PX = 320
_BIAS_M = 0.025
"""A surface this close behind another is not in its shadow: the map is coarse."""


@dataclass(frozen=True)
class Lights:
    """One to three lamps or suns, and the sky."""

    places_m: Tensor
    """(L, 3) world; far away for a sun."""
    rgb: Tensor
    """(L, 3) light that reaches a surface facing it, near the person: no falloff."""
    ambient_rgb: Tensor
    """(3,) from above; half as much comes from below."""
    shadow: Tensor
    """(L,) 0..1: how much of the light its shadow takes away; 0 casts none."""


def lit(albedo: Tensor, points_m: Tensor, normals: Tensor, lights: Lights, reached: Tensor) -> Tensor:
    """(P, 3) light that surfaces send back.

    Args:
        albedo, points_m, normals: (P, 3), world. reached: (P, L) share of each lamp that is not in shadow.
    """
    light = (0.75 + 0.25 * normals[:, 2:]) * lights.ambient_rgb
    for number, (place, rgb) in enumerate(zip(lights.places_m, lights.rgb, strict=True)):
        to_lamp = torch.nn.functional.normalize(place - points_m, dim=1)
        light = light + ((to_lamp * normals).sum(1).clamp(min=0) * reached[:, number])[:, None] * rgb
    return albedo * light


class Shadows:
    """What one mesh at one moment hides from each lamp: depth as seen from there.

    Args:
        points_m: (V, 3) world. faces: (F, 3). shake_m: (3,) moves the lamps, so that averaged pictures have soft edges.
    """

    def __init__(self, points_m: Tensor, faces: Tensor, lights: Lights, shake_m: Tensor) -> None:
        self._lights = lights
        self._maps: list[tuple[Tensor, Tensor, Tensor, Tensor] | None] = []
        middle = 0.5 * (points_m.amin(0) + points_m.amax(0))
        radius = (points_m - middle).norm(dim=1).max()
        for place, strength in zip(lights.places_m, lights.shadow.tolist(), strict=True):
            if strength <= 0:
                self._maps.append(None)
                continue
            eye = place + shake_m * (place - middle).norm() / 4.0
            rotation = _facing(middle - eye)
            focal = 0.97 * (_MAP_PX / 2) * (middle - eye).norm() / radius
            K = torch.diag(torch.stack([focal, focal, torch.ones_like(focal)]))
            K[:2, 2] = _MAP_PX / 2
            seen = ((points_m - eye) @ rotation.T)[None]
            self._maps.append((eye, rotation, K, rasterise(seen, faces, K, (_MAP_PX, _MAP_PX), cull=False).depth_m))

    def reached(self, points_m: Tensor) -> Tensor:
        """(P, 3) world points to (P, L) shares of the lamps that reach them."""
        shares = []
        for entry, strength in zip(self._maps, self._lights.shadow, strict=True):
            if entry is None:
                shares.append(torch.ones(len(points_m)))
                continue
            eye, rotation, K, depth = entry
            seen = ((points_m - eye) @ rotation.T)[None]
            z = seen[0, :, 2]
            clear = visible(seen, depth, K, _BIAS_M)[0] | _outside(seen[0], K)
            shares.append(1.0 - strength * (~clear & (z > 0)).to(points_m.dtype))
        return torch.stack(shares, 1)


def _outside(points_m: Tensor, K: Tensor) -> Tensor:
    """(P,) not on the map, so lit."""
    px = points_m[:, :2] * K[0, 0] / points_m[:, 2:] + _MAP_PX / 2
    return ((px < 0) | (px >= _MAP_PX)).any(1)


def _facing(direction: Tensor) -> Tensor:
    """(3, 3) rows are a camera's axes whose third looks along ``direction`` (3,)."""
    z = torch.nn.functional.normalize(direction, dim=0)
    up = torch.tensor([0.0, 0.0, 1.0]) if z[2].abs() < 0.95 else torch.tensor([0.0, 1.0, 0.0])
    x = torch.nn.functional.normalize(torch.linalg.cross(z, up), dim=0)
    return torch.stack([x, torch.linalg.cross(z, x), z])
