"""From presentation times to whole scene frames."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from amr_blender.contract.errors import SceneError
from amr_blender.scene.sampling import sample
from amr_blender.scene.timing import StripTiming, timing_without_strip

from .take_factory import make_take

STRAIGHT = StripTiming(1, 30, 1.0, 1.0, 29, 30.0)


def test_same_rate_takes_frames_as_they_are() -> None:
    take = make_take(30)
    motion = sample(take, STRAIGHT, 30.0)
    np.testing.assert_array_equal(motion.frames, np.arange(1, 31))
    np.testing.assert_allclose(motion.rotations, take.rotations, atol=1e-6)
    np.testing.assert_array_equal(motion.translation_m, take.translation_m)


def test_ntsc_rate_is_not_smeared() -> None:
    """1001/30000 s has no exact float; frames must still be taken whole."""
    take = make_take(300, fps=30000 / 1001)
    motion = sample(take, StripTiming(1, 300, 1.0, 1.0, 299, 29.970029830932617), 29.97)
    np.testing.assert_array_equal(motion.translation_m, take.translation_m)


def test_variable_rate_is_interpolated_by_time() -> None:
    take = make_take(4)
    take.time_s = np.array([0.0, 0.1, 0.2, 0.6])
    motion = sample(take, StripTiming(1, 7, 1.0, 1.0, 6, 10.0), 10.0)
    x = take.translation_m[:, 0]
    np.testing.assert_allclose(
        motion.translation_m[:, 0], np.interp(np.arange(7) / 10, take.time_s, x), rtol=0, atol=1e-6
    )


def test_backwards() -> None:
    take = make_take(30)
    motion = sample(take, dataclasses.replace(STRAIGHT, origin=30.0, reverse=True), 30.0)
    np.testing.assert_allclose(motion.translation_m, take.translation_m[::-1], atol=1e-6)
    assert ((motion.rotations[1:] * motion.rotations[:-1]).sum(-1) > 0).all()


def test_part_of_a_take_and_beyond_it() -> None:
    """A take of source frames 10 to 19 under a strip that shows 0 to 29: its ends are held."""
    take = make_take(10, first_frame=10)
    motion = sample(take, STRAIGHT, 30.0)
    np.testing.assert_array_equal(motion.translation_m[10:20], take.translation_m)
    np.testing.assert_array_equal(motion.translation_m[:10], np.tile(take.translation_m[0], (10, 1)))


def test_gaps() -> None:
    """Empty stretches at both ends, a short one and a long one between; one that is filled in."""
    take = make_take(60, gaps=((0, 3), (10, 24), (30, 46), (50, 60)), filled=((26, 28),))
    motion = sample(take, StripTiming(101, 160, 101.0, 1.0, 59, 30.0), 30.0)
    assert motion.frames.tolist() == [101 + f for f in range(60) if take.posed[f]]
    assert motion.empty == [(101, 103), (111, 124), (131, 146), (151, 160)]
    assert motion.hidden == [(131, 146)]  # only one lasts longer than half a second
    assert motion.frames[motion.marks.filled].tolist() == [127, 128]
    assert motion.frames[motion.marks.held].tolist() == [110, 130]
    assert len(motion.camera_frames) == 60


def test_what_an_empty_frame_holds_has_no_say() -> None:
    take = make_take(20, gaps=((5, 12),))
    take.translation_m[5:12] = 1000.0
    motion = sample(take, StripTiming(1, 40, 1.0, 0.5, 19, 30.0), 60.0)
    assert np.abs(motion.translation_m).max() < 10


def test_filled_frames_are_mixed_like_seen_ones() -> None:
    take, seen = make_take(20, filled=((5, 8),)), make_take(20)
    timing = StripTiming(1, 39, 1.0, 0.5, 19, 30.0)
    motion, plain = sample(take, timing, 60.0), sample(seen, timing, 60.0)
    np.testing.assert_array_equal(motion.frames, plain.frames)
    np.testing.assert_array_equal(motion.translation_m, plain.translation_m)
    assert motion.empty == [] and not motion.marks.held.any()
    # Scene frame 1 + 2 f shows take frame f; halfway between two frames the later one counts.
    assert motion.frames[motion.marks.filled].tolist() == list(range(10, 16))


def test_nobody() -> None:
    take = make_take(6)
    take.present[:] = False
    with pytest.raises(SceneError) as caught:
        sample(take, STRAIGHT, 30.0)
    assert caught.value.code == "person-not-in-strip"


@pytest.mark.parametrize("frames", [1, 2])
def test_very_short(frames: int) -> None:
    motion = sample(make_take(frames), STRAIGHT, 30.0)
    assert len(motion.frames) == 30


@pytest.mark.parametrize(
    ("source_fps", "scene_fps", "count", "end"), [(30, 30, 31, 40), (30, 60, 31, 70), (60, 24, 61, 34), (25, 24, 1, 10)]
)
def test_timing_without_strip(source_fps: float, scene_fps: float, count: int, end: int) -> None:
    timing = timing_without_strip(np.arange(50, 50 + count) / source_fps, source_fps, scene_fps, 10)
    assert (timing.scene_start, timing.scene_end) == (10, end)
    assert timing.source_frame_at(10) == pytest.approx(50)
    assert timing.source_range()[0] == 50
    seconds = np.diff(timing.source_time_at(timing.scene_frames))
    np.testing.assert_allclose(seconds, 1 / scene_fps, atol=1e-9)


@pytest.mark.parametrize(
    "wrong", [{"rate": 0.0}, {"rate": float("nan")}, {"source_fps": -1.0}, {"scene_end": 0}, {"index_max": -1}]
)
def test_impossible_timing(wrong: dict[str, float]) -> None:
    with pytest.raises(SceneError):
        dataclasses.replace(STRAIGHT, **wrong)
