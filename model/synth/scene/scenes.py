"""People, lights and cameras drawn at random: what the made footage varies."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from amr_blender.contract.spaces import invert_rigid, project_px, transform
from model.body import AnnyBody

from ..render.shade import Lights

Array = NDArray[np.floating]
Generator = np.random.Generator
MARGIN = 0.03
"""Of the picture's side that stays free around a person who is to be whole in the picture."""


def look_at(place_m: Array, target_m: Array) -> Array:
    """(4, 4) OpenCV camera to world, horizon level."""
    forward = (target_m - place_m) / np.linalg.norm(target_m - place_m)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = np.stack([right, np.cross(forward, right), forward], 1), place_m
    return matrix


YOUNG_SHARE = 0.2
"""Of the people: children, for whom Anny's proportions change most."""
HEIGHT, HEIGHT_SIGMA = 0.37, 0.08
"""In Anny's units, which reach far beyond people's heights: men of 1.75, women of 1.63, give or take 0.09 m."""


def random_person(body: AnnyBody, rng: Generator) -> torch.Tensor:
    """(P,) float64 the build of somebody who might be filmed: mostly adults."""
    return random_shape(body, rng, age=(0.1, 0.5) if rng.random() < YOUNG_SHARE else (0.5, 1.0))


def random_shape(body: AnnyBody, rng: Generator, age: tuple[float, float] = (0.4, 1.0)) -> torch.Tensor:
    """(P,) float64 a person's build; ``age`` in Anny's units: 0 an infant, 1/3 a child, 2/3 a young adult, 1 old."""
    shape = body.default_shape()
    values = {
        "gender": rng.choice([rng.uniform(0, 0.15), rng.uniform(0.85, 1)]),
        "age": rng.uniform(*age),
        "muscle": rng.uniform(0.2, 0.85),
        "weight": rng.uniform(0.15, 0.9),
        "height": float(np.clip(rng.normal(HEIGHT, HEIGHT_SIGMA), 0.1, 0.7)),
        "proportions": rng.uniform(0.2, 0.9),
    }
    for name, value in values.items():
        shape[body.shape_names.index(name)] = float(value)
    for index in range(len(body.phenotype_names), len(shape)):
        shape[index] = float(np.clip(rng.normal(0, 0.12), -0.35, 0.35))
    return shape


def random_lights(rng: Generator, brightness: float) -> Lights:
    """One to three lamps; ``brightness`` is the light that they throw on the person in all, 1 being ordinary."""
    count = int(rng.choice([1, 2, 3], p=[0.45, 0.35, 0.2]))
    places, colours, shadow = [], [], []
    for number in range(count):
        azimuth, height = rng.uniform(0, 2 * np.pi), rng.uniform(0.65, 1.35)
        away = rng.choice([4.0, 8.0, 40.0])
        places.append(
            away * np.array([np.cos(azimuth) * np.cos(height), np.sin(azimuth) * np.cos(height), np.sin(height)])
        )
        warmth = rng.uniform(-0.25, 0.25)
        colours.append(np.array([1 + warmth, 1.0, 1 - warmth]) * (1.0 if number == 0 else rng.uniform(0.2, 0.6)))
        shadow.append(rng.uniform(0.6, 1.0) if number == 0 else rng.choice([0.0, 0.7]))
    share = rng.uniform(0.25, 0.6)  # of the sky
    rgb = np.array(colours)
    rgb *= 2.2 * brightness * (1 - share) / rgb.mean(1).sum()
    ambient = np.array([1.0, 1.0, 1.0]) * (1 + 0.1 * rng.normal(0, 1, 3)) * 1.6 * brightness * share
    tensors = (torch.from_numpy(np.asarray(a, np.float32)) for a in (places, rgb, ambient, shadow))
    return Lights(*(tensor[None] for tensor in tensors))


def inside(points_m: Array, K: Array, camera_to_world: Array, size_px: tuple[int, int], margin: float) -> float:
    """Share of (P, 3) world points that lie in the picture, ``margin`` of its sides kept free."""
    cam = transform(invert_rigid(camera_to_world), points_m)
    px = project_px(cam, K) / size_px
    return float(((px > margin) & (px < 1 - margin) & (cam[:, 2:] > 0.3)).all(1).mean())


def camera_towards(points_m: Array, azimuth_deg: float, height_m: float, distance_m: float, aim_m: Array) -> Array:
    """(4, 4) a camera so far from the middle of (P, 3) points, looking at it.

    Args:
        azimuth_deg: from where it looks: 0 from -Y, 90 from +X. height_m: above the ground.
        aim_m: (3,) offset of the point it looks at from the middle.
    """
    middle = 0.5 * (points_m.min(0) + points_m.max(0))
    away = np.array([np.sin(np.deg2rad(azimuth_deg)), -np.cos(np.deg2rad(azimuth_deg)), 0.0])
    return look_at(middle * [1, 1, 0] + away * distance_m + [0, 0, height_m], middle + aim_m)


def framing_distance(
    points_m: Array, azimuth_deg: float, height_m: float, K: Array, size_px: tuple[int, int],
    distances_m: tuple[float, float], aim_m: Array,
) -> float | None:  # fmt: skip
    """The smallest distance in metres at which all of the points are in the picture; None if none of these is.

    Arguments as of :func:`camera_towards`.
    """
    for distance in np.arange(*distances_m, 0.1):
        camera = camera_towards(points_m, azimuth_deg, height_m, float(distance), aim_m)
        if inside(points_m, K, camera, size_px, MARGIN) == 1.0:
            return float(distance)
    return None
