"""The edges of the scene, from a picture without the people: what vanishing points are found in.

The samples of a clip are thinned evenly and their median taken, pixel by pixel: what moves is not in it.  Where the
camera moves it is a single one of them, people and all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from model.detect.camera_motion import CameraMotion
from model.detect.crops import Array
from model.detect.picture_motion import Grey, small_grey
from model.video import Frame

SIDE_PX = 960
"""Longer side of the picture in which lines are looked for."""
PICTURES = 8
"""At most so many samples are held, and at least half as many of a long clip."""
SHORTEST = 0.035
"""Of a line, in longer sides: shorter ones are mostly texture."""
MOST_LINES = 1000


@dataclass(frozen=True)
class SceneLines:
    """Straight edges of what stands still, seen by a still camera, or by one that turns half way between all that it
    sees."""

    segments: NDArray[np.float32]
    """(N, 2, 2) their ends, in longer sides of the picture from its middle, right and down; the longest come first."""


class SceneWatch:
    """Takes samples of a clip in order and tells at the end which lines the scene shows."""

    def __init__(self) -> None:
        self._pictures: list[tuple[int, Grey]] = []
        self._every, self._count = 1, 0
        self._shots: set[int] = set()

    def add(self, shot: int, frame: Frame, crops: Array) -> None:
        """Take a sample in; ``shot`` counts the cuts so far."""
        self._shots.add(shot)
        if self._count % self._every == 0:
            if len(self._pictures) == PICTURES:
                self._pictures, self._every = self._pictures[::2], 2 * self._every
            if self._count % self._every == 0:
                self._pictures.append((frame.index, small_grey(frame.rgb, SIDE_PX)))
        self._count += 1

    def lines(self, motion: CameraMotion) -> SceneLines:
        """Of all samples so far, of which ``motion`` tells how the camera moved; none of a clip with cuts, whose shots
        are different scenes."""
        if len(self._shots) != 1:
            return SceneLines(np.zeros((0, 2, 2), np.float32))
        numbers, pictures = zip(*self._pictures, strict=True)
        if motion.verdict == "moves":
            return SceneLines(find_lines(pictures[_middle_of(motion, np.array(numbers))]))
        return SceneLines(find_lines(np.median(np.stack(pictures), 0).astype(np.uint8)))


def _middle_of(motion: CameraMotion, frames: NDArray[np.int_]) -> int:
    """Which of ``frames`` sees most nearly what lies in the middle of all that the camera sees, and upright."""
    shift = motion.shift[motion.known]
    if len(shift) == 0:
        return 0
    away = np.linalg.norm(motion.shift - (shift.max(0) + shift.min(0)) / 2, axis=1) + np.abs(motion.roll_rad)
    away[~motion.known] = np.inf
    at = np.clip(np.searchsorted(motion.frames, frames), 0, len(away) - 1)
    return int(away[at].argmin())


def find_lines(grey: Grey) -> NDArray[np.float32]:
    """``SceneLines.segments`` of one (H, W) picture.

    Source: von Gioi et al., "LSD: A Fast Line Segment Detector with a False Detection Control", TPAMI 2010 (OpenCV's).
    """
    height, width = grey.shape
    longer = max(height, width)
    found: Any = cv2.createLineSegmentDetector(cv2.LSD_REFINE_STD).detect(grey)[0]
    if found is None:
        return np.zeros((0, 2, 2), np.float32)
    # OpenCV counts from the middle of the first pixel, the project from its corner.
    ends = (found.reshape(-1, 2, 2) + 0.5 - np.array([width / 2, height / 2])) / longer
    length = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)
    order = np.argsort(-length, kind="stable")[:MOST_LINES]
    return np.asarray(ends[order[length[order] >= SHORTEST]], np.float32)
