"""Does a method know where it is wrong?  Figures of a stated uncertainty against the true error.

A calibrated-looking uncertainty is easy to fake with a map that is constant in time, so every figure is given as well
for the best such map, which knows each point's own mean error, and for the confidence of the 2D landmarks.  Within a
clip the map is that clip's own; over the footage as a whole one map serves all clips, for who sees a clip for the first
time has no other.  All functions take (T, N) errors and uncertainties of N points (joints or vertices); pairs with a
NaN are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata, spearmanr

from amr_blender.contract.take import JOINT12_NAMES

from .motion import Array, Motion
from .surface import vertex_errors_mm

STEPS = 50
VERTEX_STRIDE = 7
"""Every seventh vertex is looked at: neighbours tell the same."""
# Of an isotropic Gaussian error in space the length is Maxwell-distributed; these are its quantiles by its mean.
QUANTILES = {50: 0.9639, 90: 1.5668}
_MIN_FRAMES, _MIN_POINTS = 5, 20
SAMPLE_FRAMES, SAMPLE_POINTS = 24, 400
"""Of a clip, at most, that speak for the footage as a whole; evenly spread."""


def spearman_pooled(uncertainty: Array, error: Array) -> float | None:
    """Spearman's rank correlation of uncertainty and error over all points and frames together.

    1: the order is right; 0: no relation.  Unit: none.  Source: Spearman 1904.
    """
    known = np.isfinite(uncertainty) & np.isfinite(error)
    u, e = uncertainty[known], error[known]
    if len(u) < _MIN_POINTS or np.ptp(u) == 0 or np.ptp(e) == 0:
        return None
    return float(spearmanr(u, e).statistic)


def spearman_within(uncertainty: Array, error: Array) -> float | None:
    """Spearman's rank correlation over time within each point, averaged over the points.

    A map that is constant in time has none: this is what it can't fake.  Unit: none.  Source: Spearman 1904.
    """
    frames = np.isfinite(uncertainty).all(1) & np.isfinite(error).all(1)
    if frames.sum() < _MIN_FRAMES:
        return None
    a, b = rankdata(uncertainty[frames], axis=0), rankdata(error[frames], axis=0)
    a, b = a - a.mean(0), b - b.mean(0)
    size = np.sqrt((a * a).sum(0) * (b * b).sum(0))
    moving = size > 0
    return float(((a * b).sum(0)[moving] / size[moving]).mean()) if moving.any() else None


def sparsification(order_by: Array, error: Array) -> Array:
    """(STEPS,) mean error without the share 0, 1/STEPS, ... of largest ``order_by``, by the overall mean.

    Source: Ilg et al., "Uncertainty estimates and multi-hypotheses networks for optical flow", ECCV 2018.
    """
    known = np.isfinite(order_by) & np.isfinite(error)
    sorted_error = error[known][np.argsort(order_by[known], kind="stable")]
    means = np.cumsum(sorted_error, dtype=np.float64) / np.arange(1, len(sorted_error) + 1)
    left = np.maximum(1, np.round(len(means) * (1 - np.arange(STEPS) / STEPS)).astype(int))
    return np.asarray(means[left - 1] / means[-1])


def nause(uncertainty: Array, error: Array) -> float | None:
    """Area between the sparsification curves by uncertainty and by the true error, by that of a random order.

    0: removing the most uncertain removes the worst; 1: no better than chance.  Unit: none.  Source: AUSE, Ilg et al.,
    ECCV 2018; normalised by the area of chance.
    """
    known = np.isfinite(uncertainty) & np.isfinite(error)
    if known.sum() < _MIN_POINTS:
        return None
    best = sparsification(error, error)
    chance = float((1 - best).mean())
    return float((sparsification(uncertainty, error) - best).mean()) / chance if chance > 1e-9 else None


def coverage_percent(uncertainty_mm: Array, error_mm: Array, level: int) -> float | None:
    """Share of the errors within the interval that should hold 50 (or 90) percent of them.

    The uncertainty is an expected error; of an isotropic Gaussian in space with that mean length, 50 percent are
    shorter than 0.964 and 90 percent than 1.567 times it.  Right is the interval's own number; more is too careful,
    less too sure.  Unit: percent.  Source: Gneiting et al., "Probabilistic forecasts, calibration and sharpness", 2007;
    Maxwell 1860.
    """
    known = np.isfinite(uncertainty_mm) & np.isfinite(error_mm)
    if known.sum() < _MIN_POINTS:
        return None
    return float(100 * (error_mm[known] <= QUANTILES[level] * uncertainty_mm[known]).mean())


def constant_map(error: Array) -> Array:
    """(T, N) the best uncertainty that is constant in time: each point's mean error in this clip, from the truth."""
    frames = np.isfinite(error).all(1)
    mean = error[frames].mean(0) if frames.any() else np.full(error.shape[1], np.nan)
    return np.broadcast_to(mean, error.shape)


@dataclass(frozen=True)
class Judged:
    """What is stated of one clip's points, and what is true: (T, N) each."""

    point: NDArray[np.integer]
    """(N,) number of each point, the same in all clips."""
    error: Array
    stated: Array
    detector: Array | None
    """Uncertainty of the 2D landmark that is nearest."""

    def sample(self) -> Array:
        """(4, K) number, error, stated, detector: of some frames and points, for figures over several clips."""
        frames, points = (
            np.unique(np.linspace(0, count - 1, most).round().astype(int)) if count else np.zeros(0, int)
            for count, most in zip(self.error.shape, (SAMPLE_FRAMES, SAMPLE_POINTS), strict=True)
        )
        chosen = np.ix_(frames, points)
        nothing = np.full(self.error.shape, np.nan)
        parts = (self.error, self.stated, nothing if self.detector is None else self.detector)
        number = np.broadcast_to(self.point[points], (len(frames), len(points)))
        values = np.stack([number, *(part[chosen] for part in parts)]).reshape(4, -1)
        return values[:, np.isfinite(values[1]) & np.isfinite(values[2])].astype(np.float32)


def judged(truth: Motion, estimate: Motion) -> dict[str, Judged]:
    """``joint`` and ``vertex``, as far as the method states something of them.

    A joint's uncertainty is one minus its confidence, a vertex's its expected error in mm.
    """
    found = {}
    detector = None if estimate.detector_confidence12 is None else 1 - estimate.detector_confidence12
    if estimate.confidence12 is not None:
        error = 1000 * np.linalg.norm(estimate.rooted_joints_m - truth.rooted_joints_m, axis=-1)
        found["joint"] = Judged(np.arange(error.shape[1]), error, 1 - estimate.confidence12, detector)
    errors = vertex_errors_mm(truth, estimate) if estimate.uncertainty_mm is not None else None
    if errors is not None and estimate.uncertainty_mm is not None:
        index = np.arange(errors.shape[1]) if truth.vertex_index is None else truth.vertex_index
        stated = estimate.uncertainty_mm if truth.vertex_index is None else estimate.uncertainty_mm[:, index]
        every = slice(None, None, VERTEX_STRIDE)
        found["vertex"] = Judged(
            index[every], errors[:, every], stated[:, every].astype(np.float32), _spread(detector, truth)
        )
    return found


def figures(clip: Mapping[str, Judged]) -> dict[str, float]:
    """All figures of one clip that the method's outputs allow.

    Names are ``{joint or vertex}_{figure}`` for the method's own uncertainty, with ``_constant`` or ``_2d`` added for
    the two controls.
    """
    found: dict[str, float | None] = {}
    for points, one in clip.items():
        moving = {"": one.stated, "_2d": one.detector}
        found |= _figures(points, moving, one.error, {"spearman_within": spearman_within})
        sources = moving | {"_constant": constant_map(one.error)}
        found |= _figures(points, sources, one.error, {"spearman": spearman_pooled, "nause": nause})
        if points == "vertex":
            for level in QUANTILES:
                found[f"vertex_coverage{level}"] = coverage_percent(one.stated, one.error, level)
    return {name: value for name, value in found.items() if value is not None}


def footage_figures(points: str, samples: Sequence[Array]) -> dict[str, float]:
    """Figures over several clips taken together, of their ``Judged.sample``; names end in ``_footage``, then as in
    :func:`figures`.

    The constant map is here one for all clips: each point's mean error over all of them, from the truth.
    """
    number, error, stated, detector = np.concatenate(samples, 1)[:, :, None].astype(np.float64)
    _, slot = np.unique(number[:, 0], return_inverse=True)
    usual = np.bincount(slot, error[:, 0]) / np.bincount(slot)
    sources = {"": stated, "_constant": usual[slot][:, None], "_2d": detector}
    found = _figures(points, sources, error, {"spearman_footage": spearman_pooled, "nause_footage": nause})
    return {name: value for name, value in found.items() if value is not None}


def _figures(
    points: str, sources: Mapping[str, Array | None], error: Array, how: Mapping[str, Callable[..., float | None]]
) -> dict[str, float | None]:
    return {
        f"{points}_{name}{suffix}": function(uncertainty, error)
        for name, function in how.items()
        for suffix, uncertainty in sources.items()
        if uncertainty is not None
    }


def _spread(joint_values: Array | None, truth: Motion) -> Array | None:
    """(T, N) the value of the joint that is nearest to each vertex, by the truth of the first frame that has one."""
    if joint_values is None or truth.vertices_cam_m is None or not truth.seen.any():
        return None
    first = int(np.argmax(truth.seen))
    joints = truth.joints12_cam_m[first, : len(JOINT12_NAMES)]
    offsets = truth.vertices_cam_m[first, ::VERTEX_STRIDE, None] - joints
    return joint_values[:, np.linalg.norm(offsets, axis=-1).argmin(1)]
