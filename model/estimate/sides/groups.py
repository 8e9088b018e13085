"""The groups of landmarks that the detector mistakes together, and exchanging their sides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from model.detect.landmarks import Landmarks

Sides = tuple[list[int], list[int]]
GROUPS: dict[str, Sides] = {
    "legs": ([25, 27, 29, 31], [26, 28, 30, 32]),
    "arms": ([13, 15, 17, 19, 21], [14, 16, 18, 20, 22]),
    "torso": ([11, 23], [12, 24]),
}
"""Landmarks of the left side and their counterparts."""
FACE: Sides = ([1, 2, 3, 7, 9], [4, 5, 6, 8, 10])
"""The face follows the torso, unless its labels were exchanged on their own."""


def exchange(landmarks: Landmarks, exchanged: NDArray[np.bool_]) -> Landmarks:
    """A copy with left and right exchanged where ``exchanged`` (T, 4) says so of legs, arms, torso and face."""
    arrays = {name: getattr(landmarks, name).copy() for name in ("px", "visibility", "presence", "world_m")}
    for column, (left, right) in enumerate([*GROUPS.values(), FACE]):
        rows = np.flatnonzero(exchanged[:, column])[:, None]
        for array in arrays.values():
            array[rows, left], array[rows, right] = array[rows, right], array[rows, left]
    return replace(landmarks, **arrays)
