"""Cameras that stand before moving people: all sides, heights, tilts and lenses, near, far and cut off.

Or plain ones, as who films somebody on purpose sets them up: at the height of a person or above, all of him in the
picture, mostly from in front.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from amr_blender.contract.spaces import invert_rigid, project_px, transform

from ..scene.scenes import look_at

Array = NDArray[np.floating]
Generator = np.random.Generator
BEHIND_SHARE, CUT_SHARE = 0.15, 0.2
"""Views from behind beyond those that chance gives; people who are not whole in the picture."""
FRONT_SHARE = 0.6
"""Plain views from in front beyond those that chance gives."""
FOCAL = (0.7, 2.2)
"""Focal lengths, in longer sides of the picture."""
ROLL_DEG = 3.0
ASPECTS = (9 / 16, 3 / 4, 1.0, 4 / 3, 16 / 9, 16 / 9)
"""Width by height."""
NEAR_M = 0.5


@dataclass(frozen=True)
class View:
    """A camera that stands still."""

    world_to_camera: Array
    """(4, 4) OpenCV."""
    focal: float
    """In longer sides of the picture; the principal point is its middle."""
    size: tuple[float, float]
    """Width and height in longer sides."""


def draw_view(rng: Generator, points_m: Array, ahead: Array, plain: bool = False) -> View:
    """A view of somebody who goes through ``points_m`` (N, 3), world with Z up, facing ``ahead`` (2,) at first."""
    middle = 0.5 * (points_m.min(0) + points_m.max(0))
    for _ in range(40):
        azimuth = rng.uniform(-np.pi, np.pi)
        if rng.random() < (FRONT_SHARE if plain else BEHIND_SHARE):
            facing = ahead if plain else -ahead
            azimuth = np.arctan2(facing[1], facing[0]) + rng.normal(0, 0.5)
        height = float(
            rng.choice(
                [rng.uniform(0.1, 0.8), rng.uniform(0.8, 1.9), rng.uniform(1.9, 4.0)],
                p=[0.0, 0.65, 0.35] if plain else [0.2, 0.6, 0.2],
            )
        )
        focal = float(np.exp(rng.uniform(*np.log(FOCAL))))
        aspect = float(rng.choice(ASPECTS))
        size = (min(aspect, 1.0), min(1 / aspect, 1.0))
        away = np.array([np.cos(azimuth), np.sin(azimuth)])
        aim = middle + rng.normal(0, 0.15, 3)
        distance = _framing(rng, points_m, middle, away, height, aim, focal, size, 0.0 if plain else CUT_SHARE)
        if distance is None:
            continue
        eye = np.array([*(middle[:2] + distance * away), height])
        matrix = invert_rigid(_rolled(look_at(eye, aim), rng))
        if transform(matrix, points_m)[:, 2].min() > NEAR_M:
            return View(matrix, focal, size)
    eye = np.array([*(middle[:2] - 6.0 * ahead), 1.5])
    return View(invert_rigid(look_at(eye, middle)), 1.2, (1.0, 0.5625))


def _framing(
    rng: Generator, points: Array, middle: Array, away: Array, height: float, aim: Array, focal: float,
    size: tuple[float, float], cut: float,
) -> float | None:  # fmt: skip
    """The distance at which the person fills the picture as wanted."""
    fill = float(np.exp(rng.uniform(np.log(0.3), np.log(0.95))))
    if rng.random() < cut:
        fill = float(rng.uniform(1.0, 1.9))
    low, high = 1.2, 30.0
    K = np.array([[focal, 0, size[0] / 2], [0, focal, size[1] / 2], [0, 0, 1.0]])
    for _ in range(18):
        distance = (low + high) / 2
        seen = transform(invert_rigid(look_at(np.array([*(middle[:2] + distance * away), height]), aim)), points)
        if seen[:, 2].min() < 0.3:
            low = distance
            continue
        px = project_px(seen, K) / size
        if float(np.ptp(px, axis=0).max()) > fill:
            low = distance
        else:
            high = distance
    return high if high < 29.0 else None


def _rolled(camera_to_world: Array, rng: Generator) -> Array:
    angle = np.deg2rad(rng.normal(0, ROLL_DEG))
    c, s = np.cos(angle), np.sin(angle)
    turn = np.eye(4)
    turn[:2, :2] = [[c, -s], [s, c]]
    return np.asarray(camera_to_world @ turn)
