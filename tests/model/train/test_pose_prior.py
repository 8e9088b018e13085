"""The pose prior's training: its parts on made data, and what the shipped weights say of people never trained on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model.body import AnnyBody
from model.body.landmarks import LandmarkRegressor
from model.estimate.pose_space import PoseSpace
from model.estimate.prior import FILE, PosePrior
from model.paths import WEIGHTS, assets_folder
from model.synth.motion.enrich import Poses, sample
from model.synth.motion.mocap import default_folder
from model.synth.splits import seeds
from model.train.mixture import Mixture, fit
from model.train.pose_data import (
    HELD_OUT_SEED,
    TRAIN_SEED,
    Captured,
    balanced,
    both_ways,
    captured,
    with_guessed_ankles,
)
from model.train.pose_prior import (
    FLOOR_RAD,
    STRENGTH,
    TAILS,
    Curve,
    energy,
    limits,
    nearest,
    plot_curves,
    save,
    shuffled,
    write_curves,
)


@pytest.fixture(scope="module")
def space() -> PoseSpace:
    return PoseSpace(AnnyBody.load(assets_folder()), LandmarkRegressor.load(WEIGHTS / "landmark_regressor.npz"))


@pytest.fixture(scope="module")
def prior(space) -> PosePrior:
    return PosePrior.load(WEIGHTS / FILE, space.names)


@pytest.fixture(scope="module")
def unseen(space) -> Poses:
    """Drawn poses of a seed that the prior has not seen."""
    return sample(space, 1200, seed=seeds("test")["poses"][0] + 77)


def possible(prior: PosePrior, points: np.ndarray) -> float:
    """Share that lies within the 99 % quantile of chi-squared of the nearest component."""
    stats = pytest.importorskip("scipy.stats")
    return float(np.mean(nearest(prior, points) <= stats.chi2.ppf(0.99, len(prior.names))))


def two_clouds(rng: np.random.Generator) -> np.ndarray:
    narrow = rng.normal(0, [0.2, 0.5, 0.1], (900, 3)) + [3, 0, 0]
    slanted = rng.normal(0, 1, (300, 3)) @ np.array([[0.5, 0.4, 0], [0, 0.2, 0], [0, 0, 0.3]]) - [2, 1, 0]
    return np.concatenate([narrow, slanted])


def test_finds_the_gaussians_that_made_the_points():
    points = two_clouds(np.random.default_rng(0))
    seen = []
    floor = np.full(3, 1e-6)
    mixture = fit(points, 2, np.ones(3), floor, 0.1, 20, 0, lambda step, m, before: seen.append(before))
    order = np.argsort(mixture.means[:, 0])
    np.testing.assert_allclose(np.exp(mixture.log_weights)[order], [0.25, 0.75], atol=0.01)
    np.testing.assert_allclose(mixture.means[order], [[-2, -1, 0], [3, 0, 0]], atol=0.1)
    np.testing.assert_allclose(mixture.covariances[order[1]], np.diag([0.04, 0.25, 0.01]), atol=0.02)
    assert mixture.covariances[order[0]][0, 1] == pytest.approx(0.2, abs=0.05)
    assert np.diff(seen).min() > -1e-6  # never worse


def test_log_likelihood_is_exact():
    stats = pytest.importorskip("scipy.stats")
    points = two_clouds(np.random.default_rng(0))[::50]
    covariances = np.stack([np.eye(3), np.diag([1.0, 2.0, 3.0])])
    mixture = Mixture(np.log([0.3, 0.7]), np.array([[0, 0, 0], [1, 1, 1.0]]), covariances)
    expected = sum(
        weight * stats.multivariate_normal(mean, covariance).pdf(points)
        for weight, mean, covariance in zip((0.3, 0.7), mixture.means, covariances, strict=True)
    )
    np.testing.assert_allclose(np.exp(mixture.log_likelihood(points)), expected, rtol=1e-9)


def test_a_small_component_is_held_to_the_common_shape():
    rng = np.random.default_rng(1)
    points = np.concatenate([rng.normal(0, 1, (500, 6)), rng.normal(0, 1e-4, (5, 6)) + 30])
    mixture = fit(points, 2, np.ones(6), np.full(6, 1e-4), 50.0, 10, 0)
    small = mixture.covariances[np.argmin(mixture.log_weights)]
    assert np.linalg.eigvalsh(small).min() > 0.5


def test_drawn_poses_are_measured_on_seeds_kept_for_it():
    assert TRAIN_SEED in range(*seeds("train")["poses"])
    assert HELD_OUT_SEED in range(*seeds("test")["poses"])


def test_walking_does_not_dominate():
    walk, rare = np.array(["walk"] * 9000 + ["climb"] * 4000 + ["jump"] * 100), np.arange(13100.0)
    poses = Poses(torch.from_numpy(rare)[:, None], torch.eye(3).double().expand(13100, 3, 3), walk)
    few = balanced(poses, 1000, np.random.default_rng(0))
    count = {k: int((few.category == k).sum()) for k in ("walk", "climb", "jump")}
    assert sum(count.values()) == 1000
    assert count["walk"] < 600
    assert count["jump"] > 50
    assert (np.diff(np.sort(few.angles[few.category == "walk", 0].numpy())) > 0).all()  # each once


def test_bad_ankles_are_guessed_from_the_leg(space):
    """Ankles that follow the knee: where they are lost, they come back with the right mean and spread."""
    rng = np.random.default_rng(0)
    angles = rng.normal(0, 0.3, (2000, len(space.names)))
    knee, ankle = space.names.index("knee.L"), space.names.index("ankle.L.x")
    angles[:, ankle] = -0.5 * angles[:, knee] + rng.normal(0, 0.05, 2000)
    truth = angles[1000:, ankle].copy()
    angles[1000:, ankle] = 9.0
    poses = Poses(torch.from_numpy(angles), torch.eye(3).double().expand(2000, 3, 3), np.array(["x"] * 2000))
    mended = with_guessed_ankles(space, Captured(poses, np.arange(2000) < 1000), rng).angles.numpy()
    assert np.corrcoef(mended[1000:, ankle], truth)[0, 1] > 0.85
    assert np.std(mended[1000:, ankle] - truth) == pytest.approx(0.05 * np.sqrt(2), rel=0.15)
    others = [i for i, name in enumerate(space.names) if not name.startswith("ankle")]
    np.testing.assert_array_equal(mended[:, others], angles[:, others])
    np.testing.assert_array_equal(mended[:1000], angles[:1000])


def test_limits_are_symmetric_and_knees_bend_one_way(space):
    drawn = sample(space, 800, 9)
    points = both_ways(space, drawn, np.random.default_rng(0))
    lower, upper = limits(space, points)
    for i, name in enumerate(space.names):
        other = space.names.index(name.replace(".L", ".?").replace(".R", ".L").replace(".?", ".R"))
        turns_over = name.startswith("forearm") or name.endswith((".y", ".z"))
        mirror = (-upper[other], -lower[other]) if turns_over else (lower[other], upper[other])
        np.testing.assert_allclose((lower[i], upper[i]), mirror, atol=1e-6, err_msg=name)
    assert lower[space.names.index("knee.L")] == float(space.lower[space.names.index("knee.L")]) > -0.2
    assert ((points < lower) | (points > upper)).mean() < 0.005


def test_saves_the_same_bytes_and_reads_back(tmp_path, space):
    points = np.random.default_rng(0).normal(0, 0.3, (400, len(space.names)))
    for name in ("a.npz", "b.npz"):
        mixture = fit(points, 2, space.sigma.numpy(), np.full(points.shape[1], 1e-3), 20.0, 3, 0)
        save(tmp_path / name, space.names, mixture, 20.0, *limits(space, points))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.npz", "b.npz"]
    read = PosePrior.load(tmp_path / "a.npz", space.names)
    np.testing.assert_allclose(read.means, mixture.means, atol=1e-6)
    near = PosePrior(**(vars(read) | {"tail": 1e7}))  # without its tails it is the mixture itself
    np.testing.assert_allclose(-energy(near, points[:50]), mixture.log_likelihood(points[:50]), atol=0.02)


def test_curves_are_written_and_drawn(tmp_path):
    cv2 = pytest.importorskip("cv2")
    curves = {1: Curve([1.0, 1.5], [0.5, 0.6], [0.1, 0.2]), 8: Curve([7.0, 8.0], [6.0, 6.5], [5.0, 5.1])}
    write_curves(tmp_path / "curves.csv", curves)
    lines = (tmp_path / "curves.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("components,step")
    assert lines[4] == "8,2,8.0000,6.5000,5.1000"
    plot_curves(tmp_path / "plot.png", curves)
    assert cv2.imread(str(tmp_path / "plot.png")).std() > 5
    assert (tmp_path / "plot.png").stat().st_size < 60_000


@pytest.mark.parametrize(
    "category",
    ["sitting on a chair", "sitting on the floor", "sitting cross-legged", "kneeling on both knees",
     "kneeling on one knee", "lying on the back", "lying on the front", "lying on the side", "on one leg"],
)  # fmt: skip
def test_what_captures_lack_is_possible(prior, unseen, category):
    mine = unseen.angles[torch.from_numpy(unseen.category == category)].numpy()
    assert len(mine) >= 100
    assert possible(prior, mine) > 0.95


def test_angles_that_do_not_go_together_are_less_possible(prior, unseen):
    assert possible(prior, shuffled(unseen.angles.numpy(), np.random.default_rng(0))) < 0.8
    bodies = np.random.default_rng(0).uniform(prior.lower.numpy(), prior.upper.numpy(), (500, len(prior.names)))
    assert possible(prior, bodies) < 0.01  # within the limits, but no poses


@pytest.mark.skipif(not default_folder().is_dir(), reason="the motion capture (../shared/mocap) is not here")
def test_people_never_trained_on_are_likelier_than_one_gaussian_has_it(space, prior, tmp_path):
    rng = np.random.default_rng(3)
    test = both_ways(space, captured(space, None, "test", lambda done, total: None).poses, rng)
    ours = -energy(prior, test).mean()
    # The control is made for this: one Gaussian of captured poses alone, with the tails that suit it best.
    train = captured(space, None, "train", lambda done, total: None)
    points = both_ways(space, balanced(with_guessed_ankles(space, train, rng), 4000, rng), rng)
    single = fit(points, 1, space.sigma.numpy(), np.full(points.shape[1], FLOOR_RAD**2), STRENGTH, 1, 0)
    controls = []
    for tail in TAILS:
        save(tmp_path / FILE, space.names, single, tail, *limits(space, points))
        controls.append(-energy(PosePrior.load(tmp_path / FILE), test).mean())
    assert ours > max(controls) + 1.0
    assert ours > -energy(prior, shuffled(test, rng)).mean() + 10.0
    lower, upper = prior.lower.numpy(), prior.upper.numpy()
    assert ((test < lower) | (test > upper)).mean() < 0.005
