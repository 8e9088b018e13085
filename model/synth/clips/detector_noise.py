"""What BlazePose's errors are made of: a model of landmark noise, by landmark, to train networks with.

An error is the sum of: a bias that is constant in the person's own axes (another idea of where a joint is), an offset
that is constant in a clip, a slow part that forgets itself exponentially, and white jitter.  Errors beyond
``OUTLIER`` are outliers, which are counted and timed, and left out of all the rest but ``median_abs``.
White and slow part come from the structure function: half of the mean squared change over a time t is
white² + slow² (1 - exp(-t / time)), whatever constant lies below.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from model.body.landmarks import LANDMARK_NAMES

from .detector_errors import VIEWS, Seen

Array = NDArray[np.floating]
Which = Literal["shown", "hidden", "all"]
OUTLIER = {"picture_percent": 5.0, "world_mm": 200.0}
"""Length of an error from which on it is an outlier: percent of the height, and mm."""
_LONGEST_S = 0.8
_FEWEST = 60
"""Frames below which nothing is said of a landmark, and a sixth of it in a clip for an offset of its own."""
KEYS = {
    "picture_percent": "errors in the picture, percent of the person's height; pairs are right, down",
    "world_mm": "errors of the 3D landmarks in mm after one scale for the clip, from the middle of the hips, in a "
    "camera that looks at the hips; triples are across (right), up, depth (away)",
    "frames": "that count",
    "median_abs": "median length of the error",
    "bias_person": "constant part along the person's own axes: left, up the trunk, forward",
    "clip_sigma": "spread of the offset that is constant in a clip, by axis",
    "step_sigma": "change from frame to frame by axis, rms by the root of 2: an upper limit of the white part",
    "jitter_sigma": "white part by axis, rms",
    "jitter_core_sigma": "the same from the median second difference: smaller where tails are heavy",
    "slow_sigma": "slow part by axis, rms",
    "slow_time_s": "after which its correlation is 1/e, by axis; at most 1: what is slower counts as that too",
    "outlier_share": "of the frames",
    "outlier_frames_median": "frames that an outlier lasts at the group's fps",
    "outlier_frames_mean": "the same",
    "outlier_size": "length of outliers, median and 90 %",
    "visibility": "what the detector says of the landmark: 10, 50, 90 % of the frames",
    "world_scale": "true size by the detector's 3D size: median over clips and spread of its logarithm",
    "by_view": "median length, and the median error by axis, in the frames seen from there",
}


def bias(errors: Array, axes: Array, steps: int = 30) -> Array:
    """(3,) the b that makes ``errors`` (N, D) least different from b @ ``axes`` (N, 3, D), in the L1 sense."""
    b = np.zeros(3)
    for _ in range(steps):
        rest = np.linalg.norm(errors - np.einsum("k,nkd->nd", b, axes), axis=-1)
        weight = 1.0 / np.maximum(rest, 0.05 * np.median(rest) + 1e-9)
        normal = np.einsum("n,nkd,nld->kl", weight, axes, axes)
        b = np.linalg.solve(
            normal + 1e-6 * np.trace(normal) * np.eye(3), np.einsum("n,nkd,nd->k", weight, axes, errors)
        )
    return b


def white_and_slow(series: Sequence[Array], fps: Sequence[float]) -> tuple[float, float, float]:
    """White sigma, slow sigma and the slow part's correlation time in s of (T,) series with gaps (NaN)."""
    sums: dict[float, list[float]] = {}
    for values, rate in zip(series, fps, strict=True):
        for lag in range(1, min(int(_LONGEST_S * rate), len(values) - 1) + 1):
            step = values[lag:] - values[:-lag]
            step = step[np.isfinite(step)]
            total = sums.setdefault(round(lag / rate, 3), [0.0, 0.0])
            total[0] += float((step**2).sum()) / 2
            total[1] += len(step)
    time, total, count = np.array([(t, a, n) for t, (a, n) in sorted(sums.items()) if n > 0 and a > 0]).T
    change = total / count
    weight = 1.0 / (change * np.sqrt(time))  # as if the times were spread evenly by their logarithm
    best = (np.inf, 0.0, 0.0, np.nan)
    for tau in np.geomspace(2.0 / max(fps), 1.0, 30):
        parts = np.stack([np.ones_like(time), 1 - np.exp(-time / tau)], 1)
        (white, slow), misfit = nnls(parts * weight[:, None], change * weight)
        if misfit < best[0]:
            best = (misfit, float(white), float(slow), float(tau))
    return best[1] ** 0.5, best[2] ** 0.5, best[3]


def runs(yes: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Lengths of the stretches in which ``yes`` (T,) holds."""
    edges = np.diff(np.concatenate([[0], yes.astype(np.int64), [0]]))
    return np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1)


def split(errors: Sequence[Array], axes: Sequence[Array], fps: Sequence[float], outlier: float) -> dict[str, Any]:
    """The parts of one landmark's errors: (T, D) and the person's axes (T, 3, D) of each clip; see ``KEYS``."""
    size = [np.linalg.norm(e, axis=-1) for e in errors]
    known = np.concatenate(size)
    known = known[np.isfinite(known)]
    row: dict[str, Any] = {"frames": len(known)}
    if len(known) < _FEWEST:
        return row
    usual = [(s < outlier) & np.isfinite(a).all((1, 2)) for s, a in zip(size, axes, strict=True)]
    if sum(int(u.sum()) for u in usual) < _FEWEST:
        return row
    constant = bias(
        np.concatenate([e[u] for e, u in zip(errors, usual, strict=True)]),
        np.concatenate([a[u] for a, u in zip(axes, usual, strict=True)]),
    )
    rest = [
        np.where(u[:, None], e - np.einsum("k,tkd->td", constant, a), np.nan)
        for e, a, u in zip(errors, axes, usual, strict=True)
    ]
    offsets = np.array([np.nanmedian(r, 0) for r, u in zip(rest, usual, strict=True) if u.sum() > _FEWEST / 6])
    step = np.concatenate([r[1:] - r[:-1] for r in rest])
    second = np.concatenate([r[2:] - 2 * r[1:-1] + r[:-2] for r in rest if len(r) > 2])
    parts = [white_and_slow([r[:, d] for r in rest], fps) for d in range(errors[0].shape[1])]
    long = np.concatenate([runs(s >= outlier) for s in size])
    return row | {
        "median_abs": float(np.median(known)),
        "bias_person": constant.tolist(),
        "clip_sigma": np.sqrt((offsets**2).mean(0)).tolist(),
        "step_sigma": np.sqrt(np.nanmean(step**2, 0) / 2).tolist(),
        "jitter_sigma": [white for white, _, _ in parts],
        "jitter_core_sigma": (1.4826 / 6**0.5 * np.nanmedian(np.abs(second), 0)).tolist(),
        "slow_sigma": [slow for _, slow, _ in parts],
        "slow_time_s": [time for _, _, time in parts],
        "outlier_share": float((known >= outlier).mean()),
        "outlier_frames_median": float(np.median(long)) if len(long) else 0.0,
        "outlier_frames_mean": float(long.mean()) if len(long) else 0.0,
        "outlier_size": np.percentile(known[known >= outlier], (50, 90)).tolist() if len(long) else [],
    }


def _of_view(seen: Sequence[Seen], errors: Sequence[Array]) -> dict[str, dict[str, Any]]:
    """Median length and median of each axis of the errors (T, D) from each side that has enough frames."""
    found = {}
    for view in VIEWS:
        e = np.concatenate([e[one.views()[view]] for one, e in zip(seen, errors, strict=True)])
        e = e[np.isfinite(e).all(-1)]
        if len(e) >= _FEWEST:
            length = float(np.median(np.linalg.norm(e, axis=-1)))
            found[view] = {"frames": len(e), "median_abs": length, "median": np.median(e, 0).tolist()}
    return found


def noise(seen: Sequence[Seen], which: Which) -> dict[str, Any]:
    """Everything in ``KEYS`` for the landmarks that are shown, that are hidden, or for all."""
    counted = [one.shown if which == "shown" else ~one.shown if which == "hidden" else one.shown | True for one in seen]
    fps = [one.fps for one in seen]
    scales = np.log([one.world_scale for one in seen if np.isfinite(one.world_scale)])
    exchanged = np.concatenate([one.exchanged for one in seen])
    swaps = np.concatenate([runs(one.exchanged) for one in seen])
    found: dict[str, Any] = {
        "clips": len(seen),
        "frames": len(exchanged),
        "fps": sorted(set(fps)),
        "found_share": float(np.concatenate([one.found for one in seen]).mean()),
        "exchanged_share": float(exchanged.mean()),
        "exchanged_frames_median": float(np.median(swaps)) if len(swaps) else 0.0,
        "world_scale": {"median": float(np.exp(np.median(scales))), "sigma_log": float(scales.std())},
    }
    for kind, outlier in OUTLIER.items():
        table = found[kind] = {}
        for i, name in enumerate(LANDMARK_NAMES):
            values = [one.errors if kind == "picture_percent" else one.world_mm for one in seen]
            axes = [one.axes if kind == "picture_percent" else one.world_axes for one in seen]
            errors = [np.where(c[:, i, None], v[:, i], np.nan) for v, c in zip(values, counted, strict=True)]
            row = split(errors, [a[:, i] for a in axes], fps, outlier)
            if "median_abs" in row:
                table[name] = row | {"by_view": _of_view(seen, errors)}
    for i, name in enumerate(LANDMARK_NAMES):
        said = np.concatenate([one.visibility[c[:, i], i] for one, c in zip(seen, counted, strict=True)])
        said = said[np.isfinite(said)]
        if name in found["picture_percent"]:
            found["picture_percent"][name]["visibility"] = np.percentile(said, (10, 50, 90)).tolist()
    return found
