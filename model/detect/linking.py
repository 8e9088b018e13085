"""Detections of single frames become people: linked from sample to sample, then stitched over gaps.

Distances count in body radii: a crop's side is five quarters of the diameter of the circle around the whole body, whose
radius is about a metre for an adult.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.detect.crops import MARGIN, Array

MAX_LINK_S = 0.6
"""A track unseen for longer ends; stitching may continue it."""
MAX_STITCH_S = 10.0
_REACH_RADII, _SPEED_RADII_PER_S = 0.45, 4.0
_LOG_SIZE, _LOG_SIZE_PER_S = 0.35, 0.8
_MAX_UNLIKE = 0.45
_UNLIKE_OVER_CUTS = 0.2


@dataclass(frozen=True)
class Detection:
    """One person in one frame."""

    crop: Array
    """(4,) see ``crops``."""
    keypoints_px: Array
    """(4, 2)"""
    score: float
    appearance: Array
    """The torso's colours: any vector whose root products compare (a histogram that sums to 1)."""
    pictures: tuple[NDArray[np.uint8], ...] = ()
    """What the caller wants to keep of the track's best detection."""

    @property
    def quality(self) -> float:
        return self.score * float(self.crop[2])


@dataclass
class Track:
    """One person over some samples, in order."""

    shots: list[int] = field(default_factory=list)
    frames: list[int] = field(default_factory=list)
    times_s: list[float] = field(default_factory=list)
    detections: list[Detection] = field(default_factory=list)
    appearance: Array = field(default_factory=lambda: np.zeros(0))
    best: Detection | None = None

    def add(self, shot: int, frame: int, time_s: float, detection: Detection) -> None:
        known = len(self.detections)
        self.shots.append(shot)
        self.frames.append(frame)
        self.times_s.append(time_s)
        if known:
            pace = max(1.0 / (known + 1), 0.1)
            self.appearance = (1.0 - pace) * self.appearance + pace * detection.appearance
        else:
            self.appearance = detection.appearance
        if self.best is None or detection.quality > self.best.quality:
            self.best = detection
        bare = Detection(detection.crop, detection.keypoints_px, detection.score, detection.appearance)
        self.detections.append(bare)

    def crops(self) -> Array:
        """(N, 4)"""
        return np.stack([d.crop for d in self.detections])

    def expected_px(self, time_s: float) -> Array:
        """(2,) where the centre should be now: half of the last velocity is trusted."""
        last = self.detections[-1].crop[:2]
        if len(self.times_s) < 2:
            return last
        velocity = (last - self.detections[-2].crop[:2]) / max(self.times_s[-1] - self.times_s[-2], 1e-3)
        return last + 0.5 * velocity * min(time_s - self.times_s[-1], 0.2)


def unlikeness(a: Array, b: Array) -> float:
    """0 for the same colours to 1 for none in common (Hellinger distance of two histograms, squared)."""
    return float(1.0 - np.sqrt(np.clip(a, 0, None) * np.clip(b, 0, None)).sum())


def radius_px(crop: Array) -> float:
    return float(crop[2]) / (2 * MARGIN)


class Linker:
    """Takes the samples in order and keeps the tracks."""

    def __init__(self) -> None:
        self.tracks: list[Track] = []
        self._active: list[Track] = []

    def add(self, shot: int, frame: int, time_s: float, detections: Sequence[Detection]) -> None:
        """The people found in one frame. ``shot`` counts the cuts so far: no link crosses one."""
        self._active = [t for t in self._active if t.shots[-1] == shot and time_s - t.times_s[-1] <= MAX_LINK_S]
        pairs = []
        for track in self._active:
            for number, detection in enumerate(detections):
                cost = self._cost(track, detection, time_s)
                if cost is not None:
                    pairs.append((cost, number, track))
        free = set(range(len(detections)))
        taken: set[int] = set()
        for _, number, track in sorted(pairs, key=lambda pair: pair[:2]):
            if number in free and id(track) not in taken:
                track.add(shot, frame, time_s, detections[number])
                free.discard(number)
                taken.add(id(track))
        for number in sorted(free):
            track = Track()
            track.add(shot, frame, time_s, detections[number])
            self.tracks.append(track)
            self._active.append(track)

    @staticmethod
    def _cost(track: Track, detection: Detection, time_s: float) -> float | None:
        """How badly the detection continues the track; None where it can't."""
        gap_s = time_s - track.times_s[-1]
        last = track.detections[-1].crop
        radius = max(radius_px(last), radius_px(detection.crop))
        away = float(np.linalg.norm(detection.crop[:2] - track.expected_px(time_s))) / radius
        reach = _REACH_RADII + _SPEED_RADII_PER_S * gap_s
        growth = abs(float(np.log(detection.crop[2] / last[2])))
        room = _LOG_SIZE + _LOG_SIZE_PER_S * gap_s
        unlike = unlikeness(track.appearance, detection.appearance)
        if away > reach or growth > room or unlike > _MAX_UNLIKE:
            return None
        return away + 0.5 * growth / room + 2.0 * unlike


def stitch(tracks: Sequence[Track]) -> list[Track]:
    """Join tracks that one person left by a gap, the most plausible pairs first."""
    joined = dict(enumerate(tracks))
    costs: dict[tuple[int, int], float] = {}

    def weigh(i: int, j: int) -> None:
        cost = _stitch_cost(joined[i], joined[j])
        if cost is not None:
            costs[i, j] = cost

    for i in joined:
        for j in joined:
            weigh(i, j)
    while costs:
        i, j = min(costs, key=lambda pair: costs[pair])
        joined[i] = _join(joined[i], joined.pop(j))
        costs = {pair: cost for pair, cost in costs.items() if not {i, j} & set(pair)}
        for other in joined:
            weigh(i, other)
            weigh(other, i)
    return list(joined.values())


def _join(first: Track, second: Track) -> Track:
    shares = np.array([len(first.frames), len(second.frames)], float)
    shares /= shares.sum()
    return Track(
        first.shots + second.shots,
        first.frames + second.frames,
        first.times_s + second.times_s,
        first.detections + second.detections,
        shares[0] * first.appearance + shares[1] * second.appearance,
        max((t.best for t in (first, second) if t.best is not None), key=lambda d: d.quality),
    )


def _stitch_cost(first: Track, second: Track) -> float | None:
    gap_s = second.times_s[0] - first.times_s[-1]
    if gap_s <= 0 or gap_s > MAX_STITCH_S:
        return None
    before, after = first.detections[-1].crop, second.detections[0].crop
    away = float(np.linalg.norm(after[:2] - before[:2])) / max(radius_px(before), radius_px(after))
    growth = abs(float(np.log(after[2] / before[2])))
    unlike = unlikeness(first.appearance, second.appearance)
    if first.shots[-1] != second.shots[0]:
        # Over a cut only who stands in the same place and looks the same is the same person.
        possible = away < 0.5 and growth < 0.25 and unlike < _UNLIKE_OVER_CUTS
    else:
        possible = away < 0.6 + 2.0 * gap_s and growth < 0.4 + 0.4 * gap_s and unlike < _MAX_UNLIKE - 0.1
    return away + growth + 3.0 * unlike + 0.2 * gap_s if possible else None


def without_doubles(tracks: Sequence[Track], min_shared: float = 0.5) -> list[Track]:
    """Drop tracks that lie on a longer one for most of their samples."""
    kept: list[Track] = []
    for track in sorted(tracks, key=lambda t: -len(t.frames)):
        if not any(_shared(track, other) >= min_shared for other in kept):
            kept.append(track)
    return kept


def _shared(track: Track, other: Track) -> float:
    at: dict[int, Any] = dict(zip(other.frames, other.detections, strict=True))
    same = 0
    for frame, detection in zip(track.frames, track.detections, strict=True):
        if frame in at:
            same += same_person(detection.crop, at[frame].crop)
    return same / len(track.frames)


def same_person(crop: Array, other: Array, reach_radii: float = 0.35) -> bool:
    """Two crops of one frame that show the same person."""
    radius = min(radius_px(crop), radius_px(other))
    away = float(np.linalg.norm(crop[:2] - other[:2])) / radius
    return away < reach_radii and abs(float(np.log(crop[2] / other[2]))) < 0.6
