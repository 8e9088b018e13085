"""The poses that the pose prior learns from: captured ones, balanced, and drawn ones; and those it is measured on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from model.body.retarget import retarget
from model.estimate.pose_angles import angles_from_local, mirrored
from model.estimate.pose_space import PoseSpace
from model.synth.motion.enrich import Poses, joined, sample, taken
from model.synth.motion.mocap import read_sequences
from model.synth.splits import seeds

Array = NDArray[np.floating]
RATE_HZ = 10.0
"""Of captured frames that are looked at: neighbours tell the same."""
TRAIN_SEED, HELD_OUT_SEED = seeds("train")["poses"][0] + 1, seeds("test")["poses"][0]
UNSEEN = ("collar",)
"""Joints that the capture does not measure: CMU's collars are rigid.  Noise of the pose space's own size stands in."""


@dataclass(frozen=True)
class Captured:
    """N captured poses; ``poses.category`` is the group of actions."""

    poses: Poses
    feet_ok: NDArray[np.bool_]
    """(N,) whether the ankles can be trusted."""


def captured(space: PoseSpace, folder: Path | None, split: str, report: Callable[[int, int], None]) -> Captured:
    """All poses of a split, ``RATE_HZ`` a second, one after the other."""
    rest = space.body.rest(space.body.default_shape())
    sequences = read_sequences(folder, split)
    angles, orientation, groups, feet = [], [], [], []
    for done, sequence in enumerate(sequences):
        step = max(round(sequence.fps / RATE_HZ), 1)
        thinned = replace(
            sequence,
            quaternions=sequence.quaternions[::step],
            joints_m=sequence.joints_m[::step],
            fps=sequence.fps / step,
            floor_known=False,  # where the body is does not matter here
        )
        moved = retarget(space.body, rest, thinned)
        angles.append(angles_from_local(space, moved.local, consecutive=False))
        orientation.append(moved.local[:, 0])
        groups += [sequence.group] * len(moved.local)
        feet += [sequence.feet_ok] * len(moved.local)
        report(done + 1, len(sequences))
    return Captured(Poses(torch.cat(angles), torch.cat(orientation), np.array(groups)), np.array(feet))


def with_guessed_ankles(space: PoseSpace, data: Captured, rng: np.random.Generator) -> Poses:
    """Captured poses whose bad ankles are drawn anew, as ankles follow hips and knees where feet are good."""
    angles = data.poses.angles.clone()
    good, bad = torch.from_numpy(data.feet_ok), torch.from_numpy(~data.feet_ok)
    for side in "LR":
        joints = [
            n.split(".")[0] if n.endswith((f".{side}", f".{side}.x", f".{side}.y", f".{side}.z")) else ""
            for n in space.names
        ]
        cause = torch.tensor([i for i, j in enumerate(joints) if j in ("hip", "knee")])
        effect = torch.tensor([i for i, j in enumerate(joints) if j == "ankle"])
        known = torch.cat([angles[:, cause], torch.ones((len(angles), 1), dtype=angles.dtype)], 1)
        map_ = torch.linalg.lstsq(known[good], angles[good][:, effect]).solution
        left = (angles[good][:, effect] - known[good] @ map_).numpy()
        noise = left[rng.integers(len(left), size=int(bad.sum()))]
        rows = bad.nonzero()[:, 0]
        angles[rows[:, None], effect] = known[bad] @ map_ + torch.from_numpy(noise)
    return Poses(angles, data.poses.orientation, data.poses.category)


def balanced(poses: Poses, count: int, rng: np.random.Generator) -> Poses:
    """``count`` poses; a kind of action counts with the root of its length, or walking would be all there is."""
    kinds, kind, sizes = np.unique(poses.category, return_inverse=True, return_counts=True)
    share = np.sqrt(sizes) / np.sqrt(sizes).sum()
    wanted = (share * count).astype(int)
    wanted[np.argmax(wanted)] += count - wanted.sum()
    rows = np.concatenate(
        [rng.choice(np.flatnonzero(kind == k), wanted[k], replace=wanted[k] > sizes[k]) for k in range(len(kinds))]
    )
    return taken(poses, rows)


def both_ways(space: PoseSpace, poses: Poses, rng: np.random.Generator) -> Array:
    """(2 N, Q) angles of poses and their mirror images, with noise where the capture says nothing."""
    angles = torch.cat([poses.angles, mirrored(space, poses.angles, poses.orientation)[0]]).numpy()
    unseen = np.array([name.split(".")[0] in UNSEEN for name in space.names])
    noise = rng.normal(size=angles.shape) * space.sigma.numpy() + space.mean.numpy()
    return np.where(unseen, noise, angles)


@dataclass(frozen=True)
class Material:
    """Angles (N, Q) to train on and to measure with; ``drawn`` are poses of seeds that training has not seen."""

    train: Array
    held_out: Array
    """Of subjects on whom nothing is trained."""
    drawn: Array
    drawn_category: NDArray[np.str_]
    train_seconds: dict[str, float]


def collect(
    space: PoseSpace, folder: Path | None, count: int, drawn_share: float, seed: int, report: Callable[[int, int], None]
) -> Material:
    """Read, balance, draw and mirror.

    Args:
        count: poses to train on before mirroring. drawn_share: of them, those that ``enrich`` draws.
    """
    rng = np.random.default_rng(seed)
    measured = captured(space, folder, "train", report)
    train = balanced(with_guessed_ankles(space, measured, rng), round(count * (1 - drawn_share)), rng)
    extra = sample(space, count - len(train.category), TRAIN_SEED, train)
    together = joined([train, extra])
    test = captured(space, folder, "test", report)
    new = sample(space, 2600, HELD_OUT_SEED, train)
    kinds, sizes = np.unique(measured.poses.category, return_counts=True)
    return Material(
        both_ways(space, together, rng),
        both_ways(space, test.poses, rng),
        both_ways(space, new, rng),
        np.tile(new.category, 2),
        dict(zip(kinds.tolist(), (sizes / RATE_HZ).tolist(), strict=True)),
    )
