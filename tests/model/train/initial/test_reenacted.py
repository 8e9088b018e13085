"""Detected clips enacted otherwise: the truth is that of another body, and the detector errs as it did."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from model.detect.landmarks import OTHER_SIDE
from model.estimate.pose_layout import PoseLayout
from model.estimate.rotation import matrix_from_rotvec
from model.synth.landmarks.crowd import Crowd
from model.synth.landmarks.noise import Sighting
from model.synth.landmarks.plays import Plays
from model.train.initial import reenacted as module
from model.train.initial.reenacted import LEANS, _lean, _shown, reenacted

ALL = torch.ones(8, 96, 33, dtype=torch.bool)


def sighting(plays: Plays, crowd: Crowd) -> Sighting:
    """What is true, but that nobody is seen in three frames."""
    stature = crowd.stature_m[torch.from_numpy(plays.person).long()]
    rays, world = _shown(torch.from_numpy(plays.points_cam_m[:, :, :33]), stature)
    present = torch.ones(rays.shape[:2], dtype=torch.bool)
    present[:, 4:7] = False
    mask = present[..., None, None]
    exchanged = torch.zeros(*present.shape, 3, dtype=torch.bool)
    return Sighting(rays * mask, torch.ones(rays.shape[:3]), world * mask, present, exchanged)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SOMEBODY_ELSE", "HEADING_RAD", "LEAN_RAD", "LASTING_RAD", "SLOW_RAD"):
        monkeypatch.setattr(module, name, 0.0)


@pytest.mark.usefixtures("still")
def test_nothing_changed_is_the_same_clip(plays: Plays, crowd: Crowd, pose_layout: PoseLayout) -> None:
    seen = sighting(plays, crowd)
    own, shown = reenacted(plays, seen, ALL, crowd, pose_layout, rng())
    for f in fields(Plays):
        assert np.allclose(getattr(own, f.name), getattr(plays, f.name), atol=1e-4), f.name
    assert torch.allclose(shown.rays, seen.rays, atol=1e-4)
    assert torch.allclose(shown.world_m, seen.world_m, atol=1e-4)


def test_a_detector_without_errors_has_none_afterwards(plays: Plays, crowd: Crowd, pose_layout: PoseLayout) -> None:
    own, shown = reenacted(plays, sighting(plays, crowd), ALL, crowd, pose_layout, rng())
    expected = sighting(own, crowd)
    assert torch.allclose(shown.rays, expected.rays, atol=1e-3)
    assert torch.allclose(shown.world_m, expected.world_m, atol=1e-3)
    assert (own.person != plays.person).any()
    moved = own.points_cam_m - own.root_cam_m[:, :, None] - plays.points_cam_m + plays.root_cam_m[:, :, None]
    assert 0.05 < np.linalg.norm(moved, axis=-1).mean() < 0.4


def test_somebody_smaller_stands_as_much_nearer(plays: Plays, crowd: Crowd, pose_layout: PoseLayout) -> None:
    own, _ = reenacted(plays, sighting(plays, crowd), ALL, crowd, pose_layout, rng())
    ratio = (crowd.stature_m[own.person] / crowd.stature_m[plays.person]).numpy()
    assert np.allclose(own.root_cam_m, plays.root_cam_m * ratio[:, None, None], atol=1e-5)


def test_errors_stay_and_what_is_hidden_does_not_follow_the_limb(
    plays: Plays, crowd: Crowd, pose_layout: PoseLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SOMEBODY_ELSE", "HEADING_RAD", "LEAN_RAD"):
        monkeypatch.setattr(module, name, 0.0)
    monkeypatch.setattr(module, "CLOSER", (1.0, 1.0))
    seen = sighting(plays, crowd)
    off = 0.01 * torch.randn(seen.rays.shape, generator=rng(1)) * seen.present[..., None, None]
    wrong = Sighting(seen.rays + off, seen.visibility, seen.world_m, seen.present, seen.exchanged)
    visible = ALL.clone()
    visible[:, :, 15] = False
    own, shown = reenacted(plays, wrong, visible, crowd, pose_layout, rng())
    left = shown.rays - sighting(own, crowd).rays
    others = [k for k in range(33) if k != 15]
    assert torch.allclose(left[:, :, others], off[:, :, others], atol=1e-3)
    assert torch.allclose(shown.rays[:, :, 15], wrong.rays[:, :, 15], atol=1e-5)
    assert (shown.rays[:, 20:, 13] - wrong.rays[:, 20:, 13]).norm(dim=-1).mean() > 0.003


@pytest.mark.usefixtures("still")
def test_what_can_be_seen_is_seen_better_by_some_and_at_most_by_so_much(
    plays: Plays, crowd: Crowd, pose_layout: PoseLayout
) -> None:
    """Not what is hidden, nor where sides are exchanged: that stays the detector's guess."""
    seen = sighting(plays, crowd)
    off = 0.01 * torch.ones_like(seen.rays) * seen.present[..., None, None]
    exchanged = seen.exchanged.clone()
    exchanged[:, 9] = True
    wrong = Sighting(seen.rays + off, seen.visibility, seen.world_m, seen.present, exchanged)
    visible = ALL.clone()
    visible[:, :, 15] = False
    _, shown = reenacted(plays, wrong, visible, crowd, pose_layout, rng())
    left = (shown.rays - seen.rays) / 0.01
    there = seen.present & (torch.arange(left.shape[1]) != 9)
    own = [float(left[k, there[k], :15].mean()) for k in range(len(left))]
    assert min(own) > module.CLOSER[0] - 0.01 and max(own) < module.CLOSER[1] + 0.01 and np.std(own) > 0.05
    assert torch.allclose(left[:, 9], torch.tensor(1.0), atol=1e-2)
    assert torch.allclose(left[:, :, 15][seen.present], torch.tensor(1.0), atol=1e-2)


def test_exchanged_landmarks_go_with_the_other_side(plays: Plays, crowd: Crowd, pose_layout: PoseLayout) -> None:
    seen = sighting(plays, crowd)
    side = torch.from_numpy(OTHER_SIDE)
    exchanged = torch.ones_like(seen.exchanged)
    swapped = Sighting(seen.rays[:, :, side], seen.visibility, seen.world_m[:, :, side], seen.present, exchanged)
    own, shown = reenacted(plays, swapped, ALL, crowd, pose_layout, rng())
    groups = torch.tensor(sorted({k for pairs in module.GROUPS.values() for side in pairs for k in side}))
    assert torch.allclose(shown.rays[:, :, groups], sighting(own, crowd).rays[:, :, side][:, :, groups], atol=1e-3)


@pytest.mark.usefixtures("still")
@pytest.mark.parametrize("angle_rad", [0.3, 2.5])
def test_whoever_is_seen_to_lean_leans_less(
    plays: Plays, crowd: Crowd, pose_layout: PoseLayout, angle_rad: float
) -> None:
    """But who is seen the other way round stays so: that is another kind of error."""
    seen, axis = sighting(plays, crowd), torch.tensor([0.8, 0.0, 0.6])
    leaning = replace(seen, world_m=seen.world_m @ matrix_from_rotvec(angle_rad * axis).mT)
    _, shown = reenacted(plays, leaning, ALL, crowd, pose_layout, rng())
    found = _lean(shown.world_m, seen.world_m, ALL & seen.present[..., None])
    if angle_rad < 1:
        assert torch.allclose(found / found.norm(dim=-1, keepdim=True), axis, atol=1e-3)
        share = found.norm(dim=-1) / angle_rad
        assert LEANS[0] - 1e-3 <= share.min() < 0.5 < share.max() <= LEANS[1] + 1e-3
    else:
        assert torch.allclose(shown.world_m, leaning.world_m, atol=1e-4)
