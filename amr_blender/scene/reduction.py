"""The animation of the whole mesh as few shape keys.  numpy only.

The motion of the hips goes onto the object; what is left of the mesh's motion is written as a sum of shapes with values
over time.  Shapes are principal components, nearly the best for their number; how many it takes is found by measuring
the largest distance of any vertex on any frame, with the very values that are keyed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contract import rotations as rot
from ..contract.take import Take
from .sampling import Motion
from .skinning import Skin, dense_weights, skin_matrices

Array = NDArray[Any]

MAX_KEYS = 1000
_SAMPLES = 400
_FIRST_RANK = 256
_BLOCK = 256
_STILL = 1e-6


@dataclass(frozen=True)
class BakedMotion:
    """Object motion, shapes and their values on N frames; ``rest + sum_k values[t, k] * shapes[k]`` in object space."""

    location_m: Array
    """(N, 3) of the object's origin, which sits in the hips."""
    quaternions: Array
    """(N, 4) wxyz, continuous."""
    rest_m: Array
    """(V, 3) float32 rest mesh around that origin."""
    shapes: Array
    """(k, V, 3) float32 offsets from ``rest_m``."""
    values: Array
    """(N, k) float32 in -1..1."""
    error_mm: float
    """Largest distance of any vertex on any frame from the take's mesh."""


def reduce_motion(take: Take, motion: Motion, max_error_mm: float) -> BakedMotion:
    """Find shapes and values that keep every vertex within ``max_error_mm`` on every frame.

    Where even ``MAX_KEYS`` shapes do not suffice, ``error_mm`` of the result tells what they reach.
    """
    skin, quaternions = _skin_around_hips(take, motion)
    tolerance = max_error_mm / 1000.0
    frames = len(motion.frames)
    most = min(MAX_KEYS, frames)
    blocks = skin.blocks(_BLOCK)
    sample = _spread_sample(skin, _SAMPLES)
    count, rank = -1, _FIRST_RANK
    while True:
        moves = skin.displacements(sample).reshape(3 * len(sample), frames)
        candidates, fewest = _modes_for(moves, rank, tolerance)
        # Vertices outside the sample ask for more; taking them in makes the next round see them.
        count = min(max(fewest, count + 1), len(candidates), most)
        shapes, error, worst = _fit(skin, blocks, candidates[:count])
        if error <= tolerance or count == most:
            break
        grown = np.union1d(sample, worst)
        if len(candidates) == rank and count == rank:
            rank *= 2
        elif count == len(candidates) and len(grown) == len(sample):
            break
        sample = grown
    modes = candidates[:count]
    values, shapes = _into_slider_range(modes, shapes)
    return BakedMotion(
        location_m=motion.translation_m,
        quaternions=quaternions,
        rest_m=skin.rest_m,
        shapes=shapes,
        values=values,
        error_mm=1000.0 * error,
    )


def _skin_around_hips(take: Take, motion: Motion) -> tuple[Skin, Array]:
    """Skinning as seen from the hips, with bones that move alike merged, and the hips' (N, 4) rotation."""
    matrices = skin_matrices(take, motion.rotations, motion.translation_m)
    hips = take.bone_rest[1, :3, 3].astype(np.float64)
    turn = matrices[1, :, :3, :3]
    back = np.ascontiguousarray(turn.swapaxes(1, 2))
    local = back @ matrices[:, :, :3]
    local[..., 3] += local[..., :3] @ hips - (back @ motion.translation_m[..., None])[..., 0]
    local -= np.eye(3, 4)
    weights = dense_weights(take)
    for bone in range(len(local) - 1, 1, -1):
        parent = take.bone_parents[bone]
        if np.abs(local[bone] - local[parent]).max() < _STILL:
            weights[:, parent] += weights[:, bone]
            weights[:, bone] = 0.0
    # The hips themselves don't move here, nor does the root unless it carries weights of its own.
    weights[:, np.abs(local).max((1, 2, 3)) < _STILL] = 0.0
    offsets = None
    if take.refinement_basis is not None and motion.refinement is not None:
        offsets = (take.refinement_basis.astype(np.float32), motion.refinement.astype(np.float32))
    quaternions = rot.continuous(rot.quaternion_from_matrix(turn))
    rest = (take.vertices_m - hips).astype(np.float32)
    columns = np.ascontiguousarray(local.transpose(0, 2, 3, 1), np.float32)
    return Skin(rest, weights, columns, offsets), quaternions


def _spread_sample(skin: Skin, count: int) -> Array:
    """Up to ``count`` moving vertices, each as far as possible from those before it."""
    moving = np.arange(len(skin.rest_m)) if skin.offsets is not None else np.flatnonzero(skin.weights.any(1))
    if len(moving) <= count:
        return moving
    # A quarter of the vertices covers the body as well, and takes a quarter of the time.
    moving = moving[:: max(1, min(4, len(moving) // count))]
    points = skin.rest_m[moving]
    chosen = np.empty(count, int)
    distance = np.full(len(points), np.inf, np.float32)
    current = int(np.linalg.norm(points, axis=1).argmax())
    for i in range(count):
        chosen[i] = current
        distance = np.minimum(distance, ((points - points[current]) ** 2).sum(1))
        current = int(distance.argmax())
    return moving[chosen]


def _modes_for(moves: Array, rank: int, tolerance: float) -> tuple[Array, int]:
    """Modes (k, N) for the sampled coordinates (3n, N), and how many of them keep these within ``tolerance``.

    Principal components serve the mean error. A second look, with more weight on the vertices that the first left
    worst, serves the largest: a fifth fewer modes for the same tolerance.
    """
    modes = _principal_modes(moves, rank)
    fewest = _fewest_modes(moves, modes, tolerance)
    if fewest == 0:
        return modes, 0
    left = _distances(moves - moves @ modes[:fewest].T @ modes[:fewest]).max(1)
    emphasis = np.repeat(np.sqrt(left / max(float(left.mean()), 1e-12) + 0.1), 3)[:, None]
    weighted = _principal_modes(moves * emphasis, rank)
    fewer = _fewest_modes(moves, weighted, tolerance)
    return (weighted, fewer) if fewer < fewest else (modes, fewest)


def _distances(coordinates: Array) -> Array:
    """(3n, N) coordinates of displacements to their (n, N) lengths."""
    squares: Array = (coordinates.reshape(-1, 3, coordinates.shape[1]) ** 2).sum(1)
    return np.sqrt(squares)


def _principal_modes(moves: Array, rank: int) -> Array:
    """(k, N) orthonormal rows, k <= ``rank``: how the sampled coordinates (R, N) vary in time, strongest first.

    Halko, Martinsson and Tropp, 2011: a random projection finds the space, a small eigenproblem orders it.
    """
    rank = min(rank, *moves.shape)
    if rank == 0 or not moves.any():
        return np.empty((0, moves.shape[1]), np.float32)
    probe = np.random.default_rng(0).standard_normal((moves.shape[0], rank)).astype(np.float32)
    space = np.linalg.qr((probe.T @ moves).T)[0]
    # Squares of weak modes drown in single precision.
    small = (moves @ space).astype(np.float64)
    strength, vectors = np.linalg.eigh(small.T @ small)
    keep = np.flatnonzero(strength > strength.max() * 1e-14)[::-1]
    return np.ascontiguousarray((space @ vectors[:, keep].astype(np.float32)).T)


def _fewest_modes(moves: Array, modes: Array, tolerance: float) -> int:
    """How many of ``modes`` keep the sampled vertices within ``tolerance``; all of them if none do."""
    amounts = moves @ modes.T

    def error(count: int) -> float:
        return float(_distances(moves - amounts[:, :count] @ modes[:count]).max())

    low, high = 0, len(modes)
    while low < high:
        middle = (low + high) // 2
        if error(middle) <= tolerance:
            high = middle
        else:
            low = middle + 1
    return low


def _fit(skin: Skin, blocks: list[Array], modes: Array) -> tuple[Array, float, Array]:
    """Shapes for ``modes`` (k, N), the largest error in metres they leave, and the worst vertex of each bad block."""
    shapes = np.zeros((len(modes), len(skin.rest_m), 3), np.float32)
    along, left_over = skin.seen_through(modes)
    worst, errors = [], []
    for block in blocks:
        if skin.offsets is None:
            amounts, left = along.displacements(block), left_over.displacements(block)
        else:
            left = skin.displacements(block)
            amounts = left @ modes.T
            left -= amounts @ modes
        shapes[:, block] = amounts.transpose(2, 0, 1)
        left *= left
        by_vertex = left.sum(1).max(1)
        worst.append(block[by_vertex.argmax()])
        errors.append(float(np.sqrt(by_vertex.max())))
    largest = max(errors)
    return shapes, largest, np.array([v for v, e in zip(worst, errors, strict=True) if e > 0.7 * largest])


def _into_slider_range(modes: Array, shapes: Array) -> tuple[Array, Array]:
    """Scale values into -1..1, which a shape key's slider spans, and the shapes the other way; (N, k) and (k, V, 3)."""
    scale = np.abs(modes).max(1)
    scale[scale == 0] = 1.0
    return np.ascontiguousarray((modes / scale[:, None]).T), shapes * scale[:, None, None]
