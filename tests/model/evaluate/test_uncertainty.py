"""Figures of uncertainty against values computed by hand, and the controls that expose a fake."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from model.evaluate import uncertainty
from model.evaluate.motion import Motion
from tests.model.evaluate.people import still

RNG = np.random.default_rng(3)
ERROR = np.abs(RNG.standard_normal((60, 12))) + 0.1


def test_rank_correlation_pooled() -> None:
    u = np.arange(20.0).reshape(10, 2)
    assert uncertainty.spearman_pooled(u, u**3) == pytest.approx(1)
    assert uncertainty.spearman_pooled(u, -u) == pytest.approx(-1)
    swapped = u.copy()
    swapped[0] = swapped[0, ::-1]  # ranks 1 and 2 exchanged: 1 - 6 * 2 / (20 * (400 - 1))
    assert uncertainty.spearman_pooled(u, swapped) == pytest.approx(1 - 12 / (20 * 399))
    assert uncertainty.spearman_pooled(np.ones_like(u), u) is None
    assert uncertainty.spearman_pooled(u[:5], u[:5]) is None


def test_rank_correlation_over_time_ignores_what_is_constant() -> None:
    """One point follows its error, the other goes against it; a constant map says nothing."""
    t = np.arange(6.0)
    error = np.stack([t, t + 100], 1)
    assert uncertainty.spearman_within(np.stack([t, -t], 1), error) == pytest.approx(0)
    assert uncertainty.spearman_within(np.stack([t, t * 0], 1), error) == pytest.approx(1)
    assert uncertainty.spearman_within(np.broadcast_to([1.0, 2.0], (6, 2)), error) is None
    assert uncertainty.spearman_pooled(np.stack([t, -t], 1).repeat(2, 0), error.repeat(2, 0)) < 0


def test_sparsification_by_hand() -> None:
    """Errors 1 to 100, the largest removed first: of the rest the mean is (n + 1) / 2, at the start 50.5."""
    error = np.arange(1.0, 101)[:, None]
    curve = uncertainty.sparsification(error, error)
    assert curve[0] == 1
    assert curve[25] == pytest.approx(25.5 / 50.5)
    assert uncertainty.sparsification(-error, error)[25] == pytest.approx(75.5 / 50.5)


def test_normalised_area_is_0_for_the_best_and_1_for_chance() -> None:
    assert uncertainty.nause(2 * ERROR, ERROR) == pytest.approx(0)
    chance = [uncertainty.nause(np.random.default_rng(seed).random(ERROR.shape), ERROR) for seed in range(20)]
    assert np.mean(chance) == pytest.approx(1, abs=0.05)
    assert uncertainty.nause(-ERROR, ERROR) > 1.3


def test_intervals_of_a_gaussian_error_hold_what_they_should() -> None:
    for level, factor in uncertainty.QUANTILES.items():
        assert factor == pytest.approx(stats.chi.ppf(level / 100, 3) / stats.chi.mean(3), abs=1e-4)
    sigma = RNG.uniform(1, 30, (400, 50))
    error = np.linalg.norm(RNG.standard_normal((400, 50, 3)) * sigma[..., None], axis=-1)
    expected = sigma * stats.chi.mean(3)
    assert uncertainty.coverage_percent(expected, error, 50) == pytest.approx(50, abs=1)
    assert uncertainty.coverage_percent(expected, error, 90) == pytest.approx(90, abs=1)
    assert uncertainty.coverage_percent(expected / 2, error, 90) < 60


def figures(truth: Motion, estimate: Motion) -> dict[str, float]:
    return uncertainty.figures(uncertainty.judged(truth, estimate))


def moving(confidence: np.ndarray | None = None) -> tuple[Motion, Motion]:
    """A truth, and an estimate that is off by ``ERROR`` mm away from the hips' own error."""
    truth = still(60)
    estimate = still(60)
    estimate.joints12_cam_m[..., 2] += ERROR / 1000 * np.where(np.isin(np.arange(12), (2, 3)), 0, 1)
    return truth, replace(estimate, confidence12=confidence)


def test_a_constant_map_is_named_as_control() -> None:
    """A method whose confidence is a constant per joint scores pooled as well as the control, and nothing over time."""
    truth, estimate = moving()
    error = np.linalg.norm(estimate.rooted_joints_m - truth.rooted_joints_m, axis=-1)
    faked = replace(estimate, confidence12=np.broadcast_to(1 - error.mean(0), (60, 12)))
    found = figures(truth, faked)
    assert found["joint_spearman"] == pytest.approx(found["joint_spearman_constant"])
    assert "joint_spearman_within" not in found
    assert "joint_spearman_2d" not in found
    assert "vertex_spearman" not in found


def test_true_knowledge_beats_the_controls() -> None:
    truth, estimate = moving()
    error = np.linalg.norm(estimate.rooted_joints_m - truth.rooted_joints_m, axis=-1)
    knowing = replace(estimate, confidence12=1 - error, detector_confidence12=RNG.random((60, 12)))
    found = figures(truth, knowing)
    assert found["joint_spearman"] == pytest.approx(1)
    assert found["joint_nause"] == pytest.approx(0)
    assert found["joint_spearman_within"] == pytest.approx(1)
    assert found["joint_spearman_constant"] < 1
    assert abs(found["joint_spearman_2d"]) < 0.2
    assert found["joint_nause_2d"] > 0.7


def test_skin_is_judged_where_a_method_states_its_uncertainty() -> None:
    truth, estimate = moving(np.full((60, 12), 0.5))
    skin = np.zeros((60, 70, 3), np.float32)
    off = RNG.uniform(0.001, 0.1, (60, 70)).astype(np.float32)
    truth = replace(truth, vertices_cam_m=skin)
    estimate = replace(estimate, vertices_cam_m=skin + off[..., None] * np.array([1, 0, 0], np.float32))
    found = figures(truth, replace(estimate, uncertainty_mm=1000 * off, detector_confidence12=np.ones((60, 12))))
    assert found["vertex_spearman"] == pytest.approx(1)
    assert found["vertex_coverage90"] == pytest.approx(100)
    assert found["vertex_nause_constant"] > 0.2
    assert not {"vertex_spearman", "vertex_coverage50"} & set(figures(truth, estimate))


def test_nothing_is_said_of_a_method_that_states_nothing() -> None:
    truth, estimate = moving()
    assert figures(truth, estimate) == {}
    empty = replace(estimate, joints12_cam_m=np.full((60, 12, 3), np.nan), confidence12=np.full((60, 12), np.nan))
    assert figures(truth, empty) == {}


def clip(error: np.ndarray, stated: np.ndarray, detector: np.ndarray | None = None) -> np.ndarray:
    """A sample of a clip whose points are numbered from 0."""
    return uncertainty.Judged(np.arange(error.shape[1]), error, stated, detector).sample()


def test_over_all_clips_one_map_serves_all() -> None:
    """Two clips, one ten times as hard: who states each clip's mean error knows the order of the clips, and the best
    map of single clips would know it too; the one map for both doesn't."""
    hard, easy = 10 * ERROR, ERROR
    samples = [clip(e, np.full(e.shape, e.mean())) for e in (hard, easy)]
    found = uncertainty.footage_figures("joint", samples)
    assert found["joint_spearman_footage"] > 0.7
    assert abs(found["joint_spearman_footage_constant"]) < 0.3
    assert found["joint_nause_footage"] < 0.5 < found["joint_nause_footage_constant"]
    assert not any(name.endswith("_2d") for name in found)


def test_over_all_clips_the_map_is_each_points_mean_error() -> None:
    """By hand: points 0 and 1 of one clip, 1 and 2 of another; means 1, 3, 5 are in the order of the errors but for
    the ties."""
    first = np.tile([1.0, 2.0], (12, 1))
    second = np.tile([4.0, 5.0], (12, 1))
    samples = [
        uncertainty.Judged(np.array(points), error, np.ones_like(error) * [2, 1], -error).sample()
        for points, error in (([0, 1], first), ([1, 2], second))
    ]
    found = uncertainty.footage_figures("joint", samples)
    errors = np.concatenate([first.ravel(), second.ravel()])
    usual = np.concatenate([np.tile([1.0, 3.0], 12), np.tile([3.0, 5.0], 12)])
    assert found["joint_spearman_footage_constant"] == pytest.approx(stats.spearmanr(usual, errors).statistic)
    assert found["joint_spearman_footage_2d"] == pytest.approx(-1)


def test_a_sample_is_bounded_and_leaves_out_what_is_unknown() -> None:
    error = RNG.random((500, 3000))
    error[0] = np.nan
    values = clip(error, error + 1)
    most = uncertainty.SAMPLE_FRAMES * uncertainty.SAMPLE_POINTS
    assert values.shape == (4, most - uncertainty.SAMPLE_POINTS)
    assert np.allclose(values[1] + 1, values[2])
    assert values[0].max() == 2999
    assert np.isnan(values[3]).all()
    assert clip(error[:0], error[:0]).shape == (4, 0)
    assert uncertainty.footage_figures("joint", [clip(error[:1], error[:1])]) == {}
