"""Accuracy on real footage with multi-camera truth: the balance clips, camera unknown to the program."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from amr_blender.contract.job import Job
from amr_blender.contract.take import load
from model.estimate.take_builder import JOINT12_LANDMARKS
from model.pipeline import reconstruct

CLIPS = Path(__file__).resolve().parents[3] / "shared" / "clips"
pytestmark = pytest.mark.skipif(
    not (CLIPS / "score_balance.py").is_file(), reason="the clips with 3D truth (../shared/clips) are not here"
)


@pytest.fixture(scope="module")
def judge():
    spec = importlib.util.spec_from_file_location("score_balance", CLIPS / "score_balance.py")
    judge = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(judge)
    return judge


@pytest.fixture(scope="module")
def takes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("balance")
    results = {}
    for camera in ("cam1", "cam3"):
        out = folder / f"{camera}.npz"
        reconstruct(Job(video=str(CLIPS / f"balance_{camera}.mp4"), out=str(out)))
        results[camera] = load(out)
    return results


@pytest.fixture(scope="module")
def scores(takes, judge):
    return {camera: judge.score(camera, take.frames, take.joints12_cam_m) for camera, take in takes.items()}


@pytest.mark.parametrize(
    ("figure", "most"),
    [("mpjpe_mm", 68), ("pa_mpjpe_mm", 52), ("accel_mm_per_frame2", 4), ("root_mm", 90), ("foot_speed_mm_s", 150)],
)
def test_is_as_exact_as_promised(scores, figure, most):
    assert np.mean([score[figure] for score in scores.values()]) <= most


def test_the_scene_tells_lens_and_vertical(takes, judge):
    """The room's edges: the focal length to 3 %, up to 1.5 degrees, in both views of tilted cameras."""
    with np.load(judge.TRUTH) as truth:
        for camera, take in takes.items():
            number = truth["camera_names"].tolist().index(camera)
            assert take.meta["focal_source"] == "scene lines"
            assert take.K[0, 0] == pytest.approx(truth["K"][number][0, 0], rel=0.03)
            up = take.camera_to_world[0, 2, :3] @ truth["R"][number][:, 2]
            assert np.degrees(np.arccos(min(up, 1.0))) < 1.5


def test_nothing_is_missing_and_motion_is_kept(scores):
    for score in scores.values():
        assert score["missing"] == 0
        assert 0.9 < score["limb_speed_ratio"] < 1.1


def test_the_confidence_knows_where_the_errors_are(takes, judge):
    """Spearman's rank correlation with the true error: positive, and above that of the detector's own visibility."""
    with np.load(judge.TRUTH) as truth:
        names, cameras = truth["joint_names"].tolist(), truth["camera_names"].tolist()
        index = [names.index(name) for name in judge.JOINTS]
        valid = truth["valid"][:, index].all(1)
        for camera, take in takes.items():
            number = cameras.index(camera)
            true = truth["joints_world_m"][:, index] @ truth["R"][number].T + truth["t"][number]
            error = np.linalg.norm(judge.rooted(take.joints12_cam_m) - judge.rooted(true), axis=-1)[valid]
            own = spearmanr(-take.joint_confidence[valid].ravel(), error.ravel()).statistic
            seen = take.landmark_confidence[:, JOINT12_LANDMARKS][valid]
            assert own > 0.35
            assert own > spearmanr(-seen.ravel(), error.ravel()).statistic
