"""Drawn poses are what their category says, within what joints do, and the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model.body import AnnyBody
from model.body.landmarks import LandmarkRegressor
from model.estimate.pose_angles import mirrored
from model.estimate.pose_space import PoseSpace
from model.paths import WEIGHTS, assets_folder
from model.synth.motion.enrich import CATEGORIES, MIXED, Poses, sample


@pytest.fixture(scope="module")
def space() -> PoseSpace:
    return PoseSpace(AnnyBody.load(assets_folder()), LandmarkRegressor.load(WEIGHTS / "landmark_regressor.npz"))


def heads_of(space: PoseSpace, poses: Poses) -> dict[str, np.ndarray]:
    rest = space.body.rest(space.body.default_shape())
    local = space.local_rotations(poses.orientation, poses.angles)
    nowhere = torch.zeros((len(local), 3), dtype=torch.float64)
    heads = space.body.kinematics(local, rest.heads_m.double(), nowhere)[1].numpy()
    return {name: heads[:, i] for i, name in enumerate(space.body.bone_names)}


@pytest.fixture(scope="module")
def poses(space) -> Poses:
    return sample(space, 1200, seed=5)


@pytest.fixture(scope="module")
def heads(space, poses) -> dict[str, np.ndarray]:
    return heads_of(space, poses)


def elevation_deg(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    along = end - start
    return np.degrees(np.arcsin(along[:, 2] / np.linalg.norm(along, axis=1)))


def share(condition: np.ndarray) -> float:
    return float(np.mean(condition))


def test_the_same_seed_draws_the_same(space):
    a, b, other = (sample(space, 60, seed) for seed in (1, 1, 2))
    assert torch.equal(a.angles, b.angles)
    assert torch.equal(a.orientation, b.orientation)
    assert not torch.equal(a.angles, other.angles)


def test_every_category_has_its_share(space):
    captured = Poses(
        torch.zeros((3, len(space.names))).double(), torch.eye(3).double().expand(3, 3, 3), np.array([""] * 3)
    )
    drawn = sample(space, 131, seed=3, captured=captured)
    assert len(drawn.angles) == len(drawn.orientation) == len(drawn.category) == 131
    for category in CATEGORIES:
        assert share(drawn.category == category) >= 0.05
    assert MIXED not in sample(space, 50, seed=3).category


def test_hinges_and_balls_stay_within_reason(space, poses):
    assert ((poses.angles >= space.lower) & (poses.angles <= space.upper)).all()
    assert ((poses.angles - space.mean).abs() < 4 * space.sigma.clamp(min=0.3)).float().mean() > 0.99
    assert torch.allclose(poses.orientation @ poses.orientation.mT, torch.eye(3).double(), atol=1e-9)


def of(heads: dict[str, np.ndarray], rows: np.ndarray, *names: str) -> list[np.ndarray]:
    return [heads[name][rows] for name in names]


def test_who_sits_has_the_thighs_level_and_the_trunk_up(heads, poses):
    rows = poses.category == "sitting on a chair"
    for s in "LR":
        hip, knee = of(heads, rows, f"upperleg01.{s}", f"lowerleg01.{s}")
        assert share(np.abs(elevation_deg(hip, knee)) < 28) > 0.9
    assert share(elevation_deg(*of(heads, rows, "root", "neck01")) > 45) > 0.95


def test_who_kneels_rests_on_the_shins(heads, poses):
    rows = poses.category == "kneeling on both knees"
    for s in "LR":
        knee, ankle = of(heads, rows, f"lowerleg01.{s}", f"foot.{s}")
        assert share(np.abs(elevation_deg(knee, ankle)) < 35) > 0.9
    rows = poses.category == "kneeling on one knee"
    shins = np.stack([elevation_deg(*of(heads, rows, f"lowerleg01.{s}", f"foot.{s}")) for s in "LR"])
    assert share(shins.min(0) < -55) > 0.85  # one upright,
    assert share(shins.max(0) > -40) > 0.85  # one on the ground


def test_who_lies_or_crawls_has_the_trunk_level(heads, poses):
    for category, most in (
        ("lying on the back", 30),
        ("lying on the front", 35),
        ("lying on the side", 30),
        ("crawling", 60),
    ):
        rows = poses.category == category
        assert share(np.abs(elevation_deg(*of(heads, rows, "root", "neck01"))) < most) > 0.9, category
    faces_up = poses.orientation[:, 2, 1].numpy()  # of the back
    assert (faces_up[poses.category == "lying on the back"] < -0.8).all()
    assert (faces_up[poses.category == "lying on the front"] > 0.8).all()
    rows = poses.category == "crawling"
    for s in "LR":
        assert share(of(heads, rows, f"wrist.{s}")[0][:, 2] < of(heads, rows, f"upperarm01.{s}")[0][:, 2] - 0.3) > 0.95


def test_who_balances_has_one_foot_higher(heads, poses):
    left, right = of(heads, poses.category == "on one leg", "foot.L", "foot.R")
    assert share(np.abs(left - right)[:, 2] > 0.08) > 0.8


def test_hands_rest_at_the_body(heads, poses):
    """Within reach of the face, the hips, the other arm, the belly or the back: nobody's hands hang free."""
    rows = poses.category == "hands at the body"
    places = of(
        heads, rows, "head", "upperleg01.L", "upperleg01.R", "lowerarm01.L", "lowerarm01.R", "spine05", "spine02"
    )
    for s in "LR":
        wrist = of(heads, rows, f"wrist.{s}")[0]
        other = [p for p, name in zip(places, "huullss", strict=True) if name != "l"] + [places[3 if s == "R" else 4]]
        assert share(np.min([np.linalg.norm(wrist - p, axis=1) for p in other], axis=0) < 0.33) > 0.85


def test_mirroring_twice_is_nothing_and_once_swaps_sides(space, poses, heads):
    angles, orientation = mirrored(space, poses.angles, poses.orientation)
    again = mirrored(space, angles, orientation)
    assert torch.allclose(again[0], poses.angles)
    assert torch.allclose(again[1], poses.orientation)
    other = heads_of(space, Poses(angles, orientation, poses.category))
    for bone in ("wrist", "foot", "lowerleg01", "finger2-1"):
        np.testing.assert_allclose(other[f"{bone}.L"] * [-1, 1, 1], heads[f"{bone}.R"], atol=2e-3)


def test_mixing_takes_legs_from_one_and_the_rest_from_another(space):
    generator = torch.Generator().manual_seed(0)
    angles = 0.1 * torch.randn((2, len(space.names)), generator=generator, dtype=torch.float64)
    captured = Poses(angles, torch.eye(3).double().expand(2, 3, 3), np.array(["", ""]))
    mixed = sample(space, 400, 1, captured)
    mine = mixed.angles[torch.from_numpy(mixed.category == MIXED)]
    knee, elbow = space.names.index("knee.L"), space.names.index("elbow.L")
    seen = {(round(float(a[knee]), 6), round(float(a[elbow]), 6)) for a in mine}
    assert len(seen) > 8  # of 16 pairings of two poses and their mirror images
