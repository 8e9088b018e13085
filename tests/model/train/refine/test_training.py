"""Training of the refinement: a right estimate costs nothing, a wrong one does, and every parameter learns from it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from model.body import AnnyBody
from model.networks.attention import DAN, USUAL_MM
from model.networks.body_map import BodyMap
from model.networks.evidence_maps import MeshDrawer
from model.networks.refinement import HRN
from model.networks.weights import read_weights
from model.refine.inputs import prepare
from model.train.refine import run as training
from model.train.refine.alone import Alone
from model.train.refine.losses import Judge
from model.train.refine.run import Budget, Run
from model.train.refine.stock import Footage, footage_of
from model.train.refine.variants import Networks
from model.train.refine.windows import Windows, masks

from .conftest import FRAMES, footage


def test_what_is_kept_is_read_back(stock: Path, body: AnnyBody) -> None:
    kept, made = Footage.load(stock / "refinement" / "000000.npz"), footage(body, 5)
    for name, value in vars(made).items():
        assert np.array_equal(getattr(kept, name), value), name


def test_a_right_estimate_costs_nothing_and_a_wrong_one_what_it_is_off(
    stock: Path, body: AnnyBody, body_map: BodyMap
) -> None:
    start, seen, truth = Windows(footage_of("refinement", stock), body, body_map).windows([0], [2], 4)
    judge = Judge(body_map, body.kinematics, start, seen, truth)
    true, where = judge.goal()
    assert (judge.refined(None) - true).norm(dim=-1).max() < 1e-5
    torch.manual_seed(0)
    nets = Networks(body_map).eval()
    prepared = prepare(body_map, body.kinematics, MeshDrawer(body_map), start, seen)
    with torch.no_grad():
        dan = nets(prepared)
        still = nets.refine(prepared, dan, torch.zeros_like(dan.attention))
        terms = judge.terms(still, dan, (true, where))
        assert max(float(terms[name]) for name in ("pose", "vertices", "motion", "picture")) < 1e-4
        moved = replace(still, shift_m=still.shift_m + torch.tensor([0.1, 0.0, 0.0]))
        aside = judge.terms(moved, dan, (true, where))
    assert float(aside["pose"]) < 1e-4  # about the hips
    assert float(aside["picture"]) == pytest.approx(1.8 * 0.1 / 4.0, rel=0.1)


def test_uncertainty_is_asked_to_go_with_the_error_over_a_clip(stock: Path, body: AnnyBody, body_map: BodyMap) -> None:
    windows = Windows(footage_of("refinement", stock), body, body_map)
    start, seen, truth = windows.stretches(1, 3, 3, torch.Generator().manual_seed(0))
    judge = Judge(body_map, body.kinematics, start, seen, truth)
    dan = Networks(body_map)(prepare(body_map, body.kinematics, MeshDrawer(body_map), start, seen))
    error_m = 0.01 + 0.05 * torch.rand(dan.sigma_mm.shape, generator=torch.Generator().manual_seed(1))
    told = {"all": 3000 * error_m, "nothing": torch.full_like(error_m, 40.0), "the reverse": 1 / error_m}
    for (said, sigma_mm), term in zip(told.items(), (0.0, 1.0, 2.0), strict=True):
        assert float(judge.within_term(replace(dan, sigma_mm=sigma_mm), error_m, 3)) == pytest.approx(term, abs=0.01), (
            said
        )
    absent = error_m.clone()
    absent[~seen.present] = 9.0  # frames without the person don't count
    assert float(judge.within_term(replace(dan, sigma_mm=told["all"]), absent, 3)) == pytest.approx(0.0, abs=0.01)


def test_stretches_follow_each_other_in_one_clip(stock: Path, body: AnnyBody, body_map: BodyMap) -> None:
    windows = Windows(footage_of("refinement", stock), body, body_map)
    clips = [windows.windows([clip], [0], FRAMES)[1].landmarks[0, :, 0, 0] for clip in range(len(windows))]
    _, seen, _ = windows.stretches(2, 3, 3, torch.Generator().manual_seed(0))
    for row in seen.landmarks[..., 0, 0].reshape(2, 9):
        assert any(torch.equal(row, clip[first : first + 9]) for clip in clips for first in (0, 1))
    _, seen, _ = windows.stretches(1, 4, 3, torch.Generator().manual_seed(0))  # longer than the clip
    assert any(torch.equal(seen.landmarks[3, :, 0, 0], clip[-3:]) for clip in clips)


def test_attention_drawn_at_random_differs_between_bones_and_stays_in_bounds(body_map: BodyMap) -> None:
    drawn = masks(body_map, 8, 8, body_map.hierarchy.sizes[2], torch.Generator().manual_seed(0))
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    some = drawn.flatten(1).std(1)
    assert (some > 0.05).any()
    assert (some < 1e-3).any()  # and everywhere alike now and then


def test_every_parameter_learns_and_a_run_that_was_cut_off_goes_on(
    stock: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "LEVELS", (None, 0, 2))
    budget = Budget(refinement=1, attention=2, batch=1, frames=3, warmup=1, look=1)
    run = Run(tmp_path, stock, budget, "cpu")
    before = {name: value.clone() for name, value in run._nets.named_parameters()}
    assert run.go(10, 2)
    again = Run(tmp_path, stock, budget, "cpu")
    assert again._step == 2
    assert again.go(10, 3)
    still = [name for name, value in again._nets.named_parameters() if torch.equal(value, before[name])]
    assert not still
    assert len((tmp_path / "curve.csv").read_text().splitlines()) == 4
    state, about = read_weights(tmp_path / "amr_refinement.safetensors")
    assert about["settings"]["touch"] == run._nets.hrn.settings.touch
    HRN(run._map).load_state_dict(state)


def test_alone_dan_begins_with_what_is_usual_and_goes_on(body: AnnyBody, tmp_path: Path) -> None:
    stock = tmp_path / "stock"
    for part in ("refinement", "validation"):
        (stock / part).mkdir(parents=True)
        replace(footage(body, 5), local=footage(body, 6).local).save(stock / part / "000000.npz")
    budget = Budget(refinement=3, attention=0, batch=1, frames=3, warmup=1, look=1)
    run = Alone(tmp_path / "run", stock, budget, "cpu")
    before = {name: value.clone() for name, value in run._nets.named_parameters()}
    _, judge = run._ready(*run._windows.windows([0], [0], run._windows.frames(0)))
    error_mm = (1000 * (judge.refined(None) - judge.goal()[0]).norm(dim=-1).mean((0, 1))).clamp(min=1.0)
    assert error_mm.max() > 30
    assert torch.allclose(USUAL_MM * before["dan.usual"].exp(), error_mm, rtol=1e-3, atol=1e-3)
    assert run.go(10, 2)
    again = Alone(tmp_path / "run", stock, budget, "cpu")
    assert again._step == 2 and again.go(10, 3)
    after = dict(again._nets.named_parameters())
    moved = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert {"dan.usual", "dan.overview.weight", "dan.hint.weight", "dan.frame_net.known.weight"} <= moved
    assert not any(name.startswith("hrn.") for name in moved)
    assert sorted(path.name for path in (tmp_path / "run").glob("*.safetensors")) == ["amr_attention.safetensors"]
    DAN(run._map).load_state_dict(read_weights(tmp_path / "run" / "amr_attention.safetensors")[0])
    for line in (tmp_path / "run" / "curve.csv").read_text().splitlines()[1:]:
        assert all(np.isfinite(float(value)) for value in line.split(","))


def test_all_parts_are_learned_from(stock: Path) -> None:
    found = [path.parent.name for path in footage_of("refinement", stock)]
    assert found == ["refinement"] * 2 + ["refinement_plain"] * 2


def test_an_empty_stock_says_how_to_fill_it(body: AnnyBody, body_map: BodyMap) -> None:
    with pytest.raises(ValueError, match=r"model\.train\.refine\.stock"):
        Windows([], body, body_map)
