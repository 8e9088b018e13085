"""The comparison of detected with true joints, by numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from amr_blender.contract.spaces import intrinsics, project_px
from amr_blender.contract.take import JOINT12_NAMES
from model.body.landmarks import LANDMARK_NAMES
from model.detect import Landmarks
from model.synth.clips.detector_check import JOINTS, compare, summary

K = intrinsics(500.0, 640, 360)


def joints(frames: int = 3) -> np.ndarray:
    """(T, 12, 3) somebody 4 m away, left and right half a metre apart."""
    rng = np.random.default_rng(0)
    points = rng.uniform(-0.1, 0.1, (frames, 12, 3)) + [0, 0, 4.0]
    points[..., 0] += np.where([name.startswith("l") for name in JOINT12_NAMES], 0.25, -0.25)
    points[..., 2] = 4.0
    return points


def landmarks(px: np.ndarray, frames: list[int]) -> Landmarks:
    count = len(frames)
    every = np.full((count, 33, 2), np.nan, np.float32)
    every[:, JOINTS] = px[frames]
    ones = np.ones((count, 33), np.float32)
    return Landmarks(
        np.array(frames, np.int32), np.array(frames) / 30.0, np.ones(count, bool), every, ones, ones,
        np.ones(count, np.float32), np.zeros((count, 33, 3), np.float32), (640, 360),
    )  # fmt: skip


def test_joints_are_in_the_takes_order() -> None:
    assert [LANDMARK_NAMES[index] for index in JOINTS] == list(JOINT12_NAMES)


def test_errors_are_percent_of_the_height() -> None:
    truth = joints()
    px = project_px(truth, K) + [5.0, 0.0]  # at 4 m and 500 px, 5 px are 4 cm: 2.5 % of 1.6 m
    seen = compare(landmarks(px, [0, 1, 2]), truth, K, 1.6, np.ones((3, 12), bool))
    assert seen.found.all()
    assert not seen.exchanged.any()
    assert np.allclose(seen.errors, [2.5, 0.0], atol=1e-4)
    assert summary([seen])["error_mean_percent"] == pytest.approx(2.5, abs=1e-4)


def test_exchanged_sides_are_counted_and_left_out() -> None:
    truth = joints()
    other = [JOINT12_NAMES.index(("l" if name[0] == "r" else "r") + name[1:]) for name in JOINT12_NAMES]
    px = project_px(truth, K)
    px[1] = px[1, other]
    seen = compare(landmarks(px, [0, 1, 2]), truth, K, 1.6, np.ones((3, 12), bool))
    assert seen.exchanged.tolist() == [False, True, False]
    assert np.isnan(seen.errors[1]).all()
    assert np.abs(seen.errors[[0, 2]]).max() < 1e-3


def test_frames_without_anybody_and_hidden_joints_do_not_count() -> None:
    truth, shown = joints(), np.ones((3, 12), bool)
    shown[:, 0] = False
    seen = compare(landmarks(project_px(truth, K), [0, 2]), truth, K, 1.6, shown)
    assert seen.found.tolist() == [True, False, True]
    assert np.isnan(seen.errors[1]).all()
    assert np.isnan(seen.errors[:, 0]).all()
    assert summary([seen])["found_share"] == pytest.approx(2 / 3)
    assert not compare(None, truth, K, 1.6, shown).found.any()
