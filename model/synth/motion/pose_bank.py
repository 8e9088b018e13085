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
from .enrich import Poses, joined, sample, taken
from .limbs import about
from .mocap import read_sequences
from .overlap import Overlap
from .recombine import Pool

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
DRAWN_SHARE = 0.39
RECOMBINED_SHARE = 0.85
"""Of the captured poses: another's trunk and arms over the legs."""
MIRRORED_SHARE, APART_SHARE = 0.3, 0.7
"""Of those: both arms alike; or either from somebody else again."""
OTHER_ARMS_SHARE = 0.7
"""Of the drawn poses: with the arms of another one of the same category."""
NUDGE_RAD = 0.01
"""Standard deviation of what is added to every angle."""
MOST_OVERLAP_M = 0.002
"""As seen by looking at some points."""
STEP_RAD = {"shoulder": 0.04, "elbow": 0.04, "hip": 0.02, "knee": 0.02}
"""Standard deviations by which drawn poses that overlap are moved, times the tries before."""
_LOOK_EVERY = (10, 8)
"""Every so manieth point, once and again: what passes by luck among some points seldom does among others."""
_ROUNDS, _CANDIDATES = 8, 4
_SPARE = 1.2
"""More poses are made than are likely to be lost."""


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


class PoseBank:
    """A source of rotations for :class:`model.synth.pictures.PictureMaker`.

    Args:
        captured: poses of the capture to train on. drawn: how many drawn ones are kept beside them.
    """

    def __init__(self, space: PoseSpace, captured: Poses, drawn: int) -> None:
        self._space, self._overlaps = space, [Overlap(space.body, every) for every in _LOOK_EVERY]
        self._first, _ = seeds("train")["poses"]
        rng = np.random.default_rng(self._first)
        free = taken(captured, np.flatnonzero(self._free(captured.angles, captured.orientation)))
        self.captured = self._both_ways(free)
        _, kind, sizes = np.unique(self.captured.category, return_inverse=True, return_counts=True)
        weight = (1 / np.sqrt(sizes))[kind]  # a kind of action counts with the root of its length
        self._pool = Pool(space, self.captured, weight, np.zeros(len(kind)))
        self._step_rad = np.array([STEP_RAD.get(name.split(".")[0], 0.0) for name in space.names])
        self.drawn = self._both_ways(self._draw(drawn, rng))
        self._drawn_pool = Pool(space, self.drawn, np.ones(len(self.drawn.category)), self.drawn.category)
        body = space.body
        self._fingers = {s: [body.bone(f"finger{f}-{k}.{s}") for f in range(2, 6) for k in range(1, 4)] for s in "LR"}
        self._eyes = [body.bone(f"eye.{s}") for s in "LR"]

    def _free(self, angles: Tensor, orientation: Tensor) -> NDArray[np.bool_]:
        """(N,) no part of the body lies in another."""
        left = np.arange(len(angles))
        for overlap in self._overlaps:
            index = torch.from_numpy(left)
            depth_m = overlap.depth_m(self._space.local_rotations(orientation[index], angles[index]))
            left = left[(depth_m < MOST_OVERLAP_M).numpy()]
        return np.isin(np.arange(len(angles)), left)

    def _moved(self, angles: Tensor, by_rad: Array) -> Tensor:
        """Within the limits of hinges and twists."""
        return torch.minimum(torch.maximum(angles + torch.from_numpy(by_rad), self._space.lower), self._space.upper)

    def _both_ways(self, poses: Poses) -> Poses:
        """With their mirror images, N later."""
        angles, orientation = mirrored(self._space, poses.angles, poses.orientation)
        return joined([poses, Poses(angles, orientation, poses.category)])

    def _draw(self, count: int, rng: Generator) -> Poses:
        """About ``count`` drawn poses, as many of each group as of the next."""
        wanted = {c: -(-count // (len(GROUPS) * len(kinds))) for kinds in GROUPS.values() for c in kinds}
        some = sample(self._space, _CANDIDATES * count, self._first)
        found: dict[str, list[Poses]] = {}
        for category, number in wanted.items():
            found[category] = parts = []
            new = taken(some, rng.permutation(np.flatnonzero(some.category == category)))
            for step in range(_ROUNDS):
                # Hands that touch and shins that cross are often in the body: they are moved, further every time.
                angles = self._moved(new.angles, rng.normal(0, 1, new.angles.shape) * (step * self._step_rad))
                free = self._free(angles, new.orientation)
                free[free] = self._free(*mirrored(self._space, angles[free], new.orientation[free]))
                parts.append(taken(replace(new, angles=angles), np.flatnonzero(free)))
                if sum(len(p.category) for p in parts) >= number:
                    break
                new = taken(new, np.flatnonzero(~free))
        whole = {category: joined(parts) for category, parts in found.items()}
        even = [
            taken(p, rng.choice(len(p.category), wanted[c], replace=len(p.category) < wanted[c]))
            for c, p in whole.items()
        ]
        return joined(even)

    def draw(self, rng: Generator, count: int) -> Poses:
        """``count`` poses, each with a heading of its own."""
        from_drawn = rng.binomial(count, DRAWN_SHARE)
        made = joined([self._with_other_arms(rng, from_drawn), self._from_capture(rng, count - from_drawn)])
        mixed = taken(made, rng.permutation(count))
        heading = torch.from_numpy(about("z", rng.uniform(-180, 180, count)))
        return replace(mixed, orientation=heading @ mixed.orientation)

    def _from_capture(self, rng: Generator, count: int) -> Poses:
        """``count`` captured poses, recombined and nudged, with no part in another."""
        parts: list[Poses] = []
        missing, share = count, 1.0
        while missing > 0:
            some = self._recombined(rng, int(_SPARE * missing / share) + 1)
            some = replace(some, angles=self._moved(some.angles, rng.normal(0, NUDGE_RAD, some.angles.shape)))
            free = np.flatnonzero(self._free(some.angles, some.orientation))
            parts.append(taken(some, free[:missing]))
            missing -= len(parts[-1].category)
            share = max(len(free) / len(some.category), 0.1)
        return joined(parts)

    def _recombined(self, rng: Generator, count: int) -> Poses:
        """Captured poses, or one's legs under another's trunk, with arms alike or of two more."""
        pool = self._pool
        legs = pool.some(rng, count)
        trunks = legs.copy()
        mixed = rng.random(count) < RECOMBINED_SHARE
        trunks[mixed] = pool.trunks(rng, legs[mixed])
        left, right = trunks.copy(), trunks.copy()
        kind = rng.random(count)
        alike, apart = mixed & (kind < MIRRORED_SHARE), mixed & (kind > 1 - APART_SHARE)
        right[alike] = pool.mirror_image(left[alike])
        left[apart] = pool.arms(rng, legs[apart], trunks[apart])
        right[apart] = pool.arms(rng, legs[apart], trunks[apart])
        return pool.assembled(legs, trunks, left, right)

    def _with_other_arms(self, rng: Generator, count: int) -> Poses:
        """``count`` drawn poses, most with the arms of another: both of one, so that hands that meet still do."""
        pool = self._drawn_pool
        legs = pool.some(rng, count)
        arms = legs.copy()
        others = rng.random(count) < OTHER_ARMS_SHARE
        arms[others] = pool.arms(rng, legs[others], legs[others])
        made = pool.assembled(legs, legs, arms, arms)
        angles = self._moved(made.angles, rng.normal(0, NUDGE_RAD, made.angles.shape))
        # Where the arms don't suit, the pose stays as it was looked at: each category keeps its share.
        free = torch.from_numpy(self._free(angles, made.orientation))
        known = pool.poses.angles[torch.from_numpy(legs)]
        return replace(made, angles=torch.where(free[:, None], angles, known))

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
