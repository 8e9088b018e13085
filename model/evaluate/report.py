"""``report.json``, and the short table on the terminal."""

from __future__ import annotations

import json
import math
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import scipy
import statsmodels
import torch

from amr_blender.contract.errors import AmrError
from amr_blender.contract.files import written_whole
from amr_blender.contract.version import VERSION

from . import statistics, surface, tables
from .conditions import CLASSES, MEANING
from .context import Context
from .methods import METHODS
from .runner import Scored, code_digest
from .score import METRICS
from .suites import ROOT, SUITES
from .tables import ALL, Row

REPORT_VERSION = 1
MAX_REPORT_BYTES = 1 << 30
SHORT = (
    "mpjpe_mm",
    "pa_mpjpe_mm",
    "pve_mm",
    "accel_mm_per_frame2",
    "limb_speed_ratio",
    "root_mm",
    "foot_speed_mm_s",
    "missing_percent",
)
"""Metrics of the short table and of the report's first."""
_DECIMALS = 6
Report = dict[str, Any]


def build(scored: Sequence[Scored], context: Context, quick: bool) -> Report:
    """All that ``report.json`` holds."""
    found = {
        "report_version": REPORT_VERSION,
        "settings": settings(scored, context, quick),
        "rows": tables.rows(scored),
        "clips": tables.clip_values(scored),
        "tests": tables.tests(scored),
        "regressions": tables.regressions(scored),
        "metrics": {
            m.key: {"label": m.label, "unit": m.unit, "better": m.better, "definition": m.definition}
            for m in METRICS.values()
        },
    }
    return dict(_plain(found))


def settings(scored: Sequence[Scored], context: Context, quick: bool) -> Report:
    """What the numbers depend on, exactly."""
    return {
        "amr_version": VERSION,
        "commit": _commit(),
        "engine": context.engine,
        "scoring": code_digest(),
        "quick": quick,
        "device": context.device,
        "threads": torch.get_num_threads(),
        "suites": {name: SUITES[name].about for name in dict.fromkeys(one.clip.suite for one in scored)},
        "methods": {name: METHODS[name].about for name in dict.fromkeys(one.method.name for one in scored)},
        "seed": statistics.SEED,
        "bootstrap_draws": statistics.DRAWS,
        "bootstrap_few_clips": statistics.FEW,
        "bootstrap_block_s": statistics.BLOCK_S,
        "chamfer": {"frames": surface.CHAMFER_FRAMES, "samples": surface.CHAMFER_SAMPLES, "seed": surface.CHAMFER_SEED},
        "condition_meaning": MEANING,
        "condition_classes": {name: [list(one) for one in classes] for name, classes in CLASSES.items()},
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "scipy": scipy.__version__,
            "statsmodels": statsmodels.__version__,
            "torch": torch.__version__.split("+")[0],
            "opencv": cv2.__version__,
        },
    }


def _commit() -> str | None:
    """The checkout's commit, marked where files differ from it; None outside of one."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def _plain(value: Any) -> Any:
    """``value`` for JSON: numbers rounded so that runs agree to the last digit, NaN and infinity as None."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float | np.floating):
        return round(float(value), _DECIMALS) if math.isfinite(value) else None
    return value


def write(report: Report, path: Path) -> None:
    """Write the report as JSON in one step.

    Raises:
        AmrError: the folder can't be written to.
    """
    write_text(json.dumps(report, indent=1, allow_nan=False), path)


def write_text(text: str, path: Path) -> None:
    """Write a file of the report in one step.

    Raises:
        AmrError: the folder can't be written to.
    """
    try:
        with written_whole(path) as stream:
            stream.write(text.encode())
    except OSError as error:
        message = f"The report can't be written to {path.parent} ({error.strerror or error})."
        raise AmrError("report-unwritable", message, "Choose another folder with --out.") from error


def read(path: Path) -> Report:
    """A report as :func:`write` left it.

    Raises:
        AmrError: there is none, or it is damaged or of another version.
    """
    remedy = "Name a report.json that 'python -m model evaluate' wrote."
    try:
        if path.stat().st_size > MAX_REPORT_BYTES:
            raise ValueError("it is too large")
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["report_version"] != REPORT_VERSION:
            raise ValueError(f"it is of version {found['report_version']}, this is version {REPORT_VERSION}")
        if not isinstance(found["clips"], list) or not isinstance(found["settings"], dict):
            raise ValueError("it lacks the clips' values")
        return dict(found)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise AmrError("report-unreadable", f"{path} can't be read as a report ({error}).", remedy) from error


def find(report: Report, condition: str = ALL) -> dict[tuple[str, str, str, str], Row]:
    """Rows of one condition by suite, data set, method and metric."""
    rows = (row for row in report["rows"] if row["condition"] == condition)
    return {(row["suite"], row["dataset"], row["method"], row["metric"]): row for row in rows}


def groups(report: Report) -> list[tuple[str, str]]:
    """Suites with their data sets, in order."""
    return list(dict.fromkeys((row["suite"], row["dataset"]) for row in report["rows"]))


def shown(metric: str, value: float | None) -> str:
    """A number as people read it; a dash where there is none."""
    return "-" if value is None else f"{value:.{METRICS[metric].digits}f}"


def short_table(report: Report) -> str:
    """Methods by suite, over all clips."""
    rows, lines = find(report), []
    for suite, dataset in groups(report):
        there = [m for m in SHORT if any(key[:2] == (suite, dataset) and key[3] == m for key in rows)]
        heads = [METRICS[m].label for m in there]
        units = [METRICS[m].unit for m in there]
        widths = [max(len(head), len(unit), 8) + 2 for head, unit in zip(heads, units, strict=True)]
        count = max((row["n"] for key, row in rows.items() if key[:2] == (suite, dataset)), default=0)
        title = suite if suite == dataset else f"{suite}, {dataset}"
        lines += [f"{title}: {count} clips", _line("", heads, widths), _line("", units, widths)]
        for method in report["settings"]["methods"]:
            values = [rows.get((suite, dataset, method, m)) for m in there]
            cells = [shown(m, row["value"]) if row else "-" for m, row in zip(there, values, strict=True)]
            lines.append(_line(method, cells, widths))
        lines.append("")
    return "\n".join(lines)


def _line(name: str, cells: Sequence[str], widths: Sequence[int]) -> str:
    return f"{name:<18}" + "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
