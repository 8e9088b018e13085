"""Intervals, tests and regressions: against values computed by hand, and by longer ways."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from model.evaluate.metrics import Series
from model.evaluate.statistics import (
    DRAWS,
    Blocks,
    blocks,
    clip_value,
    generator,
    holm,
    mean_with_interval,
    paired,
    regression,
)

RNG = np.random.default_rng(11)


def clip(*values: float) -> Blocks:
    """A clip whose stretches of time have these values."""
    return np.array(values), np.ones(len(values))


def test_stretches_of_time() -> None:
    series = Series(np.arange(10.0), np.ones(10))
    total, weight = blocks(series, fps=16.0)  # four frames are a quarter of a second
    assert total.tolist() == [6, 22, 17]
    assert weight.tolist() == [4, 4, 2]
    total, weight = blocks(series, 16.0, np.arange(10) >= 7)
    assert total.tolist() == [0, 7, 17]
    assert weight.tolist() == [0, 1, 2]
    assert clip_value((total, weight)) == pytest.approx(8)


def test_mean_over_clips_counts_each_clip_once() -> None:
    found = mean_with_interval([clip(1, 1, 1, 1), clip(4.0), (np.zeros(2), np.zeros(2))], "a")
    assert (found.value, found.n) == (2.5, 2)
    assert mean_with_interval([(np.zeros(1), np.zeros(1))], "a") is None


def test_interval_over_many_clips_is_that_of_their_mean() -> None:
    values = RNG.normal(50, 10, 200)
    found = mean_with_interval([clip(v) for v in values], "a")
    reach = 1.96 * values.std() / np.sqrt(200)
    assert found.low == pytest.approx(found.value - reach, abs=0.15 * reach)
    assert found.high == pytest.approx(found.value + reach, abs=0.15 * reach)
    assert found == mean_with_interval([clip(v) for v in values], "a")
    assert found != mean_with_interval([clip(v) for v in values], "b")


def test_interval_over_few_clips_is_over_their_moments() -> None:
    found = mean_with_interval([clip(*range(10)), clip(*range(10, 20))], "a")
    assert found.value == 9.5
    assert 7 < found.low < 9.5 < found.high < 12  # two clips' own values are 10 apart; their moments vary less
    same = mean_with_interval([clip(3, 3, 3), clip(5, 5)], "a")
    assert (same.low, same.high) == (4, 4)
    alone = mean_with_interval([clip(3.0)], "a")
    assert (alone.low, alone.high) == (None, None)


def test_paired_comparison_of_many_clips() -> None:
    hard = RNG.uniform(20, 200, 30)
    better = hard - RNG.uniform(1, 5, 30)
    found = paired([clip(v) for v in hard], [clip(v) for v in better], "a")
    assert found.difference == pytest.approx((better - hard).mean())
    assert -5 < found.low < found.high < -1  # clips differ by far more than the methods do
    assert found.p == pytest.approx(stats.wilcoxon(better - hard).pvalue)
    assert found.p < 1e-6


def test_paired_comparison_of_few_clips_has_no_p() -> None:
    found = paired([clip(5, 6, 7), clip(8, 9)], [clip(4, 5, 6), clip(7, 8)], "a")
    assert (found.difference, found.low, found.high, found.p, found.n) == (-1, -1, -1, None, 2)


def test_clips_that_one_lacks_are_left_out() -> None:
    absent = (np.zeros(1), np.zeros(1))
    assert paired([clip(1, 2), absent], [clip(3, 4), clip(5, 6)], "a").n == 1
    assert paired([absent], [clip(1.0)], "a") is None


def test_same_results_are_no_difference() -> None:
    clips = [clip(v, v + 1) for v in range(8)]
    found = paired(clips, clips, "a")
    assert (found.difference, found.low, found.high, found.p) == (0, 0, 0, None)


def test_holm_by_hand() -> None:
    assert holm([0.01, None, 0.04, 0.03]) == pytest.approx([0.03, None, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_random_numbers_depend_on_names_alone() -> None:
    first = generator("balance", "mpjpe_mm").random(DRAWS)
    generator("other").random(7)
    assert np.array_equal(first, generator("balance", "mpjpe_mm").random(DRAWS))
    assert not np.array_equal(first, generator("balance", "pa_mpjpe_mm").random(DRAWS))


def test_regression_finds_the_line() -> None:
    x, z = RNG.random(60), RNG.random(60)
    found, kind = regression(2 + 3 * x - z, {"x": x, "z": z}, np.zeros(60))
    assert [one.name for one in found] == ["intercept", "x", "z"]
    assert [one.value for one in found] == pytest.approx([2, 3, -1])
    assert kind == "HC3"


def test_hc3_by_leaving_each_observation_out() -> None:
    """HC3 is the jackknife of MacKinnon and White up to a factor that goes to one: here the sum over left-out fits."""
    n = 40
    x = RNG.random(n)
    y = 1 + 2 * x + x * RNG.standard_normal(n)
    design = np.column_stack([np.ones(n), x])
    beta = np.linalg.lstsq(design, y, rcond=None)[0]
    shifts = []
    for i in range(n):
        rest = np.arange(n) != i
        shifts.append(np.linalg.lstsq(design[rest], y[rest], rcond=None)[0] - beta)
    error = np.sqrt((np.array(shifts) ** 2).sum(0))  # beta_(i) - beta = -(X'X)^-1 x_i e_i / (1 - h_i)
    found, _ = regression(y, {"x": x}, np.zeros(n))
    reach = stats.t.ppf(0.975, n - 2) * error
    assert [one.high - one.value for one in found] == pytest.approx(reach)
    assert found[1].p == pytest.approx(2 * stats.t.sf(abs(beta[1]) / error[1], n - 2))


def test_clustered_errors_see_that_a_clip_s_moments_are_alike() -> None:
    clips, each = 12, 20
    groups = np.repeat(np.arange(clips), each)
    x = RNG.standard_normal(clips)[groups]
    y = x + RNG.standard_normal(clips)[groups]  # the error belongs to the clip: there are 12 observations, not 240
    found, kind = regression(y, {"x": x}, groups)
    assert kind == "clustered by clip"
    small, _ = regression(y, {"x": x}, np.zeros(clips * each))
    assert found[1].high - found[1].low > 3 * (small[1].high - small[1].low)
    # Of one observation a clip the clustered error is HC1 but for its factor.
    alone, _ = regression(y[::each], {"x": x[::each]}, np.arange(clips))
    design = np.column_stack([np.ones(clips), x[::each]])
    inverse = np.linalg.inv(design.T @ design)
    residual = y[::each] - design @ inverse @ design.T @ y[::each]
    meat = design.T @ np.diag(residual**2) @ design * clips / (clips - 1) * (clips - 1) / (clips - 2)
    reach = stats.t.ppf(0.975, clips - 1) * np.sqrt(np.diag(inverse @ meat @ inverse))
    assert [one.high - one.value for one in alone] == pytest.approx(reach)


def test_clustered_errors_by_the_sandwich_of_the_clips_sums() -> None:
    """CR1: the factor is G / (G - 1) (N - 1) / (N - K), t has G - 1 degrees of freedom; clips differ in length."""
    groups = np.repeat(np.arange(11), np.arange(2, 13))
    n, clips = len(groups), 11
    x = RNG.standard_normal(n)
    y = 2 - x + RNG.standard_normal(clips)[groups] + RNG.standard_normal(n)
    design = np.column_stack([np.ones(n), x])
    inverse = np.linalg.inv(design.T @ design)
    beta = inverse @ design.T @ y
    residual = y - design @ beta
    meat = np.zeros((2, 2))
    for group in range(clips):
        score = design[groups == group].T @ residual[groups == group]
        meat += np.outer(score, score)
    meat *= clips / (clips - 1) * (n - 1) / (n - 2)
    error = np.sqrt(np.diag(inverse @ meat @ inverse))
    found, kind = regression(y, {"x": x}, groups)
    assert kind == "clustered by clip"
    assert [one.value for one in found] == pytest.approx(beta)
    reach = stats.t.ppf(0.975, clips - 1) * error
    assert [one.value - one.low for one in found] == pytest.approx(reach)
    assert [one.high - one.value for one in found] == pytest.approx(reach)
    assert [one.p for one in found] == pytest.approx(2 * stats.t.sf(np.abs(beta) / error, clips - 1))


def test_regression_on_too_little_says_nothing() -> None:
    x = RNG.random(20)
    assert regression(x, {"x": x, "same": 2 * x}, np.zeros(20)) is None
    assert regression(x[:4], {"x": x[:4]}, np.zeros(4)) is None
    assert regression(np.zeros(20), {"x": x}, np.zeros(20)) is None


def test_one_row_can_t_tell_two_columns_apart() -> None:
    """Without the first row ``almost`` is ``x``: HC3, which leaves out each row, would divide by nothing."""
    x, y = RNG.random(20), RNG.random(20)
    almost = x + np.eye(20)[0]
    assert regression(y, {"x": x, "almost": almost}, np.zeros(20)) is None
    assert regression(y, {"x": x, "almost": almost + np.eye(20)[1]}, np.zeros(20)) is not None
