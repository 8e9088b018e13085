"""Charts as inline SVG: errors over time, and means with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from .motion import Array

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f")
"""Okabe and Ito's, told apart by the colour-blind too."""
_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 620, 210, 52, 36, 26


def _nice_top(largest: float) -> float:
    """The next round number at or above ``largest``."""
    if not largest > 0:
        return 1.0
    power = 10 ** np.floor(np.log10(largest))
    return float(next(step * power for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if step * power >= largest * 0.9999))


def _text(x: float, y: float, text: str, anchor: str = "middle", extra: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {extra}>{escape(text)}</text>'


def time_chart(title: str, time_s: Array, curves: Mapping[str, Array], colours: Mapping[str, str], unit: str) -> str:
    """Curves (T,) over time, by name; gaps where NaN.  The vertical axis begins at 0."""
    values = [v[np.isfinite(v)] for v in curves.values()]
    known = np.concatenate(values) if values else np.zeros(0)
    top = _nice_top(float(known.max())) if len(known) else 1.0
    end = max(float(time_s[-1]), 1e-6)
    width, height = _WIDTH - _LEFT - 20, _HEIGHT - _BOTTOM - _TOP
    x = _LEFT + time_s / end * width
    parts = [_text(_LEFT, 14, title, "start", 'class="title"')]
    for share in (0.0, 0.5, 1.0):
        level = _TOP + (1 - share) * height
        parts.append(f'<line x1="{_LEFT}" y1="{level:.1f}" x2="{_LEFT + width}" y2="{level:.1f}" class="grid"/>')
        parts.append(_text(_LEFT - 6, level + 4, f"{share * top:g}", "end"))
        parts.append(_text(_LEFT + share * width, _HEIGHT - 16, f"{share * end:.2f}"))
    parts.append(_text(_LEFT + width / 2, _HEIGHT - 2, "seconds"))
    parts.append(_text(12, _TOP + height / 2, unit, "middle", f'transform="rotate(-90 12 {_TOP + height / 2:.1f})"'))
    for name, curve in curves.items():
        y = _TOP + (1 - curve / top) * height
        for run in np.split(np.arange(len(curve)), np.flatnonzero(np.diff(np.isfinite(curve))) + 1):
            if len(run) and np.isfinite(curve[run[0]]):
                points = " ".join(f"{x[i]:.1f},{y[i]:.1f}" for i in run)
                parts.append(f'<polyline points="{points}" stroke="{colours[name]}" class="curve"/>')
    return _svg(_WIDTH, _HEIGHT, parts, f"{title}, {unit}, over time")


def interval_chart(
    title: str, rows: Sequence[tuple[str, float, float | None, float | None]], colours: Sequence[str], unit: str
) -> str:
    """One line per (name, value, low, high): a dot and its interval, on an axis that begins at 0."""
    top = _nice_top(max([max(value, high or value) for _, value, _, high in rows], default=1.0))
    left, width, step = 210, _WIDTH - 210 - 60, 20
    height = _TOP + step * len(rows) + 22
    parts = [_text(8, 14, title, "start", 'class="title"')]
    for share in (0.0, 0.5, 1.0):
        x = left + share * width
        parts.append(f'<line x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{height - 22}" class="grid"/>')
        parts.append(_text(x, height - 8, f"{share * top:g} {unit if share == 1 else ''}"))
    for line, ((name, value, low, high), colour) in enumerate(zip(rows, colours, strict=True)):
        y = _TOP + (line + 0.5) * step
        parts.append(_text(left - 8, y + 4, name, "end"))
        if low is not None and high is not None:
            ends = [left + max(v, 0.0) / top * width for v in (low, high)]
            parts.append(
                f'<line x1="{ends[0]:.1f}" y1="{y}" x2="{ends[1]:.1f}" y2="{y}" stroke="{colour}" class="reach"/>'
            )
        parts.append(f'<circle cx="{left + max(value, 0.0) / top * width:.1f}" cy="{y}" r="4.5" fill="{colour}"/>')
    return _svg(_WIDTH, height, parts, f"{title}, {unit}")


def colour_bar(colours: Sequence[tuple[int, int, int]], largest: float, unit: str) -> str:
    """The legend of a heat map from 0 to ``largest``."""
    width = 260
    stops = "".join(
        f'<stop offset="{i / (len(colours) - 1):.3f}" stop-color="rgb({r},{g},{b})"/>'
        for i, (r, g, b) in enumerate(colours)
    )
    parts = [
        f'<defs><linearGradient id="heat">{stops}</linearGradient></defs>',
        f'<rect x="10" y="4" width="{width}" height="12" fill="url(#heat)"/>',
        _text(10, 30, "0", "start"),
        _text(10 + width, 30, f"{largest:g} {unit} and more"),
    ]
    return _svg(width + 90, 36, parts, "colours of the error")


def legend(colours: Mapping[str, str]) -> str:
    """Names beside their colours, as HTML."""
    return "".join(
        f'<span class="key"><i style="background:{colour}"></i>{escape(name)}</span>'
        for name, colour in colours.items()
    )


def _svg(width: int, height: int, parts: Sequence[str], label: str) -> str:
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    return f'<svg {size} role="img" aria-label="{escape(label, quote=True)}">{"".join(parts)}</svg>'
