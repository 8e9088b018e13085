"""Places, cameras and passers-by made on the spot: pictures with a known motion."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
WIDTH, HEIGHT = 640, 360


def texture(seed: int, width: int = 1400, height: int = 900) -> Picture:
    """(height, width, 3) blots of three sizes."""
    random = np.random.default_rng(seed)
    out = np.full((height, width, 3), 128.0)
    for cells, strength in ((12, 60), (40, 40), (120, 25)):
        blots = random.standard_normal((cells * height // width, cells, 3))
        out += strength * cv2.resize(blots, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(out, 0, 255).astype(np.uint8)


def view(place: Picture, x_px: float = 0.0, y_px: float = 0.0, zoom: float = 1.0, roll_rad: float = 0.0) -> Picture:
    """What a camera sees: ``place`` moved right and down, enlarged and turned clockwise about the picture's middle."""
    cosine, sine = zoom * np.cos(roll_rad), zoom * np.sin(roll_rad)
    matrix = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0]])
    middle = np.array([place.shape[1] - 1, place.shape[0] - 1]) / 2
    matrix[:, 2] = [(WIDTH - 1) / 2 + x_px, (HEIGHT - 1) / 2 + y_px] - matrix[:, :2] @ middle
    seen = cv2.warpAffine(place, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(seen, np.uint8)


def with_somebody(picture: Picture, x_px: float, width: int, height: int = 340) -> Picture:
    """A textured upright rectangle around ``x_px``, in the middle of the height."""
    body = texture(5, width, height)
    left, top = round(x_px - width / 2), (HEIGHT - height) // 2
    first, last = max(left, 0), min(left + width, WIDTH)
    out = picture.copy()
    if first < last:
        out[top : top + height, first:last] = body[:, first - left : last - left]
    return out


def crop_of(x_px: float, height: int = 340) -> list[float]:
    """The detection's crop of :func:`with_somebody`."""
    return [x_px, HEIGHT / 2, 1.25 * 1.15 * height, 0.0]


def noisy(picture: Picture, random: np.random.Generator) -> Picture:
    """``picture`` with a sensor's noise of five grey levels."""
    return np.clip(picture + 5 * random.standard_normal(picture.shape, np.float32), 0, 255).astype(np.uint8)
