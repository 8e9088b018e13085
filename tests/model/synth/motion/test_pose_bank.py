"""Poses for training pictures: from both sources, apart from themselves, and nobody's hand in their leg."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model.body import AnnyBody
from model.body.landmarks import LandmarkRegressor
from model.estimate.pose_angles import mirrored
from model.estimate.pose_space import PoseSpace
from model.paths import WEIGHTS
from model.synth.motion.enrich import Poses, joined, sample, taken
from model.synth.motion.overlap import Overlap
from model.synth.motion.places import LEG_COLUMNS, MIDDLE_COLUMNS, places_m
from model.synth.motion.pose_bank import DRAWN_SHARE, GROUPS, PoseBank
from model.synth.motion.puppet import Puppet, arm, turn
from model.synth.motion.recombine import Pool
from model.synth.variety import nearest_mm, within_limits


@pytest.fixture(scope="module")
def space(body: AnnyBody) -> PoseSpace:
    return PoseSpace(body, LandmarkRegressor.load(WEIGHTS / "landmark_regressor.npz"))


@pytest.fixture(scope="module")
def bank(space: PoseSpace) -> PoseBank:
    """The capture is stood in for by poses of one category."""
    some = sample(space, 600, seed=4)
    rows = np.flatnonzero(np.isin(some.category, ["on one leg", "crawling"]))
    index = torch.from_numpy(rows)
    stand_in = np.where(some.category[rows] == "crawling", "walk", "dance")
    return PoseBank(space, Poses(some.angles[index], some.orientation[index], stand_in), drawn=130)


def one_pose(body: AnnyBody, joints: dict[str, np.ndarray]) -> torch.Tensor:
    local = torch.eye(3).expand(1, len(body.bone_names), 3, 3).clone()
    for name, rotation in joints.items():
        local[0, body.bone(name)] = torch.from_numpy(rotation).float()
    return local


@pytest.mark.parametrize("every", [1, 10])
def test_overlap_finds_a_hand_in_the_belly_and_only_that(body: AnnyBody, every: int) -> None:
    rest = body.rest(body.default_shape())
    puppet = Puppet(rest.heads_m.double().numpy(), body.bone_parents, body.bone_names, 0.0)
    overlap = Overlap(body, every)
    hanging = one_pose(body, arm("L", 0, 15, 0, 10, puppet))
    inside = one_pose(body, arm("L", 20, 0, 70, 75, puppet))
    apart = one_pose(body, arm("L", 80, 20, 0, 20, puppet))
    depth = overlap.depth_m(torch.cat([hanging, inside, apart]))
    assert depth[0] < 0.01
    assert depth[1] > 0.012
    assert depth[2] == 0.0


def test_overlap_does_not_depend_on_who_else_is_measured(body: AnnyBody, space: PoseSpace) -> None:
    """Parts that are far apart are left out body by body."""
    poses = sample(space, 40, seed=6)
    local = space.local_rotations(poses.orientation, poses.angles)
    overlap = Overlap(body, 10)
    alone = torch.cat([overlap.depth_m(one[None]) for one in local])
    assert (alone > 0.005).float().mean() > 0.1
    assert torch.allclose(overlap.depth_m(local), alone, atol=1e-6)


def test_the_bank_gives_both_kinds_and_turns_them(bank: PoseBank) -> None:
    poses = bank.draw(np.random.default_rng(0), 400)
    from_capture = np.isin(poses.category, ["walk", "dance"])
    assert from_capture.mean() == pytest.approx(1 - DRAWN_SHARE, abs=0.1)
    for kinds in GROUPS.values():
        assert np.isin(poses.category, kinds).mean() == pytest.approx(DRAWN_SHARE / len(GROUPS), abs=0.03)
    ahead = -poses.orientation[:, :2, 1]
    heading = torch.atan2(ahead[:, 0], -ahead[:, 1])
    assert (torch.histc(heading, 4, -torch.pi, torch.pi) > 50).all()


def test_poses_of_the_bank_are_possible(bank: PoseBank, space: PoseSpace, body: AnnyBody) -> None:
    poses = bank.draw(np.random.default_rng(1), 300)
    assert within_limits(space, poses.angles.numpy()).mean() > 0.95
    depth = Overlap(body, 4).depth_m(space.local_rotations(poses.orientation, poses.angles))
    assert (depth > 0.01).float().mean() < 0.02


def test_shares_are_what_they_are_called(bank: PoseBank) -> None:
    """None lost to overlap: every draw has as many of each group."""
    poses = bank.draw(np.random.default_rng(2), 1500)
    for name in ("sitting", "kneeling", "lying", "crawling", "on one leg"):
        assert np.isin(poses.category, GROUPS[name]).mean() > 0.035, name


@pytest.fixture(scope="module")
def pool(space: PoseSpace) -> tuple[Pool, Poses]:
    """Two kinds, and their mirror images behind them."""
    some = sample(space, 420, seed=8)
    some = taken(some, np.flatnonzero(np.isin(some.category, ["squatting", "crawling", "on one leg"])))
    angles, orientation = mirrored(space, some.angles, some.orientation)
    both = joined([some, Poses(angles, orientation, some.category)])
    return Pool(space, both, np.ones(len(both.category)), both.category), both


def test_parts_are_taken_whole_and_within_a_kind(pool: tuple[Pool, Poses], space: PoseSpace) -> None:
    parts, _ = pool
    rng = np.random.default_rng(0)
    legs = parts.some(rng, 200)
    trunks = parts.trunks(rng, legs)
    arms = parts.arms(rng, legs, trunks)
    assert (trunks != legs).mean() > 0.5
    kind = parts.poses.category
    assert (kind[trunks] == kind[legs]).all()
    assert (kind[arms] == kind[legs]).all()
    made, known = parts.assembled(legs, trunks, arms, legs), parts.poses.angles
    for name, rows in (("knee.R", legs), ("waist.x", trunks), ("elbow.L", arms), ("elbow.R", legs)):
        column = space.names.index(name)
        assert torch.equal(made.angles[:, column], known[torch.from_numpy(rows), column]), name
    assert torch.equal(made.orientation, parts.poses.orientation[torch.from_numpy(legs)])


def test_donors_are_more_alike_than_chance_has_it(pool: tuple[Pool, Poses], space: PoseSpace) -> None:
    parts, _ = pool
    rng = np.random.default_rng(1)
    places = places_m(space, space.local_rotations(parts.poses.orientation, parts.poses.angles).numpy())
    legs = parts.some(rng, 300)
    same = np.array([rng.choice(np.flatnonzero(parts.poses.category == parts.poses.category[row])) for row in legs])

    def apart(rows: np.ndarray, columns: slice) -> float:
        return float(np.linalg.norm(places[rows][:, columns] - places[legs][:, columns], axis=1).mean())

    assert apart(parts.trunks(rng, legs), LEG_COLUMNS) < 0.7 * apart(same, LEG_COLUMNS)
    assert apart(parts.arms(rng, legs, legs), MIDDLE_COLUMNS) < 0.85 * apart(same, MIDDLE_COLUMNS)


def test_the_mirror_image_of_a_row_is_its_mirror_image(pool: tuple[Pool, Poses], space: PoseSpace) -> None:
    parts, _ = pool
    rows = np.arange(len(parts.poses.category))
    angles, _ = mirrored(space, parts.poses.angles, parts.poses.orientation)
    assert torch.allclose(parts.poses.angles[torch.from_numpy(parts.mirror_image(rows))], angles)


def test_what_counts_more_is_taken_more_often(pool: tuple[Pool, Poses], space: PoseSpace) -> None:
    _, both = pool
    heavy = both.category == "crawling"
    parts = Pool(space, both, np.where(heavy, 3.0, 1.0), np.zeros(len(heavy)))
    expected = 3 * heavy.sum() / (3 * heavy.sum() + (~heavy).sum())
    got = parts.poses.category[parts.some(np.random.default_rng(2), 4000)] == "crawling"
    assert got.mean() == pytest.approx(expected, abs=0.03)


def test_rotations_are_rotations_and_the_same_again(bank: PoseBank) -> None:
    one, again = (bank(np.random.default_rng(5), 8) for _ in range(2))
    assert np.array_equal(one, again)
    assert one.shape == (8, 104, 3, 3)
    assert np.allclose(one @ one.swapaxes(-1, -2), np.eye(3), atol=1e-6)


def test_distances_leave_the_heading_out_but_not_the_lean(space: PoseSpace, body: AnnyBody) -> None:
    upright = one_pose(body, {}).double().numpy()
    turned, leaning = upright.copy(), upright.copy()
    turned[0, 0], leaning[0, 0] = turn("z", 130), turn("x", 30)
    places = [places_m(space, pose) for pose in (upright, turned, leaning)]
    assert nearest_mm(places[0], places[1])[0] < 1e-6
    assert nearest_mm(places[0], places[2])[0] > 100
