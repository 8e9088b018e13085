"""A bank of lit, empty places with their cameras, into which people of training pictures are put."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from amr_blender.contract.spaces import intrinsics

from ..render.shade import Lights, parts
from .room import Place, cast, random_place
from .scenes import look_at, random_lights

Array = NDArray[np.floating]
Generator = np.random.Generator
MAX_LAMPS = 3
SHAPES = ((384, 216), (216, 384), (288, 288))
"""Width and height of the whole frames, of which pictures are crops."""


@dataclass(frozen=True)
class Scenery:
    """One place, frame size (W, H) with the longer side in pixels of ``SHAPES``."""

    K: Array
    camera_to_world: Array
    lights: Lights
    bright: Tensor
    """(3, H, W) light with nothing in the way."""
    dark: Tensor
    """(3, H, W) light where the first lamp is in shadow."""
    points_m: Tensor
    """(3, H, W) world."""

    @property
    def size_px(self) -> tuple[int, int]:
        return self.bright.shape[2], self.bright.shape[1]


def make_scenery(seed: int) -> Scenery:
    """Any place, light and camera: from the floor to high above, looking up or down, wide or long."""
    rng = np.random.default_rng([seed, 71])
    size = SHAPES[rng.integers(len(SHAPES))]
    distance, height = (
        rng.uniform(2.0, 8.0),
        rng.choice([rng.uniform(0.1, 0.8), rng.uniform(0.8, 2.0), rng.uniform(2.0, 5.0)]),
    )
    azimuth = rng.uniform(0, 2 * np.pi)
    place = random_place(rng, max(distance + 1.0, 5.0))
    height = min(height, place.height_m - 0.3)
    eye = np.array([distance * np.cos(azimuth), distance * np.sin(azimuth), height])
    camera = look_at(eye, np.array([*rng.normal(0, 0.5, 2), rng.uniform(0.2, 1.4)]))
    roll = np.deg2rad(rng.normal(0, 2.5))
    camera[:3, :3] = camera[:3, :3] @ [[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]]
    K = intrinsics(float(np.exp(rng.uniform(np.log(0.7), np.log(2.2)))) * max(size), *size)
    lights = padded(random_lights(rng, float(rng.uniform(0.8, 1.2))))
    return seen(place, lights, K, camera, size)


def seen(place: Place, lights: Lights, K: Array, camera_to_world: Array, size_px: tuple[int, int]) -> Scenery:
    """``place`` under :func:`padded` lights from a camera that stands in it; arguments as of ``room.cast``."""
    plate = cast(place, K, camera_to_world, size_px, np.array([0.5, 0.5]))
    one, shape = torch.zeros(1, dtype=torch.int64), (3, size_px[1], size_px[0])
    sent = parts(plate.albedo, plate.points_m, plate.normals, lights, one)
    sent[0, plate.sky], sent[1:, plate.sky] = plate.albedo[plate.sky] * lights.brightness, 0.0
    bright = sent.sum(0)
    dark = bright - lights.shadow[0, 0] * sent[1]
    points = plate.points_m.clone()
    points[plate.sky] = 1e4  # no shadow falls there
    pixels = (light.T.reshape(shape).contiguous() for light in (bright, dark, points))
    return Scenery(K, camera_to_world, lights, *pixels)


def padded(lights: Lights) -> Lights:
    """With dark lamps up to ``MAX_LAMPS``; only the first lamp keeps its shadow."""
    missing = MAX_LAMPS - lights.rgb.shape[1]
    one, zeros = torch.ones(1, missing, 3), torch.zeros(1, missing, 3)
    shadow = torch.zeros(1, MAX_LAMPS)
    shadow[:, 0] = lights.shadow[:, 0]
    return Lights(torch.cat([lights.places_m, one], 1), torch.cat([lights.rgb, zeros], 1), lights.ambient_rgb, shadow)


def stacked(lights: list[Lights], device: torch.device | str) -> Lights:
    """Of several pictures, as one."""
    names = ("places_m", "rgb", "ambient_rgb", "shadow")
    return Lights(*(torch.cat([getattr(one, name) for one in lights]).to(device) for name in names))
