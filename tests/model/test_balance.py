"""Accuracy on real footage with multi-camera truth: the balance clips, camera unknown to the program."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from amr_blender.contract.job import Job
from amr_blender.contract.take import load
from model.pipeline import reconstruct

CLIPS = Path(__file__).resolve().parents[3] / "shared" / "clips"
pytestmark = pytest.mark.skipif(
    not (CLIPS / "score_balance.py").is_file(), reason="the clips with 3D truth (../shared/clips) are not here"
)


@pytest.fixture(scope="module")
def scores(tmp_path_factory):
    spec = importlib.util.spec_from_file_location("score_balance", CLIPS / "score_balance.py")
    judge = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(judge)
    folder = tmp_path_factory.mktemp("balance")
    results = {}
    for camera in ("cam1", "cam3"):
        out = folder / f"{camera}.npz"
        reconstruct(Job(video=str(CLIPS / f"balance_{camera}.mp4"), out=str(out)))
        take = load(out)
        results[camera] = judge.score(camera, take.frames, take.joints12_cam_m)
    return results


@pytest.mark.parametrize(
    ("figure", "most"),
    [("mpjpe_mm", 84), ("pa_mpjpe_mm", 64), ("accel_mm_per_frame2", 6), ("root_mm", 68.5), ("foot_speed_mm_s", 480.5)],
)
def test_at_least_equals_the_fit_of_free_joints(scores, figure, most):
    assert np.mean([score[figure] for score in scores.values()]) <= most


def test_nothing_is_missing_and_motion_is_kept(scores):
    for score in scores.values():
        assert score["missing"] == 0
        assert 0.9 < score["limb_speed_ratio"] < 1.15
