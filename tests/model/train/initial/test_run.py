"""A run: what is cut off goes on as if it had not been, the best weights are kept, and nothing held out is learned."""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from model.__main__ import main
from model.estimate.learned import InitialEstimate
from model.estimate.pose_space import PoseSpace
from model.networks.initial import InitialSettings
from model.networks.weights import read_weights
from model.synth.landmarks.crowd import Crowd
from model.synth.landmarks.noise import NoiseSettings
from model.synth.landmarks.plays import Plays
from model.train import command
from model.train.initial import run as run_module
from model.train.initial.data import Windows, average_landmarks
from model.train.initial.losses import WEIGHTS, shape_mean
from model.train.initial.run import BUDGETS, Budget, Run, Stock

TINY = InitialSettings(width=16, depth=1)
BUDGET = Budget(steps=4, batch=1, chunks=0, warmup=2, look=2)


@pytest.fixture(scope="module")
def stock(plays: Plays, crowd: Crowd, space: PoseSpace) -> Stock:
    """Six plays to train on, two held out."""
    rest = average_landmarks(space)
    train, held = (plays.chosen(rows) for rows in (torch.arange(6).numpy(), torch.tensor([6, 7]).numpy()))
    settings = NoiseSettings()
    return Stock(Windows(train, crowd, settings, rest), crowd, Windows(held, crowd, settings, rest), crowd, None, {})


@pytest.fixture(scope="module")
def whole(stock: Stock, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nothing cut off."""
    folder = tmp_path_factory.mktemp("whole")
    assert Run(folder, BUDGET, "cpu", stock, TINY).go(60)
    return folder


def checkpoint(folder: Path) -> dict:
    return torch.load(folder / "checkpoint.pt", weights_only=True)


def rows(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "curve.csv").open(newline="")))


def assert_same(one: object, other: object, where: str = "") -> None:
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for name, value in one.items():
            assert_same(value, other[name], f"{where}.{name}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for number, value in enumerate(one):
            assert_same(value, other[number], f"{where}[{number}]")
    else:
        assert one == other, where


def test_leaves_checkpoint_curve_and_weights(whole: Path) -> None:
    assert {path.name for path in whole.iterdir()} == {"checkpoint.pt", "curve.csv", "initial.safetensors"}
    state = checkpoint(whole)
    assert state["step"] == 4
    assert math.isfinite(state["best"]) and state["waited"] in (0, 1)


def test_the_curve_has_a_row_for_each_look_and_every_term(whole: Path) -> None:
    table = rows(whole)
    assert [row["step"] for row in table] == ["2", "4"]
    for side in ("train", "held"):
        assert {f"{side} {name}" for name in ("loss", *WEIGHTS)} <= set(table[0])
    for name in ("points_mm", "landmarks_mm", "depth_percent", "up_deg", "stature_percent"):
        assert f"held {name}" in table[0]
    assert all(math.isfinite(float(value)) for row in table for value in row.values())
    assert float(table[1]["rate"]) < float(table[0]["rate"]) <= BUDGET.rate


def test_the_loss_is_the_sum_of_its_terms(whole: Path) -> None:
    for row in rows(whole):
        for side in ("train", "held"):
            expected = sum(weight * float(row[f"{side} {name}"]) for name, weight in WEIGHTS.items())
            assert float(row[f"{side} loss"]) == pytest.approx(expected, abs=1e-3)


def test_what_was_cut_off_goes_on_to_the_same_numbers(whole: Path, stock: Stock, tmp_path: Path) -> None:
    """Stopped after each step, and begun anew."""
    for step in range(1, 5):
        assert not Run(tmp_path, BUDGET, "cpu", stock, TINY).go(0.0)
        assert checkpoint(tmp_path)["step"] == step
    assert Run(tmp_path, BUDGET, "cpu", stock, TINY).go(0.0)  # the end was reached
    assert_same(checkpoint(tmp_path), checkpoint(whole))
    assert rows(tmp_path) == rows(whole)
    assert (tmp_path / "initial.safetensors").read_bytes() == (whole / "initial.safetensors").read_bytes()


def test_the_weights_are_the_averaged_ones_of_the_best_look(
    whole: Path, stock: Stock, space: PoseSpace, crowd: Crowd
) -> None:
    state, about = read_weights(whole / "initial.safetensors")
    best = min(rows(whole), key=lambda row: float(row.get("held seen loss") or row["held loss"]))
    assert about["step"] == int(best["step"])
    assert about["held_points_mm"] == pytest.approx(float(best["held points_mm"]), abs=0.006)
    assert about["settings"] == TINY.to_dict()
    assert about["shape_mean"] == pytest.approx(shape_mean(crowd).tolist(), abs=1e-6)
    saved = checkpoint(whole)
    if about["step"] == 4:
        assert_same(state, {name: value.half().float() for name, value in saved["average"].items()})
    assert not all(torch.equal(saved["average"][name], saved["net"][name]) for name in state)
    InitialEstimate.load(whole / "initial.safetensors", space)  # of this body and pose space


def test_every_parameter_is_moved(whole: Path, stock: Stock, tmp_path: Path) -> None:
    """None is left out by both optimisers."""
    before, after = Run(tmp_path, BUDGET, "cpu", stock, TINY)._net.state_dict(), checkpoint(whole)["net"]
    assert [name for name, value in before.items() if torch.equal(value, after[name])] == []


def test_it_learns(stock: Stock, tmp_path: Path) -> None:
    """Even that small: the held-out loss falls."""
    budget = Budget(steps=24, batch=1, chunks=0, rate=3e-3, warmup=2, average=0.8, look=12)
    run = Run(tmp_path, budget, "cpu", stock, replace(TINY, width=32))
    before = run._held_out(stock.held)["loss"]
    run.go(60)
    assert min(float(row["held loss"]) for row in rows(tmp_path)) < 0.9 * before


def test_it_stops_when_nothing_gets_better(stock: Stock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = iter([50.0, 40.0, 45.0, 44.0, 43.0])
    held = {"points_mm": 0.0, "loss": 1.0}
    monkeypatch.setattr(Run, "_held_out", lambda self, windows: held | {"loss": next(figures)})
    budget = Budget(steps=100, batch=1, chunks=0, look=1, patience=2)
    assert Run(tmp_path, budget, "cpu", stock, TINY).go(60)
    assert [float(row["held loss"]) for row in rows(tmp_path)] == [50.0, 40.0, 45.0, 44.0]
    assert read_weights(tmp_path / "initial.safetensors")[1]["step"] == 2
    assert Run(tmp_path, budget, "cpu", stock, TINY).go(60)  # and does not begin again
    assert checkpoint(tmp_path)["step"] == 4


def test_a_step_without_a_number_changes_nothing(stock: Stock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(tmp_path, BUDGET, "cpu", stock, TINY)
    before = {name: value.clone() for name, value in run._net.state_dict().items()}
    monkeypatch.setattr(run_module, "total", lambda terms: sum(terms.values()) * float("nan"))
    run._train()
    assert_same(dict(run._net.state_dict()), before)


def test_detected_clips_are_learned_from_and_looked_at_too(
    stock: Stock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plays that are held out in the place of what the detector saw."""
    monkeypatch.setattr(Windows, "varied", Windows.batch, raising=False)
    monkeypatch.setattr(Windows, "rows", lambda self, count, rng: torch.zeros(count).long(), raising=False)
    both = replace(stock, seen=stock.held, held_seen={"seen": stock.held, "plain": stock.windows})
    Run(tmp_path, replace(BUDGET, batch=2), "cpu", both, TINY).go(60)
    assert {f"held seen {name}" for name in ("loss", "points_mm", *WEIGHTS)} <= set(rows(tmp_path)[0])
    assert rows(tmp_path)[0]["held seen loss"] == rows(tmp_path)[0]["held loss"]
    assert rows(tmp_path)[0]["held plain loss"] != rows(tmp_path)[0]["held loss"]
    alone = tmp_path / "alone"
    Run(alone, replace(BUDGET, batch=2), "cpu", stock, TINY).go(60)
    assert not torch.equal(checkpoint(alone)["net"]["head.bias"], checkpoint(tmp_path)["net"]["head.bias"])


def test_the_rate_warms_up_and_falls(stock: Stock, tmp_path: Path) -> None:
    run = Run(tmp_path, Budget(steps=100, batch=1, chunks=0, rate=1.0, warmup=10), "cpu", stock, TINY)
    rates = []
    for run._step in range(101):
        rates.append(run._rate())
    assert rates[0] == pytest.approx(0.1, rel=0.01) and max(rates) == pytest.approx(rates[9], rel=0.05)
    assert all(a > b for a, b in zip(rates[10:], rates[11:], strict=False))
    assert rates[-1] == pytest.approx(0.02)


# The command.


def test_the_command_trains_a_network(
    stock: Stock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []
    monkeypatch.setattr(Stock, "gather", lambda *given: asked.append(given) or stock)
    monkeypatch.setattr(command.initial, "Run", lambda *given, start: Run(*given, TINY, start))
    monkeypatch.setitem(BUDGETS, "small", BUDGET)
    arguments = ["train", "initial", "--out", str(tmp_path / "run"), "--device", "cpu", "--workers", "3"]
    assert main([*arguments, "--minutes", "0"]) == 0
    assert "Not finished, call again" in capsys.readouterr().out
    assert main([*arguments, "--budget", "small"]) == 0
    assert f"Finished: {tmp_path / 'run'}" in capsys.readouterr().out
    assert checkpoint(tmp_path / "run")["step"] == 4
    chunks, data, workers, pools = asked[0]
    assert (chunks, workers, pools.name) == (BUDGET.chunks, 3, "build")
    assert data.name == "initial"  # where plays are kept whatever --out says


def test_a_run_may_begin_with_weights(
    whole: Path, stock: Stock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And goes on from its own checkpoint when it is called again."""
    monkeypatch.setattr(Stock, "gather", lambda *given: stock)
    monkeypatch.setattr(command.initial, "Run", lambda *given, start: Run(*given, TINY, start))
    monkeypatch.setitem(BUDGETS, "small", replace(BUDGET, rate=0.0))
    weights = whole / "initial.safetensors"
    arguments = ["train", "initial", "--out", str(tmp_path), "--device", "cpu", "--start", str(weights)]
    for minutes in ("0", "1"):
        assert main([*arguments, "--minutes", minutes]) == 0
        assert_same(checkpoint(tmp_path)["net"], read_weights(weights)[0])
    assert checkpoint(tmp_path)["step"] == 4


def test_another_network_is_wrong_usage() -> None:
    with pytest.raises(SystemExit) as caught:
        main(["train", "nothing"])
    assert caught.value.code == 2
