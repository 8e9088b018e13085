"""Joint metrics against values computed by hand, and all of them against the scorer of the balance clips."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model.evaluate import metrics
from model.evaluate.motion import Motion, nothing
from model.evaluate.score import METRICS
from model.evaluate.suites import balance_truth
from tests.model.evaluate.people import R_ANKLE, R_ELBOW, R_WRIST, along_x, moved, still

CLIPS = Path(__file__).resolve().parents[4] / "shared" / "clips"
COUNT = np.arange(8.0)


def turn_z(degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def cross(width: float, height: float) -> Motion:
    """Three joints at each end of a cross about the hips, which are the ends of its width."""
    ends = np.array([[-width, 0, 0], [width, 0, 0], [0, -height, 0], [0, height, 0]])
    order = [2, 2, 0, 1, 3, 3, 2, 3, 0, 1, 0, 1]  # hips (2 and 3) left and right; each end three times
    return Motion(10.0, np.repeat(ends[order][None], 2, 0))


def test_mpjpe_is_the_mean_over_joints_whatever_the_place() -> None:
    truth = still()
    wrong = moved(truth, R_WRIST, np.array([0.0, 0.0, 24.0]))
    assert metrics.mpjpe_mm(truth, wrong).value() == pytest.approx(24 / 12)
    elsewhere = replace(wrong, joints12_cam_m=wrong.joints12_cam_m + [0.3, -1.0, 2.0])
    assert metrics.mpjpe_mm(truth, elsewhere).value() == pytest.approx(2)


def test_mpjpe_of_some_frames_alone() -> None:
    truth = still()
    errors = metrics.mpjpe_mm(truth, moved(truth, R_WRIST, along_x(12 * COUNT)))
    assert errors.value(COUNT >= 6) == pytest.approx(6.5)
    assert np.isnan(errors.value(COUNT > 99))


def test_pa_mpjpe_forgives_turn_scale_and_place_but_no_mirror() -> None:
    truth = moved(still(), R_WRIST, np.array([0.0, 40.0, 300.0]))
    turned = replace(truth, joints12_cam_m=1.3 * truth.joints12_cam_m @ turn_z(70).T + [1.0, 2.0, 3.0])
    assert metrics.pa_mpjpe_mm(truth, turned).value() == pytest.approx(0, abs=1e-6)
    mirrored = replace(truth, joints12_cam_m=truth.joints12_cam_m * [1, 1, -1])
    assert metrics.pa_mpjpe_mm(truth, mirrored).value() > 5


def test_best_scale_by_hand() -> None:
    """Width right, height half: the best scale is (1 + 0.5) / (1 + 0.25) = 1.2, which leaves 200 and 400 mm."""
    truth, flat = cross(1.0, 1.0), cross(1.0, 0.5)
    assert metrics.pa_mpjpe_mm(truth, flat).value() == pytest.approx(300)
    assert metrics.n_mpjpe_mm(truth, flat).value() == pytest.approx(300)
    assert metrics.mpjpe_mm(truth, flat).value() == pytest.approx(250)


def test_n_mpjpe_does_not_forgive_a_turn() -> None:
    truth = still()
    turned = replace(truth, joints12_cam_m=truth.joints12_cam_m @ turn_z(90).T)
    assert metrics.n_mpjpe_mm(truth, turned).value() > 300
    doubled = replace(truth, joints12_cam_m=2 * truth.joints12_cam_m)
    assert metrics.n_mpjpe_mm(truth, doubled).value() == pytest.approx(0, abs=1e-9)


def test_acceleration_error() -> None:
    truth = still()
    fast = moved(truth, R_WRIST, along_x(COUNT**2))  # second differences of 2 mm
    error = metrics.accel_mm_per_frame2(truth, fast)
    assert error.value() == pytest.approx(2 / 12)
    assert error.weight.tolist() == [0, *[12] * 6, 0]


def test_jitter_is_the_third_derivative() -> None:
    """x = t^3 mm at 10 frames a second: 6 mm/frame^3 are 6 m/s^3, 0.6 of the unit, in one joint of twelve."""
    truth = still()
    assert metrics.jitter(truth, moved(truth, R_WRIST, along_x(COUNT**3))).value() == pytest.approx(0.6 / 12)
    assert metrics.jitter(truth, moved(truth, R_WRIST, along_x(COUNT**2))).value() == pytest.approx(0, abs=1e-9)


def test_limb_speed_ratio() -> None:
    truth = moved(still(), R_WRIST, along_x(8 * COUNT))
    half = moved(still(), R_WRIST, along_x(4 * COUNT))
    assert metrics.limb_speed_ratio(truth, half).value() == pytest.approx(0.5)
    assert metrics.limb_speed_ratio(truth, still()).value() == 0


def test_root_path() -> None:
    walk = along_x(10 * COUNT)[:, None] / 1000
    truth = replace(still(), joints12_cam_m=still().joints12_cam_m + walk)
    twice = replace(still(), joints12_cam_m=still().joints12_cam_m + 2 * walk + [5.0, 0, 0])
    assert metrics.root_mm(truth, twice).value() == pytest.approx(35)  # mean of 0, 10, ... 70
    assert metrics.root_scaled_mm(truth, twice).value() == pytest.approx(0, abs=1e-6)


def test_paths_begin_at_the_first_frame_that_both_know() -> None:
    truth, estimate = still(), still()
    estimate.joints12_cam_m[0] += 1.0
    estimate.joints12_cam_m[0, 3] = np.nan
    assert metrics.root_mm(truth, estimate).value() == pytest.approx(0, abs=1e-9)


def test_foot_speed_counts_standing_feet_alone() -> None:
    standing = np.zeros((8, 2), bool)
    standing[2:5, 1] = True  # the right foot
    truth = replace(still(), standing=standing)
    sliding = moved(truth, R_ANKLE, along_x(3 * COUNT))
    assert metrics.foot_speed_mm_s(truth, sliding).value() == pytest.approx(30)
    other_foot = moved(truth, 5, along_x(3 * COUNT))
    assert metrics.foot_speed_mm_s(truth, other_foot).value() == 0
    assert metrics.foot_speed_mm_s(still(), sliding) is None


def test_foot_speed_under_a_moving_camera() -> None:
    """The camera moves with the person: what stands still in the picture slides over the ground."""
    cameras = np.repeat(np.eye(4)[None], 8, 0)
    cameras[:, :3, 3] = along_x(COUNT) / 1000
    truth = replace(still(), standing=np.ones((8, 2), bool), camera_to_world=cameras)
    assert metrics.foot_speed_mm_s(truth, truth).value() == pytest.approx(10)


def test_contacts() -> None:
    true = np.zeros((4, 4))
    true[:, 0] = 1
    claimed = np.zeros((4, 4))
    claimed[:2, 0] = 0.9
    claimed[0, 3] = 0.6
    truth, estimate = replace(still(4), contacts=true), replace(still(4), contacts=claimed)
    assert metrics.contact_recall(truth, estimate).value() == pytest.approx(2 / 4)
    assert metrics.contact_precision(truth, estimate).value() == pytest.approx(2 / 3)
    assert metrics.contact_recall(truth, still(4)) is None
    assert metrics.contact_precision(still(4), estimate) is None


def test_bone_length_change() -> None:
    stretching = moved(still(), R_WRIST, along_x(5 * (-1) ** COUNT))  # the forearm is 5 mm too long, too short, ...
    assert metrics.bone_length_mm(still(), stretching).value() == pytest.approx(5 / len(metrics.BONES))
    taller = replace(still(), joints12_cam_m=1.2 * still().joints12_cam_m)
    assert metrics.bone_length_mm(still(), taller).value() == pytest.approx(0, abs=1e-9)


def test_joint_angle() -> None:
    """The forearm turned by 30 degrees about the elbow: one angle of eight."""
    truth = still()
    bent = truth.joints12_cam_m.copy()
    elbow = bent[:, R_ELBOW]
    bent[:, R_WRIST] = (bent[:, R_WRIST] - elbow) @ turn_z(30).T + elbow
    assert metrics.joint_angle_deg(truth, replace(truth, joints12_cam_m=bent)).value() == pytest.approx(30 / 8)


def test_orientation() -> None:
    upright = np.tile(np.eye(3), (8, 14, 1, 1))
    head_turned, all_turned = upright.copy(), upright @ turn_z(170)
    head_turned[:, 1] = turn_z(0.001)
    truth = replace(still(), orientations_cam=upright)
    whole = replace(still(), orientations_cam=all_turned)
    head = replace(still(), orientations_cam=head_turned)
    assert metrics.orientation_deg(truth, whole).value() == pytest.approx(170)
    assert metrics.head_deg(truth, head).value() == pytest.approx(0.001)
    assert metrics.orientation_deg(truth, head).value() == pytest.approx(0.001 / 14)
    assert metrics.feet_deg(truth, head).value() == 0
    assert metrics.orientation_deg(truth, still()) is None


def test_reprojection() -> None:
    """10 mm at 2 m through 1000 pixels: 5 pixels, in one joint of twelve; the lens's distortion is the truth's own."""
    truth = still()
    wrong = moved(truth, R_WRIST, np.array([10.0, 0, 0]))
    assert metrics.reprojection_px(truth, wrong).value() == pytest.approx(5 / 12)
    assert metrics.reprojection_px(truth, replace(wrong, K=None)) is None
    bent = replace(truth, distortion=np.array([0.1, 0, 0, 0, 0]))
    x, y = truth.joints12_cam_m[0, R_WRIST, :2] / 2
    expected = 1000 * 0.1 * (x * x + y * y) * np.hypot(x, y)
    assert metrics.reprojection_px(bent, truth).total[0] > expected
    only = np.linalg.norm(metrics.project(bent)[0, R_WRIST] - metrics.project(truth)[0, R_WRIST])
    assert only == pytest.approx(expected)


def test_missing_frames_are_told_and_left_out() -> None:
    truth = still()
    estimate = moved(truth, R_WRIST, np.array([24.0, 0, 0]))
    estimate.joints12_cam_m[:2] = np.nan
    truth.joints12_cam_m[7] = np.nan
    assert metrics.missing_percent(truth, estimate).value() == pytest.approx(100 * 2 / 7)
    assert metrics.mpjpe_mm(truth, estimate).value() == pytest.approx(2)
    assert metrics.mpjpe_mm(truth, estimate).weight.tolist() == [0, 0, *[12] * 5, 0]


@pytest.mark.parametrize("frames", [1, 2, 3, 8])
@pytest.mark.parametrize("known", [True, False], ids=["known", "nothing"])
def test_short_clips_and_empty_results_break_nothing(frames: int, known: bool) -> None:
    truth = replace(still(frames), standing=np.ones((frames, 2), bool), contacts=np.ones((frames, 4)))
    estimate = truth if known else nothing(truth)
    for metric in METRICS.values():
        if metric.compute is None or metric.compute.__module__ != metrics.__name__:
            continue
        found = metric.compute(truth, estimate)
        if found is None:
            continue
        name = metric.key
        assert len(found.total) == len(found.weight) == frames
        assert np.isfinite(found.total).all(), name
    assert metrics.missing_percent(truth, estimate).value() == (0 if known else 100)


@pytest.mark.skipif(
    not (CLIPS / "score_balance.py").is_file(), reason="the clips with 3D truth (../shared/clips) are not here"
)
@pytest.mark.parametrize("camera", ["cam1", "cam3"])
def test_balance_agrees_with_its_scorer(camera: str) -> None:
    spec = importlib.util.spec_from_file_location("score_balance", CLIPS / "score_balance.py")
    assert spec is not None and spec.loader is not None
    judge = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(judge)
    truth, given = balance_truth(CLIPS / "balance_truth.npz", camera, CLIPS / f"balance_{camera}.mp4")
    rng = np.random.default_rng(5)
    joints = np.where(np.isfinite(truth.joints12_cam_m), truth.joints12_cam_m, 1.0)
    joints = (
        1.1 * joints + 0.05 * rng.standard_normal(joints.shape) + np.cumsum(0.01 * rng.standard_normal((100, 1, 3)), 0)
    )
    joints[[0, 1, 40, 41, 77]] = np.nan
    expected = judge.score(camera, np.arange(100), joints)
    estimate = Motion(truth.fps, joints)
    for name, key, digits in (
        ("mpjpe_mm", "mpjpe_mm", 1),
        ("pa_mpjpe_mm", "pa_mpjpe_mm", 1),
        ("accel_mm_per_frame2", "accel_mm_per_frame2", 2),
        ("limb_speed_ratio", "limb_speed_ratio", 3),
        ("root_mm", "root_mm", 1),
        ("root_scaled_mm", "root_scaled_mm", 1),
        ("foot_speed_mm_s", "foot_speed_mm_s", 1),
    ):
        value = getattr(metrics, name)(truth, estimate).value()
        assert value == pytest.approx(expected[key], abs=0.51 * 10**-digits), name
    missing = metrics.missing_percent(truth, estimate)
    assert (
        missing.total.sum() / 100
        == expected["missing"]
        == 5 - np.isnan(truth.joints12_cam_m[[0, 1, 40, 41, 77], 0, 0]).sum()
    )
    assert 600 < given["person_height_px"] < 1500
    assert 0.2 < given["light"] < 0.7
