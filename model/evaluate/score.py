"""The list of all metrics, and one clip's score by one method."""

from __future__ import annotations

import inspect
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from amr_blender.contract.files import written_whole

from . import metrics, surface, uncertainty
from .conditions import Conditions
from .metrics import Series
from .motion import Array, Motion

Better = Literal["low", "high", "one", "none"]


@dataclass(frozen=True)
class Metric:
    """What the report says of one metric."""

    key: str
    label: str
    unit: str
    better: Better
    """Which values are good: low, high, near one; ``none`` where only the truth's own value tells."""
    definition: str
    compute: Callable[[Motion, Motion], Series | None] | None = None
    """(truth, estimate); None for the figures of uncertainty, which are known of whole clips alone."""

    @property
    def digits(self) -> int:
        return 2 if self.unit in ("", "mm/frame^2", "10 m/s^3") else 1


def _metric(
    compute: Callable[[Motion, Motion], Series | None], label: str, unit: str, better: Better = "low"
) -> Metric:
    return Metric(compute.__name__, label, unit, better, " ".join(inspect.getdoc(compute).split()), compute)  # type: ignore[union-attr]


def _uncertainty_metrics() -> list[Metric]:
    found = []
    kinds: tuple[tuple[str, str, Callable[..., object], Better], ...] = (
        ("spearman", "rank correlation in a clip", uncertainty.spearman_pooled, "high"),
        ("spearman_within", "rank correlation over time", uncertainty.spearman_within, "high"),
        ("nause", "sparsification error in a clip", uncertainty.nause, "low"),
        ("spearman_footage", "rank correlation, all clips together", uncertainty.spearman_pooled, "high"),
        ("nause_footage", "sparsification error, all clips together", uncertainty.nause, "low"),
    )
    sources = (
        ("", "", ""),
        ("_constant", ", constant map", " Here for the best map that is constant, a control."),
        ("_2d", ", 2D confidence", " Here for the confidence of the 2D landmarks, a control."),
    )
    for points in ("joint", "vertex"):
        for name, label, function, better in kinds:
            for suffix, title, remark in sources:
                if (name, suffix) != ("spearman_within", "_constant"):  # a constant has no correlation over time
                    text = " ".join((inspect.getdoc(function) or "").split()) + remark
                    found.append(Metric(f"{points}_{name}{suffix}", f"{points} {label}{title}", "", better, text))
    text = " ".join((inspect.getdoc(uncertainty.coverage_percent) or "").split())
    for level in uncertainty.QUANTILES:
        found.append(Metric(f"vertex_coverage{level}", f"vertex coverage of {level} %", "%", "none", text))
    return found


METRICS: dict[str, Metric] = {
    metric.key: metric
    for metric in (
        _metric(metrics.mpjpe_mm, "MPJPE", "mm"),
        _metric(metrics.pa_mpjpe_mm, "PA-MPJPE", "mm"),
        _metric(metrics.n_mpjpe_mm, "N-MPJPE", "mm"),
        _metric(surface.pve_mm, "per-vertex error", "mm"),
        _metric(surface.chamfer_mm, "Chamfer distance", "mm"),
        _metric(metrics.joint_angle_deg, "joint angle error", "deg"),
        _metric(metrics.orientation_deg, "orientation error", "deg"),
        _metric(metrics.head_deg, "head orientation error", "deg"),
        _metric(metrics.feet_deg, "feet orientation error", "deg"),
        _metric(metrics.accel_mm_per_frame2, "acceleration error", "mm/frame^2"),
        _metric(metrics.limb_speed_ratio, "limb speed ratio", "", "one"),
        _metric(metrics.jitter, "jitter", "10 m/s^3", "none"),
        _metric(metrics.root_mm, "root path", "mm"),
        _metric(metrics.root_scaled_mm, "root path, best scale", "mm"),
        _metric(metrics.foot_speed_mm_s, "foot speed in contact", "mm/s"),
        _metric(surface.penetration_mm, "ground penetration", "mm"),
        _metric(metrics.contact_recall, "contact recall", "", "high"),
        _metric(metrics.contact_precision, "contact precision", "", "high"),
        _metric(metrics.bone_length_mm, "bone-length change", "mm"),
        _metric(metrics.reprojection_px, "reprojection error", "px"),
        _metric(metrics.missing_percent, "missing", "%"),
        *_uncertainty_metrics(),
    )
}
"""By key, in the order of the report."""


@dataclass(frozen=True)
class Score:
    """One clip by one method.  A metric that truth or method don't allow is absent."""

    series: dict[str, Series] = field(default_factory=dict)
    """Metrics that are known frame by frame."""
    values: dict[str, float] = field(default_factory=dict)
    """Metrics that are known of the whole clip alone."""
    conditions: Conditions = Conditions()
    """Of the clip's frames."""
    fps: float = 25.0
    failure: str = ""
    """Why the method gave nothing; empty where it gave something."""
    samples: dict[str, Array] = field(default_factory=dict)
    """Of joints and vertices, ``uncertainty.Judged.sample``: for what is known of all clips together alone."""

    def value(self, key: str) -> float | None:
        """Of the whole clip; None where absent."""
        if key in self.series:
            return self.series[key].value()
        return self.values.get(key)


def score(truth: Motion, estimate: Motion, conditions: Conditions, failure: str = "") -> Score:
    """Everything that can be said of ``estimate``."""
    found = {}
    for metric in METRICS.values():
        one = metric.compute(truth, estimate) if metric.compute else None
        if one is not None and one.weight.sum() > 0:
            found[metric.key] = one
    judged = uncertainty.judged(truth, estimate)
    samples = {points: one.sample() for points, one in judged.items()}
    return Score(found, uncertainty.figures(judged), conditions, truth.fps, failure, samples)


def save(one: Score, path: Path) -> None:
    """Keep a score as ``.npz``."""
    arrays = {f"series.{key}": np.stack(entry).astype(np.float64) for key, entry in one.series.items()}
    arrays |= {f"numbers.{key}": values for key, values in one.conditions.numbers.items()}
    arrays |= {f"samples.{key}": values for key, values in one.samples.items()}
    words = {f"classes.{key}": values for key, values in one.conditions.classes.items()}
    rest = np.array(json.dumps([one.values, one.fps, one.failure]))
    with written_whole(path) as stream:
        np.savez_compressed(stream, rest=rest, **arrays, **words)


def load(path: Path) -> Score | None:
    """A kept score; None where there is none, or it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            values, fps, failure = json.loads(str(arrays["rest"]))

            def group(name: str) -> dict[str, np.ndarray]:
                return {n.partition(".")[2]: arrays[n] for n in arrays.files if n.startswith(f"{name}.")}

            series = {key: Series(*entry) for key, entry in group("series").items()}
            conditions, samples = Conditions(group("numbers"), group("classes")), group("samples")
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None
    known = set(series) | set(values) <= set(METRICS)
    return Score(series, values, conditions, fps, failure, samples) if known else None
