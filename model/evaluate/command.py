"""``python -m model evaluate``: from suites and methods to the report, and from two reports to what changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from . import compare as comparing
from . import report as reports
from .context import Context
from .figures import Strip, strips, telling_frames
from .html import Curve, page
from .methods import METHODS, chosen
from .runner import Progress, Scored, run
from .suites import ROOT, find_clips

CACHE = ROOT / "build" / "evaluate"
SHOWN_CLIPS = 3
"""Of each suite, with pictures and curves."""


def evaluate(
    suites: Sequence[str], out: Path, methods: list[str] | None, quick: bool, cache: Path | None, assets: str = ""
) -> str:
    """Judge methods on suites; writes ``report.json`` and ``report.html`` to ``out``.

    Args:
        suites: ``NAME`` or ``NAME=FOLDER``. methods: names; None for the usual ones.
        quick: at most a dozen clips of each suite.
        cache: where results are kept and looked for; None for ``build/evaluate``.

    Returns:
        The short table for the terminal.

    Raises:
        AmrError: a suite or method that there is not, clips that can't be read, or a folder that can't be written to.
    """
    wanted = chosen(methods)
    clips = [clip for name in dict.fromkeys(suites) for clip in find_clips(name, quick)]
    with Progress(len(clips) * len(wanted)) as progress:
        context = Context((cache or CACHE).absolute(), assets, report=progress.stage)
        scored = run(clips, wanted, context, progress)
        report = reports.build(scored, context, quick)
        reports.write(report, out / "report.json")
        progress.show("pictures")
        shown = _shown(scored)
        pictures = [strip for one in shown for strip in _strips(one, context)]
        curves = [_curve(one, scored) for one in shown]
    reports.write_text(page(report, curves, pictures), out / "report.html")
    return f"{reports.short_table(report)}\n{out / 'report.html'}"


def compare(before: Path, after: Path) -> str:
    """What changed from one ``report.json`` to another, as a table.

    Raises:
        AmrError: one can't be read, or they have nothing in common.
    """
    return comparing.table(*comparing.compare(reports.read(before), reports.read(after)))


def _shown(scored: Sequence[Scored]) -> list[Scored]:
    """The clips with the smallest, the middle and the largest error, by the last method that is no control."""
    found = []
    for suite in dict.fromkeys(one.clip.suite for one in scored):
        mine = [one for one in scored if one.clip.suite == suite]
        names = dict.fromkeys(one.method.name for one in mine)
        method = next((name for name in reversed(names) if not METHODS[name].control), list(names)[-1])
        ranked = [one for one in mine if one.method.name == method and one.score.value("mpjpe_mm") is not None]
        ranked.sort(key=lambda one: (one.score.value("mpjpe_mm"), one.clip.name))
        places = np.unique(np.linspace(0, len(ranked) - 1, SHOWN_CLIPS).round().astype(int)) if ranked else []
        found += [ranked[place] for place in places]
    return found


def _errors(one: Scored) -> np.ndarray:
    """(T,) MPJPE by frame."""
    total, weight = one.score.series["mpjpe_mm"]
    return np.where(weight > 0, total / np.where(weight > 0, weight, 1.0), np.nan)


def _strips(one: Scored, context: Context) -> list[Strip]:
    truth, _ = one.clip.load()
    estimate = one.method.run(one.clip, truth, context)
    errors = _errors(one)
    return strips(one.clip, truth, estimate, one.method.name, errors, telling_frames(errors))


def _curve(one: Scored, scored: Sequence[Scored]) -> Curve:
    same = [s for s in scored if s.clip is one.clip and s.method.name != "truth" and "mpjpe_mm" in s.score.series]
    errors = {s.method.name: _errors(s) for s in same}
    time_s = np.arange(len(_errors(one))) / one.score.fps
    return Curve(f"{one.clip.suite}/{one.clip.name}", time_s, errors)
