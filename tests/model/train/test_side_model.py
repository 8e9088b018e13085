"""Fitting the side model: its likelihood is the one that is used, and what is known is learnt."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from model.detect.landmarks import OTHER_SIDE
from model.estimate.sides.anatomy import RELATIONS
from model.estimate.sides.chain import STATES
from model.estimate.sides.motion import Steps
from model.estimate.sides.weights import SideWeights
from model.paths import WEIGHTS
from model.train import side_model
from model.train.side_model import START, Batch, Example, fit_anatomy, fit_chain, judge


def _example(rng, frames=20, mistaken=()):
    """Three groups, 0.4 m between the sides, that tremble; in the frames ``mistaken`` legs change places."""
    wrong = np.zeros((frames, 3), np.int64)
    wrong[list(mistaken), 0] = 1
    changed = np.abs(np.diff(wrong, axis=0))
    steps = []
    for group in range(3):
        moved = rng.normal(0, 0.02, (frames - 1, 2, 2, 3)) ** 2
        apart = changed[:, group][:, None] != np.arange(2)
        moved += 0.16 * apart[:, :, None, None]
        steps.append(Steps(moved, moved / 2, np.ones((frames - 1, 3))))
    return Example(
        rng.normal(0, 1, (frames, 33, 3)),
        steps,
        np.full(frames - 1, 1 / 30),
        np.ones(frames - 1, bool),
        rng.normal(0, 1, (frames, 2)),
        wrong,
    )


def test_the_fitted_likelihood_is_the_one_that_is_used():
    rng = np.random.default_rng(0)
    examples = [_example(rng, 20), replace(_example(rng, 12), joined=np.arange(11) != 5)]
    numbers = {name: torch.tensor(value, dtype=torch.float64) for name, value in START.items()}
    numbers["trust"] = torch.tensor([0.3, -0.2], dtype=torch.float64)
    weights = SideWeights(
        np.ones(len(RELATIONS)),
        np.ones(len(RELATIONS)),
        numbers["step"].exp().numpy(),
        np.append(0, torch.nn.functional.softplus(numbers["change"]).numpy()),
        np.append(0, numbers["mistake"].numpy()),
        numbers["trust"].numpy(),
    )
    frames, links = Batch(examples).likelihoods(numbers)
    for row, e in enumerate(examples):
        count = len(e.mistaken)
        assert np.allclose(frames[row, :count], weights.of_mistakes(e.cues, e.lasting_s))
        assert np.allclose(links[row, : count - 1], weights.of_steps(e.steps, e.elapsed_s, e.joined))


def test_a_likelihood_sums_to_one_over_what_may_be_known():
    rng = np.random.default_rng(1)
    e = _example(rng, 3)
    numbers = {name: torch.tensor(value, dtype=torch.float64) for name, value in START.items()}
    total = 0.0
    for first in STATES:
        known = np.stack([first, -np.ones(3), -np.ones(3)]).astype(np.int64)
        total += float((-Batch([replace(e, mistaken=known)]).surprise(numbers)).exp())
    assert total == pytest.approx(1)
    nothing = replace(e, mistaken=np.full((3, 3), -1))
    assert float(Batch([nothing]).surprise(numbers)) == pytest.approx(0, abs=1e-9)


def test_the_chain_learns_what_mistakes_look_like(monkeypatch):
    monkeypatch.setattr(side_model, "EPOCHS", 40)
    rng = np.random.default_rng(2)
    fitted = [_example(rng, mistaken=m) for m in ((), (3, 4, 5), (10,), (), range(12, 16))]
    held_out = [_example(rng, mistaken=m) for m in ((7, 8), (), (1,), (2, 9, 10))]
    weights = SideWeights(np.ones(len(RELATIONS)), np.ones(len(RELATIONS)), **fit_chain(fitted))
    start = {name: torch.tensor(value, dtype=torch.float64) for name, value in START.items()}
    learnt = {
        "step": torch.from_numpy(np.log(weights.step)),
        "change": torch.from_numpy(np.log(np.expm1(weights.change[1:]))),
        "mistake": torch.from_numpy(weights.mistake[1:]),
        "trust": torch.from_numpy(weights.trust),
    }
    batch = Batch(held_out)
    assert float(batch.surprise(learnt).sum()) < float(batch.surprise(start).sum())
    score = judge(held_out, weights)
    assert score.right_before < 1
    assert score.right_after == 1
    assert score.spoilt == 0
    assert sum(count for _, _, count in score.calibration) == score.frames


def test_anatomy_learns_which_relations_hold():
    """Detected bodies of the shipped weights' kind: every relation that is always positive gets a weight."""
    rng = np.random.default_rng(3)
    body = np.zeros((33, 3))
    left = {
        7: (0.07, -0.65, -0.1), 11: (0.18, -0.5, 0), 13: (0.25, -0.25, 0), 15: (0.25, 0, -0.1), 23: (0.1, 0, 0),
        25: (0.12, 0.4, -0.05), 27: (0.12, 0.8, 0.05), 29: (0.12, 0.85, 0.1), 31: (0.15, 0.87, -0.1),
        1: (0.03, -0.68, -0.2), 2: (0.03, -0.68, -0.2), 3: (0.03, -0.68, -0.2), 9: (0.03, -0.6, -0.2),
    }  # fmt: skip
    body[0] = 0, -0.65, -0.25
    for landmark, place in left.items():
        body[landmark], body[OTHER_SIDE[landmark]] = place, np.array(place) * [-1, 1, 1]
    scale_m, weight = fit_anatomy(body + rng.normal(0, 0.01, (50, 33, 3)))
    assert (scale_m > 0).all()
    assert (weight > 0.1).all()


def test_the_shipped_weights_are_whole():
    weights = SideWeights.load(WEIGHTS / "sides.npz")
    assert all(np.isfinite(value).all() for value in vars(weights).values())
    assert (weights.relation_weight >= 0).all()
    assert (weights.step > 0).all()
    assert weights.change[0] == weights.mistake[0] == 0
    assert (weights.change[1:] > 0).all()
