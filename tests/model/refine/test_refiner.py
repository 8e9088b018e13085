"""A clip through both networks: without seams, without jumps at gaps, and still where the networks are still."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from amr_blender.contract.errors import RuntimeSetupError, VideoError
from model.estimate.refined import Refined
from model.networks.evidence_maps import FRAME_CHANNELS, FRAME_PX
from model.refine.budget import Budget
from model.refine.clip import Clip
from model.refine.eye import Glimpse
from model.refine.refiner import ATTENTION_FILE, REFINEMENT_FILE, WINDOW, Refiner
from model.refine.stage import Refinement

from .conftest import Shown, Stage, maker, save_networks


def refined(
    stage: Stage, shown: Shown, assets: Path, lively: float = 200.0, quality: str = "standard", uniform: bool = False
) -> Refined:
    told: list[tuple[int, int]] = []
    refinement = Refinement(assets, shown.frames, quality, refiner=maker(stage, lively, uniform))
    found = refinement(shown.space, shown.found, lambda *step: told.append(step))
    frames = len(shown.landmarks.frames)
    assert told[0] == (0, frames) and told[-1] == (frames, frames) and told == sorted(told)
    return found


def seen(frames: int, seed: int = 0) -> list[Glimpse]:
    """Noise."""
    rng = np.random.default_rng(seed)
    rgb = rng.integers(0, 256, (frames, FRAME_PX, FRAME_PX, 3), dtype=np.uint8)
    features = 4 * torch.rand(frames, FRAME_CHANNELS, 32, 32, generator=torch.Generator().manual_seed(seed))
    return [Glimpse(rgb[k], features[k].half()) for k in range(frames)]


@pytest.mark.parametrize("frames", [1, WINDOW, WINDOW + 1, 30])
def test_any_length_is_refined(stage: Stage, walk: Shown, assets: Path, frames: int) -> None:
    found = refined(stage, walk.part(frames), assets)
    vertices, bones = stage.map.hierarchy.sizes[-1], len(stage.map.bones)
    assert found.turn.shape == (frames, bones, 3) and found.shift_m.shape == (frames, 3)
    assert found.turn.abs().max() > 0.01
    for maps in (found.attention, found.uncertainty_mm):
        assert maps.shape == (frames, vertices) and maps.dtype == np.float16 and np.isfinite(maps).all()
    assert 0 < found.attention.min() < found.attention.max() < 1
    assert found.basis is not None and found.weights is not None
    assert found.weights.shape == (frames, len(found.basis))
    json.dumps(found.spent)
    assert len(found.spent["active_share"]) == frames


def test_networks_that_move_nothing_change_nothing(stage: Stage, walk: Shown, assets: Path) -> None:
    found = refined(stage, walk.part(18), assets, lively=0.0)
    assert found.turn.abs().max() == 0 and found.shift_m.abs().max() == 0
    assert found.basis is None and found.weights is None and found.error_mm == 0


def test_without_the_refinement_network_there_is_the_uncertainty_alone(
    stage: Stage, walk: Shown, assets: Path, tmp_path: Path
) -> None:
    (save_networks(stage, tmp_path) / REFINEMENT_FILE).unlink()
    shown = walk.part(18, absent=slice(8, 10))
    for quality in ("standard", "best"):
        found = Refinement(assets, shown.frames, quality, weights=tmp_path)(shown.space, shown.found, lambda *_: None)
        assert found.attention is None and found.basis is None and found.error_mm == 0
        assert found.turn.abs().max() == 0 and found.shift_m.abs().max() == 0
        assert found.uncertainty_mm.shape == (18, stage.map.hierarchy.sizes[-1]) and found.uncertainty_mm.min() > 0
        json.dumps(found.spent)
        assert sum(found.spent["vertices_worked_on"]) == 0


def test_a_gap_is_crossed_evenly(stage: Stage, walk: Shown, assets: Path) -> None:
    shown = walk.part(WINDOW + 4, absent=slice(10, 14))
    found = refined(stage, shown, assets)
    steps = found.turn[9:15].diff(dim=0)
    assert torch.allclose(steps, steps.mean(0).expand_as(steps), atol=1e-6)
    assert found.weights is not None and found.attention[10:14].max() == 0
    steps = np.diff(found.weights[9:15], axis=0)
    np.testing.assert_allclose(steps, np.broadcast_to(steps.mean(0), steps.shape), atol=1e-5)


def test_windows_together_are_as_one_by_one(stage: Stage, walk: Shown) -> None:
    clip, refiner = Clip(walk.space, walk.found), maker(stage)(stage.map)
    glimpses = [seen(WINDOW, seed) for seed in range(2)]
    parts, budget = [slice(0, WINDOW), slice(12, 12 + WINDOW)], Budget.of("standard")
    together = refiner.windows(clip, parts, glimpses, budget)
    for k, part in enumerate(parts):
        (alone,) = refiner.windows(clip, [part], glimpses[k : k + 1], budget)
        assert alone.spent.threshold == pytest.approx(together[k].spent.threshold, abs=1e-5)
        for name, values in alone.values.items():
            assert torch.allclose(values, together[k].values[name], atol=2e-4), name


def test_quality_sets_the_ceiling_and_uniform_attention_works_everywhere(
    stage: Stage, walk: Shown, assets: Path
) -> None:
    shown = walk.part(4)
    spent = {quality: refined(stage, shown, assets, quality=quality).spent for quality in ("standard", "best")}
    uniform = refined(stage, shown, assets, uniform=True)
    worked = [s["vertices_worked_on"][-1] for s in (spent["standard"], spent["best"], uniform.spent)]
    assert 0 < worked[0] < worked[1] <= worked[2]
    assert uniform.spent["vertices_worked_on"] == uniform.spent["vertices_in_all"]
    assert uniform.attention.min() == 1
    assert np.mean(spent["standard"]["active_share"]) < 0.36


def test_glimpses_are_asked_for_as_they_are_needed(stage: Stage, walk: Shown) -> None:
    """And no more of them are held than a window has."""
    asked: list[int] = []

    def glimpses() -> Iterator[Glimpse]:
        for number, glimpse in enumerate(seen(45)):
            asked.append(number)
            yield glimpse

    steps: list[tuple[int, int]] = []

    def tell(done: int, total: int) -> None:
        steps.append((done, len(asked)))

    maker(stage)(stage.map)(Clip(walk.space, walk.found), glimpses(), Budget.of("standard"), tell)
    assert all(done == given for done, given in steps)


def test_footage_that_ends_early_is_told(stage: Stage, walk: Shown, assets: Path) -> None:
    refinement = Refinement(assets, lambda: iter(list(walk.frames())[:20]), "best", refiner=maker(stage))
    with pytest.raises(VideoError, match="no frame 20"):
        refinement(walk.space, walk.found, lambda *_: None)


def test_saved_networks_say_what_they_said(stage: Stage, walk: Shown, tmp_path: Path) -> None:
    assert not Refiner.available(tmp_path)
    loaded = Refiner.load(save_networks(stage, tmp_path), stage.map, stage.body.kinematics)
    assert Refiner.available(tmp_path)
    clip, budget = Clip(walk.space, walk.found), Budget.of("standard")
    own, again = (r.windows(clip, [slice(0, 4)], [seen(4)], budget)[0] for r in (maker(stage)(stage.map), loaded))
    assert torch.allclose(own.values["log_mm"], again.values["log_mm"], atol=0.02)
    assert torch.allclose(own.values["turn"], again.values["turn"], atol=0.02)


@pytest.mark.parametrize("about", [{"sigma_scale": "much"}, {"settings": {}}, {"settings": {"width": 0.5}}])
def test_weights_that_do_not_fit_are_refused(stage: Stage, tmp_path: Path, about: dict[str, object]) -> None:
    with pytest.raises(RuntimeSetupError, match=ATTENTION_FILE):
        Refiner.load(save_networks(stage, tmp_path, **about), stage.map, stage.body.kinematics)


def test_the_best_quality_adapts_to_the_clip(stage: Stage, walk: Shown, assets: Path) -> None:
    """Networks that move nothing, landmarks that agree: it stays near; without them in a frame, nothing at all."""
    found = refined(stage, walk.part(6, absent=slice(2, 3)), assets, lively=0.0, quality="best")
    assert 0 < found.shift_m.abs().max() < 0.1
    assert torch.allclose(found.turn[2], (found.turn[1] + found.turn[3]) / 2, atol=1e-6)
