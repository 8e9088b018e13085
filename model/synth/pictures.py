"""Training pictures: posed people in places, cropped as a detector crops, by the batch and with everything known.

A batch is a function of its number and the maker's seed, so a training run can be repeated and resumed.  People and
places are kept and replaced little by little, because making one takes as long as drawing several pictures.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from amr_blender.contract.spaces import project_px
from model.body import AnnyBody

from .render import effects
from .render.raster import Raster, hits, project, rasterise, triangles, vertex_normals, visible
from .render.shade import Shadows, lit, parts
from .scene.looks import Wardrobe, random_look
from .scene.scenery import Scenery, make_scenery, stacked
from .scene.scenes import random_shape

Array = NDArray[np.floating]
Generator = np.random.Generator
PoseSource = Callable[[Generator, int], Array]
"""Gives (N, B, 3, 3) world-aligned local rotations; the first bone's is the body's orientation in the world."""
POOL, FRESH = 48, 2
"""People and places at hand, and how many of each are replaced from one batch to the next."""
_SLACK_M = 0.01
_SHADOW_MAP_PX = 128
_DIM, _GLARING = 0.2, 0.2
"""Shares of the pictures with too little and with too much light."""
_HIDDEN = 0.3
"""Share of the pictures with a thing in front of the person."""


@dataclass(frozen=True)
class Someone:
    """A person of training pictures, on the maker's device."""

    shape: Tensor
    rest_m: Tensor
    heads_m: Tensor
    offset_m: Tensor
    albedo: Tensor


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
        self._body, self._poses, self._seeds, self._size, self._seed = body, poses, seeds, size_px, seed
        self._device = torch.device(device)
        self._wardrobe = Wardrobe(body)
        self._faces = triangles(torch.from_numpy(body.quads.astype(np.int64))).to(self._device)
        self._weights = body.skin_weights_dense.to(self._device)
        self._kinematics = deepcopy(body.kinematics).to(self._device)
        count = len(body.bone_names)
        above = np.eye(count, dtype=np.float32)  # [b, a] = 1: a is b or above it, the root left out
        for bone, parent in enumerate(body.bone_parents):
            if parent >= 0:
                above[bone] += above[parent]
        above[:, 0] = 0
        self._above = torch.from_numpy(above).to(self._device)
        self._parents = torch.tensor([max(parent, 0) for parent in body.bone_parents], device=self._device)
        self._someone = lru_cache(maxsize=2 * POOL)(self._make_someone)
        self._scenery = lru_cache(maxsize=2 * POOL)(make_scenery)

    def _make_someone(self, number: int) -> Someone:
        body_seed, look_seed = self._seed_of("bodies", number), self._seed_of("looks", 7 * number)
        shape = random_shape(self._body, np.random.default_rng([body_seed, 11]), age=(0.0, 1.0))
        rest = self._body.rest(shape)
        look = random_look(np.random.default_rng([look_seed, 12]))
        offset, albedo = self._wardrobe.painted(rest.vertices_m.double().numpy(), look)
        return Someone(shape, *(t.to(self._device) for t in (rest.vertices_m, rest.heads_m, offset, albedo)))

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
        generator = torch.Generator(self._device).manual_seed(int(rng.integers(1 << 62)))
        people, places = self._cast(number, count, rng)
        local = torch.from_numpy(self._poses(rng, count).astype(np.float32)).to(self._device)
        camera = self._tensor(np.stack([place.camera_to_world for place in places]))
        frame_K = self._tensor(np.stack([place.K for place in places]))
        frame_px = self._tensor(np.array([place.size_px for place in places]))

        bare, normals, root = self._stand(local, people, places, rng)
        points = bare + torch.stack([one.offset_m for one in people])[..., None] * normals
        seen = (points - camera[:, None, :3, 3]) @ camera[:, :3, :3]  # columns of the rotation are the camera's axes
        K = self._crop(seen, frame_K, rng)
        raster = rasterise(seen, self._faces, K, (self._size, self._size))
        light = self._draw(raster, points, normals, seen, K, frame_K, frame_px, people, places)
        in_frame = self._in_frame(K, frame_K, frame_px)
        thing = self._things(raster, light, rng) & in_frame
        images = self._photograph(light, in_frame, rng, generator)

        facing = (((normals @ camera[:, :3, :3]) * seen).sum(-1) < 0) & (seen[..., 2] > 0)
        undressed = (bare - camera[:, None, :3, 3]) @ camera[:, :3, :3]
        clear = visible(seen, raster.depth_m, K, _SLACK_M) & facing & self._free(seen, K, ~thing)
        clear &= _inside(undressed, frame_K, frame_px) & _inside(undressed, K, torch.full_like(frame_px, self._size))
        return Batch(
            images=effects.to_bytes(images),
            vertices_cam_m=undressed,
            visible=clear,
            local=local,
            root_m=root,
            shape=torch.stack([one.shape for one in people]),
            K=K,
            frame_K=frame_K,
            frame_px=frame_px,
            camera_to_world=camera,
            conditions=self._conditions(raster, images, seen, K, frame_K, frame_px, thing, in_frame),
        )

    def _tensor(self, array: Array) -> Tensor:
        return torch.from_numpy(np.asarray(array, np.float32)).to(self._device)

    def _stand(
        self, local: Tensor, people: list[Someone], places: list[Scenery], rng: Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Pose everybody and put them on the ground before the camera: (N, V, 3) bare, normals, (N, 3) root."""
        heads = torch.stack([one.heads_m for one in people])
        turned, _ = self._kinematics(local, heads[0], torch.zeros(len(local), 3, device=self._device))
        step = turned[:, self._parents] @ (heads - heads[:, self._parents])[..., None]
        posed = self._above @ step[..., 0]  # of the heads, from the root
        affine = torch.cat([turned, (posed[..., None] - turned @ heads[..., None])], -1).flatten(2)
        blended = torch.matmul(self._weights, affine).unflatten(2, (3, 4))
        rest = torch.stack([one.rest_m for one in people])
        bare = (blended[..., :3] @ rest[..., None])[..., 0] + blended[..., 3]
        root = torch.zeros(len(local), 3, device=self._device)
        root[:, :2] = self._tensor(np.array([_spot(place, rng) for place in places]))
        in_the_air = np.where(rng.random(len(local)) < 0.1, rng.uniform(0, 0.5, len(local)), 0)
        root[:, 2] = self._tensor(in_the_air) - bare[..., 2].amin(1)
        bare = bare + root[:, None]
        return bare, vertex_normals(bare, self._faces), root

    def _crop(self, seen: Tensor, frame_K: Tensor, rng: Generator) -> Tensor:
        """(N, 3, 3) K of a square around each person, not quite in the middle and not quite their size."""
        px, z = project(seen, frame_K)
        behind = (z < 0.1)[..., None]
        low = torch.where(behind, torch.inf, px).amin(1)
        high = torch.where(behind, -torch.inf, px).amax(1)
        side = (high - low).amax(1) * self._tensor(rng.uniform(1.0, 1.5, len(seen)))
        cut = rng.random(len(seen)) < 0.12  # a crop that has lost half of the person
        shift = rng.normal(0, 0.06, (len(seen), 2)) + np.where(cut[:, None], rng.uniform(-0.4, 0.4, (len(seen), 2)), 0)
        middle = 0.5 * (low + high) + side[:, None] * self._tensor(shift)
        K = frame_K * (self._size / side)[:, None, None]
        K[:, :2, 2] = (frame_K[:, :2, 2] - middle) * (self._size / side)[:, None] + self._size / 2
        K[:, 2, 2] = 1.0
        return K

    def _grid(self, K: Tensor, frame_K: Tensor, frame_px: Tensor) -> Tensor:
        """(N, S, S, 2) where the crop's pixels lie in the frame, -1..1."""
        side = torch.arange(self._size, device=self._device) + 0.5
        row, column = torch.meshgrid(side, side, indexing="ij")
        scale = (frame_K[:, 0, 0] / K[:, 0, 0])[:, None, None, None]
        px = (torch.stack([column, row], -1) - K[:, None, None, :2, 2]) * scale + frame_K[:, None, None, :2, 2]
        return 2 * px / frame_px[:, None, None] - 1

    def _in_frame(self, K: Tensor, frame_K: Tensor, frame_px: Tensor) -> Tensor:
        """(N, S, S) bool."""
        return (self._grid(K, frame_K, frame_px).abs() < 1).all(-1)

    def _draw(
        self, raster: Raster, points: Tensor, normals: Tensor, seen: Tensor, K: Tensor, frame_K: Tensor,
        frame_px: Tensor, people: list[Someone], places: list[Scenery],
    ) -> Tensor:  # fmt: skip
        """(N, 3, S, S) linear light of person and place, each in the other's light and shadow."""
        lights = stacked([place.lights for place in places], self._device)
        shadows = Shadows(points, self._faces, lights, torch.zeros(len(seen), 3, device=self._device), _SHADOW_MAP_PX)
        grid = self._grid(K, frame_K, frame_px)
        light = torch.empty(len(seen), 3, self._size, self._size, device=self._device)
        for number, place in enumerate(places):
            layers = torch.cat([place.bright, place.dark, place.points_m]).to(self._device)[None]
            bright, dark, ground = functional.grid_sample(layers, grid[number : number + 1], align_corners=False)[
                0
            ].split(3)
            one = torch.full((1,), number, device=self._device)
            reached = shadows.reached(ground.flatten(1).T, one)[:, 0].reshape(self._size, self._size)
            strength = lights.shadow[number, 0].clamp(min=1e-3)
            light[number] = dark + (bright - dark) * (1 - (1 - reached) / strength)
        found = hits(raster, seen, self._faces, K)
        world, normal = found.interpolate(points), functional.normalize(found.interpolate(normals), dim=1)
        albedo = found.interpolate(torch.stack([one.albedo for one in people]))
        reached = shadows.reached(world + 0.01 * normal, found.picture)
        flat = light.permute(0, 2, 3, 1).reshape(-1, 3)
        flat[found.pixel] = lit(parts(albedo, world, normal, lights, found.picture), reached)
        return flat.reshape(len(seen), self._size, self._size, 3).permute(0, 3, 1, 2).contiguous()

    def _things(self, raster: Raster, light: Tensor, rng: Generator) -> Tensor:
        """Put flat, turned blocks and discs before some of the people, in place; (N, S, S) bool where they are."""
        count = len(light)
        side = torch.arange(self._size, device=self._device) + 0.5
        row, column = torch.meshgrid(side, side, indexing="ij")
        angle = self._tensor(rng.uniform(-0.6, 0.6, count))[:, None, None]
        middle = self._tensor(rng.uniform(0.15, 0.85, (count, 2)) * self._size)[..., None, None]
        half = self._tensor(np.exp(rng.uniform(np.log(0.06), np.log(0.4), (count, 2))) * self._size)[..., None, None]
        x, y = column - middle[:, 0], row - middle[:, 1]
        u = ((x * angle.cos() + y * angle.sin()) / half[:, 0]).abs()
        v = ((y * angle.cos() - x * angle.sin()) / half[:, 1]).abs()
        disc = self._tensor(rng.random(count))[:, None, None] < 0.3
        there = self._tensor(rng.random(count))[:, None, None] < _HIDDEN
        mask = there & torch.where(disc, u**2 + v**2 < 1, torch.maximum(u, v) < 1)
        rough = torch.from_numpy(np.exp(rng.normal(0, 0.35, (count, 1, 12, 12))).astype(np.float32)).to(self._device)
        texture = functional.interpolate(rough, (self._size, self._size), mode="bilinear")
        colour = self._tensor(rng.uniform(0.02, 0.8, (count, 3)))[..., None, None] * texture
        light.copy_(torch.where(mask[:, None], colour, light))
        return mask

    def _photograph(self, light: Tensor, in_frame: Tensor, rng: Generator, generator: torch.Generator) -> Tensor:
        """(N, 3, S, S) sRGB 0..1: exposure, blur, low resolution, noise, compression."""
        count = len(light)
        kind = rng.random(count)
        exposure = np.exp(rng.uniform(np.log(0.6), np.log(1.5), count))
        dim, glaring = kind < _DIM, kind > 1 - _GLARING
        exposure[dim] = np.exp(rng.uniform(np.log(0.06), np.log(0.3), dim.sum()))
        exposure[glaring] = np.exp(rng.uniform(np.log(1.8), np.log(4.0), glaring.sum()))
        moving = rng.random(count) < 0.25
        direction = rng.uniform(0, 2 * np.pi, count)
        length = np.where(moving, rng.uniform(1, 0.07 * self._size, count), 0)
        shift = np.stack([np.cos(direction), np.sin(direction)], 1) * length[:, None]
        noise = rng.uniform(0.0, 0.03, count) + np.where(dim, rng.uniform(0.01, 0.06, count), 0)
        quality = np.where(rng.random(count) < 0.5, rng.integers(8, 80, count), 100)
        factor = rng.choice([1, 2, 3], count, p=[0.75, 0.17, 0.08])
        pictures = effects.develop(light * in_frame[:, None], self._tensor(exposure))
        pictures = effects.blur(pictures, self._tensor(rng.uniform(0.25, 0.9, count)), self._tensor(shift))
        pictures = effects.coarse(pictures, torch.from_numpy(factor).to(self._device))
        pictures = effects.grain(pictures, self._tensor(noise), generator)
        pictures = effects.compress(pictures, self._tensor(quality))
        return pictures * in_frame[:, None]

    def _free(self, seen: Tensor, K: Tensor, free: Tensor) -> Tensor:
        """(N, V) bool: the vertex lies where ``free`` (N, S, S) is true."""
        cell = project(seen, K)[0].clamp(0, self._size - 1).to(torch.int64)
        return free.flatten(1).gather(1, cell[..., 1] * self._size + cell[..., 0])

    def _conditions(
        self, raster: Raster, images: Tensor, seen: Tensor, K: Tensor, frame_K: Tensor, frame_px: Tensor,
        thing: Tensor, in_frame: Tensor,
    ) -> dict[str, Tensor]:  # fmt: skip
        person = raster.hit & in_frame
        shown = person & ~thing
        area, whole = shown.sum((1, 2)).clamp(min=1), person.sum((1, 2)).clamp(min=1)
        rows = project(seen, K)[0][..., 1]
        return {
            "light": (images.mean(1) * shown).sum((1, 2)) / area,
            "burnt_share": ((images.amax(1) > 0.98) & shown).sum((1, 2)) / area,
            "occluded_share": (person & thing).sum((1, 2)) / whole,
            "inside_share": _inside(seen, frame_K, frame_px).float().mean(1),
            "person_height_px": rows.amax(1) - rows.amin(1),
            "distance_m": seen.mean(1).norm(dim=1),
        }


def _inside(points_cam_m: Tensor, K: Tensor, size_px: Tensor) -> Tensor:
    """(N, V) bool: the point is seen in a picture of (N, 2) pixels."""
    px, z = project(points_cam_m, K)
    return ((px > 0) & (px < size_px[:, None])).all(-1) & (z > 0)


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
