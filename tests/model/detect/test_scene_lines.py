"""Edges of the scene, without the people in it."""

from __future__ import annotations

import cv2
import numpy as np

from model.detect.scene_lines import PICTURES, SceneWatch, find_lines
from model.video import Frame
from tests.model.moving_camera import moving_camera, still_camera

HEIGHT, WIDTH = 540, 960
NOBODY = np.empty((0, 4))


def window() -> np.ndarray:
    """(H, W, 3) a dark window in a light wall, from (200, 100) to (400, 300)."""
    picture = np.full((HEIGHT, WIDTH, 3), 200, np.uint8)
    picture[100:300, 200:400] = 40
    return picture


def test_ends_are_in_longer_sides_from_the_middle() -> None:
    lines = find_lines(window()[..., 1])
    assert len(lines) == 4
    low, high = lines.reshape(-1, 2).min(0), lines.reshape(-1, 2).max(0)
    expected = (np.array([[200, 100], [400, 300]]) - [WIDTH / 2, HEIGHT / 2]) / WIDTH
    np.testing.assert_allclose([low, high], expected, atol=2 / WIDTH)


def test_the_longest_come_first_and_specks_not_at_all() -> None:
    picture = window()
    picture[400:410, 600:620] = 40
    picture[330:430, 100:110] = 40
    lengths = np.linalg.norm(np.diff(find_lines(picture[..., 1]), axis=1)[:, 0], axis=1)
    assert np.diff(lengths).max() < 1e-6
    assert lengths.min() >= 0.035
    assert len(find_lines(np.full((HEIGHT, WIDTH), 90, np.uint8))) == 0


def test_what_moves_is_not_in_it() -> None:
    """A beam walks through the picture; the window stays, also in a large one and after many samples."""
    watch = SceneWatch()
    for index in range(3 * PICTURES + 1):
        picture = window()
        cv2.line(picture, (30 * index, 320), (30 * index + 90, 520), (0, 0, 0), 9)
        large = cv2.resize(picture, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
        watch.add(0, Frame(index, index / 8, large), NOBODY)
    lines = watch.lines(still_camera(3 * PICTURES + 1, (WIDTH, HEIGHT))).segments
    assert len(lines) == 4
    np.testing.assert_allclose(lines.reshape(-1, 2).max(0) * WIDTH + [WIDTH / 2, HEIGHT / 2], [400, 300], atol=3)


def test_a_camera_that_pans_is_seen_half_way() -> None:
    """The window wanders from the left to the right; in the middle of the way it is where it is without a pan."""
    watch, across = SceneWatch(), np.linspace(-160, 160, 9)
    for index, shift_px in enumerate(across):
        shifted = np.roll(window(), int(shift_px), 1)
        watch.add(0, Frame(index, index / 8, shifted), NOBODY)
    pan = np.column_stack([across / WIDTH, np.zeros(9)])
    lines = watch.lines(moving_camera(pan, (WIDTH, HEIGHT))).segments
    assert len(lines) == 4
    np.testing.assert_allclose(lines.reshape(-1, 2).max(0) * WIDTH + [WIDTH / 2, HEIGHT / 2], [400, 300], atol=3)


def test_a_clip_with_cuts_has_no_scene() -> None:
    watch = SceneWatch()
    for index in range(4):
        watch.add(index // 2, Frame(index, index / 8, window()), NOBODY)
    still = still_camera(4, (WIDTH, HEIGHT))
    assert watch.lines(still).segments.shape == (0, 2, 2)
    assert SceneWatch().lines(still).segments.shape == (0, 2, 2)
