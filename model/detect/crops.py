"""Square, turned crops around a person: from keypoints to crop, from crop to pixels, and smooth over time.

A crop is four numbers ``(x_px, y_px, side_px, angle_rad)``: centre, side, and the clockwise turn of its upright axis.
Arrays of crops have shape (N, 4).
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
MARGIN = 1.25
"""The networks were trained on crops this much larger than the person's circle."""


def crops_from_keypoints(center_px: Array, rim_px: Array) -> Array:
    """Crops (N, 4) around circles given by centre (mid-hip) and the rim's point above the head, both (N, 2)."""
    axis = rim_px - center_px
    angle = np.arctan2(axis[:, 0], -axis[:, 1])
    return np.column_stack([center_px, 2 * MARGIN * np.hypot(axis[:, 0], axis[:, 1]), angle])


def rotation_matrices(angle_rad: Array) -> Array:
    """(N, 2, 2) matrices from crop axes to image axes."""
    cosine, sine = np.cos(angle_rad), np.sin(angle_rad)
    return np.stack([np.stack([cosine, -sine], -1), np.stack([sine, cosine], -1)], -2)


def to_frame(points: Array, crops: Array) -> Array:
    """Points (N, J, 2) in units of the crop (0..1) to pixels of the frame."""
    turned = (points - 0.5) @ np.swapaxes(rotation_matrices(crops[:, 3]), -1, -2)
    return turned * crops[:, None, 2:3] + crops[:, None, :2]


def cut_out(rgb: NDArray[np.uint8], crop: Array, size: int, border: int) -> NDArray[np.uint8]:
    """(size, size, 3) pixels of one crop; outside the frame OpenCV's ``border`` mode.

    Samples bilinearly without low-pass filter, as the networks' reference does.
    """
    x, y, side, angle = (float(v) for v in crop)
    scale = side / size
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    # Pixel u of the crop stands for position u, not for its middle u + 0.5: so the reference samples, and the networks'
    # outputs count on it.
    half = size / 2
    corner = [x - (cosine - sine) * half, y - (sine + cosine) * half]
    matrix = np.array([[cosine, -sine, corner[0]], [sine, cosine, corner[1]]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(rgb, matrix, (size, size), flags=flags, borderMode=border), np.uint8)


def overlap(crops: Array, others: Array) -> Array:
    """(N, M): intersection over union of the crops' upright squares."""
    low = np.maximum(crops[:, None, :2] - crops[:, None, 2:3] / 2, others[None, :, :2] - others[None, :, 2:3] / 2)
    high = np.minimum(crops[:, None, :2] + crops[:, None, 2:3] / 2, others[None, :, :2] + others[None, :, 2:3] / 2)
    shared = np.clip(high - low, 0, None).prod(-1)
    return shared / (crops[:, None, 2] ** 2 + others[None, :, 2] ** 2 - shared)


def interpolate(known_s: Array, crops: Array, wanted_s: Array) -> Array:
    """Crops (N, 4) at times ``known_s`` (increasing) to times ``wanted_s`` (M,); the ends hold."""
    angle = np.unwrap(crops[:, 3])
    columns = [np.interp(wanted_s, known_s, column) for column in (crops[:, 0], crops[:, 1])]
    side = np.exp(np.interp(wanted_s, known_s, np.log(crops[:, 2])))
    return np.column_stack([*columns, side, np.interp(wanted_s, known_s, angle)])


def smooth(times_s: Array, crops: Array, weights: Array, sigma_s: float, wanted_s: Array) -> Array:
    """Crops (N, 4) at ``times_s`` to smooth crops (M, 4) at ``wanted_s``.

    Fits straight lines under a Gaussian window, not means, so that a steady motion is not held back at a track's ends.
    ``weights`` (N,) say how much each crop counts.
    """
    values = np.column_stack([crops[:, 0], crops[:, 1], np.log(crops[:, 2]), np.unwrap(crops[:, 3])])
    out = np.empty((len(wanted_s), 4))
    reach = 4 * sigma_s
    for row, time in enumerate(wanted_s):
        near = slice(*np.searchsorted(times_s, [time - reach, time + reach + 1e-9]))
        offset = times_s[near] - time
        weight = weights[near] * np.exp(-0.5 * (offset / sigma_s) ** 2)
        total = weight.sum()
        if total < 1e-6:
            out[row] = interpolate(times_s, crops, np.array([time]))[0]
            out[row, 2] = np.log(out[row, 2])
            continue
        mean_offset = (weight @ offset) / total
        mean = (weight @ values[near]) / total
        centered = offset - mean_offset
        # The ridge keeps a line through one or two neighbours level.
        spread = weight @ centered**2 + 0.05 * total * sigma_s**2
        slope = (weight * centered) @ (values[near] - mean) / spread
        out[row] = mean - slope * mean_offset
    out[:, 2] = np.exp(out[:, 2])
    return out
