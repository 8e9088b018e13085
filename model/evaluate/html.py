"""``report.html``: one file that explains itself to a reader who has not read the code."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from typing import Any

import numpy as np

from . import charts
from .figures import HEAT_MM, Strip, heat_colours, png
from .methods import METHODS
from .report import SHORT, Report, find, groups, shown
from .score import METRICS
from .statistics import FEW
from .tables import ALL, EXPLAINED, Row

_CONDITIONS = ("light", "occlusion", "motion", "size", "view", "action")
_BY_CONDITION = ("mpjpe_mm", "pa_mpjpe_mm", "pve_mm", "accel_mm_per_frame2", "foot_speed_mm_s")
_CSS = """
body{font:15px/1.5 system-ui,sans-serif;color:#222;background:#fff;max-width:1120px;margin:2em auto;padding:0 1em}
h1{font-size:1.6em}h2{font-size:1.25em;margin-top:2.2em;border-bottom:1px solid #ccc}
h3{font-size:1.05em;margin-top:1.6em}
table{border-collapse:collapse;margin:.8em 0;font-size:13px}th,td{padding:3px 9px;text-align:right;vertical-align:top}
th{border-bottom:1px solid #888;font-weight:600}td.group,th:first-child{text-align:left;color:#222}
tr.first td{border-top:1px solid #bbb}td small{color:#666;display:block;white-space:nowrap}td.best{font-weight:700}
tr.control td{color:#666}.note,figcaption{color:#555;font-size:13px;max-width:80ch}p{max-width:80ch}
figure{margin:1em 0}figure img{display:block}.strip{display:flex;gap:6px}.strip div{text-align:center;font-size:12px}
svg{max-width:100%;height:auto}svg text{font:11px system-ui,sans-serif;fill:#444}
svg .title{font-size:13px;font-weight:600}
.grid{stroke:#ddd}.curve{fill:none;stroke-width:1.6}.reach{stroke-width:2}
.key{margin-right:1.2em;font-size:13px}.key i{display:inline-block;width:1.1em;height:.7em;margin-right:.4em}
dt{font-weight:600;margin-top:.7em}dd{margin:0 0 0 1.2em;max-width:85ch}pre{font-size:12px;white-space:pre-wrap}
"""


@dataclass(frozen=True)
class Curve:
    """The error over time of several methods on one clip: (T,) by method, NaN where there is none."""

    title: str
    time_s: np.ndarray
    errors_mm: dict[str, np.ndarray]


def page(report: Report, curves: Sequence[Curve], strips: Sequence[Strip]) -> str:
    """The whole report."""
    colours = dict(zip(report["settings"]["methods"], charts.COLOURS * 9, strict=False))
    sections = [
        _introduction(report),
        _first_table(report),
        _chart_section(report, colours),
        _strip_section(strips),
        _curve_section(curves, colours),
        _condition_section(report),
        _test_section(report),
        _regression_section(report),
        _uncertainty_section(report),
        _all_metrics(report),
        _definitions(report),
        _settings(report),
    ]
    head = f'<head><meta charset="utf-8"><title>Evaluation</title><style>{_CSS}</style></head>'
    return f'<!doctype html><html lang="en">{head}<body>{"".join(sections)}</body></html>\n'


def _introduction(report: Report) -> str:
    settings = report["settings"]
    suites = "".join(f"<li><b>{escape(n)}</b>: {escape(about)}</li>" for n, about in settings["suites"].items())
    methods = "".join(f"<li><b>{escape(n)}</b>: {escape(about)}</li>" for n, about in settings["methods"].items())
    failures = [one for one in report["clips"] if one["failure"]]
    told = "".join(
        f"<li>{escape(one['method'])} on {escape(one['suite'])}/{escape(one['clip'])}: {escape(one['failure'])}</li>"
        for one in failures
    )
    quick = " This is a quick run, on a dozen clips of a suite at most." if settings["quick"] else ""
    return f"""<h1>How well does it reconstruct people?</h1>
<p>Each method below was given footage of one person and nothing else, and said where the person's joints and skin are
in space, frame by frame. Here that is compared with the truth.{quick} Version {escape(settings["amr_version"])},
commit {escape(str(settings["commit"]))}.</p>
<p><b>Footage</b></p><ul>{suites}</ul><p><b>Methods</b></p><ul>{methods}</ul>
<p>Read the controls first: they show what a figure is worth. A method that never moves has a low acceleration error
and feet that never slide; only its other figures show that it is useless. The truth's own line shows what can be
reached, for even true feet roll a little. A dash means that a method does not offer what the metric needs, or that the
truth is not known.</p>
<p>Numbers in brackets are 95 % intervals. With {FEW} clips or more they tell what other clips of this kind would give.
With fewer they only tell how much it matters which moments of these clips are looked at, and are too narrow for
anything else.</p>{f"<p><b>Failures</b> (all frames count as missing)</p><ul>{told}</ul>" if failures else ""}"""


def _cell(metric: str, row: Row | None, best: bool = False) -> str:
    if row is None:
        return "<td>-</td>"
    low, high = row["ci_low"], row["ci_high"]
    interval = "" if low is None or low == high else f"<small>[{shown(metric, low)}, {shown(metric, high)}]</small>"
    return f"<td{' class=best' if best else ''}>{shown(metric, row['value'])}{interval}</td>"


def _head(first: Sequence[str], metrics: Sequence[str]) -> str:
    names = [f"{METRICS[m].label}{f'<br>{METRICS[m].unit}' if METRICS[m].unit else ''}" for m in metrics]
    return "<tr>" + "".join(f"<th>{cell}</th>" for cell in (*first, *names)) + "</tr>"


def _method_rows(report: Report, title: str, group: tuple[str, str], condition: str, metrics: Sequence[str]) -> str:
    """One line per method; the best of those that are no controls in bold."""
    rows, lines = find(report, condition), []
    methods = [m for m in report["settings"]["methods"] if any((*group, m, metric) in rows for metric in metrics)]
    methods = methods if condition == ALL else [m for m in methods if m != "truth"]
    for index, method in enumerate(methods):
        cells = []
        for metric in metrics:
            row = rows.get((*group, method, metric))
            rivals = [rows.get((*group, m, metric)) for m in methods if not METHODS[m].control]
            cells.append(_cell(metric, row, not METHODS[method].control and _is_best(metric, row, rivals)))
        count = max(rows[key]["n"] for key in rows if key[:3] == (*group, method))
        kind = f"{'first' if index == 0 else ''} {'control' if METHODS[method].control else ''}"
        note = f"<small>{count} clip{'s' if count > 1 else ''}</small>"
        name = f'<td class="group" rowspan="{len(methods)}">{title}{note}</td>' if index == 0 else ""
        lines.append(f'<tr class="{kind}">{name}<td>{escape(method)}</td>{"".join(cells)}</tr>')
    return "".join(lines)


def _is_best(metric: str, row: Row | None, rivals: Sequence[Row | None]) -> bool:
    values = [rival["value"] for rival in rivals if rival is not None]
    if row is None or len(values) < 2 or METRICS[metric].better == "none":
        return False
    cost = {"low": lambda v: v, "high": lambda v: -v, "one": lambda v: abs(v - 1)}[METRICS[metric].better]
    costs = [cost(value) for value in values]
    return bool(cost(row["value"]) <= min(costs) < max(costs))


def _present(report: Report, metrics: Sequence[str]) -> list[str]:
    there = {row["metric"] for row in report["rows"] if row["method"] != "truth"}
    return [metric for metric in metrics if metric in there]


def _title(group: tuple[str, str]) -> str:
    return escape(group[0] if group[0] == group[1] else f"{group[0]}, {group[1]}")


def _classes(report: Report, condition: str) -> list[str]:
    found = dict.fromkeys(r["condition"] for r in report["rows"] if r["condition"].startswith(f"{condition}: "))
    order = [f"{condition}: {one[0]}" for one in report["settings"]["condition_classes"].get(condition, [])]
    return [name for name in order if name in found] + [name for name in found if name not in order]


def _first_table(report: Report) -> str:
    metrics, body = _present(report, SHORT), ""
    for group in groups(report):
        lights = [light for light in _classes(report, "light") if any(key[:2] == group for key in find(report, light))]
        for condition in (ALL, *(lights if len(lights) > 1 else ())):
            name = _title(group) + ("" if condition == ALL else f"<br>{escape(condition)}")
            body += _method_rows(report, name, group, condition, metrics)
    return f"""<h2>Table 1: methods by footage and light</h2>
<p class="note">Mean over the clips. Bold: the best of the methods that are no controls. Grey: controls.
MPJPE and per-vertex error: how far joints and skin are off, the hips laid on each other. PA-MPJPE: the pose alone. The
limb speed ratio is 1 where hands and feet move as fast as they really do. All metrics are defined at the end.</p>
<table>{_head(("footage", "method"), metrics)}{body}</table>"""


def _chart_section(report: Report, colours: dict[str, str]) -> str:
    rows, found = find(report), ""
    for group in groups(report):
        for metric in ("mpjpe_mm", "pa_mpjpe_mm"):
            methods = [m for m in colours if (*group, m, metric) in rows and m != "truth"]
            lines = [rows[(*group, m, metric)] for m in methods]
            values = [(m, r["value"], r["ci_low"], r["ci_high"]) for m, r in zip(methods, lines, strict=True)]
            label = f"{_title(group)}: {METRICS[metric].label}"
            found += charts.interval_chart(label, values, [colours[m] for m in methods], METRICS[metric].unit)
    return f"<figure>{found}<figcaption>Means and their intervals, as in Table 1.</figcaption></figure>"


def _strip_section(strips: Sequence[Strip]) -> str:
    if not strips:
        return ""
    bar = charts.colour_bar([tuple(c) for c in heat_colours(np.linspace(0, 1, 9)).tolist()], HEAT_MM, "mm")
    found = ""
    for _, group in groupby(strips, key=lambda strip: (strip.clip.suite, strip.clip.name)):
        for strip in group:
            panels = "".join(
                f'<div><img alt="{escape(caption, quote=True)}" src="data:image/png;base64,'
                f'{base64.b64encode(png(picture)).decode()}">{escape(caption)}</div>'
                for caption, picture in strip.panels
            )
            text = (
                f"{strip.clip.suite}/{strip.clip.name}, frame {strip.frame}, {strip.method}: {strip.why}, "
                f"mean joint error {strip.error_mm:.0f} mm."
            )
            found += f'<figure><div class="strip">{panels}</div><figcaption>{escape(text)}</figcaption></figure>'
    return f"""<h2>What it looks like</h2>
<p class="note">From left to right: the frame; the method's body seen through the method's own camera (and, of a method
that has them, its attention, the error that it expects and its refined body); how far it is off in space, the hips
laid on each other; and the same joints seen from the side, where errors towards and away from the camera show. Of each
suite the clips with the smallest, the middle and the largest error are shown, each in a typical and in its worst
frame.</p>
{bar}{found}"""


def _curve_section(curves: Sequence[Curve], colours: dict[str, str]) -> str:
    if not curves:
        return ""
    found = "".join(charts.time_chart(c.title, c.time_s, c.errors_mm, colours, "mm") for c in curves)
    names = dict.fromkeys(name for curve in curves for name in curve.errors_mm)
    return f"""<h2>Error over time</h2><p class="note">MPJPE of each frame, in the clips shown above.</p>
<p>{charts.legend({name: colours[name] for name in names})}</p>{found}"""


def _condition_section(report: Report) -> str:
    settings, found = report["settings"], ""
    metrics = _present(report, _BY_CONDITION)
    for condition in _CONDITIONS:
        body = "".join(
            _method_rows(report, f"{_title(group)}<br>{escape(name.partition(': ')[2])}", group, name, metrics)
            for group in groups(report)
            for name in _classes(report, condition)
        )
        if body:
            limits = settings["condition_classes"].get(condition, [])
            under = "".join(f"{name} below {limit:g}, " if limit else f"{name} above" for name, limit in limits)
            meaning = f"{settings['condition_meaning'][condition]}{f'; {under}' if under else ''}"
            head = _head(("footage", "method"), metrics)
            found += (
                f'<h3>{condition.capitalize()}</h3><p class="note">{escape(meaning)}</p><table>{head}{body}</table>'
            )
    return f"""<h2>By condition</h2><p class="note">Frames are sorted by what the truth tells of each: one clip may
speak for several classes.</p>{found}"""


def _test_section(report: Report) -> str:
    if not report["tests"]:
        return ""
    body = ""
    for one in report["tests"]:
        metric = one["metric"]
        interval = "-" if one["low"] is None else f"[{shown(metric, one['low'])}, {shown(metric, one['high'])}]"
        body += (
            f"<tr><td>{_title((one['suite'], one['dataset']))}</td><td>{METRICS[metric].label}</td>"
            f"<td>{escape(one['second'])} minus {escape(one['first'])}</td>"
            f"<td>{shown(metric, one['difference'])} {METRICS[metric].unit}</td><td>{interval}</td><td>{one['n']}</td>"
            f"<td>{_p(one['p'])}</td><td>{_p(one['p_holm'])}</td></tr>"
        )
    heads = ("footage", "metric", "difference", "mean", "95 % interval", "clips", "p", "p, Holm")
    return f"""<h2>Are the differences real?</h2>
<p class="note">Both methods on the same clips. Interval: bootstrap. p: Wilcoxon's signed-rank test over the clips, then
corrected for the number of tests on this footage (Holm); a dash where there are too few clips for it.</p>
<table><tr>{"".join(f"<th>{head}</th>" for head in heads)}</tr>{body}</table>"""


def _p(value: float | None) -> str:
    return "-" if value is None else ("&lt; 0.001" if value < 0.001 else f"{value:.3f}")


def _regression_section(report: Report) -> str:
    if not report["regressions"]:
        return ""
    body = ""
    for one in report["regressions"]:
        per = "" if one["per"] is None else f"{one['per']:.3g}"
        body += (
            f"<tr><td>{_title((one['suite'], one['dataset']))}</td><td>{escape(one['method'])}</td>"
            f"<td>{escape(one['condition'])}</td><td>{per}</td><td>{one['value']:+.1f}</td>"
            f"<td>[{one['ci_low']:.1f}, {one['ci_high']:.1f}]</td><td>{_p(one['p'])}</td>"
            f"<td>{one['n']}, {escape(one['errors'])}</td></tr>"
        )
    heads = ("footage", "method", "condition", "one step is", "mm per step", "95 % interval", "p", "observations")
    return f"""<h2>What makes it hard</h2>
<p class="note">Linear regression of {METRICS[EXPLAINED].label} on the conditions, over stretches of a quarter of a
second. A step is one standard deviation of the condition (size: in doublings); the intercept is the error under average
conditions. Standard errors are clustered by clip where there are enough clips; HC3 takes neighbouring stretches for
independent, so its p-values are too small. Conditions that hardly vary here are left out.</p>
<table><tr>{"".join(f"<th>{head}</th>" for head in heads)}</tr>{body}</table>"""


def _uncertainty_section(report: Report) -> str:
    rows, found = find(report), ""
    sources = (("", "its own"), ("_constant", "control: best constant map"), ("_2d", "control: 2D confidence"))
    for points in ("joint", "vertex"):
        kinds = ("spearman", "spearman_within", "nause", "spearman_footage", "nause_footage")
        names = [f"{points}_{name}" for name in kinds]
        names += [metric for metric in METRICS if metric.startswith(f"{points}_coverage")]
        body = ""
        for group in groups(report):
            for method in report["settings"]["methods"]:
                lines = [
                    (source, [rows.get((*group, method, f"{name}{suffix}")) for name in names])
                    for suffix, source in sources
                ]
                lines = [(source, cells) for source, cells in lines if any(cells)]
                for index, (source, cells) in enumerate(lines):
                    title = f'<td class="group" rowspan="{len(lines)}">{_title(group)}: {escape(method)}</td>'
                    kind = ("first " if index == 0 else "") + ("control" if index else "")
                    values = "".join(_cell(name, row) for name, row in zip(names, cells, strict=True))
                    body += f'<tr class="{kind}">{title if index == 0 else ""}<td>{source}</td>{values}</tr>'
        found += f"<table>{_head(('footage and method', 'uncertainty'), names)}{body}</table>" if body else ""
    if not found:
        return ""
    return f"""<h2>Does it know where it is wrong?</h2>
<p class="note">The method's own confidence against its true error. A rank correlation of 1 and a sparsification error
of 0 are perfect, 0 and 1 are worth nothing. Two controls: the best map that is constant (it knows from the truth which
points are worse on average, but never when; in a clip from that clip's own truth, so that it need not tell a hard clip
from an easy one; for all clips together it is one map) and the confidence of the 2D landmarks.</p>{found}"""


def _all_metrics(report: Report) -> str:
    rows = find(report)
    methods, found = list(report["settings"]["methods"]), ""
    for group in groups(report):
        lines = ""
        for metric in METRICS.values():
            cells = [rows.get((*group, method, metric.key)) for method in methods]
            if any(cells):
                label = f"{metric.label}{f' ({metric.unit})' if metric.unit else ''}"
                lines += f"<tr><td>{label}</td>{''.join(_cell(metric.key, row) for row in cells)}</tr>"
        heads = "".join(f"<th>{escape(method)}</th>" for method in methods)
        found += f"<h3>{_title(group)}</h3><table><tr><th>metric</th>{heads}</tr>{lines}</table>"
    return f"<h2>All metrics</h2>{found}"


def _definitions(report: Report) -> str:
    there = {row["metric"] for row in report["rows"]}
    items = "".join(
        f"<dt>{metric.label}{f' ({metric.unit})' if metric.unit else ''}</dt><dd>{escape(metric.definition)}</dd>"
        for metric in METRICS.values()
        if metric.key in there
    )
    return f"<h2>What the metrics mean</h2><dl>{items}</dl>"


def _settings(report: Report) -> str:
    listed: dict[tuple[str, str], Any] = {(c["suite"], c["clip"]): c for c in report["clips"]}
    clips = ", ".join(f"{suite}/{clip} ({one['digest']})" for (suite, clip), one in listed.items())
    text = json.dumps(report["settings"], indent=1)
    return f"""<h2>Exact settings</h2><p class="note">Every number of this page is in report.json. Clips, and
the digest of footage and truth: {escape(clips)}.</p><pre>{escape(text)}</pre>"""
