"""Training pictures: posed people in places, cropped as a detector crops, by the batch and with everything known.

A batch is a function of its number and the maker's seed, so a training run can be repeated and resumed.  People and
places are kept and replaced little by little, because making one takes as long as drawing several pictures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from amr_blender.contract.spaces import project_px
from model.body import AnnyBody
from model.body.raster import Raster, project

from .render import effects
from .scene.looks import random_look
from .scene.scenery import Scenery, make_scenery
from .scene.scenes import random_shape
from .studio import Exposures, Posed, Someone, Studio, Views, inside

Array = NDArray[np.floating]
Generator = np.random.Generator
PoseSource = Callable[[Generator, int], Array]
"""Gives (N, B, 3, 3) world-aligned local rotations; the first bone's is the body's orientation in the world."""
POOL, FRESH = 48, 2
"""People and places at hand, and how many of each are replaced from one batch to the next."""


@dataclass(frozen=True)
class Batch:
    """N pictures of S x S pixels, V vertices, B bones, P shape parameters."""

    images: Tensor
    """(N, S, S, 3) uint8 RGB; black outside the frame."""
    vertices_cam_m: Tensor
    """(N, V, 3) of the bare body, axes of the whole frame's camera."""
    visible: Tensor
    """(N, V) bool: faces the camera, lies in the frame, and nothing is in front."""
    local: Tensor
    """(N, B, 3, 3) world-aligned local rotations."""
    root_m: Tensor
    """(N, 3) head of the root bone in the world, ground at Z = 0."""
    shape: Tensor
    """(N, P) float64 in the order of the body's ``shape_names``."""
    K: Tensor
    """(N, 3, 3) of the crop: its principal point need not lie in it."""
    frame_K: Tensor
    """(N, 3, 3) of the whole frame."""
    frame_px: Tensor
    """(N, 2) width and height of the whole frame."""
    camera_to_world: Tensor
    """(N, 4, 4) OpenCV camera to world."""
    conditions: dict[str, Tensor]
    """(N,) each: ``light`` mean brightness of the person 0..1, ``burnt_share``, ``occluded_share`` by things,
    ``inside_share`` of the vertices in the frame, ``person_height_px`` in the picture, ``distance_m``."""


class PictureMaker:
    """Draws batches.

    Args:
        body: on the processor. poses: where rotations come from.
        seeds: (first, end) of the ``bodies``, ``looks`` and ``places`` that may be used.
        size_px: side of the pictures. seed: of the run. device: where to draw.
    """

    def __init__(
        self, body: AnnyBody, poses: PoseSource, seeds: dict[str, tuple[int, int]], size_px: int = 128, seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:  # fmt: skip
        self._body, self._poses, self._seeds, self._seed = body, poses, seeds, seed
        self._studio = Studio(body, size_px, device)
        self._someone = lru_cache(maxsize=2 * POOL)(self._make_someone)
        self._scenery = lru_cache(maxsize=2 * POOL)(make_scenery)

    def _make_someone(self, number: int) -> Someone:
        body_seed, look_seed = self._seed_of("bodies", number), self._seed_of("looks", 7 * number)
        shape = random_shape(self._body, np.random.default_rng([body_seed, 11]), age=(0.0, 1.0))
        return self._studio.someone(shape, random_look(np.random.default_rng([look_seed, 12])))

    def _seed_of(self, kind: str, number: int) -> int:
        first, end = self._seeds[kind]
        return first + number % (end - first)

    def _cast(self, number: int, count: int, rng: Generator) -> tuple[list[Someone], list[Scenery]]:
        """Who and where: from a window of numbers that moves on with the batches."""
        people, places = rng.integers(0, POOL, (2, count)) + FRESH * number
        return (
            [self._someone(int(one)) for one in people],
            [self._scenery(self._seed_of("places", int(one))) for one in places],
        )

    def batch(self, number: int, count: int) -> Batch:
        """The ``number``-th batch of ``count`` pictures."""
        rng = np.random.default_rng([self._seed, number, 13])
        studio = self._studio
        generator = torch.Generator(studio.device).manual_seed(int(rng.integers(1 << 62)))
        people, places = self._cast(number, count, rng)
        local = torch.from_numpy(self._poses(rng, count).astype(np.float32)).to(studio.device)
        camera = studio.tensor(np.stack([place.camera_to_world for place in places]))
        frame_K = studio.tensor(np.stack([place.K for place in places]))
        frame_px = studio.tensor(np.array([place.size_px for place in places]))

        about = studio.skin(local, people)
        root = self._root(about, places, rng)
        posed = studio.posed(about + root[:, None], people)
        seen = posed.seen_from(camera)
        views = Views(self._crop(seen.dressed_m, frame_K, rng), frame_K, frame_px, camera)
        raster = studio.rasterised(seen, views)
        in_frame = studio.in_frame(views)
        light = studio.lit(raster, posed, seen, views, people, places)
        thing, of_thing = studio.things(rng, count)
        light = torch.where(thing[:, None], of_thing, light)
        thing = thing & in_frame
        images = studio.photographed(light, in_frame, Exposures.draw(rng, count, studio.size_px), generator)
        return Batch(
            images=effects.to_bytes(images),
            vertices_cam_m=seen.bare_m,
            visible=studio.clear(seen, raster, thing, views),
            local=local,
            root_m=root,
            shape=torch.stack([one.shape for one in people]),
            K=views.K,
            frame_K=frame_K,
            frame_px=frame_px,
            camera_to_world=camera,
            conditions=_conditions(raster, images, seen, views, thing, in_frame),
        )

    def _root(self, about: Tensor, places: list[Scenery], rng: Generator) -> Tensor:
        """(N, 3) where the people of (N, V, 3) skin about their roots stand on the ground before the camera."""
        root = torch.zeros(len(about), 3, device=self._studio.device)
        root[:, :2] = self._studio.tensor(np.array([_spot(place, rng) for place in places]))
        in_the_air = np.where(rng.random(len(about)) < 0.1, rng.uniform(0, 0.5, len(about)), 0)
        root[:, 2] = self._studio.tensor(in_the_air) - about[..., 2].amin(1)
        return root

    def _crop(self, seen: Tensor, frame_K: Tensor, rng: Generator) -> Tensor:
        """(N, 3, 3) K of a square around each person, not quite in the middle and not quite their size."""
        size = self._studio.size_px
        px, z = project(seen, frame_K)
        behind = (z < 0.1)[..., None]
        low = torch.where(behind, torch.inf, px).amin(1)
        high = torch.where(behind, -torch.inf, px).amax(1)
        side = (high - low).amax(1) * self._studio.tensor(rng.uniform(1.0, 1.5, len(seen)))
        cut = rng.random(len(seen)) < 0.12  # a crop that has lost half of the person
        shift = rng.normal(0, 0.06, (len(seen), 2)) + np.where(cut[:, None], rng.uniform(-0.4, 0.4, (len(seen), 2)), 0)
        middle = 0.5 * (low + high) + side[:, None] * self._studio.tensor(shift)
        K = frame_K * (size / side)[:, None, None]
        K[:, :2, 2] = (frame_K[:, :2, 2] - middle) * (size / side)[:, None] + size / 2
        K[:, 2, 2] = 1.0
        return K


def _conditions(
    raster: Raster, images: Tensor, seen: Posed, views: Views, thing: Tensor, in_frame: Tensor
) -> dict[str, Tensor]:
    person = raster.hit & in_frame
    shown = person & ~thing
    area, whole = shown.sum((1, 2)).clamp(min=1), person.sum((1, 2)).clamp(min=1)
    rows = project(seen.dressed_m, views.K)[0][..., 1]
    return {
        "light": (images.mean(1) * shown).sum((1, 2)) / area,
        "burnt_share": ((images.amax(1) > 0.98) & shown).sum((1, 2)) / area,
        "occluded_share": (person & thing).sum((1, 2)) / whole,
        "inside_share": inside(seen.dressed_m, views.frame_K, views.frame_px).float().mean(1),
        "person_height_px": rows.amax(1) - rows.amin(1),
        "distance_m": seen.dressed_m.mean(1).norm(dim=1),
    }


def _spot(place: Scenery, rng: Generator) -> Array:
    """(2,) where somebody stands before the camera: mostly all of them in its frame, sometimes only a part."""
    eye, axes = place.camera_to_world[:3, 3], place.camera_to_world[:3, :3]
    ahead = axes[:2, 2] / np.linalg.norm(axes[:2, 2])
    across = np.array([-ahead[1], ahead[0]])
    spread = 0.45 * place.size_px[0] / place.K[0, 0]
    away = rng.uniform(1.5, 8.0, 16)
    spots = eye[:2] + ahead * away[:, None] + across * (away * rng.uniform(-spread, spread, 16))[:, None]
    heights = np.linspace(0.0, 1.7, 8)
    column = np.concatenate([np.repeat(spots[:, None], 8, 1), np.tile(heights[:, None], (16, 1, 1))], -1)
    seen = (column - eye) @ axes
    px = project_px(seen, place.K) / place.size_px
    share = ((px > 0) & (px < 1)).all(-1).mean(1) * (seen[..., 2].min(1) > 0.5)
    enough = share >= min(1.0 if rng.random() < 0.75 else 0.6, share.max())
    return np.asarray(spots[np.argmax(enough)])
