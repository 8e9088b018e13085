"""First pass: who is in the clip, where, and in which frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from amr_blender.contract.errors import PersonError, VideoError
from model.detect import detector
from model.detect.crops import MARGIN, Array, crops_from_keypoints, cut_out, to_frame
from model.detect.linking import Detection, Linker, Track, radius_px, same_person, stitch, without_doubles
from model.detect.networks import Networks
from model.detect.shots import CutFinder
from model.video import Frame, Video

Report = Callable[[str, int, int], None]
SAMPLES_PER_S = 8.0
THRESHOLD = 0.5
MIN_SHARE_OF_BEST = 0.02
_LOOK_AGAIN_FRAMES = 8
_THUMBNAIL_PX = 192
_MIN_SIDE_PX = 8


class Watch(Protocol):
    """Looks at the sampled frames, too."""

    def add(self, shot: int, frame: Frame, crops: Array) -> None:
        """Take a sample in; ``shot`` counts the cuts so far, ``crops`` (P, 4) are the people found in the frame."""
        ...


@dataclass(frozen=True)
class Person:
    """One person of the clip. N sampled frames, between which the crop is interpolated."""

    index: int
    """0 fills most of the clip."""
    share: float
    """0..1: how much of the picture the square around the person fills, averaged over all frames of the range."""
    frames: NDArray[np.int32]
    """(N,) frame numbers, increasing."""
    times_s: NDArray[np.float64]
    """(N,) their presentation times."""
    shots: NDArray[np.int32]
    """(N,) how many cuts lie before."""
    cuts: tuple[int, ...]
    """Frame numbers at which a new shot begins."""
    scores: NDArray[np.float64]
    """(N,) 0..1"""
    crops: Array
    """(N, 4) see ``crops``."""
    boxes_px: Array
    """(N, 4) left, top, right, bottom of the square around the whole body, within the frame."""
    keypoints_px: Array
    """(N, 4, 2) mid-hip, a point on the whole body's circle, mid-shoulder, one on the upper body's circle."""
    thumbnail: NDArray[np.uint8]
    """(192, 192, 3) RGB, upright: the person where seen best."""


def find_people(
    video: Video,
    frame_range: tuple[int, int | None],
    networks: Networks,
    report: Report,
    watches: Sequence[Watch] = (),
) -> list[Person]:
    """Look through the frames ``frame_range`` (start, stop) and link what is found into people.

    Args:
        watches: are shown every sampled frame with the people found in it.

    Returns:
        People, the one who fills most of the clip first.

    Raises:
        VideoError: the range holds no frame, or the video is broken.
        PersonError: there is nobody.
    """
    start, stop = frame_range
    total = video.length(start, stop)
    linker, cuts, seen = Linker(), CutFinder(), 0
    samples: list[tuple[int, Frame]] = []
    next_sample_s = -np.inf
    last: Frame | None = None
    for frame in video.frames(start, stop):
        cuts.add(frame.index, frame.rgb)
        seen += 1
        last = frame
        if frame.time_s >= next_sample_s - 1e-6:
            samples.append((cuts.count, frame))
            next_sample_s = frame.time_s + _interval_s(video.info.fps)
            last = None
        if len(samples) >= _batch_frames(video):
            _look(samples, networks, linker, watches)
            samples = []
        report("detect", seen, max(total, seen))
    if last is not None:
        samples.append((cuts.count, last))
    _look(samples, networks, linker, watches)
    if not seen:
        raise VideoError(
            "range-outside-clip",
            f"'{video.info.name}' ends before frame {start}, where the strip starts.",
            "Trim the strip so that it starts within its footage.",
        )
    tracks = _confirmed(without_doubles(stitch(linker.tracks)), networks, few=len(linker.tracks) <= 1)
    people = _people(tracks, cuts.frames, seen, video)
    if not people:
        raise PersonError(
            "no-person",
            f"Nobody was found in '{video.info.name}'.",
            "Use footage that shows a whole person, well lit and not too small.",
        )
    return people


def _interval_s(fps: float) -> float:
    """Whole frames at a constant rate, so that the samples are even."""
    return max(round(fps / SAMPLES_PER_S), 1) / fps - 0.25 / fps


def _batch_frames(video: Video) -> int:
    """How many full frames to hold at once: 64 MB of them, at least one."""
    return int(np.clip(64e6 / (3 * video.info.width * video.info.height), 1, _LOOK_AGAIN_FRAMES))


def windows(width: int, height: int) -> Array:
    """Where to look (K, 4): the whole frame, and its two ends. Alone in a window, a second person is rarely missed."""
    longer = float(max(width, height))
    middle = [width / 2, height / 2]
    left = [middle[0] - longer / 4, middle[1], 0.75 * longer, 0.0]
    right = [middle[0] + longer / 4, middle[1], 0.75 * longer, 0.0]
    return np.array([[*middle, longer, 0.0], left, right])


def close_windows(width: int, height: int) -> Array:
    """Where to look for somebody small (K, 4): half-sized windows along the longer side."""
    longer, shorter = float(max(width, height)), float(min(width, height))
    side = longer / 2
    along = np.linspace(side / 2, longer - side / 2, 3)
    across = np.unique([min(side, shorter) / 2, shorter - min(side, shorter) / 2])
    points = [(a, b) if width >= height else (b, a) for a in along for b in across]
    return np.array([[x, y, side, 0.0] for x, y in points])


def _look(samples: Sequence[tuple[int, Frame]], networks: Networks, linker: Linker, watches: Sequence[Watch]) -> None:
    if not samples:
        return
    frames = [frame for _, frame in samples]
    height, width = frames[0].rgb.shape[:2]
    found = _detect(frames, windows(width, height), networks)
    missed = [number for number, people in enumerate(found) if not people]
    if missed:
        again = _detect([frames[number] for number in missed], close_windows(width, height), networks)
        for number, people in zip(missed, again, strict=True):
            found[number] = people
    for (shot, frame), people in zip(samples, found, strict=True):
        linker.add(shot, frame.index, frame.time_s, people)
        for watch in watches:
            watch.add(shot, frame, np.array([person.crop for person in people]))


def _detect(frames: Sequence[Frame], looks: Array, networks: Networks) -> list[list[Detection]]:
    """Run the detector on all ``looks`` (K, 4) of all frames and join what it finds."""
    size = networks.detector.input_size
    images = [cut_out(frame.rgb, look, size, cv2.BORDER_CONSTANT) for frame in frames for look in looks]
    raw = networks.run(networks.detector, np.stack(images).astype(np.float32) / 127.5 - 1.0)
    results = []
    for number, frame in enumerate(frames):
        candidates: list[tuple[float, Array, Array]] = []
        for position, look in enumerate(looks, start=number * len(looks)):
            found = detector.decode(raw["boxes"][position], raw["scores"][position], size, THRESHOLD)
            keypoints = to_frame(found.keypoints, np.tile(look, (len(found.scores), 1)))
            crops = crops_from_keypoints(keypoints[:, 0], keypoints[:, 1])
            for score, points, crop in zip(found.scores, keypoints, crops, strict=True):
                # A window that cuts the person off misjudges the body's circle.
                candidates.append((float(score) * _inside(crop, look), points, crop))
        results.append(_join(candidates, frame.rgb))
    return results


def _inside(crop: Array, window: Array) -> float:
    """Which part of the crop's square lies in the window's, 0..1."""
    half = crop[2] / (2 * MARGIN)
    low = np.maximum(crop[:2] - half, window[:2] - window[2] / 2)
    high = np.minimum(crop[:2] + half, window[:2] + window[2] / 2)
    return float(np.clip(high - low, 0.0, None).prod() / (2 * half) ** 2)


def _join(candidates: list[tuple[float, Array, Array]], rgb: NDArray[np.uint8]) -> list[Detection]:
    """One detection a person, from the window that shows them best."""
    kept: list[tuple[float, Array, Array]] = []
    for candidate in sorted(candidates, key=lambda c: -c[0]):
        if candidate[2][2] > _MIN_SIDE_PX and not any(_repeats(candidate, other) for other in kept):
            kept.append(candidate)
    return [
        Detection(crop, points, score, _appearance(rgb, points), _pictures(rgb, crop)) for score, points, crop in kept
    ]


def _repeats(candidate: tuple[float, Array, Array], other: tuple[float, Array, Array]) -> bool:
    """The candidate is the person ``other``, or a doubtful smaller one in the middle of that person."""
    if same_person(candidate[2], other[2]):
        return True
    away = np.linalg.norm(candidate[2][:2] - other[2][:2]) / radius_px(other[2])
    return bool(away < 0.6 and candidate[2][2] < other[2][2] and candidate[0] < 0.6 * other[0])


def _appearance(rgb: NDArray[np.uint8], keypoints_px: Array) -> Array:
    """The torso's colours: histogram (36,) of lightness and the two colour axes, sums to 1."""
    hip, shoulder = keypoints_px[0], keypoints_px[2]
    axis = shoulder - hip
    side = max(float(np.hypot(*axis)), 2.0)
    crop = np.array([*(hip + shoulder) / 2, 0.8 * side, np.arctan2(axis[0], -axis[1])])
    patch = cv2.cvtColor(cut_out(rgb, crop, 24, cv2.BORDER_REPLICATE), cv2.COLOR_RGB2Lab).reshape(-1, 3)
    parts = []
    for channel, (low, high) in enumerate(((0, 255), (88, 168), (88, 168))):
        position = np.clip((patch[:, channel] - low) / (high - low), 0, 1) * 11
        lower = np.minimum(position.astype(int), 10)
        part = np.bincount(lower, 1 - (position - lower), 12) + np.bincount(lower + 1, position - lower, 12)
        parts.append(part / part.sum() / 3)
    return np.concatenate(parts)


def _pictures(rgb: NDArray[np.uint8], crop: Array) -> tuple[NDArray[np.uint8], ...]:
    """The thumbnail, and the crop with which the landmark network confirms the person."""
    upright = np.array([crop[0], crop[1], crop[2], 0.0])
    thumbnail = cut_out(rgb, upright, _THUMBNAIL_PX, cv2.BORDER_CONSTANT)
    return thumbnail, cut_out(rgb, crop, 256, cv2.BORDER_REPLICATE)


def _confirmed(tracks: list[Track], networks: Networks, few: bool) -> list[Track]:
    """Tracks in whose best picture the landmark network, too, sees a person."""
    tracks = [t for t in tracks if t.best is not None and (few or len(t.frames) > 1 or t.best.score > 0.8)]
    if not tracks:
        return []
    images = np.stack([t.best.pictures[1] for t in tracks if t.best is not None]).astype(np.float32) / 255.0
    scores = networks.run(networks.landmarks, images)["presence"].reshape(-1)
    return [track for track, score in zip(tracks, scores, strict=True) if score >= THRESHOLD]


def _people(tracks: list[Track], cuts: list[int], frame_count: int, video: Video) -> list[Person]:
    people: list[dict[str, Any]] = []
    for track in tracks:
        crops = track.crops()
        half = crops[:, 2:3] / (2 * MARGIN)
        limits = np.array([video.info.width, video.info.height], float)
        boxes = np.hstack([np.clip(crops[:, :2] - half, 0, limits), np.clip(crops[:, :2] + half, 0, limits)])
        areas = (boxes[:, 2:] - boxes[:, :2]).prod(1) / limits.prod()
        # Each sample stands for the frames up to the next one, unless the person was away.
        spans = np.minimum(np.diff(track.frames, append=track.frames[-1] + 1), 1.5 * video.info.fps / SAMPLES_PER_S + 1)
        assert track.best is not None
        people.append(
            {
                "share": float(areas @ spans) / frame_count,
                "frames": np.array(track.frames, np.int32),
                "times_s": np.array(track.times_s),
                "shots": np.array(track.shots, np.int32),
                "cuts": tuple(cuts),
                "scores": np.array([d.score for d in track.detections]),
                "crops": crops,
                "boxes_px": boxes,
                "keypoints_px": np.stack([d.keypoints_px for d in track.detections]),
                "thumbnail": track.best.pictures[0],
            }
        )
    people.sort(key=lambda person: -person["share"])
    people = [p for p in people if p["share"] >= MIN_SHARE_OF_BEST * people[0]["share"]]
    return [Person(index=index, **person) for index, person in enumerate(people)]
