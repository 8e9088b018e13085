"""How a later picture lies against an earlier one: pan, zoom and roll of the background, or that it can't be told.

Corners of a key picture, spread over its whole area, are followed by pyramidal Lucas-Kanade, checked by following them
back, and explained by one similarity (RANSAC).  What counts is how much of the picture's area agrees, not how many
corners do: a textured shirt has more of them than the wall behind it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from model.detect.crops import MARGIN, Array, rotation_matrices

Grey = NDArray[np.uint8]

SIDE_PX = 480
"""Longer side of the pictures that are compared; all pixels below are pixels of these."""
_GRID = 6
"""Cells along the longer side; they are about square."""
_CORNERS_PER_CELL = 6
_MIN_STRENGTH = 1e-4
"""Smallest eigenvalue (``cv2.cornerMinEigenVal``) of a corner: white noise of four grey levels has as much."""
_WINDOW, _LEVELS = (15, 15), 3
_STOP = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 20, 0.02)
_RETURN_PX, _AGREE_PX = 0.7, 1.0
_MIN_CORNERS, _MIN_CELLS, _MIN_SHARE = 12, 5, 0.35
_MIN_SPREAD = 0.12
"""Standard deviation across the picture, in parts of its width: a passer-by is tall and narrow, a background wide."""
_STILL_SHARE = 0.5
_BODY_WIDTH = 0.45
"""Half the width of a body over the radius of the circle around it that stretched limbs reach."""


@dataclass(frozen=True)
class Similarity:
    """``z -> turn * z + shift_px`` of points as complex numbers x + iy about the picture's middle, in small pixels."""

    turn: complex = 1.0 + 0.0j
    shift_px: complex = 0.0j

    def after(self, first: Similarity) -> Similarity:
        """This one applied to what ``first`` gives."""
        return Similarity(self.turn * first.turn, self.turn * first.shift_px + self.shift_px)

    def apply(self, points: Array, middle: Array) -> Array:
        """(N, 2) points of a picture with its middle at ``middle`` (2,)."""
        z = self.turn * ((points - middle) @ [1.0, 1.0j]) + self.shift_px
        return np.column_stack([z.real, z.imag]) + middle


def small_grey(rgb: NDArray[np.uint8], side_px: int = SIDE_PX) -> Grey:
    """The green of (H, W, 3) pixels with a longer side of at most ``side_px``."""
    height, width = rgb.shape[:2]
    scale = min(side_px / max(height, width), 1.0)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    step = max(int(0.5 / scale), 1)
    return np.asarray(cv2.resize(rgb[::step, ::step, 1], size, interpolation=cv2.INTER_AREA), np.uint8)


def on_bodies(points: Array, crops: Array, width: float = _BODY_WIDTH) -> NDArray[np.bool_]:
    """(N,) which points (N, 2) lie on the bodies in ``crops`` (P, 4), in the same pixels: ellipses along their axes.

    Args:
        width: of the ellipses over their height; 1 takes in the whole reach of the limbs.
    """
    found = np.zeros(len(points), bool)
    for crop in crops:
        radius = crop[2] / (2 * MARGIN)
        own = (points - crop[:2]) @ rotation_matrices(crop[3:4])[0]
        found |= ((own / (radius * np.array([width, 1.0]))) ** 2).sum(1) < 1.0
    return found


class KeyPicture:
    """A picture with its corners, against which later ones are held."""

    def __init__(self, grey: Grey, crops: Array) -> None:
        """Choose corners outside the bodies in ``crops`` (P, 4)."""
        self.grey = grey
        height, width = grey.shape
        self._middle = np.array([width - 1, height - 1]) / 2
        self._cell_px = max(width, height) / _GRID
        corners = _corners(grey)
        corners = corners[~on_bodies(corners, crops)]
        self._corners = corners[_first_of_each(self._cells(corners), _CORNERS_PER_CELL)]
        self._reached = on_bodies(self._corners, crops, width=1.0)
        self._at = self._corners.copy()

    @property
    def has_texture(self) -> bool:
        return len(self._corners) >= _MIN_CORNERS and self._area(self._corners) >= _MIN_CELLS

    def covers(self, motion: Similarity) -> float:
        """Which part of this picture's corners is still in view after ``motion``, 0..1."""
        if not len(self._corners):
            return 0.0
        return float(self._inside(motion.apply(self._corners, self._middle)).mean())

    def expect(self, motion: Similarity) -> None:
        """Look for the corners where ``motion`` has carried them."""
        self._at = motion.apply(self._corners, self._middle)

    def follow(self, grey: Grey, crops: Array) -> tuple[Similarity, float] | None:
        """Motion of the background from this picture to ``grey``, with bodies in ``crops`` (P, 4).

        Returns:
            The similarity and which part (0..1) of the key's area still bears it out; None where it can't be told.
        """
        if not self.has_texture:
            return None
        start, guess = self._corners.astype(np.float32), self._at.astype(np.float32)
        there, found = _lucas_kanade(self.grey, grey, start, guess)
        back, returned = _lucas_kanade(grey, self.grey, there, start)
        good = found & returned & (np.linalg.norm(back - start, axis=1) < _RETURN_PX) & self._inside(there)
        good &= ~on_bodies(there, crops)
        rows = np.flatnonzero(good)
        if len(rows) < _MIN_CORNERS:
            return None
        free = ~self._reached[rows] & ~on_bodies(there[rows], crops, width=1.0)
        fit = self._explain(self._corners[rows], there[rows].astype(float), free)
        if fit is None:
            return None
        motion, agree = fit
        # What was lost, hidden or carried along by somebody is looked for again where the background has it.
        self._at = motion.apply(self._corners, self._middle)
        self._at[rows[agree]] = there[rows[agree]]
        return motion, self._area(self._corners[rows[agree]]) / self._area(self._corners)

    def _explain(
        self, before: Array, after: Array, free: NDArray[np.bool_]
    ) -> tuple[Similarity, NDArray[np.bool_]] | None:
        """The similarity that most of the area agrees on, and which corners do.

        Args:
            free: (N,) corners that are beyond everybody's reach. Without enough of them only stillness is believed.
        """
        _, inliers = cv2.estimateAffinePartial2D(before, after, ransacReprojThreshold=_AGREE_PX, confidence=0.995)
        agree = inliers[:, 0].astype(bool)
        still = np.linalg.norm(after - before, axis=1) < _AGREE_PX
        # So much area does not stay in its place by chance: what moves more corners is something in the picture.
        stays = self._area(before[still]) >= _STILL_SHARE * self._area(before[agree])
        if stays and self._is_background(before[still], len(before)):
            agree = still
        elif not self._is_background(before[agree & free], int(free.sum())):
            return None
        motion = _least_squares(before[agree] - self._middle, after[agree] - self._middle)
        agree = np.linalg.norm(motion.apply(before, self._middle) - after, axis=1) < _AGREE_PX
        return _least_squares(before[agree] - self._middle, after[agree] - self._middle), agree

    def _is_background(self, points: Array, of: int) -> bool:
        """Whether corners that agree are many enough ``of`` those that were followed, and lie as a background does."""
        many = len(points) >= max(_MIN_CORNERS, _MIN_SHARE * of)
        return many and self._area(points) >= _MIN_CELLS and points[:, 0].std() >= _MIN_SPREAD * 2 * self._middle[0]

    def _cells(self, points: Array) -> NDArray[np.int64]:
        cells = np.clip(points // self._cell_px, 0, _GRID).astype(np.int64)
        return cells[:, 1] * (_GRID + 1) + cells[:, 0]

    def _area(self, points: Array) -> int:
        """How many cells of the picture hold any of ``points``."""
        return len(np.unique(self._cells(points)))

    def _inside(self, points: Array) -> NDArray[np.bool_]:
        return ((points >= 0) & (points <= 2 * self._middle)).all(1)


def _corners(grey: Grey) -> Array:
    """(N, 2) local maxima of corner strength, strongest first."""
    if min(grey.shape) < 2 * _WINDOW[0]:
        return np.empty((0, 2))
    strength = cv2.cornerMinEigenVal(grey, 5)
    peak = (strength == cv2.dilate(strength, np.ones((9, 9), np.uint8))) & (strength > _MIN_STRENGTH)
    edge = _WINDOW[0] // 2
    peak[:edge] = peak[-edge:] = False
    peak[:, :edge] = peak[:, -edge:] = False
    y, x = np.nonzero(peak)
    order = np.argsort(-strength[y, x], kind="stable")
    return np.column_stack([x, y])[order].astype(float)


def _first_of_each(labels: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Indices of the first ``count`` entries of each label, in order."""
    taken: dict[int, int] = {}
    rows = []
    for row, label in enumerate(labels.tolist()):
        taken[label] = taken.get(label, 0) + 1
        if taken[label] <= count:
            rows.append(row)
    return np.array(rows, np.int64)


def _lucas_kanade(
    source: Grey, target: Grey, points: NDArray[np.float32], guess: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    there, found, _ = cv2.calcOpticalFlowPyrLK(
        source,
        target,
        points,
        guess.copy(),
        winSize=_WINDOW,
        maxLevel=_LEVELS,
        criteria=_STOP,
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )
    return np.asarray(there, np.float32), found[:, 0].astype(bool)


def _least_squares(before: Array, after: Array) -> Similarity:
    """Umeyama's similarity in two dimensions, as complex numbers."""
    z, w = before @ [1.0, 1.0j], after @ [1.0, 1.0j]
    z0, w0 = z.mean(), w.mean()
    turn = complex(np.vdot(z - z0, w - w0) / np.vdot(z - z0, z - z0).real)
    return Similarity(turn, complex(w0 - turn * z0))
