"""What changed from one report to another, and how sure that is: the same clips by the same methods, in pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from amr_blender.contract.errors import AmrError

from .report import Report, shown
from .score import METRICS
from .statistics import FEW, Blocks, clip_value, holm, paired
from .tables import Row

_SURE = 0.05
Key = tuple[str, str, str]


def compare(before: Report, after: Report) -> tuple[list[Row], list[str]]:
    """Every metric of every method that both reports have, on the clips that both have.

    Returns:
        Rows of suite, dataset, method, metric, before, after, difference, n, low, high, p, p_holm and verdict; and
        remarks on what keeps the two from being comparable.

    Raises:
        AmrError: they have no clip by the same method in common.
    """
    ones, others = _by_clip(before), _by_clip(after)
    ones, others = ({k: one for k, one in side.items() if k[2] != "truth"} for side in (ones, others))
    common = [key for key in ones if key in others and ones[key]["digest"] == others[key]["digest"]]
    if not common:
        message = "The two reports have no clip by the same method in common."
        raise AmrError("reports-differ", message, "Compare reports of the same suites and methods.")
    rows: list[Row] = []
    for suite, dataset, method in dict.fromkeys((ones[k]["suite"], ones[k]["dataset"], k[2]) for k in common):
        clips = [k for k in common if (ones[k]["suite"], ones[k]["dataset"], k[2]) == (suite, dataset, method)]
        for metric in METRICS:
            sides = [[_blocks(side[key], metric) for key in clips] for side in (ones, others)]
            result = paired(sides[0], sides[1], suite, dataset, metric)
            if result is not None:
                both = [i for i in range(len(clips)) if all(side[i][1].sum() > 0 for side in sides)]
                means = [float(np.mean([clip_value(side[i]) for i in both])) for side in sides]
                row = {"suite": suite, "dataset": dataset, "method": method, "metric": metric}
                rows.append(row | {"before": means[0], "after": means[1]} | vars(result))
    for row, corrected in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = corrected
        row["verdict"] = _verdict(row)
    return rows, _remarks(before, after, ones, others)


def _by_clip(report: Report) -> dict[Key, Any]:
    try:
        return {(one["suite"], one["clip"], one["method"]): one for one in report["clips"]}
    except (KeyError, TypeError) as error:
        message = f"A report's clips can't be read (no {error})."
        raise AmrError("report-unreadable", message, "Make the report again.") from error


def _blocks(clip: Row, metric: str) -> Blocks:
    if metric in clip["blocks"]:
        total, weight = clip["blocks"][metric]
        return np.asarray(total, float), np.asarray(weight, float)
    if metric in clip["values"]:
        return np.array([clip["values"][metric]], float), np.ones(1)
    return np.zeros(1), np.zeros(1)


def _verdict(row: Row) -> str:
    """In words.  With few clips the interval covers other moments of these clips only, and says so.

    A difference that would be shown as 0 is none: the same run on another number of threads may differ by as much.
    """
    if float(_signed(row, "difference")) == 0:
        return "same"
    if row["low"] is None or row["low"] <= 0 <= row["high"] or (row["p_holm"] is not None and row["p_holm"] >= _SURE):
        return "no clear change"
    better = METRICS[row["metric"]].better
    distance = abs(row["after"] - 1) - abs(row["before"] - 1) if better == "one" else row["difference"]
    word = "changed" if better == "none" else ("better" if (distance < 0) == (better != "high") else "worse")
    return f"{word}, on these clips" if row["n"] < FEW else word


def _remarks(before: Report, after: Report, ones: dict[Key, Any], others: dict[Key, Any]) -> list[str]:
    remarks = []
    for name, here, there in (("first", ones, others), ("second", others, ones)):
        alone = sorted({"/".join(key) for key in here if key not in there})
        if alone:
            remarks.append(f"only in the {name}: {', '.join(alone[:6])}{' ...' if len(alone) > 6 else ''}")
    changed = sorted({"/".join(k[:2]) for k in ones if k in others and ones[k]["digest"] != others[k]["digest"]})
    if changed:
        remarks.append(f"footage or truth changed, left out: {', '.join(changed[:6])}")
    for fact in ("amr_version", "commit", "engine", "scoring", "device", "threads", "versions"):
        values = [report["settings"].get(fact) for report in (before, after)]
        if values[0] != values[1]:
            remarks.append(f"{fact}: {_brief(values[0])} -> {_brief(values[1])}")
    return remarks


def _brief(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:12]}..."


def table(rows: Sequence[Row], remarks: Sequence[str]) -> str:
    """For reading on a terminal."""
    lines = [*remarks, ""] if remarks else []
    heads = ("before", "after", "difference", "95 % interval", "p (Holm)")
    for group in dict.fromkeys((row["suite"], row["dataset"], row["method"]) for row in rows):
        part = [row for row in rows if (row["suite"], row["dataset"], row["method"]) == group]
        suite, dataset, method = group
        title = f"{suite if suite == dataset else f'{suite}, {dataset}'}, {method}, {part[0]['n']} clips"
        lines += [title, f"  {'':<48}" + "".join(f"{h:>{w}}" for h, w in zip(heads, _WIDTHS, strict=True))]
        for row in part:
            metric = METRICS[row["metric"]]
            interval = "-" if row["low"] is None else f"{_signed(row, 'low')} to {_signed(row, 'high')}"
            p = "-" if row["p_holm"] is None else f"{row['p_holm']:.3f}"
            cells = (shown(metric.key, row["before"]), shown(metric.key, row["after"]), _signed(row, "difference"))
            label = f"{metric.label} {f'({metric.unit})' if metric.unit else ''}"
            numbers = "".join(f"{c:>{w}}" for c, w in zip((*cells, interval, p), _WIDTHS, strict=True))
            lines.append(f"  {label:<48}{numbers}  {row['verdict']}")
        lines.append("")
    return "\n".join(lines)


_WIDTHS = (10, 10, 12, 22, 10)


def _signed(row: Row, name: str) -> str:
    return f"{row[name]:+.{METRICS[row['metric']].digits}f}"
