"""The edges of the scene, from a picture without the people: what vanishing points are found in.

The samples of a clip are thinned evenly and their median taken, pixel by pixel: what moves is not in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

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
    """Straight edges of what stands still before a still camera."""

    segments: NDArray[np.float32]
    """(N, 2, 2) their ends, in longer sides of the picture from its middle, right and down; the longest come first."""


class SceneWatch:
    """Takes samples of a clip in order and tells at the end which lines the scene shows."""

    def __init__(self) -> None:
        self._pictures: list[Grey] = []
        self._every, self._count = 1, 0
        self._shots: set[int] = set()

    def add(self, shot: int, frame: Frame, crops: Array) -> None:
        """Take a sample in; ``shot`` counts the cuts so far."""
        self._shots.add(shot)
        if self._count % self._every == 0:
            if len(self._pictures) == PICTURES:
                self._pictures, self._every = self._pictures[::2], 2 * self._every
            if self._count % self._every == 0:
                self._pictures.append(small_grey(frame.rgb, SIDE_PX))
        self._count += 1

    def lines(self) -> SceneLines:
        """Of all samples so far; none of a clip with cuts, whose shots are different scenes."""
        if len(self._shots) != 1:
            return SceneLines(np.zeros((0, 2, 2), np.float32))
        return SceneLines(find_lines(np.median(np.stack(self._pictures), 0).astype(np.uint8)))


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
