"""A hand that trembles faster than people are looked for."""

from __future__ import annotations

import numpy as np
import pytest

from model.detect.camera_motion import CameraMotion, CameraWatch
from model.detect.camera_path import follow_camera
from model.detect.people import Person
from model.video import Video
from tests.model.clips import write_clip
from tests.model.detect.scenery import HEIGHT, WIDTH, crop_of, texture, view, with_somebody

FPS, COUNT, EVERY = 24.0, 36, 3
T = np.arange(COUNT) / FPS
SHAKE_PX = np.column_stack([7 * np.sin(2 * np.pi * 3.1 * T), 5 * np.cos(2 * np.pi * 2.7 * T)])
WALK_PX = 200 + 5.0 * np.arange(COUNT)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Video:
    """Somebody walks through a picture that trembles."""
    place = texture(0)
    pictures = [with_somebody(view(place, *shake), x, 120) for shake, x in zip(SHAKE_PX, WALK_PX, strict=True)]
    return Video(write_clip(tmp_path_factory.mktemp("clips") / "hand.mp4", pictures, FPS))


def somebody(cuts: tuple[int, ...] = ()) -> Person:
    frames = np.arange(0, COUNT, EVERY, dtype=np.int32)
    crops, none = np.array([crop_of(x) for x in WALK_PX[::EVERY]]), np.zeros(len(frames))
    square = np.zeros((len(frames), 4))
    thumbnail = np.zeros((8, 8, 3), np.uint8)
    shots = none.astype(np.int32)
    return Person(0, 0.3, frames, T[::EVERY], shots, cuts, none + 1, crops, square, none[:, None, None], thumbnail)


def sampled(video: Video) -> CameraMotion:
    """As people are looked for."""
    watch = CameraWatch()
    for frame in video.frames():
        if frame.index % EVERY == 0:
            watch.add(0, frame, np.array([crop_of(WALK_PX[frame.index])]))
    return watch.motion()


def off_px(motion: CameraMotion) -> float:
    """How far the picture's middle is from where it was moved to, against the first picture; root mean square."""
    matrices = motion.matrices_px(np.arange(COUNT - EVERY + 1))
    middle = np.array([WIDTH, HEIGHT]) / 2
    moved = matrices[..., :2] @ middle + matrices[..., 2] - middle
    wanted = (SHAKE_PX - SHAKE_PX[0])[: len(moved)]
    return float(np.sqrt(np.square(moved - wanted).sum(1).mean()))


def test_every_frame_is_followed(clip: Video) -> None:
    heard: list[tuple[str, int, int]] = []
    seen = sampled(clip)
    motion = follow_camera(clip, (0, None), [somebody()], seen, lambda *told: heard.append(told))
    assert len(motion.frames) == COUNT
    assert motion.verdict == "moves"
    assert off_px(motion) < 0.5 < 1.5 < off_px(seen)
    assert heard[-1] == ("camera", COUNT, COUNT)


def test_what_is_lost_in_between_is_not_followed(clip: Video) -> None:
    """With a shot that begins anew in the middle, the samples tell more than all frames."""
    seen = sampled(clip)
    assert follow_camera(clip, (0, None), [somebody(cuts=(18,))], seen, lambda *_: None) is seen
