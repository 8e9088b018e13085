"""A camera that moves is noticed and named; whatever else moves in the picture is not taken for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from model.cache import Cache
from model.detect.camera_motion import CameraMotion, CameraWatch
from model.video import Frame, Video
from tests.model.clips import write_clip
from tests.model.detect.scenery import HEIGHT, WIDTH, Picture, crop_of, noisy, texture, view, with_somebody

FPS = 8.0
COUNT = 24
PLACE = texture(0)
STEPS = np.arange(COUNT) / (COUNT - 1)


def watched(
    pictures: Sequence[Picture], crops: Sequence[Sequence[float]] | None = None, shots: Sequence[int] | None = None
) -> CameraMotion:
    """Every picture a sample, with sensor noise; ``crops`` of one person each."""
    watch, random = CameraWatch(), np.random.default_rng(1)
    for index, picture in enumerate(pictures):
        found = np.empty((0, 4)) if crops is None else np.array([crops[index]])
        watch.add(0 if shots is None else shots[index], Frame(index, index / FPS, noisy(picture, random)), found)
    return watch.motion()


def shake(times_s: NDArray[np.float64], strength_px: float) -> NDArray[np.float64]:
    """(N, 2) the wobble of a hand."""
    x = np.sin(2 * np.pi * 1.3 * times_s) + 0.6 * np.sin(2 * np.pi * 2.9 * times_s + 1)
    y = np.cos(2 * np.pi * 1.7 * times_s) + 0.5 * np.sin(2 * np.pi * 2.3 * times_s)
    return strength_px * np.stack([x, y], -1)


def test_a_static_camera_is_still() -> None:
    motion = watched([view(PLACE)] * COUNT)
    assert (motion.verdict, motion.kind, motion.known_share) == ("still", "", 1.0)
    assert motion.largest_shift < 0.0005
    assert motion.warning(followed=False) is None


@pytest.mark.parametrize("distance", [0.01, 0.1, 0.8])
def test_a_pan_is_measured(distance: float) -> None:
    motion = watched([view(PLACE, 180 - distance * WIDTH * part, 20 * part) for part in STEPS])
    assert (motion.verdict, motion.kind) == ("moves", "pan")
    assert motion.largest_shift == pytest.approx(np.hypot(distance, 20 / WIDTH), rel=0.01)
    np.testing.assert_allclose(motion.shift, np.outer(STEPS, [-distance, 20 / WIDTH]), atol=0.001)


def test_there_and_back_leaves_no_drift() -> None:
    motion = watched([view(PLACE, -300 * np.sin(np.pi * part)) for part in STEPS])
    assert motion.largest_shift == pytest.approx(300 / WIDTH, rel=0.02)
    assert np.abs(motion.shift[-1]).max() < 0.0005


def test_zoom_and_roll_are_told_apart() -> None:
    zoomed = watched([view(PLACE, zoom=1 + 0.15 * part) for part in STEPS])
    assert (zoomed.verdict, zoomed.kind) == ("moves", "zoom")
    assert zoomed.zoom[-1] == pytest.approx(1.15, abs=0.002)
    rolled = watched([view(PLACE, roll_rad=0.05 * part) for part in STEPS])
    assert (rolled.verdict, rolled.kind) == ("moves", "roll")
    assert rolled.roll_rad[-1] == pytest.approx(0.05, abs=0.001)
    assert rolled.zoom == pytest.approx(1.0, abs=0.002)


def test_a_hand_shakes() -> None:
    motion = watched([view(PLACE, *wobble) for wobble in shake(np.arange(COUNT) / FPS, 4.0)])
    assert (motion.verdict, motion.kind) == ("moves", "shake")
    warning = motion.warning(followed=False)
    assert warning is not None and "The camera shakes" in warning["message"]
    followed = motion.warning(followed=True)
    assert followed is not None and followed["code"] == "camera-turns" and "The camera shakes" in followed["message"]
    wobble = shake(np.arange(COUNT) / FPS, 4.0 / WIDTH)
    widest = np.linalg.norm(wobble[:, None] - wobble, axis=-1).max()
    assert motion.largest_shift == pytest.approx(widest, rel=0.1)


def test_the_worst_second_is_named() -> None:
    where = np.concatenate([np.zeros(10), np.linspace(0, 40.3, 9), np.full(12, 40.3)])
    motion = watched([view(PLACE, x) for x in where])
    assert motion.worst_frames == (10, 18)
    warning = motion.warning(followed=False)
    assert warning is not None and warning["code"] == "camera-moves"
    assert "6.3 % of its longer side" in warning["message"] and "frames 10 to 18" in warning["message"]
    assert motion.meta()["frames"] == [10, 18]


# What moves in the picture is not the camera


@pytest.mark.parametrize("width", [180, 250])
def test_a_passer_by_whom_nobody_detected(width: int) -> None:
    motion = watched([with_somebody(view(PLACE), -150 + 40 * k, width, 360) for k in range(COUNT)])
    assert motion.verdict == "still" and motion.largest_shift < 0.001


def test_a_person_who_fills_most_of_the_picture() -> None:
    places = 320 + 50 * np.sin(np.arange(COUNT) / 3)
    pictures = [with_somebody(view(PLACE), x, 380, 360) for x in places]
    motion = watched(pictures, [[x, HEIGHT / 2, 1.25 * 800, 0.0] for x in places])
    assert motion.verdict != "moves"


def test_the_only_texture_is_a_person_before_a_wall() -> None:
    wall = np.full((HEIGHT, WIDTH, 3), 150, np.uint8)
    places = 100.0 + 15 * np.arange(COUNT)
    pictures = [with_somebody(wall, x, 180) for x in places]
    for crops in (None, [crop_of(x) for x in places]):
        assert watched(pictures, crops).verdict == "unknown"


def test_one_sample_misjudged_is_no_motion() -> None:
    """The whole picture jumps once and is back at the next sample."""
    jump = [view(PLACE, 30.0 if k == 11 else 0.0) for k in range(COUNT)]
    assert watched(jump).verdict == "still"
    assert watched([*jump[:12], *[view(PLACE, 30.0)] * 12]).verdict == "moves", "unless it stays there"


def test_a_wall_without_texture_tells_nothing() -> None:
    motion = watched([np.full((HEIGHT, WIDTH, 3), 150, np.uint8)] * COUNT)
    assert (motion.verdict, motion.known_share) == ("unknown", 0.0)
    assert motion.warning(followed=False) is None
    assert np.isnan(motion.matrices_px(np.arange(COUNT))).all()


@pytest.mark.parametrize("detected", [True, False])
def test_a_camera_that_follows_somebody(detected: bool) -> None:
    """Who stays in the middle of the picture is no evidence that the camera stands still."""
    pictures = [with_somebody(view(PLACE, -8.0 * k), 320, 180) for k in range(COUNT)]
    motion = watched(pictures, [crop_of(320)] * COUNT if detected else None)
    assert (motion.verdict, motion.kind) == ("moves", "pan")
    assert motion.largest_shift == pytest.approx(8 * (COUNT - 1) / WIDTH, rel=0.02)


def test_letters_burnt_into_the_picture_do_not_stand_for_the_camera() -> None:
    pictures = [view(PLACE, -64 * part) for part in STEPS]
    for picture in pictures:
        picture[20:60, 500:620] = PLACE[:40, :120]
    assert watched(pictures).verdict == "moves"


def test_light_that_changes() -> None:
    pictures = [(view(PLACE) * gain).astype(np.uint8) for gain in np.linspace(0.7, 1.0, COUNT)]
    assert watched(pictures).verdict == "still"


def test_noise_does_not_add_up() -> None:
    """Somebody crosses again and again, and hides half of the picture each time."""
    pictures = [with_somebody(view(PLACE), (60 * k) % 1200 - 200, 300, 360) for k in range(100)]
    motion = watched(pictures)
    assert motion.verdict == "still" and motion.largest_shift < 0.001


def test_a_compressed_clip(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    path = write_clip(tmp_path / "a.mp4", [noisy(view(PLACE), random) for _ in range(30)], fps=FPS)
    watch = CameraWatch()
    for frame in Video(path).frames():
        watch.add(0, frame, np.empty((0, 4)))
    assert watch.motion().verdict == "still"


# Cuts and gaps


@pytest.mark.parametrize("told", [True, False])
def test_a_cut_is_no_motion(told: bool) -> None:
    pictures = [view(PLACE)] * 12 + [view(texture(9))] * 12
    motion = watched(pictures, shots=[0] * 12 + [1] * 12 if told else None)
    assert motion.verdict == "still"
    assert motion.stretches.max() == 1
    if told:
        assert motion.known.all()


def test_a_second_shot_is_told_against_its_own_first_picture() -> None:
    pictures = [view(PLACE)] * 12 + [view(texture(9), 5.0 * k) for k in range(12)]
    motion = watched(pictures, shots=[0] * 12 + [1] * 12)
    assert motion.verdict == "moves" and motion.worst_frames[0] >= 12
    np.testing.assert_allclose(motion.shift[12:, 0], 5 * np.arange(12) / WIDTH, atol=0.001)


@pytest.mark.parametrize("size", [(16, 16), (48, 64)])
def test_tiny_pictures(size: tuple[int, int]) -> None:
    watch = CameraWatch()
    for index in range(5):
        watch.add(0, Frame(index, index / FPS, np.zeros((*size, 3), np.uint8)), np.empty((0, 4)))
    assert watch.motion().verdict == "unknown"


def test_one_picture_is_still() -> None:
    assert watched([view(PLACE)]).verdict == "still"


# For later stages


def test_matrices_take_the_first_picture_to_each_frame() -> None:
    """Samples at every third frame; a point of the place is followed through all frames."""
    watch = CameraWatch()
    frames = np.arange(0, 31, 3)
    for frame in frames:
        rgb = view(PLACE, 2.0 * frame, -1.0 * frame, 1 + 0.003 * frame, 0.002 * frame)
        watch.add(0, Frame(int(frame), frame / 24, rgb), np.empty((0, 4)))
    matrices = watch.motion().matrices_px(np.arange(33))
    assert np.isnan(matrices[31:]).all(), "behind the last sample"
    middle, point = np.array([WIDTH, HEIGHT]) / 2, np.array([100.0, 300.0])
    for frame in (0, 10, 17, 30):
        angle, zoom = 0.002 * frame, 1 + 0.003 * frame
        turn = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        wanted = turn @ (point - middle) + middle + [2.0 * frame, -1.0 * frame]
        np.testing.assert_allclose(matrices[frame] @ [*point, 1.0], wanted, atol=0.6)


def test_matrices_end_where_a_shot_ends() -> None:
    watch = CameraWatch()
    for index, (shot, place) in enumerate([(0, PLACE)] * 4 + [(1, texture(9))] * 4):
        watch.add(shot, Frame(10 * index, 10 * index / 80, view(place)), np.empty((0, 4)))
    known = np.isfinite(watch.motion().matrices_px(np.arange(75))).all((1, 2))
    assert np.flatnonzero(~known).tolist() == [*range(31, 40), *range(71, 75)]


def test_survives_the_cache(tmp_path: Path) -> None:
    motion = watched([view(PLACE, 3.0 * k) for k in range(8)])
    cache = Cache(str(tmp_path), lambda code, message: pytest.fail(message))
    cache.keep_records("people", "0" * 32, [motion])
    (again,) = cache.records("people", "0" * 32, CameraMotion) or []
    assert again.meta() == motion.meta() and again.warning(followed=False) == motion.warning(followed=False)
    np.testing.assert_array_equal(again.matrices_px(np.arange(8)), motion.matrices_px(np.arange(8)))
