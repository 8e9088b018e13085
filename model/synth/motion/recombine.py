"""New poses out of known ones: legs, trunk and arms of different people whose other parts were much alike.

Parts taken blindly from anywhere make mostly poses that nobody takes, and hardly ever one that somebody new does.  So a
part comes from the most alike of a few poses looked at: the more are looked at, the better it suits what it is put to.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from model.estimate.pose_space import PoseSpace

from .enrich import Poses, taken
from .places import LEG_COLUMNS, MIDDLE_COLUMNS, places_m

Array = NDArray[np.floating]
Generator = np.random.Generator
Rows = NDArray[np.integer]
TRIES = (8, 64)
"""How many poses are looked at for a part: some parts suit better than others."""


class Pool:
    """N poses to take parts from.

    Args:
        poses: second half the mirror images of the first.  weight: (N,) how often each is taken.
        kind: (N,) parts are exchanged among poses of the same kind only.
    """

    def __init__(self, space: PoseSpace, poses: Poses, weight: Array, kind: NDArray) -> None:
        self._space, count = space, len(kind)
        order = np.argsort(kind, kind="stable")
        rank = np.argsort(order)
        self.poses, self._mirror_image = taken(poses, order), rank[(order + count // 2) % count]
        _, first, inverse, sizes = np.unique(kind[order], return_index=True, return_inverse=True, return_counts=True)
        reached = np.cumsum(weight[order] / weight.sum())
        self._reached = reached / reached[-1]
        # Of each pose's kind: the stretch of the cumulated weights.
        self._low = np.concatenate([[0.0], self._reached])[first][inverse]
        self._high = self._reached[first + sizes - 1][inverse]
        places = places_m(space, space.local_rotations(self.poses.orientation, self.poses.angles).numpy())
        self._legs = places[:, LEG_COLUMNS].astype(np.float32)
        self._middle = places[:, MIDDLE_COLUMNS].astype(np.float32)
        joint = [name.split(".")[0] for name in space.names]
        arm = np.isin(joint, ["collar", "shoulder", "elbow", "forearm", "wrist"])
        left, legs = np.array([".L" in name for name in space.names]), np.isin(joint, ["hip", "knee", "ankle"])
        self._parts = [torch.from_numpy(part) for part in (legs, ~legs & ~arm, arm & left, arm & ~left)]

    def some(self, rng: Generator, count: int) -> Rows:
        """(count,) rows, by weight."""
        return self._at(rng.random(count))

    def mirror_image(self, rows: Rows) -> Rows:
        """The rows of the mirror images: their right arms are the left arms of ``rows``."""
        return self._mirror_image[rows]

    def trunks(self, rng: Generator, legs: Rows) -> Rows:
        """(M,) poses whose legs are much like those of ``legs`` (M,): donors of all above."""
        found = np.empty_like(legs)
        for rows, candidates in self._candidates(rng, legs):
            away = ((self._legs[candidates] - self._legs[legs[rows], None]) ** 2).sum(-1)
            found[rows] = candidates[np.arange(len(rows)), away.argmin(1)]
        return found

    def arms(self, rng: Generator, legs: Rows, trunks: Rows) -> Rows:
        """(M,) poses whose legs and trunk are much like those of ``legs`` and ``trunks``: donors of arms."""
        found = np.empty_like(legs)
        for rows, candidates in self._candidates(rng, legs):
            away = ((self._legs[candidates] - self._legs[legs[rows], None]) ** 2).sum(-1)
            away += ((self._middle[candidates] - self._middle[trunks[rows], None]) ** 2).sum(-1)
            found[rows] = candidates[np.arange(len(rows)), away.argmin(1)]
        return found

    def assembled(self, legs: Rows, trunks: Rows, left: Rows, right: Rows) -> Poses:
        """The poses put together, with the hips and the category of ``legs``."""
        angles = torch.empty(len(legs), len(self._space.names), dtype=torch.float64)
        for part, rows in zip(self._parts, (legs, trunks, left, right), strict=True):
            angles[:, part] = self.poses.angles[torch.from_numpy(rows)][:, part]
        return Poses(angles, self.poses.orientation[torch.from_numpy(legs)], self.poses.category[legs])

    def _at(self, reached: Array) -> Rows:
        return np.searchsorted(self._reached, reached, side="right").clip(max=len(self._reached) - 1)

    def _candidates(self, rng: Generator, of: Rows) -> Iterator[tuple[Rows, Rows]]:
        """Which of ``of`` (M,), and for each of those some rows of its kind."""
        tries = rng.choice(TRIES, len(of))
        for count in TRIES:
            rows = np.flatnonzero(tries == count)
            low, high = (ends[of[rows], None] for ends in (self._low, self._high))
            yield rows, self._at(low + (high - low) * rng.random((len(rows), count)))
