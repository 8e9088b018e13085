"""Cuts between shots."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from model.detect.shots import CutFinder


def scene(seed: int) -> NDArray[np.uint8]:
    coarse = np.random.default_rng(seed).integers(0, 255, (9, 16, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(coarse, (640, 360), interpolation=cv2.INTER_CUBIC), np.uint8)


def cuts_of(frames: list[NDArray[np.uint8]]) -> list[int]:
    finder = CutFinder()
    for index, rgb in enumerate(frames):
        finder.add(100 + index, rgb)
    assert finder.count == len(finder.frames)
    return finder.frames


def test_a_hard_cut_is_found_at_its_frame() -> None:
    assert cuts_of([scene(1)] * 7 + [scene(2)] * 5 + [scene(3)]) == [107, 112]


def test_a_moving_camera_is_no_cut() -> None:
    assert cuts_of([np.roll(scene(1), 12 * step, axis=1) for step in range(20)]) == []


def test_a_slow_fade_is_no_cut() -> None:
    blend = [scene(1) * (1 - t) + scene(2) * t for t in np.linspace(0, 1, 25)]
    assert cuts_of([frame.astype(np.uint8) for frame in blend]) == []


def test_tiny_frames() -> None:
    assert cuts_of([np.zeros((16, 16, 3), np.uint8)] * 3 + [np.full((16, 16, 3), 255, np.uint8)]) == [103]
