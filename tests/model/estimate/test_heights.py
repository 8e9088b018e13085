"""How tall somebody is expected to be: by what the network guesses, and by most people being adults."""

from __future__ import annotations

import pytest

from model.estimate.shape_space import HEIGHT_PRIOR_M, HEIGHT_SIGMA_M, expected_height


def test_a_sure_guess_is_believed() -> None:
    mean, sigma = expected_height(1.12, 0.01)
    assert mean == pytest.approx(1.12, abs=0.01)
    assert sigma < 0.03


def test_an_unsure_guess_leaves_an_adult() -> None:
    mean, sigma = expected_height(1.75, 0.5)
    assert mean == pytest.approx(HEIGHT_PRIOR_M, abs=0.06)
    assert HEIGHT_SIGMA_M <= sigma < 0.25


def test_a_small_person_is_not_taken_for_an_adult() -> None:
    child, adult = expected_height(1.15, 0.08)[0], expected_height(1.8, 0.08)[0]
    assert child < 1.3
    assert 1.68 < adult < 1.8


def test_the_expectation_grows_with_the_guess() -> None:
    means = [expected_height(told, 0.06)[0] for told in (0.9, 1.1, 1.3, 1.5, 1.7, 1.9, 2.1)]
    assert means == sorted(means)
