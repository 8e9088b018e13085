"""One fraction that only grows, and a time left that can be believed."""

from __future__ import annotations

import numpy as np
import pytest

from model.progress import STAGE_SHARES, Meter, Step


class Clock:
    """Seconds under the test's control."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def make() -> tuple[Meter, list[Step], Clock]:
    steps: list[Step] = []
    clock = Clock()
    return Meter(steps.append, clock), steps, clock


def test_shares_are_a_whole() -> None:
    assert sum(STAGE_SHARES.values()) == pytest.approx(1.0)


def test_fraction_grows_from_zero_to_one() -> None:
    meter, steps, _ = make()
    for stage in STAGE_SHARES:
        for done in range(11):
            meter.report(stage, done, 10)
    fractions = [s.fraction for s in steps]
    assert fractions[0] == 0.0
    assert fractions[-1] == pytest.approx(1.0)
    assert (np.diff(fractions) >= 0).all()


def test_what_comes_late_or_wrong_does_not_turn_it_back() -> None:
    meter, steps, _ = make()
    for stage, done, total in (("fit", 5, 10), ("detect", 1, 10), ("fit", 0, 10), ("fit", 99, 10), ("new", 1, 2)):
        meter.report(stage, done, total)
    fractions = [s.fraction for s in steps]
    assert fractions == sorted(fractions)
    assert fractions[-1] <= 1.0
    assert steps[3].done == 10
    assert steps[-1].stage == "new"


def test_nothing_to_do_in_a_stage() -> None:
    meter, steps, _ = make()
    meter.report("detect", 0, 0)
    assert steps[-1].fraction == pytest.approx(STAGE_SHARES["read"] + STAGE_SHARES["detect"])


def test_time_left_at_an_even_pace() -> None:
    """Ten minutes of work in proportion to the shares: the time left is right to a tenth from early on."""
    meter, steps, clock = make()
    for stage, share in STAGE_SHARES.items():
        for done in range(101):
            meter.report(stage, done, 100)
            clock.now += share * 600 / 101
            left = 1600.0 - clock.now
            if clock.now > 1060:
                assert steps[-1].eta_s == pytest.approx(left, abs=max(12.0, 0.1 * left))
    assert steps[0].eta_s is None
    assert steps[-1].eta_s == pytest.approx(0.0, abs=1e-6)


def test_stages_that_were_kept_do_not_promise_too_much() -> None:
    """Detection came from the cache: its share went by in no time and says nothing about the fit."""
    meter, steps, clock = make()
    meter.report("read", 1, 1)
    meter.report("landmarks", 370, 370)
    for done in range(51):
        meter.report("fit", done, 100)
        clock.now += 1.0
    after = STAGE_SHARES["refine"] + STAGE_SHARES["write"]
    left = 50.0 * (1 + after / (STAGE_SHARES["fit"] * 0.5))
    assert steps[-1].eta_s == pytest.approx(left, rel=0.05)


def test_a_reused_result() -> None:
    meter, steps, _ = make()
    assert not meter.reused
    meter.report("reused", 1, 1)
    assert meter.reused
    assert steps[-1].fraction == 1.0
