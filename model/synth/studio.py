"""Where people are posed, dressed, lit and photographed, many pictures at once: what batches and clips share.

All is on one device.  N pictures of S x S pixels, V vertices, B bones.  World: metres, Z up, ground at Z = 0.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from model.body import AnnyBody
from model.body.raster import Raster, hits, project, rasterise, triangles, vertex_normals, visible

from .render import effects
from .render.shade import Shadows, lit, parts
from .scene.looks import Look, Wardrobe
from .scene.scenery import Scenery, stacked

Array = NDArray[np.floating]
Generator = np.random.Generator
_SLACK_M = 0.01
_SHADOW_MAP_PX = 128
_DIM, _GLARING = 0.2, 0.2
"""Shares of the pictures with too little and with too much light."""
_MOVING, LONGEST_SMEAR = 0.25, 0.07
"""Share of the smeared pictures, and how far at most, in sides of the picture."""
HIDDEN = 0.3
"""Share of the pictures with a thing in front of the person."""


@dataclass(frozen=True)
class Someone:
    """A person of training pictures, on the studio's device."""

    shape: Tensor
    rest_m: Tensor
    heads_m: Tensor
    offset_m: Tensor
    albedo: Tensor


@dataclass(frozen=True)
class Posed:
    """Skin of N people in the world: ``bare_m`` (N, V, 3), unit ``normals`` (N, V, 3), and ``dressed_m`` (N, V, 3)."""

    bare_m: Tensor
    normals: Tensor
    dressed_m: Tensor

    def seen_from(self, camera_to_world: Tensor) -> Posed:
        """In the axes of (N, 4, 4) cameras."""
        turn, eye = camera_to_world[:, :3, :3], camera_to_world[:, None, :3, 3]  # columns of turn: the camera's axes
        return Posed((self.bare_m - eye) @ turn, self.normals @ turn, (self.dressed_m - eye) @ turn)


@dataclass(frozen=True)
class Views:
    """What N pictures are crops of, and which: ``K`` (N, 3, 3) of the crops, ``frame_K`` (N, 3, 3) and ``frame_px``
    (N, 2) of the whole frames, ``camera_to_world`` (N, 4, 4)."""

    K: Tensor
    frame_K: Tensor
    frame_px: Tensor
    camera_to_world: Tensor


@dataclass(frozen=True)
class Exposures:
    """How N pictures are taken; (N,) each."""

    exposure: Array
    defocus_px: Array
    smear_px: Array
    """(N, 2) along which everything is smeared."""
    coarse: NDArray[np.int64]
    """How many times the resolution is lower."""
    noise: Array
    quality: Array
    """Of compression; 100 does nothing."""

    @classmethod
    def draw(cls, rng: Generator, count: int, size_px: int, hard: float = 1.0) -> Exposures:
        """Any camera and codec: too dark, too bright, shaken, noisy, coarse, or none of it.

        ``hard`` scales the shares of dark, bright and coarse ones; without any, nothing is compressed much.
        """
        kind = rng.random(count)
        exposure = np.exp(rng.uniform(np.log(0.6), np.log(1.5), count))
        dim, glaring = kind < hard * _DIM, kind > 1 - hard * _GLARING
        exposure[dim] = np.exp(rng.uniform(np.log(0.06), np.log(0.3), dim.sum()))
        exposure[glaring] = np.exp(rng.uniform(np.log(1.8), np.log(4.0), glaring.sum()))
        moving = rng.random(count) < _MOVING
        direction = rng.uniform(0, 2 * np.pi, count)
        length = np.where(moving, rng.uniform(1, LONGEST_SMEAR * size_px, count), 0)
        smear = np.stack([np.cos(direction), np.sin(direction)], 1) * length[:, None]
        noise = rng.uniform(0.0, 0.03, count) + np.where(dim, rng.uniform(0.01, 0.06, count), 0)
        quality = np.where(rng.random(count) < 0.5, rng.integers(8 if hard else 50, 80, count), 100)
        coarse = rng.choice([1, 2, 3], count, p=[1 - 0.25 * hard, 0.17 * hard, 0.08 * hard])
        return cls(exposure, rng.uniform(0.25, 0.9, count), smear, coarse, noise, quality)

    def repeated(self, count: int) -> Exposures:
        """The first one's, ``count`` times."""
        return Exposures(*(np.repeat(getattr(self, f.name)[:1], count, 0) for f in fields(self)))


class Studio:
    """Draws people.

    Args:
        body: on the processor. size_px: S. device: where to draw.
    """

    def __init__(self, body: AnnyBody, size_px: int, device: torch.device | str = "cpu") -> None:
        self.size_px, self.device = size_px, torch.device(device)
        self._body, self._wardrobe = body, Wardrobe(body)
        self.faces = triangles(torch.from_numpy(body.quads.astype(np.int64))).to(self.device)
        self._weights = body.skin_weights_dense.to(self.device)
        self._kinematics = deepcopy(body.kinematics).to(self.device)
        count = len(body.bone_names)
        above = np.eye(count, dtype=np.float32)  # [b, a] = 1: a is b or above it, the root left out
        for bone, parent in enumerate(body.bone_parents):
            if parent >= 0:
                above[bone] += above[parent]
        above[:, 0] = 0
        self._above = torch.from_numpy(above).to(self.device)
        self._parents = torch.tensor([max(parent, 0) for parent in body.bone_parents], device=self.device)

    def tensor(self, array: Array) -> Tensor:
        return torch.from_numpy(np.asarray(array, np.float32)).to(self.device)

    def someone(self, shape: Tensor, look: Look) -> Someone:
        """``shape`` (P,) float64 in paint."""
        rest = self._body.rest(shape)
        offset, albedo = self._wardrobe.painted(rest.vertices_m.double().numpy(), look)
        return Someone(shape, *(t.to(self.device) for t in (rest.vertices_m, rest.heads_m, offset, albedo)))

    def skin(self, local: Tensor, people: list[Someone]) -> Tensor:
        """(N, V, 3) bare skin about the head of the root bone; ``local`` (N, B, 3, 3) world-aligned rotations."""
        heads = torch.stack([one.heads_m for one in people])
        turned, _ = self._kinematics(local, heads[0], torch.zeros(len(local), 3, device=self.device))
        step = turned[:, self._parents] @ (heads - heads[:, self._parents])[..., None]
        posed = self._above @ step[..., 0]  # of the heads, from the root
        affine = torch.cat([turned, (posed[..., None] - turned @ heads[..., None])], -1).flatten(2)
        blended = torch.matmul(self._weights, affine).unflatten(2, (3, 4))
        rest = torch.stack([one.rest_m for one in people])
        return (blended[..., :3] @ rest[..., None])[..., 0] + blended[..., 3]

    def posed(self, bare_m: Tensor, people: list[Someone]) -> Posed:
        """Of (N, V, 3) bare skin in the world."""
        normals = vertex_normals(bare_m, self.faces)
        return Posed(bare_m, normals, bare_m + torch.stack([one.offset_m for one in people])[..., None] * normals)

    def rasterised(self, seen: Posed, views: Views) -> Raster:
        return rasterise(seen.dressed_m, self.faces, views.K, (self.size_px, self.size_px))

    def _grid(self, views: Views) -> Tensor:
        """(N, S, S, 2) where the crop's pixels lie in the frame, -1..1."""
        side = torch.arange(self.size_px, device=self.device) + 0.5
        row, column = torch.meshgrid(side, side, indexing="ij")
        scale = (views.frame_K[:, 0, 0] / views.K[:, 0, 0])[:, None, None, None]
        px = (torch.stack([column, row], -1) - views.K[:, None, None, :2, 2]) * scale
        return 2 * (px + views.frame_K[:, None, None, :2, 2]) / views.frame_px[:, None, None] - 1

    def in_frame(self, views: Views) -> Tensor:
        """(N, S, S) bool."""
        return (self._grid(views).abs() < 1).all(-1)

    def lit(
        self, raster: Raster, posed: Posed, seen: Posed, views: Views, people: list[Someone], places: list[Scenery]
    ) -> Tensor:
        """(N, 3, S, S) linear light of person and place, each in the other's light and shadow.

        The places' pixels are those of the whole frames.
        """
        points, count, side = posed.dressed_m, len(people), self.size_px
        lights = stacked([place.lights for place in places], self.device)
        shadows = Shadows(points, self.faces, lights, torch.zeros(count, 3, device=self.device), _SHADOW_MAP_PX)
        grid = self._grid(views)
        light = torch.empty(count, 3, side, side, device=self.device)
        for number, place in enumerate(places):
            layers = torch.cat([place.bright, place.dark, place.points_m]).to(self.device)[None]
            sampled = functional.grid_sample(layers, grid[number : number + 1], align_corners=False)[0]
            bright, dark, ground = sampled.split(3)
            one = torch.full((1,), number, device=self.device)
            reached = shadows.reached_from(0, ground.flatten(1).T, one).reshape(side, side)
            strength = lights.shadow[number, 0].clamp(min=1e-3)
            light[number] = dark + (bright - dark) * (1 - (1 - reached) / strength)
        found = hits(raster, seen.dressed_m, self.faces, views.K)
        world, normal = found.interpolate(points), functional.normalize(found.interpolate(posed.normals), dim=1)
        albedo = found.interpolate(torch.stack([one.albedo for one in people]))
        reached = shadows.reached(world + 0.01 * normal, found.picture)
        flat = light.permute(0, 2, 3, 1).reshape(-1, 3)
        flat[found.pixel] = lit(parts(albedo, world, normal, lights, found.picture), reached)
        return flat.reshape(count, side, side, 3).permute(0, 3, 1, 2).contiguous()

    def things(self, rng: Generator, count: int, share: float = HIDDEN, largest: float = 0.4) -> tuple[Tensor, Tensor]:
        """Flat, turned blocks and discs before a ``share`` of the pictures: (N, S, S) bool where they are, and
        (N, 3, S, S) their light.  Half their sides are at most ``largest`` sides of the picture."""
        side = torch.arange(self.size_px, device=self.device) + 0.5
        row, column = torch.meshgrid(side, side, indexing="ij")
        angle = self.tensor(rng.uniform(-0.6, 0.6, count))[:, None, None]
        middle = self.tensor(rng.uniform(0.15, 0.85, (count, 2)) * self.size_px)[..., None, None]
        half = np.exp(rng.uniform(np.log(0.06), np.log(largest), (count, 2)))
        half_px = self.tensor(half * self.size_px)[..., None, None]
        x, y = column - middle[:, 0], row - middle[:, 1]
        u = ((x * angle.cos() + y * angle.sin()) / half_px[:, 0]).abs()
        v = ((y * angle.cos() - x * angle.sin()) / half_px[:, 1]).abs()
        disc = self.tensor(rng.random(count))[:, None, None] < 0.3
        there = self.tensor(rng.random(count))[:, None, None] < share
        mask = there & torch.where(disc, u**2 + v**2 < 1, torch.maximum(u, v) < 1)
        rough = torch.from_numpy(np.exp(rng.normal(0, 0.35, (count, 1, 12, 12))).astype(np.float32)).to(self.device)
        texture = functional.interpolate(rough, (self.size_px, self.size_px), mode="bilinear")
        return mask, self.tensor(rng.uniform(0.02, 0.8, (count, 3)))[..., None, None] * texture

    def photographed(self, light: Tensor, in_frame: Tensor, how: Exposures, generator: torch.Generator) -> Tensor:
        """(N, 3, S, S) sRGB 0..1: exposure, blur, low resolution, noise, compression; black outside the frame."""
        pictures = effects.develop(light * in_frame[:, None], self.tensor(how.exposure))
        pictures = effects.blur(pictures, self.tensor(how.defocus_px), self.tensor(how.smear_px))
        pictures = effects.coarse(pictures, torch.from_numpy(how.coarse).to(self.device))
        pictures = effects.grain(pictures, self.tensor(how.noise), generator)
        pictures = effects.compress(pictures, self.tensor(how.quality))
        return pictures * in_frame[:, None]

    def clear(self, seen: Posed, raster: Raster, thing: Tensor, views: Views) -> Tensor:
        """(N, V) bool: faces the camera, lies in frame and crop, and neither body nor ``thing`` (N, S, S) hides it."""
        z = seen.dressed_m[..., 2]
        facing = ((seen.normals * seen.dressed_m).sum(-1) < 0) & (z > 0)
        clear = facing & visible(seen.dressed_m, raster.depth_m, views.K, _SLACK_M)
        cell = project(seen.dressed_m, views.K)[0].clamp(0, self.size_px - 1).to(torch.int64)
        clear &= ~thing.flatten(1).gather(1, cell[..., 1] * self.size_px + cell[..., 0])
        clear &= inside(seen.bare_m, views.frame_K, views.frame_px)
        return clear & inside(seen.bare_m, views.K, torch.full_like(views.frame_px, self.size_px))


def inside(points_cam_m: Tensor, K: Tensor, size_px: Tensor) -> Tensor:
    """(N, V) bool: the point is seen in a picture of (N, 2) pixels."""
    px, z = project(points_cam_m, K)
    return ((px > 0) & (px < size_px[:, None])).all(-1) & (z > 0)
