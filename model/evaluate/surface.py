"""Metrics of the skin: vertices, surfaces, the ground.  Written and read as those in ``metrics``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from .metrics import Series, series
from .motion import Array, Motion

CHAMFER_FRAMES, CHAMFER_SAMPLES, CHAMFER_SEED = 16, 2000, 20240711
_CANDIDATES = 24
_GROUND_BLOCK = 64
"""Frames at a time; bounds the memory."""


def vertex_errors_mm(truth: Motion, estimate: Motion) -> Array | None:
    """(T, V) distances of the vertices that truth and estimate share, the middles of the hips laid on each other.

    None where either has no skin, or the skins are of different bodies.
    """
    pair = _same_vertices(truth, estimate)
    if pair is None:
        return None
    true, claimed = pair
    shift = (truth.root_cam_m - estimate.root_cam_m)[:, None].astype(np.float32)
    errors = np.empty(true.shape[:2], np.float32)
    for frame in range(len(true)):
        errors[frame] = 1000 * np.linalg.norm(claimed[frame] + shift[frame] - true[frame], axis=-1)
    return errors


def _same_vertices(truth: Motion, estimate: Motion) -> tuple[Array, Array] | None:
    true, claimed = truth.vertices_cam_m, estimate.vertices_cam_m
    if true is None or claimed is None:
        return None
    if estimate.vertex_index is not None:
        same = truth.vertex_index is not None and np.array_equal(truth.vertex_index, estimate.vertex_index)
        return (true, claimed) if same else None
    if truth.vertex_index is not None:
        return (true, claimed[:, truth.vertex_index]) if truth.vertex_index.max() < claimed.shape[1] else None
    return (true, claimed) if true.shape == claimed.shape else None


def pve_mm(truth: Motion, estimate: Motion) -> Series | None:
    """Mean distance of the skin's vertices from the true ones, the middles of the hips laid on each other.

    Unit: mm.  Source: per-vertex error (PVE, MPVPE), e.g. Kolotouros et al., "GraphCMR", CVPR 2019.
    """
    errors = vertex_errors_mm(truth, estimate)
    return None if errors is None else series(errors.astype(np.float64))


def triangles(quads: NDArray[np.integer]) -> NDArray[np.integer]:
    """(2F, 3) triangles of (F, 4) quads; a quad that repeats a corner gives one without area."""
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def sample_surface(vertices: Array, faces: NDArray[np.integer], count: int, seed: int) -> Array:
    """(count, 3) points spread evenly over the area of triangles ``faces`` (F, 3) of ``vertices`` (V, 3).

    The same seed draws the same numbers, whatever the surface.  Source: Osada et al., "Shape distributions", 2002.
    """
    draw = np.random.default_rng(seed).random((count, 3))
    a, b, c = (vertices[faces[:, corner]].astype(np.float64) for corner in range(3))
    areas = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    edges = np.cumsum(areas)
    chosen = np.minimum(np.searchsorted(edges, draw[:, 0] * edges[-1], side="right"), len(faces) - 1)
    root = np.sqrt(draw[:, 1:2])
    u, v, w = 1 - root, root * (1 - draw[:, 2:3]), root * draw[:, 2:3]
    return np.asarray(u * a[chosen] + v * b[chosen] + w * c[chosen])


def point_triangle_distance(points: Array, a: Array, b: Array, c: Array) -> Array:
    """(...) exact distances of (..., 3) points from triangles with corners ``a``, ``b``, ``c`` (..., 3)."""

    def to_edge(start: Array, end: Array) -> Array:
        along = end - start
        length2 = np.maximum((along * along).sum(-1), 1e-20)
        share = np.clip(((points - start) * along).sum(-1) / length2, 0, 1)
        return np.asarray(np.linalg.norm(points - start - share[..., None] * along, axis=-1))

    normal = np.cross(b - a, c - a)
    size2 = (normal * normal).sum(-1)
    real = size2 > 1e-20
    height = ((points - a) * normal).sum(-1)
    foot = points - (height / np.where(real, size2, 1.0))[..., None] * normal
    inside = real.copy()
    for start, end in ((a, b), (b, c), (c, a)):
        inside &= (np.cross(end - start, foot - start) * normal).sum(-1) >= 0
    edges = np.minimum(np.minimum(to_edge(a, b), to_edge(b, c)), to_edge(c, a))
    return np.where(inside, np.abs(height) / np.sqrt(np.where(real, size2, 1.0)), edges)


def surface_distance(points: Array, vertices: Array, faces: NDArray[np.integer]) -> Array:
    """(N,) distances of points from the surface: exact point-to-triangle distance, least of the nearest triangles.

    Looked at are the triangles whose middles are nearest, as many as ``_CANDIDATES``.
    """
    corners = vertices[faces].astype(np.float64)
    count = min(_CANDIDATES, len(faces))
    _, near = cKDTree(corners.mean(1)).query(points, k=count)
    near = near.reshape(len(points), count)
    a, b, c = (corners[near, corner] for corner in range(3))
    return np.asarray(point_triangle_distance(points[:, None], a, b, c).min(1))


def chamfer_mm(truth: Motion, estimate: Motion) -> Series | None:
    """Mean distance between the two surfaces: from points on the one to the other and back, halved.

    On each surface 2000 points, spread by area with a fixed seed, and their exact distances from the other's nearest
    triangle; the middles of the hips laid on each other; in at most 16 frames, evenly over the clip.  Other than the
    per-vertex error it forgives skin that slides along itself, and it compares different bodies.  Unit: mm.
    Source: Chamfer distance, Fan et al., CVPR 2017; to the surface as in Cignoni et al., "Metro", 1998.
    """
    if truth.quads is None or estimate.quads is None or truth.vertices_cam_m is None or estimate.vertices_cam_m is None:
        return None
    usable = np.flatnonzero(truth.seen & estimate.seen)
    values = np.full(truth.frame_count, np.nan)
    faces = [triangles(motion.quads) for motion in (truth, estimate) if motion.quads is not None]
    for frame in np.unique(usable[np.linspace(0, len(usable) - 1, CHAMFER_FRAMES).astype(int)]) if len(usable) else ():
        skins = [
            motion.vertices_cam_m[frame].astype(np.float64) - motion.root_cam_m[frame]
            for motion in (truth, estimate)
            if motion.vertices_cam_m is not None
        ]
        there, back = (
            surface_distance(
                sample_surface(skins[one], faces[one], CHAMFER_SAMPLES, CHAMFER_SEED), skins[other], faces[other]
            )
            for one, other in ((0, 1), (1, 0))
        )
        values[frame] = 1000 * (there.mean() + back.mean()) / 2
    return series(values)


def penetration_mm(truth: Motion, estimate: Motion) -> Series | None:
    """Mean over the frames of how far the lowest vertex lies under the ground of the method's own world, 0 if over it.

    Its own world, because that is where its animation is used: ground at Z = 0.  Unit: mm.
    Source: Yuan et al., "SimPoE", CVPR 2021 (ground penetration).
    """
    if estimate.vertices_cam_m is None or estimate.camera_to_world is None:
        return None
    known = truth.seen & estimate.seen
    depth = np.full(estimate.frame_count, np.nan)
    for start in range(0, estimate.frame_count, _GROUND_BLOCK):
        block = slice(start, start + _GROUND_BLOCK)
        matrix = estimate.camera_to_world[block]
        height = np.einsum("ti,tvi->tv", matrix[:, 2, :3], estimate.vertices_cam_m[block]) + matrix[:, 2, 3:]
        depth[block] = np.maximum(-1000 * height.min(1), 0.0)
    return series(np.where(known, depth, np.nan))
