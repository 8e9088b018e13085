"""Second pass: one person's landmarks in every frame, from crops that are smooth over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from amr_blender.contract.errors import PersonError
from model.detect.crops import Array, cut_out, smooth
from model.detect.landmarks import COUNT, Landmarks, Pose, decode
from model.detect.linking import MAX_LINK_S, same_person
from model.detect.networks import BATCH, Networks
from model.detect.people import Person, Report
from model.detect.views import Candidates, View, combine, view_crops, views_for
from model.video import Frame, Video

SMOOTHING_S = 0.12
"""Crops follow the detections through a window of this width: they jitter less, and still follow a fall or a leap."""
MAX_GAP_S = 1.0
"""Between detections further apart nothing is looked for."""
MARGIN_S = 0.35
"""Before the first and behind the last detection the person is still looked for, this long."""
MIN_SCORE = 0.5
BRIDGE_S = 0.25
"""So long a drop of the score does not make a gap if the landmarks stay where the person is."""
_BRIDGE_SCORE = 0.05


@dataclass(frozen=True)
class Span:
    """A stretch of the clip in which the person was detected without larger gaps."""

    times_s: NDArray[np.float64]
    crops: Array
    scores: NDArray[np.float64]
    first_frame: int
    """First frame of the shot; nothing is looked for before it."""
    end_frame: int
    """One past the shot's last frame."""
    from_s: float
    to_s: float

    def holds(self, frame: Frame) -> bool:
        return self.first_frame <= frame.index < self.end_frame and self.from_s <= frame.time_s <= self.to_s


def spans_of(person: Person) -> list[Span]:
    """The person's detections cut at cuts and at gaps longer than ``MAX_GAP_S``."""
    breaks = (np.diff(person.times_s) > MAX_GAP_S) | (np.diff(person.shots) != 0)
    groups = np.split(np.arange(len(person.frames)), np.flatnonzero(breaks) + 1)
    limits = [0, *person.cuts, np.iinfo(np.int32).max]
    spans = []
    for group in groups:
        first = person.frames[group[0]]
        shot = int(np.searchsorted(person.cuts, first, side="right"))
        start_s, end_s = person.times_s[group[0]], person.times_s[group[-1]]
        before = person.times_s[person.times_s < start_s]
        after = person.times_s[person.times_s > end_s]
        spans.append(
            Span(
                person.times_s[group],
                person.crops[group],
                person.scores[group],
                int(limits[shot]),
                int(limits[shot + 1]),
                max(start_s - MARGIN_S, (before[-1] + start_s) / 2) if len(before) else start_s - MARGIN_S,
                min(end_s + MARGIN_S, (after[0] + end_s) / 2) if len(after) else end_s + MARGIN_S,
            )
        )
    return spans


def track_landmarks(
    video: Video,
    person: Person,
    frame_range: tuple[int, int | None],
    networks: Networks,
    report: Report,
    quality: str = "standard",
) -> Landmarks:
    """Landmarks of ``person`` in the frames ``frame_range`` (start, stop), the range that found the person.

    Args:
        quality: ``draft`` looks at each frame once, ``standard`` twice, ``best`` four times.

    Raises:
        VideoError: the video is broken.
        PersonError: the person could not be confirmed in any frame.
    """
    start, stop = frame_range
    total = video.length(start, stop)
    spans, views = spans_of(person), views_for(quality)
    record = _Record()
    pending: list[tuple[int, Array]] = []
    images: list[NDArray[np.uint8]] = []
    size = networks.landmarks.input_size

    def flush() -> None:
        if pending:
            crops = np.stack([crop for _, crop in pending])
            record.keep([row for row, _ in pending], crops, _run(np.stack(images), crops, views, networks))
            pending.clear()
            images.clear()

    for frame in video.frames(start, stop):
        row = record.add_frame(frame.index, frame.time_s)
        span = next((s for s in spans if s.holds(frame)), None)
        if span is not None:
            when = np.array([frame.time_s])
            crop = smooth(span.times_s, span.crops, span.scores, SMOOTHING_S, when)[0]
            pending.append((row, crop))
            images += [cut_out(frame.rgb, c, size, cv2.BORDER_REPLICATE) for c in view_crops(crop, views)]
        if len(images) >= BATCH * max(len(views), 2):
            flush()
        report("landmarks", row + 1, max(total, row + 1))
    flush()
    landmarks = record.landmarks((video.info.width, video.info.height))
    if not landmarks.present.any():
        raise PersonError(
            "person-unclear",
            f"The chosen person in '{video.info.name}' can't be seen well enough.",
            "Choose another person, or use footage that shows the whole body.",
        )
    return landmarks


def _run(images: NDArray[np.uint8], crops: Array, views: tuple[View, ...], networks: Networks) -> Candidates:
    """Landmarks of N crops from all V views; ``images`` (N * V, S, S, 3), the views of a crop in a row."""
    size = images.shape[1]
    mirrored = np.tile([view.mirrored for view in views], len(crops))
    images[mirrored] = images[mirrored][:, :, ::-1]
    outputs = networks.run(networks.landmarks, images.astype(np.float32) / np.float32(255))
    seen = np.concatenate([view_crops(crop, views) for crop in crops])
    return combine(decode(outputs, seen, size, mirrored), len(views))


class _Record:
    """Collects the frames' poses and tells, at the end, in which frames the person was."""

    def __init__(self) -> None:
        self._frames: list[int] = []
        self._times_s: list[float] = []
        self._rows: list[int] = []
        self._consistent: list[bool] = []
        self._poses: list[Pose] = []
        self._last: tuple[float, Array] | None = None

    def add_frame(self, index: int, time_s: float) -> int:
        self._frames.append(index)
        self._times_s.append(time_s)
        return len(self._frames) - 1

    def keep(self, rows: Sequence[int], crops: Array, candidates: Candidates) -> None:
        """Poses looked for at ``crops`` (N, 4) in the frames ``rows``."""
        for number, (row, crop) in enumerate(zip(rows, crops, strict=True)):
            time_s = self._times_s[row]
            before = self._last[1] if self._last is not None and time_s - self._last[0] < MAX_LINK_S else None
            pose = candidates.choose(number, before)
            consistent = same_person(pose.crops[0], crop, reach_radii=0.6)
            if consistent and pose.score[0] >= MIN_SCORE:
                self._last = (time_s, pose.px[0])
            self._rows.append(row)
            self._consistent.append(consistent)
            self._poses.append(pose)

    def landmarks(self, size_px: tuple[int, int]) -> Landmarks:
        count = len(self._frames)
        times_s = np.array(self._times_s)
        rows = np.array(self._rows, int)
        score = np.zeros(count, np.float32)
        consistent = np.zeros(count, bool)
        px = np.full((count, COUNT, 2), np.nan, np.float32)
        visibility, presence = np.full((2, count, COUNT), np.nan, np.float32)
        world_m = np.full((count, COUNT, 3), np.nan, np.float32)
        if len(rows):
            score[rows] = np.concatenate([pose.score for pose in self._poses])
            consistent[rows] = self._consistent
            # The networks count pixels from the middle of the first one, the project from its corner.
            px[rows] = np.concatenate([pose.px for pose in self._poses]) + 0.5
            visibility[rows] = np.concatenate([pose.visibility for pose in self._poses])
            presence[rows] = np.concatenate([pose.presence for pose in self._poses])
            world_m[rows] = np.concatenate([pose.world_m for pose in self._poses])
        present = bridged(times_s, consistent & (score >= MIN_SCORE), consistent & (score >= _BRIDGE_SCORE))
        for values in (px, visibility, presence, world_m):
            values[~present] = np.nan
        frames = np.array(self._frames, np.int32)
        return Landmarks(frames, times_s, present, px, visibility, presence, score, world_m, size_px)


def bridged(times_s: NDArray[np.float64], sure: NDArray[np.bool_], possible: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """``sure`` (T,), and its holes of at most ``BRIDGE_S`` in which every frame is at least ``possible``."""
    present = sure.copy()
    known = np.flatnonzero(sure)
    for before, after in zip(known[:-1], known[1:], strict=True):
        hole = slice(before + 1, after)
        if after - before > 1 and times_s[after] - times_s[before] <= BRIDGE_S and possible[hole].all():
            present[hole] = True
    return present
