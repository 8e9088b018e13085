"""The comparison of detected with true joints, by numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from amr_blender.contract.spaces import intrinsics, project_px
from amr_blender.contract.take import JOINT12_NAMES
from model.body.landmarks import LANDMARK_NAMES
from model.detect import Landmarks
from model.detect.landmarks import OTHER_SIDE
from model.synth.clips.detector_check import histograms, summary
from model.synth.clips.detector_errors import JOINTS, Seen, compare, looking_at, person_axes

K = intrinsics(500.0, 640, 360)
SHOWN = np.ones((3, 33), bool)


def points(frames: int = 3) -> np.ndarray:
    """(T, 33, 3) somebody 4 m away who faces the camera, left and right half a metre apart."""
    rng = np.random.default_rng(0)
    found = rng.uniform(-0.1, 0.1, (frames, 33, 3)) + [0, 0, 4.0]
    found[..., 0] += np.where([name.startswith("l_") for name in LANDMARK_NAMES], 0.25, -0.25)
    found[..., 1] += np.where([name.endswith("shoulder") for name in LANDMARK_NAMES], -0.5, 0)
    found[..., 2] = 4.0
    return found


def landmarks(px: np.ndarray, frames: list[int], world_m: np.ndarray | None = None) -> Landmarks:
    count = len(frames)
    ones = np.ones((count, 33), np.float32)
    world = np.zeros((count, 33, 3)) if world_m is None else world_m[frames]
    return Landmarks(
        np.array(frames, np.int32), np.array(frames) / 30.0, np.ones(count, bool), px[frames].astype(np.float32), ones,
        ones, np.ones(count, np.float32), world.astype(np.float32), (640, 360),
    )  # fmt: skip


def compared(px: np.ndarray, frames: list[int], shown: np.ndarray = SHOWN) -> Seen:
    return compare(landmarks(px, frames, points()), points(), K, 1.6, shown, 30.0)


def test_joints_are_in_the_takes_order() -> None:
    assert [LANDMARK_NAMES[index] for index in JOINTS] == list(JOINT12_NAMES)


def test_errors_are_percent_of_the_height() -> None:
    px = project_px(points(), K) + [5.0, 0.0]  # at 4 m and 500 px, 5 px are 4 cm: 2.5 % of 1.6 m
    seen = compared(px, [0, 1, 2])
    assert seen.found.all()
    assert not seen.exchanged.any()
    assert np.allclose(seen.errors, [2.5, 0.0], atol=1e-4)
    assert summary([seen])["error_mean_percent"] == pytest.approx(2.5, abs=1e-4)


def test_exchanged_sides_are_counted_and_left_out() -> None:
    px = project_px(points(), K)
    px[1] = px[1, OTHER_SIDE]
    seen = compared(px, [0, 1, 2])
    assert seen.exchanged.tolist() == [False, True, False]
    assert np.isnan(seen.errors[1]).all()
    assert np.abs(seen.errors[[0, 2]]).max() < 1e-3


def test_frames_without_anybody_and_hidden_joints_do_not_count() -> None:
    shown = SHOWN.copy()
    shown[:, JOINTS[0]] = False
    px = project_px(points(), K)
    seen = compared(px, [0, 2], shown)
    assert seen.found.tolist() == [True, False, True]
    assert np.isnan(seen.counted[1]).all()
    assert np.isnan(seen.counted[:, 0]).all()
    assert np.isfinite(seen.errors[0, JOINTS[0]]).all()
    assert summary([seen])["found_share"] == pytest.approx(2 / 3)
    assert not compare(None, points(), K, 1.6, shown, 30.0).found.any()


def test_the_persons_own_axes_and_how_they_look() -> None:
    seen = compared(project_px(points(), K), [0, 1, 2])
    left, up, forward = person_axes(points())[0]
    assert left[0] > 0.9
    assert up[1] < -0.9
    assert forward[2] < -0.9
    assert (seen.facing_deg < 30).all()
    moved = points() + 0.001 * up
    change = (project_px(moved, K) - project_px(points(), K))[0] * 4.0 / 500.0 / 0.001
    assert np.allclose(seen.axes[0, :, 1], change, atol=2e-3)


def test_errors_in_3d_are_those_of_a_camera_that_looks_at_the_hips() -> None:
    hips = points()[:, [LANDMARK_NAMES.index("l_hip"), LANDMARK_NAMES.index("r_hip")]].mean(1)
    turn = looking_at(hips)
    assert np.allclose((turn @ hips[..., None])[..., 0], np.linalg.norm(hips, axis=1)[:, None] * [0, 0, 1])
    assert np.allclose(turn @ turn.swapaxes(1, 2), np.eye(3))
    world = (points() - hips[:, None]) @ turn.swapaxes(1, 2) / 1.25
    nose = LANDMARK_NAMES.index("nose")
    world[:, nose, 1] += 0.04  # down
    seen = compare(landmarks(project_px(points(), K), [0, 1, 2], world), points(), K, 1.6, SHOWN, 30.0)
    assert seen.world_scale == pytest.approx(1.25, abs=1e-4)
    assert np.allclose(seen.world_mm[:, nose], [0, -50, 0], atol=0.1)
    assert np.allclose(np.delete(seen.world_mm, nose, 1), 0, atol=0.1)


def test_at_half_the_rate_every_frame_is_there_once() -> None:
    seen = compared(project_px(points(), K) + np.arange(3)[:, None, None], [0, 1, 2])
    even, odd = seen.every_other()
    assert even.fps == odd.fps == 15.0
    assert np.array_equal(even.errors, seen.errors[::2])
    assert np.array_equal(odd.errors, seen.errors[1::2])


def test_histograms_of_different_errors_look_different() -> None:
    near, far = (compared(project_px(points(), K) + [px, 0], [0, 1, 2]) for px in (1.0, 6.0))
    same, other = histograms({"a": [near], "b": [near]}), histograms({"a": [near], "b": [far]})
    assert same.shape == other.shape
    assert (same != other).any()
