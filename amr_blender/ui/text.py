"""Words and numbers as the panel shows them.  Free of bpy."""

from __future__ import annotations

import textwrap

STAGES = {
    "": "Starting",
    "read": "Reading the footage",
    "detect": "Finding people",
    "landmarks": "Following the person",
    "fit": "Fitting the body",
    "write": "Writing the take",
    "reused": "Reusing the earlier result",
}


def stage(name: str) -> str:
    return STAGES.get(name, name.replace("-", " ").capitalize())


def duration(seconds: float) -> str:
    """``0:07``, ``3:20``, ``1:02:03``."""
    whole = max(0, round(seconds))
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def time_left(eta_s: float | None) -> str:
    return "" if eta_s is None else f"{duration(eta_s)} left"


def size(count: int) -> str:
    """``0 MB``, ``12 MB``, ``1.4 GB``."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def wrap(text: str, width_px: float, ui_scale: float) -> list[str]:
    """Break ``text`` into lines for a box in a region of ``width_px``: Blender's labels do not wrap."""
    characters = max(18, int((width_px / max(ui_scale, 0.1) - 70) / 6.1))
    return textwrap.wrap(text, characters, break_on_hyphens=False) or [""]
