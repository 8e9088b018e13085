"""The colours of attention: even, ordered by lightness, and within what a display shows."""

from __future__ import annotations

import numpy as np

from amr_blender.scene.colour_map import STOPS, colours, srgb, stops

# sRGB's primaries in CIE XYZ (IEC 61966-2-1), and D65.
_TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def _lab(linear: np.ndarray) -> np.ndarray:
    parts = linear @ _TO_XYZ.T / _TO_XYZ.sum(1)
    roots = np.where(parts > (6 / 29) ** 3, np.cbrt(parts), parts * (29 / 6) ** 2 / 3 + 4 / 29)
    return np.stack([116 * roots[:, 1] - 16, 500 * (roots[:, 0] - roots[:, 1]), 200 * (roots[:, 1] - roots[:, 2])], -1)


def test_lightness_rises_and_steps_are_even() -> None:
    lab = _lab(colours(np.linspace(0, 1, 257))[:, :3].astype(float))
    rises = np.diff(lab[:, 0])
    assert rises.min() > 0.2, "72 units of lightness over 256 steps"
    assert rises.max() < 0.4
    steps = np.linalg.norm(np.diff(lab, axis=0), axis=1)
    assert steps.max() < 1.3 * steps.mean() and steps.min() > 0.7 * steps.mean()


def test_stops_are_colours_of_a_display() -> None:
    assert stops().shape == (STOPS, 3)
    assert stops().min() >= 0 and stops().max() <= 1


def test_values_outside_take_the_end() -> None:
    inside, outside = colours(np.array([0.0, 1.0])), colours(np.array([-3.0, 7.0]))
    np.testing.assert_array_equal(inside, outside)
    assert (inside[:, 3] == 1).all()


def test_srgb_of_the_standard() -> None:
    np.testing.assert_allclose(srgb(np.array([0.0, 0.001, 0.214041, 1.0])), [0.0, 0.01292, 0.5, 1.0], atol=1e-5)
