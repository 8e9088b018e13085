"""Poses for training pictures: captured ones, balanced and recombined, and drawn ones; nobody's hand in their leg."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.body.retarget import retarget
from model.estimate.pose_angles import angles_from_local, mirrored
from model.estimate.pose_space import PoseSpace

from ..splits import seeds
from .enrich import Poses, sample
from .limbs import about
from .mocap import read_sequences
from .overlap import Overlap

Array = NDArray[np.floating]
Generator = np.random.Generator
RATE_HZ = 10.0
"""Of captured frames that are kept."""
GROUPS = {
    "sitting": ("sitting on a chair", "sitting on the floor", "sitting cross-legged"),
    "kneeling": ("kneeling on both knees", "kneeling on one knee"),
    "lying": ("lying on the back", "lying on the front", "lying on the side"),
    "crawling": ("crawling",),
    "on one leg": ("on one leg",),
    "squatting": ("squatting",),
    "hands at the body": ("hands at the body",),
}
"""Drawn categories, by what they have in common; each group is drawn as often as the next."""
DRAWN_SHARE = 0.4
RECOMBINED_SHARE = 0.7
"""Of the captured poses: legs, trunk and arms from different ones."""
NUDGE_RAD = 0.01
"""Standard deviation of what is added to every angle."""
MOST_OVERLAP_M = 0.006
_LOOK_EVERY, _ROUNDS = 10, 12


def captured_poses(space: PoseSpace, split: str, folder: Path | None = None) -> Poses:
    """All of a split, ``RATE_HZ`` a second, on the average body; ``category`` is the group of actions."""
    rest = space.body.rest(space.body.default_shape())
    angles, orientation, groups = [], [], []
    for sequence in read_sequences(folder, split):
        step = max(round(sequence.fps / RATE_HZ), 1)
        thinned = replace(
            sequence,
            quaternions=sequence.quaternions[::step],
            joints_m=sequence.joints_m[::step],
            fps=sequence.fps / step,
            floor_known=False,
        )
        moved = retarget(space.body, rest, thinned)
        angles.append(angles_from_local(space, moved.local, consecutive=False))
        orientation.append(moved.local[:, 0])
        groups += [sequence.group] * len(moved.local)
    return Poses(torch.cat(angles), torch.cat(orientation), np.array(groups))


def taken(poses: Poses, rows: NDArray[np.integer]) -> Poses:
    index = torch.from_numpy(rows)
    return Poses(poses.angles[index], poses.orientation[index], poses.category[rows])


def joined(parts: list[Poses]) -> Poses:
    return Poses(
        torch.cat([p.angles for p in parts]),
        torch.cat([p.orientation for p in parts]),
        np.concatenate([p.category for p in parts]),
    )


class PoseBank:
    """A source of rotations for :class:`model.synth.pictures.PictureMaker`.

    Args:
        captured: poses of the capture to train on. drawn: how many drawn ones are kept beside them.
    """

    def __init__(self, space: PoseSpace, captured: Poses, drawn: int) -> None:
        self._space, self._overlap = space, Overlap(space.body, _LOOK_EVERY)
        self._first, _ = seeds("train")["poses"]
        rng = np.random.default_rng(self._first)
        free = taken(captured, np.flatnonzero(self._free(captured.angles, captured.orientation)))
        self.captured = self._both_ways(free)
        _, kind, sizes = np.unique(self.captured.category, return_inverse=True, return_counts=True)
        chance = np.cumsum((1 / np.sqrt(sizes))[kind])  # a kind of action counts with the root of its length
        self._chance = chance / chance[-1]
        self.drawn = self._both_ways(self._draw(drawn, rng))
        body = space.body
        self._fingers = {s: [body.bone(f"finger{f}-{k}.{s}") for f in range(2, 6) for k in range(1, 4)] for s in "LR"}
        self._eyes = [body.bone(f"eye.{s}") for s in "LR"]
        joint = [name.split(".")[0] for name in space.names]
        arm = np.isin(joint, ["collar", "shoulder", "elbow", "forearm", "wrist"])
        side = np.array([".L" in name for name in space.names])
        legs = np.isin(joint, ["hip", "knee", "ankle"])
        self._parts = [torch.from_numpy(part) for part in (legs, ~legs & ~arm, arm & side, arm & ~side)]

    def _free(self, angles: Tensor, orientation: Tensor) -> NDArray[np.bool_]:
        """(N,) no part of the body lies in another."""
        return np.asarray(
            (self._overlap.depth_m(self._space.local_rotations(orientation, angles)) < MOST_OVERLAP_M).numpy()
        )

    def _both_ways(self, poses: Poses) -> Poses:
        """With their mirror images, N later."""
        angles, orientation = mirrored(self._space, poses.angles, poses.orientation)
        return joined([poses, Poses(angles, orientation, poses.category)])

    def _draw(self, count: int, rng: Generator) -> Poses:
        """About ``count`` drawn poses, as many of each group as of the next."""
        wanted = {c: -(-count // (len(GROUPS) * len(kinds))) for kinds in GROUPS.values() for c in kinds}
        found: dict[str, list[Poses]] = {category: [] for category in wanted}
        for number in range(_ROUNDS):
            some = sample(self._space, 2 * count, self._first + number)
            for category, parts in found.items():
                if sum(len(p.category) for p in parts) < wanted[category]:
                    new = taken(some, np.flatnonzero(some.category == category))
                    parts.append(taken(new, np.flatnonzero(self._free(new.angles, new.orientation))))
        whole = {category: joined(parts) for category, parts in found.items()}
        even = [
            taken(p, rng.choice(len(p.category), wanted[c], replace=len(p.category) < wanted[c]))
            for c, p in whole.items()
        ]
        return joined(even)

    def draw(self, rng: Generator, count: int) -> Poses:
        """``count`` poses, each with a heading of its own."""
        tries = 2 * count
        drawn = rng.random(tries) < DRAWN_SHARE
        one = self._recombined(rng, tries)
        other = taken(self.drawn, rng.integers(0, len(self.drawn.category), tries))
        pick = torch.from_numpy(drawn)
        angles = torch.where(pick[:, None], other.angles, one.angles)
        angles = angles + torch.from_numpy(rng.normal(0, NUDGE_RAD, angles.shape))
        angles = torch.minimum(torch.maximum(angles, self._space.lower), self._space.upper)
        orientation = torch.where(pick[:, None, None], other.orientation, one.orientation)
        # What was drawn has been looked at; what was put together just now has not.
        bad = ~drawn
        bad[bad] = ~self._free(angles[~pick], orientation[~pick])
        rows = np.concatenate([np.flatnonzero(~bad), np.flatnonzero(bad)])[:count]
        heading = torch.from_numpy(about("z", rng.uniform(-180, 180, count)))
        kept = taken(Poses(angles, orientation, np.where(drawn, other.category, one.category)), rows)
        return replace(kept, orientation=heading @ kept.orientation)

    def _recombined(self, rng: Generator, count: int) -> Poses:
        """Captured poses, or one's legs under another's trunk, with arms alike or of two more."""
        total = len(self.captured.category)

        def some(number: int) -> NDArray[np.int64]:
            return np.searchsorted(self._chance, rng.random(number))

        rows = np.tile(some(count), (4, 1))  # legs, trunk, left arm, right arm
        mixed = rng.random(count) < RECOMBINED_SHARE
        kind = rng.random(count)
        rows[1:, mixed] = some(int(mixed.sum()))
        alike, apart = mixed & (kind < 0.5), mixed & (kind > 0.8)
        rows[3, alike] = (rows[2, alike] + total // 2) % total  # the mirror image's right arm is the left one
        rows[2, apart], rows[3, apart] = some(int(apart.sum())), some(int(apart.sum()))
        angles = torch.empty(count, len(self._space.names), dtype=torch.float64)
        for part, source in zip(self._parts, torch.from_numpy(rows), strict=True):
            angles[:, part] = self.captured.angles[source][:, part]
        return Poses(angles, self.captured.orientation[rows[0]], self.captured.category[rows[0]])

    def __call__(self, rng: Generator, count: int) -> Array:
        """(N, B, 3, 3) world-aligned local rotations of ``count`` poses, with fingers and eyes."""
        poses = self.draw(rng, count)
        local = self._space.local_rotations(poses.orientation, poses.angles).numpy()
        for side, sign in (("L", 1.0), ("R", -1.0)):
            curl = rng.uniform(0, 75, count) * rng.choice([0.3, 1.0], count)
            for number, bone in enumerate(self._fingers[side]):
                local[:, bone] = about("y", sign * curl * (0.85 + 0.05 * (number // 3)))
        gaze = about("z", rng.normal(0, 12, count)) @ about("x", rng.normal(0, 6, count))
        for eye in self._eyes:
            local[:, eye] = gaze
        return np.asarray(local)
