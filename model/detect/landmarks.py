"""BlazePose's landmarks: the network's raw outputs to pixels and metres, and the record of one person over a clip."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from model.detect.crops import Array, crops_from_keypoints, rotation_matrices, to_frame
from model.detect.detector import sigmoid

COUNT = 33
_ALL, _CENTER, _RIM = 39, 33, 34
"""The network knows six more points; two of them give the crop of the next frame."""
_WINDOW = 9
_MIN_PEAK = 0.5


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


def decode(outputs: dict[str, NDArray[np.float32]], crops: Array, size: int) -> Pose:
    """The landmark network's outputs for N crops of ``size`` pixels, cut out at ``crops`` (N, 4)."""
    values = outputs["landmarks"].reshape(-1, _ALL, 5).astype(np.float64)
    points = refine(values[..., :2] / size, sigmoid(outputs["heatmaps"]))
    px = to_frame(points, crops)
    world_m = outputs["world"].reshape(-1, _ALL, 3)[:, :COUNT].astype(np.float64)
    world_m[..., :2] = world_m[..., :2] @ np.swapaxes(rotation_matrices(crops[:, 3]), -1, -2)
    return Pose(
        px=px[:, :COUNT],
        visibility=sigmoid(values[:, :COUNT, 3]),
        presence=sigmoid(values[:, :COUNT, 4]),
        score=outputs["presence"].reshape(-1).astype(np.float64),
        world_m=world_m,
        crops=crops_from_keypoints(px[:, _CENTER], px[:, _RIM]),
    )


def refine(points: Array, heatmaps: Array) -> Array:
    """Move points (N, J, 2), in units of the crop, to their heatmap's centre of mass in a window around them.

    Args:
        points: first guess; stays where it lies outside or the heatmap (N, H, W, J), 0..1, has no clear peak nearby.
    """
    height, width = heatmaps.shape[1:3]
    column = np.trunc(points[..., 0] * width).astype(np.int64)
    row = np.trunc(points[..., 1] * height).astype(np.int64)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    reach = _WINDOW // 2
    padded: Array = np.pad(heatmaps, ((0, 0), (reach, reach), (reach, reach), (0, 0)))
    windows = sliding_window_view(padded, (_WINDOW, _WINDOW), axis=(1, 2))  # type: ignore[call-overload]
    n, j = np.ogrid[: points.shape[0], : points.shape[1]]
    near = windows[n, np.where(inside, row, 0), np.where(inside, column, 0), j]
    total = near.sum(axis=(-2, -1))
    steps = np.arange(-reach, reach + 1)
    clear = inside & (near.max(axis=(-2, -1)) >= _MIN_PEAK)
    safe = np.where(clear, total, 1.0)
    center_x = (column + (near.sum(axis=-2) @ steps) / safe) / width
    center_y = (row + (near.sum(axis=-1) @ steps) / safe) / height
    return np.where(clear[..., None], np.stack([center_x, center_y], axis=-1), points)
