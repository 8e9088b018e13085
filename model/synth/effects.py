"""From light to footage: exposure, noise, blur, low resolution, compression."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
Generator = np.random.Generator


def develop(light: Array, exposure: float) -> Array:
    """(..., 3) linear light to sRGB in 0..1; too much light burns out softly, as film and phones do it."""
    value = np.maximum(light, 0) * exposure
    knee = 0.8
    over = np.maximum(value - knee, 0)
    value = np.minimum(value, knee) + (1 - knee) * (1 - np.exp(-over / (1 - knee)))
    return np.where(value <= 0.0031308, 12.92 * value, 1.055 * np.maximum(value, 1e-9) ** (1 / 2.4) - 0.055)


def grain(srgb: Array, strength: float, rng: Generator) -> Array:
    """Sensor noise: stronger in the dark, partly shared by neighbouring pixels."""
    if strength <= 0:
        return srgb
    noise = rng.normal(0, 1, srgb.shape).astype(np.float32)
    soft = cv2.GaussianBlur(rng.normal(0, 1, srgb.shape).astype(np.float32), (0, 0), 0.8) * 2.0
    return np.asarray(srgb + strength * (1.3 - srgb) * (0.6 * noise + 0.4 * soft))


def defocus(srgb: Array, sigma_px: float) -> Array:
    """A lens that is not quite sharp."""
    return np.asarray(cv2.GaussianBlur(srgb.astype(np.float32), (0, 0), sigma_px)) if sigma_px > 0.05 else srgb


def motion_blur(srgb: Array, shift_px: Array) -> Array:
    """Smear along a (2,) shift in pixels."""
    length = float(np.hypot(*shift_px))
    if length < 1.0:
        return srgb
    size = int(np.ceil(length)) | 1
    kernel = np.zeros((size, size), np.float32)
    half = 0.5 * np.asarray(shift_px)
    middle = np.array([size // 2, size // 2])
    start, end = (np.round((middle + s * half) * 16).astype(int) for s in (-1, 1))
    cv2.line(kernel, start.tolist(), end.tolist(), (1.0,), 1, cv2.LINE_AA, 4)
    return np.asarray(cv2.filter2D(srgb.astype(np.float32), -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE))


def coarse(srgb: Array, factor: float) -> Array:
    """As if filmed at 1/``factor`` of the resolution and enlarged."""
    if factor <= 1.0:
        return srgb
    height, width = srgb.shape[:2]
    small = (max(round(width / factor), 8), max(round(height / factor), 8))
    reduced = cv2.resize(srgb.astype(np.float32), small, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(reduced, (width, height), interpolation=cv2.INTER_LINEAR))


def to_bytes(srgb: Array) -> NDArray[np.uint8]:
    """0..1 to 8 bit."""
    return np.asarray((np.clip(srgb, 0, 1) * 255 + 0.5), np.uint8)


def jpeg(rgb: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """Block artefacts of strong compression; ``quality`` 1..100."""
    _, data = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1])
