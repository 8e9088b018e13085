"""The camera from the lines of the scene: focal length and vertical by vanishing points.

Rooms, houses and furniture are full of edges along three directions at right angles.  In the picture the edges of one
direction meet in a vanishing point, and three such points at right angles tell the focal length and how the camera is
held (Caprile and Torre, IJCV 1990; Coughlan and Yuille, "Manhattan World", ICCV 1999).

Every focal length of a grid is tried: directions that pairs of lines ask for, the two at right angles that other lines
ask for, and the likelihood of all lines, each of which runs along one of the three or along none.  The spread of what
is left over all focal lengths tells how much to believe; where a scene shows no such lines it is so wide that nothing
is said.  Which of the directions is up others have to tell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .lens import SIGMA, USUAL

Array = NDArray[np.float64]
FOCALS = np.exp(np.arange(math.log(0.5), math.log(2.6), 0.07))
"""What is tried, in longer sides of the picture."""
FEWEST_LINES, MOST_LINES = 25, 120
OFF_RAD, COARSE_RAD = math.radians(0.7), math.radians(1.5)
"""By how much lines miss their vanishing point, to end with and to begin with."""
ORDERLY = 0.5
"""Share of the lines, by length, that run along one of the three directions."""
TEMPER = 0.25
"""What a line counts as evidence: those of one edge, or of one row of bricks, tell the same."""
USUAL_LENGTH, MOST_WEIGHT = 0.1, 2.5
"""In longer sides: a line of this length counts once, and none more often than that."""
PITCH_SIGMA, ROLL_SIGMA = 0.5, 0.12
"""rad; how cameras are held.  Some are held by any roll, so that its prior has long tails."""
LEAST_FOCAL_SIGMA, LEAST_UP_RAD = 0.03, math.radians(1.5)
"""A lens has its distortion, and a room is not exactly square."""
VAGUE_FOCAL_SIGMA, VAGUE_UP_RAD = 0.12, math.radians(8.0)
"""What is known less well than this is not worth telling."""
_PAIRS, _KEPT, _REFINED, _STEPS = 240, 6, 4, 6
_SEED = 41


@dataclass(frozen=True)
class SceneCamera:
    """What the scene's lines tell of the camera."""

    focal: float | None
    """In longer sides of the picture; None where they don't tell.  What is usual of lenses is in it."""
    focal_sigma: float
    """Of its logarithm."""
    axes: Array
    """(K, 3) unit vectors, camera axes, up to three at right angles: the scene's vertical is among them, or its
    opposite."""
    axes_sigma_rad: Array
    """(K,) how well each is known."""


def camera_from_lines(lines: NDArray[np.floating]) -> SceneCamera:
    """What (N, 2, 2) line segments of a still picture tell: ends in longer sides of the picture, from its middle."""
    if len(lines) < FEWEST_LINES:
        return SceneCamera(None, math.inf, np.zeros((0, 3)), np.zeros(0))
    sheet = _Sheet(lines)
    found = [guess for focal in FOCALS for guess in sheet.guesses(float(focal))]
    values = np.array([guess.value for guess in found])
    chance = np.exp(values - values.max())
    chance /= chance.sum()
    best = found[int(values.argmax())]
    focals = np.log([guess.focal for guess in found])
    middle = float(chance @ focals)
    focal_sigma = math.hypot(math.sqrt(chance @ (focals - middle) ** 2), LEAST_FOCAL_SIGMA)
    cosines = np.abs(np.stack([guess.axes for guess in found]) @ best.axes.T).max(1)  # (G, 3), to the nearest of each
    apart, own = np.arccos(np.clip(cosines, -1, 1)), sheet.spread_rad(best)
    sigma = np.sqrt(chance @ apart**2 + own**2 + LEAST_UP_RAD**2)
    known = sigma < VAGUE_UP_RAD
    tells = focal_sigma < VAGUE_FOCAL_SIGMA
    return SceneCamera(
        math.exp(middle) if tells else None, focal_sigma if tells else math.inf, best.axes[known], sigma[known]
    )


@dataclass(frozen=True)
class _Guess:
    focal: float
    axes: Array
    """(3, 3) rows: three directions at right angles, camera axes."""
    value: float
    """Logarithm of likelihood times prior."""


class _Sheet:
    """The lines of a picture, the longest of them."""

    def __init__(self, lines: NDArray[np.floating]) -> None:
        along = lines[:, 1] - lines[:, 0]
        length = np.linalg.norm(along, axis=1)
        longest = np.argsort(-length, kind="stable")[:MOST_LINES]
        self._ends = lines[longest].astype(np.float64)
        self._middle, length = self._ends.mean(1), length[longest]
        self._along = along[longest] / length[:, None]
        self._weight = np.minimum(length / USUAL_LENGTH, MOST_WEIGHT)

    def guesses(self, focal: float) -> list[_Guess]:
        """The best of one focal length."""
        axes = self._candidates(focal)
        values = self._likelihood(axes, focal, COARSE_RAD)
        refined = self._refined(axes[np.argsort(-values, kind="stable")[:_REFINED]], focal)
        values = self._likelihood(refined, focal, OFF_RAD) + _focal_prior(focal)
        return [
            _Guess(focal, own, float(value) + max(_held_prior(axis if axis[1] < 0 else -axis) for axis in own))
            for own, value in zip(refined, values, strict=True)
        ]

    def spread_rad(self, guess: _Guess) -> Array:
        """(3,) standard deviations of the directions, the focal length as it is."""
        axes = guess.axes
        _, rows, weight = (part[0] for part in self._linearised(axes[None], guess.focal))
        precision = TEMPER / OFF_RAD**2 * (weight[:, None] * rows).T @ rows + np.eye(3) / PITCH_SIGMA**2
        turns = np.stack([np.cross(turn, axes) for turn in np.eye(3)], -1)  # (3, 3 xyz, 3)
        return np.asarray(
            np.sqrt(np.trace(turns @ np.linalg.inv(precision) @ np.swapaxes(turns, 1, 2), axis1=1, axis2=2) / 2)
        )

    def _candidates(self, focal: float) -> Array:
        """(G, 3, 3) directions at right angles: one that two lines share, another that a third line asks for."""
        rays = np.concatenate([self._ends, np.full((*self._ends.shape[:2], 1), focal)], -1)
        normals = _unit(np.cross(rays[:, 0], rays[:, 1]))  # of the planes through the eye
        rng = np.random.default_rng(_SEED)
        chance = self._weight / self._weight.sum()
        first, second = rng.choice(len(normals), (2, _PAIRS), p=chance)
        shared = np.cross(normals[first], normals[second])
        shared = _unit(shared[np.linalg.norm(shared, axis=1) > 0.02])
        if len(shared) == 0:
            return np.eye(3)[None]
        off = self._off(shared, focal)
        support = np.exp(-0.5 * (off / COARSE_RAD) ** 2) @ self._weight
        kept: list[Array] = []
        for index in np.argsort(-support, kind="stable"):
            if all(abs(shared[index] @ other) < math.cos(3 * COARSE_RAD) for other in kept):
                kept.append(shared[index])
            if len(kept) == _KEPT:
                break
        ones = np.repeat(np.stack(kept), len(normals), 0)
        others = np.cross(ones, np.tile(normals, (len(kept), 1)))
        good = np.linalg.norm(others, axis=1) > 0.1
        ones, others = ones[good], _unit(others[good])
        return np.stack([ones, others, np.cross(ones, others)], 1)

    def _off(self, directions: Array, focal: float) -> Array:
        """(..., N) sine of the angle by which each line misses the vanishing point of (..., 3) directions."""
        depth = directions[..., 2, None]
        x = focal * directions[..., 0, None] - self._middle[:, 0] * depth
        y = focal * directions[..., 1, None] - self._middle[:, 1] * depth
        return np.asarray((self._along[:, 0] * y - self._along[:, 1] * x) / (np.sqrt(x * x + y * y) + 1e-9))

    def _likelihood(self, axes: Array, focal: float, off_rad: float) -> Array:
        """(G,) of (G, 3, 3) axes, against lines that run anyhow."""
        off = self._off(axes, focal)
        sharp = np.exp(-0.5 * (off / off_rad) ** 2).mean(1) * (math.sqrt(math.pi / 2) / off_rad)
        return np.asarray(TEMPER * np.log1p(ORDERLY * (sharp - 1)) @ self._weight)

    def _linearised(self, axes: Array, focal: float) -> tuple[Array, Array, Array]:
        """Of (G, 3, 3) axes (G, N) misses of each line's own direction, (G, N, 3) how they change as all turn, and
        (G, N) what each counts."""
        off = self._off(axes, focal)
        own = np.abs(off).argmin(1)[:, None]

        def of_own(values: Array) -> Array:
            return np.take_along_axis(values, own, 1)[:, 0]

        miss, step = of_own(off), 1e-5
        turned = [of_own(self._off(axes + step * np.cross(turn, axes), focal)) for turn in np.eye(3)]
        rows = (np.stack(turned, -1) - miss[..., None]) / step
        sharp = np.exp(-0.5 * (miss / OFF_RAD) ** 2) * (math.sqrt(math.pi / 2) / OFF_RAD / 3)
        return miss, rows, self._weight * ORDERLY * sharp / (ORDERLY * sharp + 1 - ORDERLY)

    def _refined(self, axes: Array, focal: float) -> Array:
        """(G, 3, 3) turned to where the lines want it (Gauss-Newton, lines along none left out softly)."""
        for _ in range(_STEPS):
            miss, rows, weight = self._linearised(axes, focal)
            weighted = weight[..., None] * rows
            matrix = np.swapaxes(weighted, 1, 2) @ rows + 1e-3 * np.eye(3)
            turn = -np.linalg.solve(matrix, np.einsum("gnt,gn->gt", weighted, miss)[..., None])[..., 0]
            turn *= np.minimum(1.0, 0.1 / np.maximum(np.linalg.norm(turn, axis=1, keepdims=True), 1e-12))
            first, second, _ = np.moveaxis(_unit(axes + np.cross(turn[:, None], axes)), 1, 0)
            second = _unit(second - (second * first).sum(1, keepdims=True) * first)
            axes = np.stack([first, second, np.cross(first, second)], 1)
        return axes


def _focal_prior(focal: float) -> float:
    return -0.5 * (math.log(focal / USUAL) / SIGMA) ** 2


def _held_prior(up: Array) -> float:
    """Of a camera that has (3,) as up."""
    pitch, roll = math.asin(max(-1.0, min(1.0, float(up[2])))), math.atan2(float(up[0]), -float(up[1]))
    return -0.5 * (pitch / PITCH_SIGMA) ** 2 - math.log1p((roll / ROLL_SIGMA) ** 2)


def _unit(vectors: Array) -> Array:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12))
