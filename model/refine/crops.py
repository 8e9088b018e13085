"""Where the refinement looks: a square about the estimated body, steady over time, and the pixels in it.

A crop is a camera of its own: ``crop_K`` (3, 3) maps camera space to crop units, 0..1 from the top left corner.  It is
the picture's camera, scaled and shifted, never turned, so that what is down in the crop is down in the picture.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.detect.crops import smooth
from model.networks.evidence_maps import FRAME_PX

MARGIN = 1.25
"""Sides of a crop per extent of what it must hold."""
STEADY_S = 0.3
"""Standard deviation of the smoothing of centre and side."""
_SPILL = 1.04
"""Sides per extent where a fast move would leave the smoothed crop."""
_ASTRAY = 0.25
"""How far outside the body's box, in its larger sides, a landmark may draw the crop."""
_LEAST_PX = 8.0
_ABSENT = 1e-3
"""What a frame without the person counts beside one with: where the estimate was bridged, its place is good enough."""


def crop_cameras(points_px: Tensor, landmarks_px: Tensor, present: Tensor, time_s: Tensor, K: Tensor) -> Tensor:
    """Choose the crops of a clip; the same every time.

    Args:
        points_px: (T, N, 2) the estimated body in the picture. landmarks_px: (T, 33, 2) as detected; they count where
            ``present`` (T,). time_s: (T,) increasing. K: (3, 3) of the picture.

    Returns:
        (T, 3, 3) float32.
    """
    points, landmarks = (values.detach().cpu().double().numpy() for values in (points_px, landmarks_px))
    seen, times, camera = present.cpu().numpy(), time_s.cpu().double().numpy(), K.cpu().double().numpy()
    centre = camera[:2, 2]
    # A body half behind the camera projects anywhere: two pictures' widths from the middle are far enough.
    points = np.clip(np.nan_to_num(points), -3 * centre, 5 * centre)
    low, high = points.min(1), points.max(1)
    reach = _ASTRAY * (high - low).max(1, keepdims=True)
    drawn = np.clip(np.nan_to_num(landmarks), (low - reach)[:, None], (high + reach)[:, None])
    low = np.where(seen[:, None], np.minimum(low, drawn.min(1)), low)
    high = np.where(seen[:, None], np.maximum(high, drawn.max(1)), high)
    middle, extent = (low + high) / 2, np.maximum((high - low).max(1), _LEAST_PX)
    squares = np.column_stack([middle, MARGIN * extent, np.zeros(len(extent))])
    squares = smooth(times, squares, np.where(seen, 1.0, _ABSENT), STEADY_S, times)
    away = np.maximum(squares[:, :2] - low, high - squares[:, :2]).max(1)
    side = np.maximum(squares[:, 2], 2 * _SPILL * away)
    to_crop = np.zeros((len(side), 3, 3))
    to_crop[:, 0, 0] = to_crop[:, 1, 1] = 1.0 / side
    to_crop[:, :2, 2] = 0.5 - squares[:, :2] / side[:, None]
    to_crop[:, 2, 2] = 1.0
    return torch.from_numpy((to_crop @ camera).astype(np.float32)).to(points_px.device)


def cut(
    image: NDArray[np.uint8], picture_K: NDArray[np.floating], crop_K: NDArray[np.floating], size: int = FRAME_PX
) -> NDArray[np.uint8]:
    """The pixels of a crop, black outside the picture.

    What is shrunk is first averaged over whole blocks of pixels, so that nothing glitters.

    Args:
        image: (H, W, 3) RGB. picture_K, crop_K: (3, 3) of picture and crop.

    Returns:
        (size, size, 3) uint8.
    """
    to_picture = np.asarray(picture_K, np.float64) @ np.linalg.inv(np.asarray(crop_K, np.float64))
    step, corner = to_picture[0, 0] / size, to_picture[:2, 2]
    block = max(round(step), 1)
    first = np.floor(corner).astype(int) - block
    count = int(np.ceil(step * size / block)) + 3
    part = _part(image, first, count * block)
    if block > 1:
        part = np.asarray(cv2.resize(part, (count, count), interpolation=cv2.INTER_AREA), np.uint8)
    # Pixel centres lie at .5, OpenCV's at whole numbers.
    start = (corner - first + 0.5 * step) / block - 0.5
    matrix = np.array([[step / block, 0.0, start[0]], [0.0, step / block, start[1]]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(part, matrix, (size, size), flags=flags), np.uint8)


def _part(image: NDArray[np.uint8], first: NDArray[np.int_], side: int) -> NDArray[np.uint8]:
    """(side, side, 3) pixels from ``first`` (x, y) on, black outside."""
    height, width = image.shape[:2]
    out = np.zeros((side, side, 3), np.uint8)
    x0, y0 = np.clip(first, 0, [width, height])
    x1, y1 = np.clip(first + side, 0, [width, height])
    out[y0 - first[1] : y1 - first[1], x0 - first[0] : x1 - first[0]] = image[y0:y1, x0:x1]
    return out
