"""Means with intervals, paired tests and regressions over scored clips.  All chance comes from one seed.

The value of a metric over clips is the mean of the clips' own values.  Its interval is a 95 % percentile bootstrap
(Efron 1979) that draws clips.  Fewer clips than ``FEW`` can't tell what other clips would give; then stretches of
``BLOCK_S`` seconds within the same clips are drawn (block bootstrap, Künsch 1989), which covers other moments only.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.multitest import multipletests

from .metrics import Series
from .motion import Array, Mask

SEED, DRAWS, FEW, BLOCK_S = 20240711, 2000, 5, 0.25
MIN_FRAMES = 5
"""A clip with fewer frames in a condition does not speak for it."""
MIN_PAIRS = 6
"""With fewer pairs the signed-rank test can't reach 0.05."""
MANY_CLUSTERS = 10
Blocks = tuple[Array, Array]
"""(N,) sums and weights of a clip's metric in stretches of time; in one where it is known of the whole clip alone."""


@dataclass(frozen=True)
class Estimate:
    """A mean over ``n`` clips and its 95 % interval; None where it can't be told."""

    value: float
    n: int
    low: float | None
    high: float | None


@dataclass(frozen=True)
class PairedTest:
    """Second minus first over the ``n`` clips that both have."""

    difference: float
    n: int
    low: float | None
    high: float | None
    p: float | None
    """Of Wilcoxon's signed-rank test (1945), two-sided; None with too few pairs."""


def generator(*names: str) -> np.random.Generator:
    """The random numbers for what ``names`` name, the same in every run and order."""
    return np.random.default_rng([SEED, zlib.crc32("\n".join(names).encode())])


def blocks(series: Series, fps: float, frames: Mask | None = None) -> Blocks:
    """Sums of ``series`` over stretches of ``BLOCK_S`` seconds, of the chosen frames alone."""
    total, weight = (part if frames is None else np.where(frames, part, 0.0) for part in series)
    starts = np.arange(0, len(total), max(1, round(BLOCK_S * fps)))
    return np.add.reduceat(total, starts), np.add.reduceat(weight, starts)


def clip_value(clip: Blocks) -> float:
    """The metric over one whole clip; NaN where it says nothing."""
    weight = clip[1].sum()
    return float(clip[0].sum() / weight) if weight > 0 else float("nan")


def mean_with_interval(clips: Sequence[Blocks], *names: str) -> Estimate | None:
    """Mean over the clips; None if no clip says anything.  ``names`` name the quantity, for its random numbers."""
    clips = [clip for clip in clips if clip[1].sum() > 0]
    if not clips:
        return None
    values = np.array([clip_value(clip) for clip in clips])
    low, high = _interval(_draws(clips, generator(*names)))
    return Estimate(float(values.mean()), len(values), low, high)


def paired(first: Sequence[Blocks], second: Sequence[Blocks], *names: str) -> PairedTest | None:
    """Compare two results on the same clips, in the same order; None if they share none."""
    pairs = [(a, b) for a, b in zip(first, second, strict=True) if a[1].sum() > 0 and b[1].sum() > 0]
    if not pairs:
        return None
    ones, others = [a for a, _ in pairs], [b for _, b in pairs]
    difference = np.array([clip_value(b) - clip_value(a) for a, b in pairs])
    # The same draws for both, for they are two results on the same footage.
    drawn = _draws(others, generator(*names)), _draws(ones, generator(*names))
    low, high = _interval(None if drawn[0] is None or drawn[1] is None else drawn[0] - drawn[1])
    p = None
    if len(pairs) >= MIN_PAIRS and np.any(difference != 0):
        p = float(stats.wilcoxon(difference).pvalue)
    return PairedTest(float(difference.mean()), len(pairs), low, high, p)


def _draws(clips: Sequence[Blocks], rng: np.random.Generator) -> Array | None:
    """(DRAWS,) means over drawn clips, or over drawn stretches of few clips; None where nothing can be drawn."""
    if len(clips) >= FEW:
        values = np.array([clip_value(clip) for clip in clips])
        return np.asarray(values[rng.integers(0, len(values), (DRAWS, len(values)))].mean(1))
    means = np.zeros(DRAWS)
    for total, weight in clips:
        if np.count_nonzero(weight) < 2:
            return None
        chosen = rng.integers(0, len(total), (DRAWS, len(total)))
        sums = weight[chosen].sum(1)
        means += np.where(sums > 0, total[chosen].sum(1) / np.where(sums > 0, sums, 1.0), np.nan) / len(clips)
    return means


def _interval(draws: Array | None) -> tuple[float | None, float | None]:
    if draws is None or not np.isfinite(draws).any():
        return None, None
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    return float(low), float(high)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """P-values corrected for their number; None stays None.  Source: Holm 1979."""
    known = [p for p in p_values if p is not None]
    corrected = iter(multipletests(known, method="holm")[1] if known else ())
    return [None if p is None else float(next(corrected)) for p in p_values]


@dataclass(frozen=True)
class Coefficient:
    """How much the error changes with one condition, the others being equal."""

    name: str
    value: float
    low: float
    high: float
    p: float


def regression(y: Array, columns: dict[str, Array], clusters: Array) -> tuple[list[Coefficient], str] | None:
    """Ordinary least squares with robust standard errors.

    Clustered by clip (CR1; Liang and Zeger 1986, t with G - 1 degrees of freedom) from ``MANY_CLUSTERS`` clips on; with
    fewer, HC3 (MacKinnon and White 1985), which takes the observations for independent.

    Args:
        y: (N,). columns: (N,) each, by name; an intercept is added. clusters: (N,) which clip each comes from.

    Returns:
        Coefficients and the kind of standard error; None if there is nothing to explain, the columns can't be told
        apart, there are too few rows, or a row that HC3 would leave out is all that tells some of them apart.
    """
    x = np.column_stack([np.ones(len(y)), *columns.values()])
    rows, width = x.shape
    if rows < 3 * width or np.ptp(y) == 0 or np.linalg.matrix_rank(x) < width:
        return None
    fit = OLS(y, x).fit()
    if len(np.unique(clusters)) >= MANY_CLUSTERS:
        kind = "clustered by clip"
        robust = fit.get_robustcov_results("cluster", groups=clusters, use_t=True)
    elif fit.get_influence().hat_matrix_diag.max() > 1 - 1e-9:
        return None
    else:
        kind = "HC3"
        robust = fit.get_robustcov_results("HC3", use_t=True)
    found = zip(["intercept", *columns], robust.params, robust.conf_int(), robust.pvalues, strict=True)
    return [
        Coefficient(name, float(value), float(low), float(high), float(p)) for name, value, (low, high), p in found
    ], kind
