"""From scored clips to numbers: tidy rows, the clips' own values, paired tests, regressions.  All of it JSON-able."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .conditions import CLASSES
from .motion import Mask
from .runner import Scored
from .score import METRICS, Score
from .statistics import (
    MIN_FRAMES,
    Blocks,
    Estimate,
    blocks,
    clip_value,
    holm,
    mean_with_interval,
    paired,
    regression,
)
from .uncertainty import footage_figures

Row = dict[str, Any]
ALL = "all"
TESTED = (
    "mpjpe_mm",
    "pa_mpjpe_mm",
    "pve_mm",
    "chamfer_mm",
    "joint_angle_deg",
    "orientation_deg",
    "accel_mm_per_frame2",
    "root_mm",
    "foot_speed_mm_s",
)
"""Metrics that methods are compared by; of fewer tests more can be said."""
EXPLAINED = "mpjpe_mm"
"""The metric that the regression explains."""
_MIN_VALUES = 3


def datasets(scored: Sequence[Scored]) -> Iterator[tuple[str, str, list[Scored]]]:
    """Suite, data set and its scores, in order."""
    for suite, dataset in dict.fromkeys((one.clip.suite, one.clip.dataset) for one in scored):
        yield suite, dataset, [s for s in scored if (s.clip.suite, s.clip.dataset) == (suite, dataset)]


def by_method(scored: Sequence[Scored]) -> dict[str, list[Scored]]:
    """Scores by the methods' names, in order; the clips are in the same order for all."""
    found: dict[str, list[Scored]] = {}
    for one in scored:
        found.setdefault(one.method.name, []).append(one)
    return found


def metric_blocks(score: Score, metric: str, frames: Mask | None = None) -> Blocks:
    """The metric of one clip in stretches of time, of the chosen frames; without weight where it is absent.

    What is known of the whole clip alone is absent for a part of it.
    """
    if metric in score.series:
        return blocks(score.series[metric], score.fps, frames)
    if metric in score.values and (frames is None or frames.all()):
        return np.array([score.values[metric]]), np.ones(1)
    return np.zeros(1), np.zeros(1)


def rows(scored: Sequence[Scored]) -> list[Row]:
    """Every number: by suite, data set, method, condition and metric, over the clips and for each clip."""
    found = []
    for suite, dataset, group in datasets(scored):
        for method, scores in by_method(group).items():
            for condition, chosen in _selections(scores):
                for metric in METRICS.values():
                    parts = [metric_blocks(one.score, metric.key, mask) for one, mask in chosen]
                    mean = mean_with_interval(parts, suite, dataset, metric.key)
                    if mean is not None:
                        found.append(_row(suite, dataset, method, condition, metric.key, mean))
            together = _of_all_together(scores)
            found += [_row(suite, dataset, method, ALL, name, value) for name, value in together.items()]
    return found


def _row(suite: str, dataset: str, method: str, condition: str, metric: str, value: Estimate) -> Row:
    return {
        "suite": suite,
        "dataset": dataset,
        "method": method,
        "condition": condition,
        "metric": metric,
        "unit": METRICS[metric].unit,
        "value": value.value,
        "n": value.n,
        "ci_low": value.low,
        "ci_high": value.high,
    }


def _of_all_together(scores: Sequence[Scored]) -> dict[str, Estimate]:
    """By metric, what is known of several clips together alone; without intervals."""
    found = {}
    for points in dict.fromkeys(name for one in scores for name in one.score.samples):
        samples = [one.score.samples[points] for one in scores if points in one.score.samples]
        for name, value in footage_figures(points, samples).items():
            found[name] = Estimate(value, len(samples), None, None)
    return found


def _selections(scores: Sequence[Scored]) -> Iterator[tuple[str, list[tuple[Scored, Mask | None]]]]:
    """Conditions with the clips that speak for them and the frames of each: all, each class, each clip."""
    yield ALL, [(one, None) for one in scores]
    for condition in conditions_present(scores):
        for name in class_names(scores, condition):
            chosen: list[tuple[Scored, Mask | None]] = []
            for one in scores:
                classes = one.score.conditions.classes.get(condition)
                if classes is not None and (classes == name).sum() >= MIN_FRAMES:
                    chosen.append((one, classes == name))
            if chosen:
                yield f"{condition}: {name}", chosen
    for one in scores:
        yield f"clip: {one.clip.name}", [(one, None)]


def conditions_present(scores: Sequence[Scored]) -> list[str]:
    """Conditions of which some clip knows the class."""
    return list(dict.fromkeys(name for one in scores for name in one.score.conditions.classes))


def class_names(scores: Sequence[Scored], condition: str) -> list[str]:
    """The classes of a condition: in their own order, or alphabetically where it has none."""
    if condition in CLASSES:
        return [name for name, _ in CLASSES[condition]]
    there = (one.score.conditions.classes.get(condition) for one in scores)
    return sorted({str(name) for classes in there if classes is not None for name in classes} - {""})


def clip_values(scored: Sequence[Scored]) -> list[Row]:
    """Each clip by each method: values, and the stretches of time that a later comparison draws from."""
    found = []
    for one in scored:
        parts = {key: metric_blocks(one.score, key) for key in METRICS}
        present = {key: part for key, part in parts.items() if part[1].sum() > 0}
        numbers = one.score.conditions.numbers
        found.append(
            {
                "suite": one.clip.suite,
                "dataset": one.clip.dataset,
                "clip": one.clip.name,
                "digest": one.digest,
                "method": one.method.name,
                "failure": one.score.failure,
                "conditions": {k: float(np.nanmean(v)) for k, v in numbers.items() if np.isfinite(v).any()},
                "values": {key: clip_value(part) for key, part in present.items()},
                "blocks": {
                    key: [part[0].tolist(), part[1].tolist()] for key, part in present.items() if len(part[0]) > 1
                },
            }
        )
    return found


def tests(scored: Sequence[Scored]) -> list[Row]:
    """Every pair of methods by every tested metric, on the clips that both have; Holm's correction by data set."""
    found = []
    for suite, dataset, group in datasets(scored):
        methods = {name: scores for name, scores in by_method(group).items() if name != "truth"}
        part: list[Row] = []
        for metric in TESTED:
            for first, second in itertools.combinations(methods, 2):
                sides = [[metric_blocks(one.score, metric) for one in methods[name]] for name in (first, second)]
                result = paired(sides[0], sides[1], suite, dataset, metric)
                if result is not None:
                    part.append(
                        {"suite": suite, "dataset": dataset, "metric": metric, "first": first, "second": second}
                    )
                    part[-1] |= vars(result)
        for one, corrected in zip(part, holm([one["p"] for one in part]), strict=True):
            found.append({**one, "p_holm": corrected})
    return found


def regressions(scored: Sequence[Scored]) -> list[Row]:
    """How the error of each method depends on the conditions, by data set; over stretches of time."""
    found = []
    for suite, dataset, group in datasets(scored):
        for method, scores in by_method(group).items():
            y, columns, clusters = _observations(scores)
            scales = {name: float(values.std()) for name, values in columns.items()}
            scaled = {name: (values - values.mean()) / scales[name] for name, values in columns.items()}
            result = regression(y, scaled, clusters) if columns else None
            if result is None:
                continue
            for one in result[0]:
                found.append(
                    {
                        "suite": suite,
                        "dataset": dataset,
                        "method": method,
                        "metric": EXPLAINED,
                        "condition": one.name,
                        "per": scales.get(one.name),
                        "value": one.value,
                        "ci_low": one.low,
                        "ci_high": one.high,
                        "p": one.p,
                        "n": len(y),
                        "errors": result[1],
                    }
                )
    return found


def _observations(scores: Sequence[Scored]) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """Error, conditions and clip of every stretch of time for which all are known.

    The size counts by its logarithm (doublings).  A condition with fewer than three values, or that some clip does not
    know, is left out.
    """
    names = [n for n in CLASSES if all(n in one.score.conditions.numbers for one in scores)]
    y, x, clusters = [], [], []
    for index, one in enumerate(scores):
        if EXPLAINED not in one.score.series:
            continue
        total, weight = metric_blocks(one.score, EXPLAINED)
        step = math.ceil(len(one.score.series[EXPLAINED].total) / len(total))
        known = weight > 0
        means = [_block_means(one.score.conditions.numbers[name], step, name == "size") for name in names]
        y.append(total[known] / weight[known])
        x.append(np.array(means).reshape(len(names), len(total)).T[known])
        clusters.append(np.full(known.sum(), index))
    if not y:
        return np.zeros(0), {}, np.zeros(0)
    table, errors, groups = np.concatenate(x), np.concatenate(y), np.concatenate(clusters)
    use = np.isfinite(table).all(1)
    columns = {name: table[use, i] for i, name in enumerate(names)}
    varied = {name: v for name, v in columns.items() if len(np.unique(v.round(6))) >= _MIN_VALUES}
    return errors[use], varied, groups[use]


def _block_means(values: np.ndarray, step: int, logarithm: bool) -> np.ndarray:
    values = np.log2(values) if logarithm else values
    known = np.isfinite(values)
    starts = np.arange(0, len(values), step)
    sums, counts = (np.add.reduceat(part, starts) for part in (np.where(known, values, 0.0), known.astype(float)))
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
