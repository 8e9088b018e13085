"""Light on the rasterised mesh and on the place around it: Lambert, a soft sky, hard or softened shadows.

For N pictures at once.  Colours are linear until ``effects.develop`` turns light into sRGB.  World: metres, Z up.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from model.body.raster import rasterise

_BIAS_M = 0.025
"""A surface this close behind another is not in its shadow: the map is coarse."""


@dataclass(frozen=True)
class Lights:
    """Up to L lamps or suns, and the sky, of N pictures; a lamp that is not there has no light."""

    places_m: Tensor
    """(N, L, 3) world; far away for a sun."""
    rgb: Tensor
    """(N, L, 3) light that reaches a surface facing it, near the person: no falloff."""
    ambient_rgb: Tensor
    """(N, 3) from above; half as much comes from below."""
    shadow: Tensor
    """(N, L) 0..1: how much of the light its shadow takes away; 0 casts none."""

    @property
    def brightness(self) -> Tensor:
        """(N,) about what a surface that faces everything gets."""
        return self.ambient_rgb.mean(1) + 0.5 * self.rgb.mean(2).sum(1)


def parts(albedo: Tensor, points_m: Tensor, normals: Tensor, lights: Lights, picture: Tensor) -> Tensor:
    """(1 + L, P, 3) light that surfaces send back, of the sky's and of each lamp's, nothing being in the way.

    Args:
        albedo, points_m, normals: (P, 3), world. picture: (P,) int64, whose lights; or (1,) for all.
    """
    sent = [albedo * (0.75 + 0.25 * normals[:, 2:]) * lights.ambient_rgb[picture]]
    for lamp in range(lights.rgb.shape[1]):
        to_lamp = torch.nn.functional.normalize(lights.places_m[picture, lamp] - points_m, dim=1)
        sent.append(albedo * (to_lamp * normals).sum(1, keepdim=True).clamp(min=0) * lights.rgb[picture, lamp])
    return torch.stack(sent)


def lit(sent: Tensor, reached: Tensor) -> Tensor:
    """(P, 3) the sum of (1 + L, P, 3) :func:`parts`; ``reached`` (P, L) share of each lamp that is not in shadow."""
    return sent[0] + torch.einsum("pl,lpc->pc", reached, sent[1:])


class Shadows:
    """What one mesh hides from each lamp, per picture: depth as seen from there.

    Args:
        points_m: (N, V, 3) world. faces: (F, 3). shake: (N, 3) moves the lamps, in a quarter of their distance, so that
            averaged pictures have soft edges. map_px: side of the depth maps.
    """

    def __init__(self, points_m: Tensor, faces: Tensor, lights: Lights, shake: Tensor, map_px: int = 320) -> None:
        self._lights, self._size = lights, map_px
        self._maps: list[tuple[Tensor, Tensor, Tensor, Tensor] | None] = []
        middle = 0.5 * (points_m.amin(1) + points_m.amax(1))  # (N, 3)
        radius = (points_m - middle[:, None]).norm(dim=2).amax(1)
        for lamp in range(lights.rgb.shape[1]):
            if not bool((lights.shadow[:, lamp] > 0).any()):
                self._maps.append(None)
                continue
            away = (lights.places_m[:, lamp] - middle).norm(dim=1)
            eye = lights.places_m[:, lamp] + shake * away[:, None] / 4.0
            rotation = _facing(middle - eye)
            focal = 0.97 * (map_px / 2) * (middle - eye).norm(dim=1) / radius
            K = torch.zeros(len(eye), 3, 3, device=eye.device)
            K[:, 0, 0] = K[:, 1, 1] = focal
            K[:, :2, 2], K[:, 2, 2] = map_px / 2, 1.0
            seen = (points_m - eye[:, None]) @ rotation.transpose(1, 2)
            depth = rasterise(seen, faces, K, (map_px, map_px), cull=False).depth_m
            self._maps.append((eye, rotation, K, depth))

    def reached(self, points_m: Tensor, picture: Tensor) -> Tensor:
        """(P, 3) world points of pictures (P,), or (1,), to (P, L) shares of the lamps that reach them."""
        return torch.stack([self.reached_from(lamp, points_m, picture) for lamp in range(len(self._maps))], 1)

    def reached_from(self, lamp: int, points_m: Tensor, picture: Tensor) -> Tensor:
        """(P,) share of one lamp."""
        entry = self._maps[lamp]
        if entry is None:
            return torch.ones(len(points_m), device=points_m.device)
        eye, rotation, K, depth = entry
        seen = ((points_m - eye[picture])[:, None] @ rotation[picture].transpose(1, 2))[:, 0]
        z = seen[:, 2]
        px = seen[:, :2] * (K[picture, 0, 0] / z)[:, None] + self._size / 2
        on_map = (z > 0) & (px >= 0).all(1) & (px < self._size).all(1)
        column, row = px.clamp(0, self._size - 1).to(torch.int64).unbind(1)
        dark = on_map & (depth[picture, row, column] < z - _BIAS_M)
        return 1.0 - self._lights.shadow[picture, lamp] * dark.to(z.dtype)


def _facing(direction: Tensor) -> Tensor:
    """(N, 3, 3) rows are the axes of cameras whose third looks along ``direction`` (N, 3)."""
    z = torch.nn.functional.normalize(direction, dim=1)
    steep = z[:, 2:].abs() > 0.95
    up = torch.where(steep, torch.tensor([0.0, 1.0, 0.0]).to(z), torch.tensor([0.0, 0.0, 1.0]).to(z))
    x = torch.nn.functional.normalize(torch.linalg.cross(z, up), dim=1)
    return torch.stack([x, torch.linalg.cross(z, x), z], 1)
