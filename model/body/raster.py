"""A rasteriser in plain torch: many pictures of one mesh at once, without a graphics library.

At the sizes that networks are trained on, most triangles of the body are smaller than a pixel.  So every triangle
looks only at the few pixel centres inside its bounding box, in windows of a handful of sizes, and the nearest one wins
by a scatter of the minimum of depth and face packed into one integer (the order of writing doesn't matter, so a
picture is the same every time, on a processor and on CUDA alike).  Pixel centres lie at .5, as in ``contract.spaces``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

NEAR_M = 0.05
"""Triangles with a corner nearer than this, or behind the camera, are left out whole."""
_NOTHING = torch.iinfo(torch.int64).max
_SLACK = 1e-5
"""How far outside its edges, in barycentric units, a triangle still counts: rounding may not open a crack."""
_MAX_CANDIDATES = 1 << 22
"""Triangle and pixel pairs looked at in one go; bounds the memory."""


@dataclass(frozen=True)
class Raster:
    """What each pixel of N pictures sees first."""

    face: Tensor
    """(N, H, W) int64 index of the triangle; -1 where there is none."""
    depth_m: Tensor
    """(N, H, W) along the camera's axis; infinite where there is nothing."""

    @property
    def hit(self) -> Tensor:
        """(N, H, W) bool."""
        return self.face >= 0


@dataclass(frozen=True)
class Hits:
    """The P covered pixels of a raster, to be shaded."""

    picture: Tensor
    """(P,) int64."""
    pixel: Tensor
    """(P,) int64 index into the flattened N x H x W pixels."""
    corner: Tensor
    """(P, 3) int64 vertices of the triangle seen."""
    weight: Tensor
    """(P, 3) barycentric, right in perspective: sums to 1."""

    def interpolate(self, values: Tensor) -> Tensor:
        """(N, V, C) per-vertex values of each picture, or (V, C) shared by all, to (P, C)."""
        if values.ndim == 2:
            corners = values[self.corner]
        else:
            flat = values.reshape(-1, values.shape[-1])
            corners = flat[self.corner + (self.picture * values.shape[1])[:, None]]
        return (corners * self.weight[..., None]).sum(1)


def triangles(polygons: Tensor) -> Tensor:
    """(F, 4) quads, triangles repeat their last corner, to (F', 3) triangles of the same winding."""
    second = polygons[:, [0, 2, 3]]
    return torch.cat([polygons[:, :3], second[second[:, 1] != second[:, 2]]])


def project(points_cam_m: Tensor, K: Tensor) -> tuple[Tensor, Tensor]:
    """(N, V, 3) points through (3, 3) or (N, 3, 3) ``K`` to (N, V, 2) pixels and (N, V) depths."""
    homogeneous = points_cam_m @ K.transpose(-1, -2)
    depth = homogeneous[..., 2]
    return homogeneous[..., :2] / depth[..., None], depth


def rasterise(points_cam_m: Tensor, faces: Tensor, K: Tensor, size_px: tuple[int, int], cull: bool = True) -> Raster:
    """Find the nearest triangle behind every pixel's centre.

    Args:
        points_cam_m: (N, V, 3) float32, camera axes x right, y down, z forward.
        faces: (F, 3) int64, counter-clockwise seen from outside.
        K: (3, 3) or (N, 3, 3) pinhole matrices.
        size_px: width and height.
        cull: leave out triangles seen from their back: right for closed surfaces, and half the work.
    """
    width, height = size_px
    count = len(points_cam_m)
    px, z = project(points_cam_m, K)
    x, y = px.unbind(-1)
    picture, face, box = _candidates(x, y, z, faces, size_px, cull)
    nearest = torch.full((count * height * width,), _NOTHING, dtype=torch.int64, device=x.device)
    span = torch.maximum(box[:, 2], box[:, 3])
    low = 0
    while len(span) and low < max(width, height):
        high = low + 1 if low < 2 else 2 * low
        for chosen in _in_chunks(((span > low) & (span <= high)).nonzero()[:, 0], high * high):
            base = picture[chosen] * x.shape[1]
            corner = faces[face[chosen]] + base[:, None]
            _scatter(nearest, corner, face[chosen], picture[chosen], box[chosen], high, x, y, z, (width, height))
        low = high
    nearest = nearest.reshape(count, height, width)
    missed = nearest == _NOTHING
    depth = (nearest >> 32).to(torch.int32).view(torch.float32)
    depth = torch.where(missed, torch.full_like(depth, torch.inf), depth)
    return Raster(torch.where(missed, torch.full_like(nearest, -1), nearest & 0xFFFFFFFF), depth)


def _candidates(
    x: Tensor, y: Tensor, z: Tensor, faces: Tensor, size_px: tuple[int, int], cull: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Triangles that may cover a pixel's centre: (M,) picture, (M,) face, (M, 4) left, top, width, height."""
    a, b, c = faces.unbind(1)
    ax, bx, cx, ay, by, cy = x[:, a], x[:, b], x[:, c], y[:, a], y[:, b], y[:, c]
    ahead = z > NEAR_M
    keep = ahead[:, a] & ahead[:, b] & ahead[:, c]
    if cull:  # y points down, so a front face turns clockwise in the numbers
        keep &= (bx - ax) * (cy - ay) - (by - ay) * (cx - ax) < 0
    sides = []
    for p, q, r, limit in ((ax, bx, cx, size_px[0]), (ay, by, cy, size_px[1])):
        first = (torch.minimum(torch.minimum(p, q), r) - 0.5 - 1e-4).ceil().clamp(0, limit)
        last = (torch.maximum(torch.maximum(p, q), r) - 0.5 + 1e-4).floor().clamp(-1, limit - 1)
        keep &= last >= first
        sides.append((first, last))
    index = keep.flatten().nonzero()[:, 0]
    (left, right), (top, bottom) = ((f.flatten()[index], t.flatten()[index]) for f, t in sides)
    box = torch.stack([left, top, right - left + 1, bottom - top + 1], 1).to(torch.int64)
    return index // len(faces), index % len(faces), box


def _in_chunks(index: Tensor, cost: int) -> tuple[Tensor, ...]:
    return index.split(max(_MAX_CANDIDATES // cost, 1)) if len(index) else ()


def _scatter(
    nearest: Tensor, corner: Tensor, face: Tensor, picture: Tensor, box: Tensor, window: int,
    x: Tensor, y: Tensor, z: Tensor, size_px: tuple[int, int],
) -> None:  # fmt: skip
    """Try the pixel centres of a ``window`` x ``window`` square for M triangles and keep what is nearest.

    ``corner`` (M, 3) indexes the flattened (N, V) coordinates ``x``, ``y``, ``z``.
    """
    width, height = size_px
    offset = torch.arange(window * window, device=x.device)
    column, row = box[:, :1] + offset % window, box[:, 1:2] + offset // window  # (M, window²)
    px, py = column.to(x.dtype) + 0.5, row.to(x.dtype) + 0.5
    cx, cy, inverse = (values.flatten()[corner] for values in (x, y, 1.0 / z))
    weights = _barycentric(cx, cy, px, py)
    inside = (weights[0] >= -_SLACK) & (weights[1] >= -_SLACK) & (weights[2] >= -_SLACK)
    inside &= (column < width) & (row < height)
    near = torch.stack([w * inverse[:, i : i + 1] for i, w in enumerate(weights)]).sum(0)
    which = inside.flatten().nonzero()[:, 0]
    owner = which // (window * window)
    depth = (1.0 / near).flatten()[which].contiguous()
    key = (depth.view(torch.int32).to(torch.int64) << 32) | face[owner]
    pixel = (picture[owner] * height + row.flatten()[which]) * width + column.flatten()[which]
    nearest.scatter_reduce_(0, pixel, key, "amin")


def _barycentric(cx: Tensor, cy: Tensor, px: Tensor, py: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Screen-space weights of (M, W) points in M triangles with corners (M, 3)."""
    x0, y0 = cx[:, :1], cy[:, :1]
    ux, uy, vx, vy = cx[:, 1:2] - x0, cy[:, 1:2] - y0, cx[:, 2:] - x0, cy[:, 2:] - y0
    area = ux * vy - uy * vx
    scale = torch.where(area == 0, torch.full_like(area, torch.inf), 1.0 / area)  # a sliver covers nothing
    dx, dy = px - x0, py - y0
    second, third = (dx * vy - dy * vx) * scale, (ux * dy - uy * dx) * scale
    return 1.0 - second - third, second, third


def hits(raster: Raster, points_cam_m: Tensor, faces: Tensor, K: Tensor) -> Hits:
    """The covered pixels of ``raster``, with the places on their triangles; arguments as of :func:`rasterise`."""
    count, height, width = raster.face.shape
    flat = raster.face.flatten()
    pixel = (flat >= 0).nonzero()[:, 0]
    picture = pixel // (height * width)
    within = pixel % (height * width)
    corner = faces[flat[pixel]]
    places = points_cam_m.reshape(-1, 3)[corner + (picture * points_cam_m.shape[1])[:, None]]
    homogeneous = places @ (K if K.ndim == 2 else K[picture]).transpose(-1, -2)
    z = homogeneous[..., 2]
    screen = homogeneous[..., :2] / z[..., None]
    px, py = (within % width).to(z.dtype)[:, None] + 0.5, (within // width).to(z.dtype)[:, None] + 0.5
    weight = torch.cat(_barycentric(screen[..., 0], screen[..., 1], px, py), 1) / z
    return Hits(picture, pixel, corner, weight / weight.sum(1, keepdim=True))


def vertex_normals(points_m: Tensor, faces: Tensor) -> Tensor:
    """(N, V, 3) unit normals, weighted by area; zero for a vertex that no triangle uses."""
    a, b, c = (points_m[:, faces[:, i]] for i in range(3))
    flat = torch.linalg.cross(b - a, c - a)
    normal = torch.zeros_like(points_m)
    for i in range(3):
        normal.index_add_(1, faces[:, i], flat)
    return torch.nn.functional.normalize(normal, dim=-1)


def visible(points_cam_m: Tensor, depth_m: Tensor, K: Tensor, slack_m: float = 0.01) -> Tensor:
    """(N, P) bool: the point is in the picture and nothing lies more than ``slack_m`` in front of it.

    Args:
        points_cam_m: (N, P, 3). depth_m: (N, H, W) of :class:`Raster`. K: as of :func:`rasterise`.
    """
    count, height, width = depth_m.shape
    px, z = project(points_cam_m, K)
    column, row = px.floor().unbind(-1)
    inside = (z > NEAR_M) & (column >= 0) & (column < width) & (row >= 0) & (row < height)
    index = row.clamp(0, height - 1).to(torch.int64) * width + column.clamp(0, width - 1).to(torch.int64)
    return inside & (depth_m.reshape(count, -1).gather(1, index) > z - slack_m)
