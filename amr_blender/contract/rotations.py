"""Rotations in numpy.  Quaternions are (w, x, y, z), unit length; matrices act on column vectors.

Every function takes any leading dimensions.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


def matrix_from_quaternion(quaternion: Array) -> Array:
    """(..., 4) wxyz to (..., 3, 3).  The quaternion is normalised first."""
    q = quaternion / np.linalg.norm(quaternion, axis=-1, keepdims=True)
    w, x, y, z = np.moveaxis(q, -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, -1) for row in rows], -2)


def quaternion_from_matrix(matrix: Array) -> Array:
    """(..., 3, 3) rotation matrices to (..., 4) wxyz, w >= 0.

    Takes the best conditioned of the four equivalent formulas (Shepperd, 1978).
    """
    m = matrix
    m00, m11, m22 = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    diagonal = np.stack([1 + m00 + m11 + m22, 1 + m00 - m11 - m22, 1 - m00 + m11 - m22, 1 - m00 - m11 + m22], -1)
    a, b, c = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    d, e, f = m[..., 0, 1] + m[..., 1, 0], m[..., 0, 2] + m[..., 2, 0], m[..., 1, 2] + m[..., 2, 1]
    candidates = np.stack(
        [
            np.stack([diagonal[..., 0], a, b, c], -1),
            np.stack([a, diagonal[..., 1], d, e], -1),
            np.stack([b, d, diagonal[..., 2], f], -1),
            np.stack([c, e, f, diagonal[..., 3]], -1),
        ],
        -2,
    )
    best = diagonal.argmax(-1)
    q = np.take_along_axis(candidates, best[..., None, None], -2)[..., 0, :]
    q = q / np.linalg.norm(q, axis=-1, keepdims=True)
    return np.where(q[..., :1] < 0, -q, q)


def multiply(left: Array, right: Array) -> Array:
    """Hamilton product of (..., 4) wxyz quaternions: ``right`` is applied first."""
    w1, x1, y1, z1 = np.moveaxis(left, -1, 0)
    w2, x2, y2, z2 = np.moveaxis(right, -1, 0)
    return np.stack(
        [
            w1 * w2 - x1 * x2 - y1 * y2 - z1 * z2,
            w1 * x2 + x1 * w2 + y1 * z2 - z1 * y2,
            w1 * y2 - x1 * z2 + y1 * w2 + z1 * x2,
            w1 * z2 + x1 * y2 - y1 * x2 + z1 * w2,
        ],
        -1,
    )


def continuous(quaternions: Array) -> Array:
    """(T, ..., 4) with signs chosen so that neighbours in time are on the same half-sphere.

    q and -q are the same rotation, but a curve that jumps between them spins when interpolated.
    """
    q = np.array(quaternions, copy=True)
    if len(q) > 1:
        flips = np.where((q[1:] * q[:-1]).sum(-1) < 0, -1.0, 1.0)
        q[1:] *= np.cumprod(flips, axis=0)[..., None]
    return q


def slerp(start: Array, end: Array, fraction: Array) -> Array:
    """Spherical interpolation of (..., 4) quaternions along the shorter arc; ``fraction`` is (...) in 0..1."""
    dot = (start * end).sum(-1)
    end = np.where(dot[..., None] < 0, -end, end)
    angle = np.arccos(np.clip(np.abs(dot), 0.0, 1.0))
    sine = np.sin(angle)
    small = sine < 1e-6
    safe = np.where(small, 1.0, sine)
    a = np.where(small, 1.0 - fraction, np.sin((1.0 - fraction) * angle) / safe)
    b = np.where(small, fraction, np.sin(fraction * angle) / safe)
    q = a[..., None] * start + b[..., None] * end
    return q / np.linalg.norm(q, axis=-1, keepdims=True)


def quaternion_from_rotvec(rotvec: Array) -> Array:
    """(..., 3) rotation vectors in radians to (..., 4) wxyz."""
    half = np.linalg.norm(rotvec, axis=-1, keepdims=True) / 2
    return np.concatenate([np.cos(half), np.sinc(half / np.pi) / 2 * rotvec], -1)


def rotvec_from_quaternion(quaternion: Array) -> Array:
    """(..., 4) wxyz, unit length, to (..., 3) rotation vectors in radians, angle in 0..pi."""
    w, v = quaternion[..., :1], quaternion[..., 1:]
    w, v = np.abs(w), np.where(w < 0, -v, v)
    sine = np.linalg.norm(v, axis=-1, keepdims=True)
    angle = 2 * np.arctan2(sine, w)
    return v * np.where(sine > 1e-9, angle / np.maximum(sine, 1e-9), 2.0)
