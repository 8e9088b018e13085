"""Attention as colour: dark violet over red and orange to pale yellow, perceptually even.  numpy only.

Lightness rises in a straight line in CIELAB while the hue turns, so that equal steps look equal, the order can be seen
in grey and by colour-blind eyes, and a value can be told from a colour's lightness alone.  Chroma is what the display's
gamut leaves, up to a bow.  CIE 15:2004 for CIELAB, IEC 61966-2-1 for sRGB.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

STOPS = 16
"""As many as a colour ramp of Blender shows well; between them colours are mixed in linear light."""
_LIGHTNESS = (22.0, 94.0)
_HUE_DEG = (302.0, 462.0)
_CHROMA = 78.0
_WHITE_D65 = np.array([0.95047, 1.0, 1.08883])
_XYZ_TO_RGB = np.array(
    [[3.2404542, -1.5371385, -0.4985314], [-0.9692660, 1.8760108, 0.0415560], [0.0556434, -0.2040259, 1.0572252]]
)


def _linear_rgb(lightness: float, chroma: float, hue_deg: float) -> Array:
    """(3,) linear sRGB of a colour in CIELAB; outside 0..1 where no display shows it."""
    hue = np.radians(hue_deg)
    middle = (lightness + 16.0) / 116.0
    roots = np.array([middle + chroma * np.cos(hue) / 500.0, middle, middle - chroma * np.sin(hue) / 200.0])
    parts = np.where(roots > 6 / 29, roots**3, 3 * (6 / 29) ** 2 * (roots - 4 / 29))
    rgb: Array = _XYZ_TO_RGB @ (parts * _WHITE_D65)
    return rgb


def _stop(position: float) -> Array:
    """The colour at ``position`` 0..1, with as much chroma of the bow as the gamut has."""
    lightness, hue = (low + (high - low) * position for low, high in (_LIGHTNESS, _HUE_DEG))
    wanted = _CHROMA * np.sin(np.pi * (0.22 + 0.6 * position))
    low, high = 0.0, 1.0
    for _ in range(20):
        middle = (low + high) / 2
        rgb = _linear_rgb(lightness, middle * wanted, hue)
        low, high = (middle, high) if rgb.min() >= 0 and rgb.max() <= 1 else (low, middle)
    return np.clip(_linear_rgb(lightness, low * wanted, hue), 0.0, 1.0)


@cache
def stops() -> Array:
    """(STOPS, 3) linear sRGB at even positions from 0 to 1; not to be written to."""
    table = np.array([_stop(position) for position in np.linspace(0, 1, STOPS)])
    table.setflags(write=False)
    return table


def colours(values: Array) -> Array:
    """(N, 4) float32 linear RGBA, opaque, of (N,) values; those outside 0..1 take the colour of the end."""
    table, where = stops(), np.linspace(0, 1, STOPS)
    out = np.ones((len(values), 4), np.float32)
    for channel in range(3):
        out[:, channel] = np.interp(values, where, table[:, channel])
    return out


def srgb(linear: Array) -> Array:
    """Linear light to the display's values, both 0..1, any shape."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055)
