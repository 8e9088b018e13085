"""Easy windows cost little, hard ones more, and quality sets the ceiling."""

from __future__ import annotations

import pytest
import torch

from model.refine.budget import CEILING, LEAST, Budget, complexity


def window(speed_m_s: float = 0.0, confidence: float = 1.0, doubt_m: float = 0.02) -> dict[str, torch.Tensor]:
    time_s = torch.arange(10) / 25.0
    places = torch.zeros(10, 33, 2)
    places[:, :, 0] = speed_m_s * time_s[:, None]
    ones = torch.ones(10, 33)
    return {"places_m": places, "confidence": confidence * ones, "doubt_m": doubt_m * ones,
            "present": ones[:, 0] > 0, "time_s": time_s}  # fmt: skip


def test_what_makes_a_window_hard() -> None:
    easy = complexity(**window())
    assert 0 <= easy < 0.15
    for hard in ({"speed_m_s": 3.0}, {"confidence": 0.6}, {"doubt_m": 0.2}):
        assert 0.7 < complexity(**window(**hard)) < 1.0
    assert complexity(**window(speed_m_s=30.0)) == 1.0


def test_frames_without_the_person_are_not_hard() -> None:
    given = window()
    given["present"] = torch.arange(10) % 5 < 3
    given["confidence"] = given["confidence"] * given["present"][:, None]
    given["places_m"] = torch.where(given["present"][:, None, None], given["places_m"], 100.0)
    assert complexity(**given) < 0.15
    given["present"] = given["present"] & False
    assert complexity(**given) == 0.0


@pytest.mark.parametrize("quality", list(CEILING))
def test_no_more_is_spent_than_the_budget_has(quality: str) -> None:
    attention = torch.rand(16, 3500, generator=torch.Generator().manual_seed(0))
    budget = Budget.of(quality)
    shares = [float((attention > budget.threshold(attention, hard, 0.25)).float().mean()) for hard in (0.0, 0.5, 1.0)]
    wanted = [min(CEILING[quality] * (LEAST + (1 - LEAST) * hard), 0.75) for hard in (0.0, 0.5, 1.0)]
    assert shares == pytest.approx(wanted, abs=0.01)


def test_low_attention_costs_nothing_whatever_the_budget() -> None:
    attention = torch.full((16, 3500), 0.1)
    assert Budget.of("best").threshold(attention, 1.0, 0.25) == 0.25
    assert Budget.of("standard").threshold(attention, 0.0, 0.25) == 0.25
