"""A part that is taken out is out, and nothing else changes; what is measured makes a table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from model.body import AnnyBody
from model.networks.body_map import BodyMap
from model.networks.evidence_maps import MeshDrawer
from model.refine.inputs import Prepared, prepare
from model.train.refine import ablations
from model.train.refine.ablations import ROWS, Row, make, page, refinement_table, uncertainty_table
from model.train.refine.run import Budget
from model.train.refine.stock import footage_of
from model.train.refine.variants import Networks, Stale, Variant
from model.train.refine.windows import Windows

from .conftest import FRAMES


@pytest.fixture(scope="module")
def prepared(body: AnnyBody, body_map: BodyMap, stock: Path) -> Prepared:
    start, seen, _ = Windows(footage_of("refinement", stock), body, body_map).windows([0], [0], 5)
    return prepare(body_map, body.kinematics, MeshDrawer(body_map), start, seen)


def networks(body: BodyMap, variant: Variant) -> Networks:
    torch.manual_seed(0)
    nets = Networks(body, variant).eval()
    with torch.no_grad():
        for head in (nets.hrn.pose.turn, *(level.move for level in nets.hrn.levels)):
            head.weight.mul_(100.0)
    return nets


@torch.no_grad()
def test_attention_is_everywhere_or_dealt_out_again(body_map: BodyMap, prepared: Prepared) -> None:
    nets, rng = networks(body_map, Variant()), torch.Generator().manual_seed(0)
    dan = nets(prepared)
    own, everywhere, shuffled = (
        Variant(attention=kind).attended(prepared, dan, rng) for kind in ("own", "everywhere", "shuffled")
    )
    there = torch.arange(5) != 3
    assert torch.equal(everywhere, there[None, :, None].expand_as(own).float())
    assert torch.equal(shuffled.sort(-1).values, own.sort(-1).values)
    assert not torch.equal(shuffled, own)


@torch.no_grad()
def test_evidence_is_fresh_or_stays_as_it_was(body_map: BodyMap, prepared: Prepared) -> None:
    turns = []
    for fresh in (True, False):
        nets = networks(body_map, Variant(fresh=fresh))
        dan = nets(prepared)
        turns.append(nets.refine(prepared, dan, torch.ones_like(dan.attention), 0).turn)
        look = prepared.look(dan)
        still = look.bones(torch.zeros_like(turns[-1]), torch.zeros(1, 5, 3)).numbers
        moved = (look if fresh else Stale(look)).bones(turns[-1], torch.zeros(1, 5, 3)).numbers
        assert torch.equal(still, moved) is not fresh
    assert not torch.allclose(*turns)


@torch.no_grad()
def test_without_a_hierarchy_the_finest_level_moves_alone(body_map: BodyMap, prepared: Prepared) -> None:
    for variant, alone in ((Variant(), False), (Variant(hierarchy=False), True)):
        nets = networks(body_map, variant)
        dan = nets(prepared)
        output = nets.refine(prepared, dan, torch.ones_like(dan.attention), threshold=-1.0)
        moved = [bool(offsets.abs().max() > 0) for offsets in output.offsets_m]
        assert moved == [not alone] * (len(moved) - 1) + [True]


def test_rows_are_measured_on_the_same_frames_and_kept(
    stock: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ablations, "BUDGET", Budget(1, 1, 1, 3, warmup=1, look=10))
    monkeypatch.setattr(ablations, "ALONE_BUDGET", Budget(1, 0, 1, 3, warmup=1, look=10))
    found = {key: make(ROWS[key], tmp_path, stock, "cpu") for key in ("full", "all", "untrained")}
    alone = make(ROWS["dan_one_frame"], tmp_path, stock, "cpu")
    assert {name: len(values) for name, values in alone.items()} == {"loss": 2, "spearman": 2, "rank": 1}
    assert all(np.isfinite(values).all() for values in alone.values())
    for frames in found.values():
        assert len(frames["clip"]) == 2 * (FRAMES - 1)
        assert np.allclose(frames["before_mm"], 0.0, atol=1e-2)
        assert frames["joints_mm"].shape[1:] == (2, 2)
    assert np.allclose(found["all"]["attention"], 1.0)
    assert found["full"]["attention"].max() < 1.0


def test_one_frame_at_a_time_is_the_same_estimate(stock: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {key: Row(key, Variant(one_frame=key == "one"), trained=False) for key in ("one", "more")}
    monkeypatch.setattr(ablations, "ROWS", rows)
    one, more = (make(row, tmp_path, stock, "cpu") for row in rows.values())
    for name in ("clip", "before_mm", "confidence", "speed_m_s"):
        assert np.allclose(one[name], more[name], atol=1e-3), name
    assert not np.allclose(one["after_mm"], more["after_mm"])


def test_the_table_of_refinement_tells_changes() -> None:
    rng = np.random.default_rng(0)
    clips, frames = 12, 12 * 5
    before = 50 + 10 * rng.random(frames)
    rows = {
        key: {
            "clip": np.repeat(np.arange(clips), 5),
            "before_mm": before,
            "after_mm": before * change,
            "joints_mm": np.stack([[before, before * change]] * 2, -1).transpose(1, 0, 2),
            "attention": np.full(frames, 0.25),
            "confidence": rng.random(frames),
            "speed_m_s": rng.random(frames),
        }
        for key, change in (("full", 0.9), ("untrained", 1.02))
    }
    _, _, full, untrained = refinement_table(rows).splitlines()
    assert full.count("-10.0 %") == 5 and "| 0.25 |" in full and "everything" in full
    assert untrained.count("+2.0 %") == 5


def test_the_table_of_uncertainty_compares_with_the_first_row() -> None:
    loss = 5 + np.random.default_rng(0).random(12)
    rows = {
        key: {"loss": loss + worse, "spearman": np.full(12, 0.2 - worse), "rank": np.array([0.6 - worse])}
        for key, worse in (("dan", 0.0), ("dan_untrained", 0.1))
    }
    _, _, first, other = uncertainty_table(rows).splitlines()
    assert first.endswith("| 0.600 | 0.200 |  |")
    assert "| 0.500 | 0.100 |" in other and float(other.split("|")[-2]) < 0.01


def test_the_page_holds_both_tables_and_how_they_were_made() -> None:
    frames = np.full(24, 50.0)
    refined = {
        "clip": np.repeat(np.arange(12), 2),
        "before_mm": frames,
        "after_mm": frames - 5,
        "joints_mm": np.full((24, 2, 2), 50.0),
        "attention": frames,
        "confidence": frames,
        "speed_m_s": frames,
    }
    alone = {"loss": np.arange(12.0), "spearman": np.zeros(12), "rank": np.ones(1)}
    text = page({"full": refined, "dan": alone, "dan_untrained": alone | {"loss": np.arange(12.0) + 1}})
    assert "same 12 validation clips" in text and "500 steps of 16 frames" in text and "300 steps of 48 frames" in text
    assert text.count("| everything |") == 2


@torch.no_grad()
def test_what_dan_is_blind_to_is_not_told(body_map: BodyMap, prepared: Prepared) -> None:
    shown = Variant(blind=("hints",)).shown(prepared.given)
    assert not shown.hints.any() and torch.equal(shown.mesh, prepared.given.mesh)
    blind, seeing = (networks(body_map, Variant(blind=some)) for some in (("features", "signs", "mesh"), ()))
    assert not torch.allclose(blind(prepared).sigma_mm, seeing(prepared).sigma_mm)
