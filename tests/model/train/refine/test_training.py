"""Training of the refinement: a right estimate costs nothing, a wrong one does, and every parameter learns from it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from model.body import AnnyBody
from model.body.hierarchy import Hierarchy
from model.estimate.rotation import matrix_from_rotvec
from model.networks.attention import DAN, USUAL_MM
from model.networks.body_map import BodyMap
from model.networks.evidence_maps import FRAME_CHANNELS, MeshDrawer
from model.networks.refinement import HRN
from model.networks.weights import read_weights
from model.refine.inputs import prepare
from model.train.initial.data import pose_space
from model.train.refine import run as training
from model.train.refine.alone import Alone
from model.train.refine.losses import Judge
from model.train.refine.run import Budget, Networks, Run
from model.train.refine.stock import PARTS, Footage, footage_of
from model.train.refine.windows import Windows, masks

FRAMES = 10
UPRIGHT = torch.tensor([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])


def footage(body: AnnyBody, seed: int) -> Footage:
    """Somebody whose estimate is right."""
    random = torch.Generator().manual_seed(seed)
    local = torch.eye(3).repeat(FRAMES, len(body.bone_names), 1, 1)
    local[:, 1:5] = matrix_from_rotvec(0.2 * torch.randn(1, 4, 3, generator=random)).expand(FRAMES, -1, -1, -1)
    local[:, 0] = UPRIGHT
    root = torch.tensor([0.1, 0.0, 4.0]).expand(FRAMES, 3)
    crop_K = torch.tensor([[1.8, 0, 0.45], [0, 1.8, 0.5], [0, 0, 1]]).expand(FRAMES, 3, 3)
    numbers = {"local": local, "root_cam_m": root, "shape": body.default_shape()}
    numbers |= {f"true_{name}": value for name, value in numbers.items()}
    arrays = {name: value.numpy().astype(np.float32) for name, value in numbers.items()}
    return Footage(
        features=torch.randint(100, (FRAMES, FRAME_CHANNELS, 32, 32), generator=random).to(torch.uint8).numpy(),
        lifted_m=np.zeros((FRAMES, 2, 33, 3), np.float32),
        crop_K=crop_K.numpy(),
        landmarks=torch.rand(FRAMES, 33, 2, generator=random).numpy(),
        confidence=np.ones((FRAMES, 33), np.float32),
        present=np.arange(FRAMES) != 3,
        time_s=(np.arange(FRAMES) / 30).astype(np.float32),
        sigma_m=np.full((FRAMES, 33), 0.05, np.float32),
        true_focal=np.float32(1.0),
        mask=np.zeros((FRAMES, 32, 32), np.uint8),
        **arrays,
    )


@pytest.fixture(scope="module")
def body() -> AnnyBody:
    return pose_space().body


@pytest.fixture(scope="module")
def body_map(assets: Path, body: AnnyBody) -> BodyMap:
    return BodyMap(body, pose_space().skeleton, Hierarchy.load(assets))


@pytest.fixture(scope="module")
def stock(body: AnnyBody, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stock")
    for part in sum(PARTS.values(), ()):
        (folder / part).mkdir()
        footage(body, 5).save(folder / part / "000000.npz")
    return folder


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
    assert {"dan.usual", "dan.overview.weight", "dan.doubts.weight", "dan.frame_net.known.weight"} <= moved
    assert not any(name.startswith("hrn.") for name in moved)
    assert sorted(path.name for path in (tmp_path / "run").glob("*.safetensors")) == ["amr_attention.safetensors"]
    DAN(run._map).load_state_dict(read_weights(tmp_path / "run" / "amr_attention.safetensors")[0])
    for line in (tmp_path / "run" / "curve.csv").read_text().splitlines()[1:]:
        assert all(np.isfinite(float(value)) for value in line.split(","))


def test_all_parts_are_learned_from(stock: Path) -> None:
    found = [path.parent.name for path in footage_of("refinement", stock)]
    assert found == ["refinement", "refinement_plain"]


def test_an_empty_stock_says_how_to_fill_it(body: AnnyBody, body_map: BodyMap) -> None:
    with pytest.raises(ValueError, match=r"model\.train\.refine\.stock"):
        Windows([], body, body_map)
