"""Cuts: the first frames of new shots."""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np
from numpy.typing import NDArray

_GRID = 24
_MIN_CHANGE = 22.0
_MIN_CHANGE_UNPREPARED = 45.0
"""While little is known of the shot's usual changes."""
_MIN_RATIO = 4.0


class CutFinder:
    """Takes all frames in order; a cut is a change of the whole picture far above that of the frames before."""

    def __init__(self) -> None:
        self.frames: list[int] = []
        """Numbers of the frames that begin a new shot."""
        self._before: NDArray[np.float32] | None = None
        self._changes: deque[float] = deque(maxlen=8)

    @property
    def count(self) -> int:
        """How many cuts there were so far."""
        return len(self.frames)

    def add(self, index: int, rgb: NDArray[np.uint8]) -> None:
        step = max(min(rgb.shape[:2]) // (4 * _GRID), 1)
        small = cv2.resize(rgb[::step, ::step], (_GRID, _GRID), interpolation=cv2.INTER_AREA).astype(np.float32)
        if self._before is not None:
            change = float(np.abs(small - self._before).mean())
            usual = float(np.median(self._changes)) if self._changes else 0.0
            enough = _MIN_CHANGE if len(self._changes) >= 3 else _MIN_CHANGE_UNPREPARED
            if change > enough and change > _MIN_RATIO * usual:
                self.frames.append(index)
            else:
                self._changes.append(change)
        self._before = small
