"""Motions to train on: within what joints do, at any rate and length, and feet that stay where they stand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model.body import AnnyBody
from model.body.landmarks import LandmarkRegressor
from model.estimate.pose_angles import mirrored
from model.estimate.pose_space import PoseSpace
from model.paths import WEIGHTS
from model.synth.motion import motions
from model.synth.motion.enrich import Poses, sample
from model.synth.motion.motions import Motion, MotionBank, interpolated, smooth_noise, stand
from tests.model.made_capture import FPS, sequence, turned

FRAMES = 40


@pytest.fixture(scope="module")
def space(body: AnnyBody) -> PoseSpace:
    return PoseSpace(body, LandmarkRegressor.load(WEIGHTS / "landmark_regressor.npz"))


@pytest.fixture(scope="module")
def poses(space: PoseSpace) -> Poses:
    return sample(space, 60, seed=3)


@pytest.fixture(scope="module")
def bank(space: PoseSpace, poses: Poses) -> MotionBank:
    """Its one captured motion bends the left knee and lifts both arms, more and more, for one and a half seconds."""
    most = {"l_knee": ("x", 80.0), "l_shoulder": ("z", -60.0), "r_shoulder": ("z", 60.0)}
    shares = np.linspace(0, 1, 90)
    bent = np.concatenate([turned(1, **{name: (axis, s * deg) for name, (axis, deg) in most.items()}) for s in shares])
    return MotionBank(space, poses, [sequence(bent)])


def plain(patch: pytest.MonkeyPatch, keyed: float) -> None:
    """Either all captured or all keyed, nothing added."""
    patch.setattr(motions, "KEYED_SHARE", keyed)
    patch.setattr(motions, "SWAY", 0.0)
    patch.setattr(motions, "MIXED_SHARE", 0.0)


def drawn(bank: MotionBank, count: int, frames: int = FRAMES, fps: float = 30.0) -> list[Motion]:
    return [bank.draw(np.random.default_rng([8, k]), frames, fps) for k in range(count)]


def column(space: PoseSpace, name: str) -> int:
    return space.names.index(name)


@pytest.mark.parametrize("frames", [1, 2, 40, 300])
@pytest.mark.parametrize("fps", [12.0, 60.0])
def test_any_length_at_any_rate_is_a_motion(bank: MotionBank, space: PoseSpace, frames: int, fps: float) -> None:
    for motion in drawn(bank, 8, frames, fps):
        assert motion.angles.shape == (frames, len(space.names))
        assert (motion.angles >= space.lower.numpy()).all() and (motion.angles <= space.upper.numpy()).all()
        assert np.isfinite(motion.angles).all()
        matrices = motion.matrices()
        assert np.abs(np.swapaxes(matrices, -1, -2) @ matrices - np.eye(3)).max() < 1e-6
        assert motion.root_m is None or motion.root_m.shape == (frames, 3)


def test_nothing_jumps(bank: MotionBank, space: PoseSpace) -> None:
    for motion in drawn(bank, 30, fps=60.0):
        assert np.abs(np.diff(motion.angles, axis=0)).max() < 0.4
        assert (np.einsum("td,td->t", motion.orientation[1:], motion.orientation[:-1]) > 0.95).all()


def test_captured_motion_is_what_was_captured(
    bank: MotionBank, space: PoseSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At life's speed and its own rate: a knee that bends by 80 degrees in a second and a half."""
    plain(monkeypatch, 0.0)
    monkeypatch.setattr(motions, "SPEED", (1.0, 1.0))
    speeds = []
    for motion in drawn(bank, 6, frames=45, fps=FPS):
        assert motion.root_m is not None
        knee = np.abs(np.diff(motion.angles[:, [column(space, "knee.L"), column(space, "knee.R")]], axis=0))
        speeds.append(np.rad2deg(knee.max(1).mean() * FPS))  # whichever side it is, mirrored or not
        assert knee.min(1).max() < 1e-3
    assert speeds == pytest.approx([80 / 1.5] * 6, rel=0.1)


def test_captured_motion_is_retimed(bank: MotionBank, space: PoseSpace, monkeypatch: pytest.MonkeyPatch) -> None:
    plain(monkeypatch, 0.0)

    def speed(times: float, fps: float) -> float:
        monkeypatch.setattr(motions, "SPEED", (times, times))
        motion = bank.draw(np.random.default_rng(0), 10, fps)
        knees = motion.angles[:, [column(space, "knee.L"), column(space, "knee.R")]]
        return float(np.abs(np.diff(knees, axis=0)).max(1).mean() * fps)

    assert speed(1.5, 30.0) == pytest.approx(1.5 * speed(1.0, 30.0), rel=0.05)
    assert speed(1.0, 15.0) == pytest.approx(speed(1.0, 60.0), rel=0.05)


def test_a_motion_that_is_too_short_is_slowed_and_then_held(
    bank: MotionBank, space: PoseSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain(monkeypatch, 0.0)
    monkeypatch.setattr(motions, "SPEED", (1.0, 1.0))
    columns = [column(space, "knee.L"), column(space, "knee.R")]
    slow = bank.draw(np.random.default_rng(1), 90, 30.0).angles[:, columns]  # of three seconds
    assert np.abs(np.diff(slow, axis=0)).max(1).min() > 1e-3
    held = bank.draw(np.random.default_rng(1), 300, 30.0).angles[:, columns]  # of ten
    assert np.abs(np.diff(held, axis=0)).max(1)[-50:].max() < 1e-9


def test_a_keyed_motion_goes_through_drawn_poses(
    bank: MotionBank, space: PoseSpace, poses: Poses, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It begins at one of them, or its mirror image, and has no place of its own."""
    plain(monkeypatch, 1.0)
    known = np.concatenate([poses.angles.numpy(), mirrored(space, poses.angles, poses.orientation)[0].numpy()])
    known = np.clip(known, space.lower.numpy(), space.upper.numpy())
    held = 0
    for motion in drawn(bank, 20, frames=60):
        assert motion.root_m is None
        assert np.abs(known - motion.angles[0]).max(1).min() < 1e-6
        held += np.ptp(motion.angles, axis=0).max() < 1e-9
        rests = np.abs(np.diff(motion.angles, axis=0)).max(1) < 1e-6
        assert rests.any()  # a key is held for a while
    assert 1 <= held <= 15


def test_keys_are_of_one_kind_unless_across(space: PoseSpace, poses: Poses, monkeypatch: pytest.MonkeyPatch) -> None:
    plain(monkeypatch, 1.0)
    monkeypatch.setattr(motions, "HELD_SHARE", 0.0)
    kinds = np.where(np.arange(len(poses.category)) < 30, "first", "second")
    flat = poses.angles.clone()
    flat[:, column(space, "head.x")] = torch.from_numpy(np.where(kinds == "first", -0.5, 0.5))
    bank = MotionBank(space, Poses(flat, poses.orientation, kinds), [sequence(turned(10))])
    for share, apart in ((0.0, False), (1.0, True)):
        monkeypatch.setattr(motions, "ACROSS_SHARE", share)
        nods = [np.ptp(motion.angles[:, column(space, "head.x")]) > 0.1 for motion in drawn(bank, 12, frames=90)]
        assert any(nods) == apart


def test_headings_are_all_round(bank: MotionBank) -> None:
    ahead = np.array([-motion.matrices()[0, :2, 1] for motion in drawn(bank, 120)])
    counts, _ = np.histogram(np.arctan2(ahead[:, 1], ahead[:, 0]), 4, (-np.pi, np.pi))
    assert counts.min() > 12


def test_arms_of_another_motion_leave_the_legs_alone(
    space: PoseSpace, poses: Poses, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two motions, whose knees and shoulders go together unless arms are exchanged."""
    plain(monkeypatch, 0.0)
    sitting = turned(60, l_knee=("x", 60.0), r_knee=("x", 60.0))
    raised = turned(60, l_shoulder=("z", -70.0), r_shoulder=("z", 70.0))
    both = MotionBank(space, poses, [sequence(sitting), sequence(raised)])

    def kinds(share: float) -> set[tuple[bool, ...]]:
        monkeypatch.setattr(motions, "MIXED_SHARE", share)
        names = ("knee.L", "knee.R", "shoulder.L.y", "shoulder.R.y")
        starts = np.array(
            [[motion.angles[0, column(space, name)] for name in names] for motion in drawn(both, 60, frames=3)]
        )
        middle = (starts.max(0) + starts.min(0)) / 2
        return {tuple(bool(v) for v in row) for row in starts > middle}

    assert len(kinds(0.0)) == 2
    assert len(kinds(1.0)) > 2
    assert all(one[0] == one[1] for one in kinds(1.0))  # legs stay together


def test_sway_is_as_large_as_was_set(bank: MotionBank, space: PoseSpace, monkeypatch: pytest.MonkeyPatch) -> None:
    plain(monkeypatch, 1.0)
    monkeypatch.setattr(motions, "HELD_SHARE", 1.0)
    still = drawn(bank, 30)
    monkeypatch.setattr(motions, "SWAY", 0.1)
    free = ~np.isfinite(space.lower.numpy())
    off = np.array([(m.angles - s.angles)[:, free] for m, s in zip(drawn(bank, 30), still, strict=True)])
    off /= space.sigma.numpy()[free]
    assert off.std() == pytest.approx(0.1, rel=0.1)
    assert np.diff(off, axis=1).std() < 0.5 * off.std()


def test_the_same_numbers_draw_the_same_motion(bank: MotionBank) -> None:
    one, again = (bank.draw(np.random.default_rng(5), 20, 30.0) for _ in range(2))
    assert np.array_equal(one.angles, again.angles) and np.array_equal(one.orientation, again.orientation)


# Standing.


def walker(frames: int = 50) -> tuple[np.ndarray, np.ndarray]:
    """(T, N, 3) points about the hips of a body that moves on a still left foot, then on a still right one, and
    (T, 3) where the hips are."""
    time = np.linspace(0, 1, frames)
    root = np.stack([0.6 * time, 0.1 * time, 0.9 + 0.02 * np.sin(6 * time)], -1)
    first = np.clip(time / 0.5, 0, 1)
    lifted = 0.2 * np.sin(np.pi * np.clip((time - 0.5) / 0.5, 0, 1)) + (time > 0.5) * 0.05
    left = np.stack([0.0 * time + 0.5 * np.clip(time - 0.5, 0, 1), 0 * time, lifted], -1)
    right = np.stack([-0.3 + 0.6 * first, 0.2 + 0 * time, 0.25 * np.sin(np.pi * first)], -1)
    heads = root + [0, 0, 0.6]
    return np.stack([left, right, heads], 1) - root[:, None], root


def test_the_lowest_point_is_on_the_ground() -> None:
    points = np.random.default_rng(0).normal(0, 0.5, (30, 12, 3))
    root = stand(points, None, 1.0)
    assert np.abs((points + root[:, None])[..., 2].min(1)).max() < 1e-12
    assert np.abs(root[:, :2].mean(0)).max() < 1e-12


def test_what_lies_on_the_ground_does_not_slide() -> None:
    points, root = walker()
    stood = points + stand(points, None, 1.0)[:, None]
    low = stood[..., 2] < 1e-3
    both = low[1:] & low[:-1]
    assert both.any(1).mean() > 0.9
    slide = np.linalg.norm(np.diff(stood[..., :2], axis=0), axis=-1)
    assert slide[both].max() < 2e-3
    gone = stand(points, None, 1.0)
    assert (gone - gone.mean(0))[:, :2] == pytest.approx((root - root.mean(0))[:, :2], abs=0.02)


def test_a_measured_way_is_kept_as_long_as_the_legs_are() -> None:
    """The hips go as they were measured, farther with longer legs, and what is lowest reaches the ground."""
    points, root = walker()
    for scale in (1.0, 0.6):
        placed = stand(points * scale, root + [3.0, -2.0, 0.4], scale)
        way = placed - placed[0]
        assert way == pytest.approx(scale * (root - root[0]), abs=1e-9)
        assert np.abs(placed[:, :2].mean(0)).max() < 1e-9
        height = (points * scale + placed[:, None])[..., 2].min(1)
        assert np.quantile(height, 0.02) == pytest.approx(0.0, abs=1e-9)


def test_one_frame_stands_too() -> None:
    points = np.array([[[0.1, 0.2, -0.8], [0.0, 0.0, 0.5]]])
    assert stand(points, None, 1.0) == pytest.approx(np.array([[0.0, 0.0, 0.8]]))
    assert stand(points, np.array([[5.0, 4.0, 1.0]]), 1.0) == pytest.approx(np.array([[0.0, 0.0, 0.8]]))


# What motions are made with.


def test_smooth_noise_is_unit_noise_that_lasts() -> None:
    noise = smooth_noise(np.random.default_rng(0), 3000, 30.0, 0.5, 4)
    assert noise.shape == (3000, 4)
    assert noise.std() == pytest.approx(1.0, rel=0.1)
    lag = int(0.5 * 30)
    assert (noise[lag:] * noise[:-lag]).mean() == pytest.approx(np.exp(-1), abs=0.12)
    first = np.array([smooth_noise(np.random.default_rng(k), 2, 30.0, 0.5)[0] for k in range(400)])
    assert first.std() == pytest.approx(1.0, rel=0.12)  # from the first frame on


def test_between_frames_values_are_mixed() -> None:
    values = np.array([[0.0, 1.0], [2.0, 1.0], [2.0, 5.0]])
    assert interpolated(values, np.array([0.0, 0.25, 1.5, 2.0])) == pytest.approx(
        np.array([[0.0, 1.0], [0.5, 1.0], [2.0, 3.0], [2.0, 5.0]])
    )
    assert interpolated(values[:1], np.array([0.0, 0.0])) == pytest.approx(values[[0, 0]])
