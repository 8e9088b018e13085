"""Does the camera stand still?  Measured from the background while the clip is looked through for people.

The estimate takes the camera for fixed: what moves in the picture is the person.  A camera that pans, zooms or is held
by hand bleeds into the motion, so it has to be noticed and named.  Every sample (eight a second) is held against the
first picture of its shot as long as that is in view, so that noise does not add up to a drift.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.detect.crops import Array
from model.detect.picture_motion import SIDE_PX, Grey, KeyPicture, Similarity, small_grey
from model.video import Frame

MOVES = 0.005
"""A picture that shifts by this part of its longer side moves: 2 to 3 cm at the distance that shows a whole person."""
_MIN_KNOWN_SHARE, _MIN_SAMPLES = 0.5, 4
_WORST_S = 1.0
_RETURN_S, _RETURN_COVER = 0.5, 0.5
"""So often the stretch's first picture is tried again, if so much of it should be in view."""
_WORN_SHARE = 0.4
"""A key picture of which less of the area is found is replaced."""
_LOST_S = 1.0
"""A background unseen for longer begins a new stretch."""
_DIRECT, _SPIKE_STEPS = 0.6, 4.0
"""Way to the goal over way gone that tells a pan from a shake; a misjudged sample's step over the usual one."""


@dataclass(frozen=True)
class CameraMotion:
    """How the camera's picture moved in N samples of a clip.

    Within a stretch (a shot, or less where the background was lost from view) everything is told against the stretch's
    first picture: its middle shifts, and it grows and turns about its middle.
    """

    verdict: str
    """``still``, ``moves``, or ``unknown`` where the background shows too little texture."""
    kind: str
    """``pan``, ``zoom``, ``roll`` or ``shake`` (held by hand) where it moves, else empty."""
    largest_shift: float
    """Between any two pictures of a stretch: how far the picture's points shift (root mean square over the picture), in
    parts of its longer side."""
    known_share: float
    """0..1: in which part of the samples the motion could be told."""
    worst_frames: tuple[int, int]
    """First and last frame of the second in which it moves most."""
    size_px: tuple[int, int]
    """Width and height of the frames."""
    frames: NDArray[np.int32]
    """(N,) frame numbers, increasing."""
    stretches: NDArray[np.int32]
    """(N,) number of the stretch."""
    known: NDArray[np.bool_]
    """(N,)"""
    shift: Array
    """(N, 2) of the picture's middle, right and down, in parts of the longer side; 0 where not known."""
    zoom: Array
    """(N,) 1 where nothing grows."""
    roll_rad: Array
    """(N,) clockwise as seen in the picture."""

    def matrices_px(self, frames: NDArray[np.integer[Any]]) -> Array:
        """(T, 2, 3) maps from pixels of the stretch's first picture to pixels of each of ``frames`` (T,).

        Linear between samples; NaN where the motion is not known, or a stretch ends before the next sample.
        """
        last = len(self.frames) - 1
        right = np.clip(np.searchsorted(self.frames, frames), 0, last)
        left = np.where(self.frames[right] == frames, right, np.maximum(right - 1, 0))
        span = np.maximum(self.frames[right] - self.frames[left], 1)
        part = np.clip((frames - self.frames[left]) / span, 0.0, 1.0)
        known = self.known[left] & self.known[right] & (self.stretches[left] == self.stretches[right])
        known &= (frames >= self.frames[0]) & (frames <= self.frames[-1])

        def mixed(values: Array) -> Array:
            return np.asarray((1.0 - part) * values[left] + part * values[right])

        zoom, roll = mixed(self.zoom), mixed(self.roll_rad)
        turn = np.stack([np.cos(roll), -np.sin(roll), np.sin(roll), np.cos(roll)], -1).reshape(-1, 2, 2)
        middle = np.array(self.size_px) / 2
        moved = middle + max(self.size_px) * np.stack([mixed(self.shift[:, 0]), mixed(self.shift[:, 1])], -1)
        linear = zoom[:, None, None] * turn
        matrices = np.concatenate([linear, (moved - linear @ middle)[:, :, None]], -1)
        matrices[~known] = np.nan
        return matrices

    def meta(self) -> dict[str, Any]:
        """What a take's ``meta`` tells of it."""
        return {
            "verdict": self.verdict,
            "kind": self.kind,
            "largest_shift": round(self.largest_shift, 5),
            "known_share": round(self.known_share, 3),
            "frames": list(self.worst_frames),
        }

    def warning(self, followed: bool) -> dict[str, str] | None:
        """What the animator should know, as a take's ``meta`` lists it; None unless the camera moves.

        Args:
            followed: its turns were taken out of the motion.
        """
        if self.verdict != "moves":
            return None
        how = {"pan": "pans", "zoom": "zooms", "roll": "turns about its axis", "shake": "shakes"}[self.kind]
        first, last = self.worst_frames
        what = (
            f"The camera {how}: the picture shifts by up to {100 * self.largest_shift:.1f} % of its longer side, "
            f"most in frames {first} to {last}. "
        )
        if followed:
            message = (
                "It is taken to turn where it stands, and is keyed so. If it was carried along, the body's path is "
                "wrong: then film from one place."
            )
            return {"code": "camera-turns", "message": what + message}
        message = (
            "The body takes on that motion: it slides, tilts or shakes along. Film from a tripod, stabilise the "
            "footage first, or trim the strip to where the camera stands still."
        )
        return {"code": "camera-moves", "message": what + message}


class CameraWatch:
    """Takes samples of a clip in order, with the people found in them, and tells at the end how the camera moved."""

    def __init__(self) -> None:
        self._samples: list[tuple[int, float, int, Similarity | None]] = []
        self._size_px = (1, 1)
        self._shot = 0
        self._stretch = -1
        self._first: KeyPicture | None = None
        self._key: KeyPicture | None = None
        self._key_motion = self._motion = Similarity()
        self._picture: tuple[Grey, Array] | None = None
        """The sample before and its bodies, as long as its motion is known."""
        self._bodies: Array = np.empty((0, 4))
        self._known_s = self._returned_s = -np.inf

    def add(self, shot: int, frame: Frame, crops: Array) -> None:
        """Take a sample in; ``shot`` counts the cuts so far, ``crops`` (P, 4) are the people found in the frame."""
        height, width = frame.rgb.shape[:2]
        self._size_px = (width, height)
        grey = small_grey(frame.rgb)
        found = crops.reshape(-1, 4) * np.array([*3 * [grey.shape[1] / width], 1.0])
        # The detector misses people for a moment; they are not far from where they were.
        bodies, self._bodies = np.concatenate([found, self._bodies]), found
        if self._key is None or shot != self._shot or not self._key.has_texture:
            self._begin(shot, frame, grey, bodies)
            return
        motion = self._place(frame.time_s, grey, bodies)
        if motion is None and frame.time_s - self._known_s > _LOST_S:
            self._begin(shot, frame, grey, bodies)
            return
        self._samples.append((frame.index, frame.time_s, self._stretch, motion))
        self._picture = None if motion is None else (grey, bodies)
        if motion is not None:
            self._motion, self._known_s = motion, frame.time_s

    def motion(self) -> CameraMotion:
        """The judgement on all samples so far, of which there is at least one."""
        frames, times_s, stretches, motions = zip(*self._samples, strict=True)
        labels = np.array(stretches, np.int32)
        known = np.array([motion is not None for motion in motions])
        # A stretch's first picture is where it is; but nothing is known of a stretch that holds nothing else.
        known &= np.bincount(labels, known)[labels] > 1
        found = [motion or Similarity() for motion in motions]
        turn = np.array([motion.turn for motion in found])
        small_px = SIDE_PX if max(self._size_px) > SIDE_PX else max(self._size_px)
        shift = np.array([motion.shift_px for motion in found]) / small_px
        path = np.column_stack([shift, _radius(self._size_px) * turn])
        judged = _judge(path, np.array(times_s), np.array(frames), labels, known)
        return CameraMotion(
            **judged,
            known_share=float(known.mean()),
            size_px=self._size_px,
            frames=np.array(frames, np.int32),
            stretches=labels,
            known=known,
            shift=np.column_stack([shift.real, shift.imag]),
            zoom=np.abs(turn),
            roll_rad=np.angle(turn),
        )

    def _begin(self, shot: int, frame: Frame, grey: Grey, bodies: Array) -> None:
        self._shot, self._stretch = shot, self._stretch + 1
        self._first = self._key = KeyPicture(grey, bodies)
        self._key_motion = self._motion = Similarity()
        self._picture = (grey, bodies)
        self._known_s = self._returned_s = frame.time_s
        self._samples.append((frame.index, frame.time_s, self._stretch, Similarity()))

    def _place(self, time_s: float, grey: Grey, bodies: Array) -> Similarity | None:
        """The motion from the stretch's first picture to this one."""
        assert self._first is not None and self._key is not None
        if self._key is not self._first and time_s >= self._returned_s + _RETURN_S:
            self._returned_s = time_s
            if self._first.covers(self._motion) > _RETURN_COVER:
                self._first.expect(self._motion)
                again = self._first.follow(grey, bodies)
                if again is not None and again[1] > _WORN_SHARE:
                    self._key, self._key_motion = self._first, Similarity()
                    return again[0]
        found = self._key.follow(grey, bodies)
        if found is None and self._picture is not None:
            key = KeyPicture(*self._picture)
            found = key.follow(grey, bodies)
            if found is not None:
                self._key, self._key_motion = key, self._motion
        if found is None:
            return None
        motion = found[0].after(self._key_motion)
        if found[1] < _WORN_SHARE:
            key = KeyPicture(grey, bodies)
            if key.has_texture:
                self._key, self._key_motion = key, motion
        return motion


def _radius(size_px: tuple[int, int]) -> float:
    """Root mean square distance of a picture's points from its middle, in parts of its longer side."""
    return float(np.hypot(*size_px) / np.sqrt(12.0) / max(size_px))


def _judge(
    path: NDArray[np.complex128],
    times_s: Array,
    frames: NDArray[np.integer[Any]],
    stretches: NDArray[np.int32],
    known: NDArray[np.bool_],
) -> dict[str, Any]:
    """Verdict, kind, largest shift and worst frames.

    Args:
        path: (N, 2) such that the distance of two rows is how far the picture's points shift, root mean square: the
            middle's shift, and zoom and roll times the points' distance from it.
    """
    largest, kind, worst, worst_way = 0.0, "", (int(frames[0]), int(frames[0])), -1.0
    for stretch in np.unique(stretches):
        rows = np.flatnonzero((stretches == stretch) & known)
        if len(rows) < min(_MIN_SAMPLES, len(frames)):
            continue  # too little to tell a motion from a mistake
        way = _without_spikes(path[rows])
        here = _widest(way)
        if here > largest:
            largest, kind = here, _kind(way, times_s[rows])
        steps = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(way, axis=0), axis=1))])
        ends = np.searchsorted(times_s[rows], times_s[rows] + _WORST_S + 1e-6) - 1
        travelled = steps[ends] - steps
        start = int(travelled.argmax())
        if travelled[start] > worst_way:
            worst_way = float(travelled[start])
            worst = (int(frames[rows[start]]), int(frames[rows[ends[start]]]))
    moves = largest >= MOVES
    told = known.mean() >= _MIN_KNOWN_SHARE or len(frames) == 1
    return {
        "verdict": "moves" if moves else "still" if told else "unknown",
        "kind": kind if moves else "",
        "largest_shift": largest,
        "worst_frames": worst,
    }


def _without_spikes(path: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """A sample that lies far off while both its neighbours agree is misjudged: their mean takes its place."""
    steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
    across = np.linalg.norm(path[2:] - path[:-2], axis=1)
    spikes = np.minimum(steps[:-1], steps[1:]) > np.maximum(_SPIKE_STEPS * np.median(steps), 2 * across)
    cleaned = path.copy()
    cleaned[1:-1][spikes] = ((path[:-2] + path[2:]) / 2)[spikes]
    return cleaned


def _widest(path: NDArray[np.inexact[Any]]) -> float:
    """About the largest distance between two rows: from the first to the farthest, and from there once more."""
    far = np.linalg.norm(path - path[0], axis=1).argmax()
    return float(np.linalg.norm(path - path[far], axis=1).max())


def _kind(path: NDArray[np.complex128], times_s: Array) -> str:
    """``shake`` (to and fro within a second), else what shifts the picture most: ``pan``, ``zoom`` or ``roll``."""
    steps = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    ends = np.searchsorted(times_s, times_s + _WORST_S + 1e-6) - 1
    travelled = (steps[ends] - steps).sum()
    got_to = np.linalg.norm(path[ends] - path, axis=1).sum()
    if got_to < _DIRECT * travelled:
        return "shake"
    ways = {"pan": path[:, :1], "zoom": path[:, 1:].real, "roll": path[:, 1:].imag}
    return max(ways, key=lambda name: _widest(ways[name]))
