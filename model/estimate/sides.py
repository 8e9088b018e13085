"""Left and right that the detector took for each other for a while, put back by continuity.

Per group of landmarks (legs, arms, torso) a clip has two readings of every frame, as detected and with sides exchanged.
The readings that move most smoothly are found jointly over the clip by dynamic programming (Viterbi) on second
differences: limbs that pass each other go on, limbs that change places jump.  What was exchanged for most of a clip
can't be told this way; the reading that keeps more frames as detected is taken.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from model.detect.landmarks import Landmarks

GROUPS = {
    "legs": ((25, 27, 29, 31), (26, 28, 30, 32)),
    "arms": ((13, 15, 17, 19, 21), (14, 16, 18, 20, 22)),
    "torso": ((11, 23), (12, 24)),
}
"""Landmarks of the left side and their counterparts."""
_CAP_M = 0.5  # a longer jump is no worse: the detector is lost, not the limb faster
_STAY_M, _SWITCH_M = 0.01, 0.15  # cost of an exchanged frame and of an exchange, per landmark


def repair_sides(landmarks: Landmarks) -> tuple[Landmarks, NDArray[np.bool_]]:
    """Exchange sides where that makes the motion continuous.

    Returns:
        The landmarks, and (T, 3) which group was exchanged in which frame, in the order of ``GROUPS``.
    """
    swapped = np.zeros((len(landmarks.frames), len(GROUPS)), bool)
    arrays = {name: getattr(landmarks, name).copy() for name in ("px", "visibility", "presence", "world_m")}
    for stretch in _stretches(landmarks.present):
        for column, (left, right) in enumerate(GROUPS.values()):
            pair = np.stack([landmarks.world_m[stretch][:, left], landmarks.world_m[stretch][:, right]], 1)
            swapped[stretch, column] = exchanged(pair.astype(np.float64))
    for column, (left, right) in enumerate(GROUPS.values()):
        rows = np.flatnonzero(swapped[:, column])[:, None]
        for array in arrays.values():
            array[rows, left], array[rows, right] = array[rows, right], array[rows, left]
    return replace(landmarks, **arrays), swapped


def exchanged(pair_m: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(T,) frames of a stretch whose sides are exchanged, from (T, 2, N, 3) landmarks of the left and the right."""
    frames, _, count, _ = pair_m.shape
    if frames < 3:
        return np.zeros(frames, bool)
    readings = np.stack([pair_m, pair_m[:, ::-1]])  # as detected, exchanged
    stay, switch = _STAY_M * 2 * count, _SWITCH_M * 2 * count
    bend = np.empty((2, 2, 2, frames - 2))
    for a in range(2):
        for b in range(2):
            for c in range(2):
                jump = readings[c, 2:] - 2 * readings[b, 1:-1] + readings[a, :-2]
                bend[a, b, c] = np.minimum(np.linalg.norm(jump, axis=-1), _CAP_M).sum((1, 2))
    reading = np.arange(2)
    best = stay * (reading[:, None] + reading[None]) + switch * (reading[:, None] != reading[None])
    came_from = np.empty((frames - 2, 2, 2), int)
    for t in range(frames - 2):
        total = best[:, :, None] + bend[..., t]  # from (a, b) to (b, c)
        total = total + stay * reading + switch * (reading[:, None] != reading[None])
        came_from[t] = total.argmin(0)
        best = total.min(0)
    path = np.zeros(frames, int)
    path[-2], path[-1] = np.unravel_index(best.argmin(), best.shape)
    for t in range(frames - 3, -1, -1):
        path[t] = came_from[t, path[t + 1], path[t + 2]]
    return path.astype(bool)


def _stretches(present: NDArray[np.bool_]) -> list[slice]:
    """Runs of frames in which the person is seen."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], present, [False]]).astype(int)))
    return [slice(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
