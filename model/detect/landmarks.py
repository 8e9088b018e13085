"""BlazePose's landmarks: the network's raw outputs to pixels and metres, and the record of one person over a clip."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.detect.crops import Array, crops_from_keypoints, rotation_matrices, to_frame
from model.detect.detector import sigmoid

COUNT = 33
_ALL, _CENTER, _RIM = 39, 33, 34
"""The network knows six more points; two of them give the crop of the next frame."""
_WINDOW = 9
_MIN_PEAK = 0.5
_PAIRS = ((1, 4), (2, 5), (3, 6), (7, 8), (9, 10), *((left, left + 1) for left in range(11, COUNT, 2)))


def _swapped(count: int) -> NDArray[np.int64]:
    order = np.arange(count)
    for left, right in _PAIRS:
        order[left], order[right] = right, left
    return order


OTHER_SIDE = _swapped(COUNT)
"""(33,) the same landmark of the body's other side."""
# Of the six further points only the first two are read, and they lie on the body's axis.
_OTHER_SIDE = _swapped(_ALL)


@dataclass
class Landmarks:
    """One person over the T frames of the range; NaN where not present."""

    frames: NDArray[np.int32]
    """(T,) frame numbers, from 0."""
    time_s: NDArray[np.float64]
    """(T,) presentation times."""
    present: NDArray[np.bool_]
    """(T,) the person was seen."""
    px: NDArray[np.float32]
    """(T, 33, 2) pixels of the upright frame."""
    visibility: NDArray[np.float32]
    """(T, 33) 0..1: in the frame and not hidden."""
    presence: NDArray[np.float32]
    """(T, 33) 0..1: in the frame."""
    score: NDArray[np.float32]
    """(T,) 0..1: a person is in the crop; 0 where none was looked for."""
    world_m: NDArray[np.float32]
    """(T, 33, 3) metres from the middle of the hips, turned back with the crop: x right, y down, z forward."""
    size_px: tuple[int, int]
    """Width and height of the upright frame."""


@dataclass(frozen=True)
class Pose:
    """Decoded landmarks of N crops, in the frame."""

    px: Array
    """(N, 33, 2)"""
    visibility: Array
    """(N, 33)"""
    presence: Array
    """(N, 33)"""
    score: Array
    """(N,)"""
    world_m: Array
    """(N, 33, 3)"""
    crops: Array
    """(N, 4): the crop that these landmarks ask for."""


def decode(
    outputs: dict[str, NDArray[np.float32]], crops: Array, size: int, mirrored: NDArray[np.bool_] | None = None
) -> Pose:
    """The landmark network's outputs for N crops of ``size`` pixels, cut out at ``crops`` (N, 4).

    Where ``mirrored`` (N,), the network saw the crop's mirror image; the pose is that of the crop itself.
    """
    values = outputs["landmarks"].reshape(-1, _ALL, 5).astype(np.float64)
    points = refine(values[..., :2] / size, outputs["heatmaps"])
    sure = sigmoid(values[..., 3:])
    world_m = outputs["world"].reshape(-1, _ALL, 3).astype(np.float64)
    if mirrored is not None:
        points[mirrored] = points[mirrored][:, _OTHER_SIDE] * [-1, 1] + [1, 0]
        world_m[mirrored] = world_m[mirrored][:, _OTHER_SIDE] * [-1, 1, 1]
        sure[mirrored] = sure[mirrored][:, _OTHER_SIDE]
    px = to_frame(points, crops)
    world_m[..., :2] = world_m[..., :2] @ np.swapaxes(rotation_matrices(crops[:, 3]), -1, -2)
    return Pose(
        px=px[:, :COUNT],
        visibility=sure[:, :COUNT, 0],
        presence=sure[:, :COUNT, 1],
        score=outputs["presence"].reshape(-1).astype(np.float64),
        world_m=world_m[:, :COUNT],
        crops=crops_from_keypoints(px[:, _CENTER], px[:, _RIM]),
    )


def refine(points: Array, heatmaps: NDArray[np.float32]) -> Array:
    """Move points (N, J, 2), in units of the crop, to their heatmap's centre of mass in a window around them.

    Args:
        points: first guess; stays where it lies outside or the heatmap has no clear peak nearby.
        heatmaps: (N, H, W, J) logits.
    """
    height, width = heatmaps.shape[1:3]
    column = np.trunc(points[..., 0] * width).astype(np.int64)
    row = np.trunc(points[..., 1] * height).astype(np.int64)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    steps = np.arange(-(_WINDOW // 2), _WINDOW // 2 + 1)
    rows = (row[..., None] + steps)[..., :, None]
    columns = (column[..., None] + steps)[..., None, :]
    n, j = (index[..., None, None] for index in np.ogrid[: points.shape[0], : points.shape[1]])
    logits = heatmaps[n, np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1), j]
    within = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    near = np.where(within, sigmoid(logits), 0.0)
    clear = inside & (near.max(axis=(-2, -1)) >= _MIN_PEAK)
    total = np.where(clear, near.sum(axis=(-2, -1)), 1.0)
    center_x = (column + (near.sum(axis=-2) @ steps) / total) / width
    center_y = (row + (near.sum(axis=-1) @ steps) / total) / height
    return np.where(clear[..., None], np.stack([center_x, center_y], axis=-1), points)
