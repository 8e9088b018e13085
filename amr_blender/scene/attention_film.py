"""The attention of a whole clip as one small picture, and its worst moments.  numpy only.

A row of the picture is a scene frame, three neighbouring vertices are the red, green and blue of a pixel.  Eight bits
are enough for colours (half a step is 0.002), the picture is packed into the file as PNG, and between rows the reader
mixes.  A long clip keeps fewer rows than frames, so that the memory that Blender spends on reading stays bounded; the
largest error over all frames and vertices, rounding included, is measured and told.

That is preferred to few components with keyed amounts: attention is made of spots that come and go and travel, for
which a truncated basis has no useful bound on its largest error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .sampling import Between

Array = NDArray[Any]

MAX_VALUES = 24 << 20
"""Of the picture.  Blender spends about seven bytes a value while it shows them."""
MOST_MOMENTS = 5
APART_S = 0.5
_BLOCK = 64
_STANDS_OUT = 1.1
"""A moment counts from so many times the clip's median on."""


@dataclass(frozen=True)
class Film:
    """What the geometry nodes read."""

    rows: Array
    """(H, W, 3) uint8: vertex v has channel v % 3 of pixel v // 3."""
    step: float
    """Scene frames from row to row."""
    error: float
    """Largest difference to the take's attention on any whole scene frame of the strip, 0..1."""

    def pixels(self) -> Array:
        """(H * W * 4,) float32 as Blender wants them: opaque, the first row at the bottom."""
        rgba = np.ones((*self.rows.shape[:2], 4), np.float32)
        np.multiply(self.rows, np.float32(1 / 255), out=rgba[..., :3])
        return rgba.reshape(-1)


def make_film(attention: Array, between: Between, max_values: int = MAX_VALUES) -> Film:
    """Pack (T, V) ``attention`` of a take for the strip's scene frames."""
    frames, vertices = len(between.left), attention.shape[1]
    height = max(min(frames, max_values // vertices), min(frames, 2))
    step = (frames - 1) / (height - 1) if height > 1 else 1.0
    rows = np.zeros((height, -(-vertices // 3) * 3), np.uint8)
    for start in range(0, height, _BLOCK):
        position = np.arange(start, min(start + _BLOCK, height)) * step
        before = np.minimum(np.floor(position + 1e-9).astype(int), frames - 1)
        after = np.minimum(before + 1, frames - 1)
        weight = np.maximum(position - before, 0.0).astype(np.float32)[:, None]
        mixed = (1 - weight) * _at(attention, between, before) + weight * _at(attention, between, after)
        rows[start : start + len(position), :vertices] = np.round(255 * mixed)
    error = 0.0
    for start in range(0, frames, _BLOCK):
        every = np.arange(start, min(start + _BLOCK, frames))
        position = np.minimum(every / step, height - 1)
        before = np.floor(position).astype(int)
        after = np.minimum(before + 1, height - 1)
        weight = (position - before).astype(np.float32)[:, None]
        shown = ((1 - weight) * rows[before, :vertices] + weight * rows[after, :vertices]) / 255
        error = max(error, float(np.abs(shown - _at(attention, between, every)).max()))
    return Film(rows.reshape(height, -1, 3), step, error)


def _at(attention: Array, between: Between, frames: Array) -> Array:
    """(n, V) float32 in 0..1 on the scene frames with these indices."""
    chosen = Between(between.left[frames], between.right[frames], between.fraction[frames])
    return np.clip(chosen.mix(attention, slice(None)), 0.0, 1.0)


def mean_and_max(values: Array, chosen: Array) -> tuple[Array, Array]:
    """(V,) float32 each, of (T, V) ``values`` over the frames that are ``chosen`` (T,); zeros if none is."""
    total = np.zeros(values.shape[1], np.float64)
    largest = np.zeros(values.shape[1], np.float32)
    frames = np.flatnonzero(chosen)
    for start in range(0, len(frames), _BLOCK):
        block = values[frames[start : start + _BLOCK]].astype(np.float32)
        total += block.sum(0)
        largest = np.maximum(largest, block.max(0))
    return (total / max(len(frames), 1)).astype(np.float32), largest


def scores_of(values: Array) -> Array:
    """(T,) float32: the mean over the vertices of (T, V) ``values``."""
    blocks = [values[i : i + _BLOCK].astype(np.float32).mean(1) for i in range(0, len(values), _BLOCK)]
    return np.concatenate(blocks)


def worst_moments(frames: Array, scores: Array, fps: float) -> list[tuple[int, float]]:
    """Scene frame and score of up to ``MOST_MOMENTS`` peaks, the worst first.

    A peak is the highest for half a second about it and stands out from the clip: a score that hardly changes has none.

    Args:
        frames: (N,) scene frames on which there is a pose, increasing.
        scores: (N,) of them.
        fps: of the scene.
    """
    apart = APART_S * fps
    least = _STANDS_OUT * float(np.median(scores)) if len(scores) else 0.0
    found: list[tuple[int, float]] = []
    for i in np.argsort(-scores, kind="stable").tolist():
        frame, score = int(frames[i]), float(scores[i])
        if score <= least or len(found) == MOST_MOMENTS:
            break
        first, last = np.searchsorted(frames, (frame - apart, frame + apart + 1e-6))
        near = scores[first:last]
        if score >= near.max() and all(abs(frame - other) > apart for other, _ in found):
            found.append((frame, score))
    return found
