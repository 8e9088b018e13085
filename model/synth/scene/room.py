"""What stands behind people: procedural rooms and open places, found by casting a ray through every pixel.

Nothing is read from a file: textures are noise, boards, tiles, stripes and painted shapes from a seeded generator.
The camera of a clip stands still, so a place is cast once (per antialiasing offset) and only its shadows move.
World: metres, Z up, ground at Z = 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.floating]
Generator = np.random.Generator
_TEXELS = 512


@dataclass(frozen=True)
class Plate:
    """The empty place as one camera sees it; pixels row by row."""

    albedo: Tensor
    """(H * W, 3) linear RGB; the light itself where ``sky``."""
    points_m: Tensor
    """(H * W, 3) world."""
    normals: Tensor
    """(H * W, 3) unit, world."""
    sky: Tensor
    """(H * W,) bool: shines on its own and catches no shadow."""


@dataclass(frozen=True)
class Place:
    """A box of four walls, or open ground under a sky; textures are (S, S, 3) linear RGB, tiling."""

    ground: Array
    ground_m: float
    """Side of one tile of the ground's texture."""
    walls: list[Array]
    """One picture per wall (+x, -x, +y, -y), not tiling; empty outdoors."""
    half_m: Array
    """(2,) half extents of the room along X and Y."""
    height_m: float
    sky_rgb: Array
    """(2, 3) at the horizon and overhead; indoors the ceiling's."""
    skyline: Array
    """(A,) elevation, as a tangent, of what closes the view in each direction outdoors."""
    backdrop: Array
    """(S, S, 3) texture of that."""


def random_place(rng: Generator, room_for_m: float = 8.0) -> Place:
    """A room (60 %), a street or field (40 %); the camera may stand ``room_for_m`` from the origin."""
    indoors = rng.random() < 0.6
    ground, ground_m = _ground(rng, indoors)
    half = np.array([rng.uniform(0.6, 1.3), rng.uniform(0.6, 1.3)]) * room_for_m + 1.0
    paint = rng.uniform(0.1, 0.8) * rng.uniform(0.65, 1.0, 3)
    walls = [_wall(rng, paint) for _ in range(4)] if indoors else []
    horizon = np.full(3, rng.uniform(0.4, 0.9))
    top = horizon if indoors else horizon * np.sort(rng.uniform(0.3, 1.0, 3))
    rough = np.cumsum(rng.normal(0, 1, 256))
    rough -= np.linspace(rough[0], rough[-1], 256)  # the last direction meets the first
    steps = np.repeat(rng.uniform(0, 1, 32), 8)
    skyline = 0.04 + rng.uniform(0.05, 0.35) * (steps if rng.random() < 0.5 else (rough - rough.min()) / np.ptp(rough))
    backdrop = _cloud(rng, rng.uniform(0.05, 0.5) * rng.uniform(0.75, 1.0, 3), rng.uniform(0.3, 0.8))
    return Place(
        ground, ground_m, walls, half, float(rng.uniform(2.6, 4.5)), np.stack([horizon, top]), skyline, backdrop
    )


def _enlarged(grid: Array, size: int) -> Array:
    """(n, n[, C]) to (size, size[, C]), smooth, still tiling."""
    cells = len(grid)
    wrapped = np.pad(grid.astype(np.float32), ((2, 2), (2, 2), *((0, 0),) * (grid.ndim - 2)), mode="wrap")
    whole, cut = round(size * (cells + 4) / cells), round(size * 2 / cells)
    return np.asarray(
        cv2.resize(wrapped, (whole, whole), interpolation=cv2.INTER_CUBIC)[cut : cut + size, cut : cut + size]
    )


def _cloud(rng: Generator, rgb: Array, contrast: float) -> Array:
    """(S, S, 3) fractal noise around a colour; tiles."""
    value = rng.normal(0, 1 / 1.5, (4, 4))
    for cells, weight in ((16, 2.0), (64, 2.5), (128, 3.5)):
        value = _enlarged(value, cells) + rng.normal(0, 1 / weight, (cells, cells))
    tint = 1 + 0.04 * _enlarged(rng.normal(0, 1, (8, 8, 3)), 32)
    light = _enlarged(np.exp(contrast * 0.5 * value), _TEXELS)[..., None]
    return np.asarray((rgb * _enlarged(tint, _TEXELS) * light).clip(0.01, 0.95))


def _ground(rng: Generator, indoors: bool) -> tuple[Array, float]:
    """Boards, tiles, carpet, grass or concrete, and the side in metres of one repetition."""
    kind = rng.choice(["boards", "tiles", "plain"] if indoors else ["tiles", "plain", "grass", "grass"])
    if kind == "grass":
        return _cloud(rng, np.array([0.10, 0.20, 0.05]) * rng.uniform(0.6, 1.5), 0.7), 3.0
    texture = _cloud(rng, rng.uniform(0.08, 0.6) * rng.uniform(0.8, 1.0, 3), rng.uniform(0.15, 0.6))
    if kind == "boards":
        rows = int(rng.choice([8, 16]))
        tone = np.repeat(rng.uniform(0.7, 1.2, rows), _TEXELS // rows)
        texture = cv2.blur(texture, (61, 1)) * tone[:, None, None]
        texture[:: _TEXELS // rows] *= 0.4
    if kind == "tiles":
        count = int(rng.choice([4, 8]))
        step = _TEXELS // count
        board = np.indices((count, count)).sum(0) % 2
        texture = texture * np.where(np.kron(board, np.ones((step, step))) > 0, rng.uniform(0.4, 1.0), 1.0)[..., None]
        for offset in range(3):
            texture[offset::step] *= 0.6
            texture[:, offset::step] *= 0.6
    return np.asarray(texture.clip(0.01, 0.95)), 2.5


def _wall(rng: Generator, rgb: Array) -> Array:
    """(S, 2S, 3) a wall with stripes, panels, pictures, doors and furniture painted on it; the top row is the top."""
    texture = np.concatenate([_cloud(rng, rgb, 0.08)] * 2, 1)
    if rng.random() < 0.3:
        period = int(rng.choice([16, 32, 64]))
        texture[:, (np.arange(2 * _TEXELS) // period) % 2 == 0] *= rng.uniform(0.5, 0.95)
    for _ in range(rng.integers(0, 7)):
        wide, high = rng.integers(30, 200), rng.integers(40, 330)
        left = rng.integers(0, 2 * _TEXELS - wide)
        stands = rng.random() < 0.5
        top = _TEXELS - high if stands else rng.integers(20, max(_TEXELS - high - 100, 21))
        panel = texture[top : top + high, left : left + wide]
        colour = rng.uniform(0.02, 0.8, 3)
        panel[:] = 0.5 * colour if rng.random() < 0.5 else 0.1
        inner = panel[6:-6, 6:-6]
        patch = _cloud(rng, colour, rng.uniform(0.1, 0.8))
        inner[:] = patch[: inner.shape[0], : inner.shape[1]]
    texture[-18:] *= rng.uniform(0.4, 1.2)
    return np.asarray(texture.clip(0.01, 0.95))


def _sample(texture: Array, u: Array, v: Array, footprint: Array) -> Array:
    """(P, 3) bilinear samples of an (R, C, 3) texture that repeats; ``footprint`` (P,) texels covered by a pixel."""
    out = np.zeros((len(u), 3))
    level = np.clip(np.log2(np.maximum(footprint, 1.0)).round().astype(int), 0, 6)
    picture = texture
    for step in range(7):
        rows, columns = picture.shape[:2]
        chosen = level == step
        x, y = u[chosen] * columns - 0.5, v[chosen] * rows - 0.5
        x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
        fx, fy = (x - x0)[:, None], (y - y0)[:, None]
        x0, x1, y0, y1 = x0 % columns, (x0 + 1) % columns, y0 % rows, (y0 + 1) % rows
        top = picture[y0, x0] * (1 - fx) + picture[y0, x1] * fx
        out[chosen] = top * (1 - fy) + (picture[y1, x0] * (1 - fx) + picture[y1, x1] * fx) * fy
        picture = 0.25 * (picture[::2, ::2] + picture[1::2, ::2] + picture[::2, 1::2] + picture[1::2, 1::2])
    return out


def cast(place: Place, K: Array, camera_to_world: Array, size_px: tuple[int, int], offset_px: Array) -> Plate:
    """See ``place`` through a camera.

    Args:
        K: (3, 3). camera_to_world: (4, 4) OpenCV camera to world; it must stand inside the room.
        size_px: width and height. offset_px: (2,) where inside a pixel the ray goes, from its corner, 0..1.
    """
    width, height = size_px
    column, row = np.meshgrid(np.arange(width) + offset_px[0], np.arange(height) + offset_px[1])
    rays = np.stack([column.ravel(), row.ravel(), np.ones(width * height)], 1) @ np.linalg.inv(K).T
    rays = rays @ camera_to_world[:3, :3].T
    eye = camera_to_world[:3, 3]
    angle = 1.0 / K[0, 0]  # of one pixel
    with np.errstate(divide="ignore"):
        to_ground = np.where(rays[:, 2] < -1e-6, -eye[2] / rays[:, 2], np.inf)
    albedo, points = np.zeros_like(rays), np.zeros_like(rays)
    normals = np.tile([0.0, 0.0, 1.0], (len(rays), 1))
    distance, sky = to_ground, np.zeros(len(rays), bool)
    if place.walls:
        distance = _inside_a_box(place, rays, eye, to_ground, angle, albedo, normals)
    else:
        sky = _under_the_sky(place, rays, to_ground, albedo)
    floor = (distance == to_ground) & np.isfinite(to_ground) & ~sky
    points = eye + rays * np.where(np.isfinite(distance) & ~sky, distance, 1e3)[:, None]
    slant = np.linalg.norm(rays[floor], axis=1) / np.maximum(-rays[floor, 2], 1e-3)
    texels = angle * to_ground[floor] * slant * _TEXELS / place.ground_m
    albedo[floor] = _sample(place.ground, points[floor, 0] / place.ground_m, points[floor, 1] / place.ground_m, texels)
    albedo_, points_, normals_ = (torch.from_numpy(a.astype(np.float32)) for a in (albedo, points, normals))
    return Plate(albedo_, points_, normals_, torch.from_numpy(sky))


def _inside_a_box(
    place: Place, rays: Array, eye: Array, to_ground: Array, angle: float, albedo: Array, normals: Array
) -> Array:
    """Distances (P,) to floor, walls and ceiling; fills the albedo and normals of walls and ceiling."""
    with np.errstate(divide="ignore"):
        to_top = np.where(rays[:, 2] > 1e-6, (place.height_m - eye[2]) / rays[:, 2], np.inf)
    distance = np.minimum(to_ground, to_top)
    ceiling = distance == to_top
    albedo[ceiling], normals[ceiling] = place.sky_rgb[1], [0, 0, -1]
    for wall in range(4):
        axis, sign = wall // 2, 1.0 - 2.0 * (wall % 2)
        with np.errstate(divide="ignore"):
            t = np.where(sign * rays[:, axis] > 1e-6, (sign * place.half_m[axis] - eye[axis]) / rays[:, axis], np.inf)
        mine = t < distance
        distance = np.where(mine, t, distance)
        points = eye + rays[mine] * t[mine, None]
        u = 0.5 + 0.5 * points[:, 1 - axis] / place.half_m[1 - axis]
        v = 1.0 - points[:, 2] / place.height_m
        texels = angle * t[mine] * _TEXELS / place.height_m
        albedo[mine] = _sample(place.walls[wall], u, v, texels)
        normals[mine] = -sign * np.eye(3)[axis]
    return np.asarray(distance)


def _under_the_sky(place: Place, rays: Array, to_ground: Array, albedo: Array) -> NDArray[np.bool_]:
    """(P,) where sky or backdrop shows; fills their colours."""
    flat = np.linalg.norm(rays[:, :2], axis=1)
    tangent = rays[:, 2] / np.maximum(flat, 1e-6)
    turn = np.arctan2(rays[:, 1], rays[:, 0]) / (2 * np.pi) + 0.5
    edge = np.interp(turn * len(place.skyline), np.arange(len(place.skyline)), place.skyline, period=len(place.skyline))
    sky = ~np.isfinite(to_ground) | (tangent > -0.02)  # far ground is behind the backdrop
    share = np.clip(tangent / 0.8, 0, 1)[:, None] ** 0.6
    albedo[sky] = (place.sky_rgb[0] * (1 - share) + place.sky_rgb[1] * share)[sky]
    closed = sky & (tangent < edge)
    albedo[closed] = _sample(place.backdrop, turn[closed] * 6, tangent[closed] * 2, np.ones(closed.sum()))
    return sky
