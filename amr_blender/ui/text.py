"""Words and numbers as the panel shows them.  Free of bpy."""

from __future__ import annotations

import textwrap

STAGES = {
    "": "Starting",
    "read": "Reading the footage",
    "detect": "Finding people",
    "camera": "Following the camera",
    "landmarks": "Following the person",
    "fit": "Fitting the body",
    "refine": "Looking again",
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


def frame_range(first: int, last: int) -> str:
    """``120``, ``120 to 151``."""
    return str(first) if first == last else f"{first} to {last}"


def lens(mm: float, low_mm: float, high_mm: float, source: str) -> str:
    """``35 mm, given``, ``35 mm (31 to 41), estimated``; the range is left out where it says nothing."""
    low, high = f"{low_mm:.0f}", f"{high_mm:.0f}"
    between = f" ({low} to {high})" if 0 < low_mm < high_mm and low != high else ""
    return f"{mm:.0f} mm{between}, {source or 'assumed'}"


def moments(worst: list[tuple[int, float]], in_mm: bool) -> str:
    """``143 (31 mm), 12 (27 mm)``; scores that are no millimetres as ``143 (0.31)``."""
    return ", ".join(f"{frame} ({score:.0f} mm)" if in_mm else f"{frame} ({score:.2f})" for frame, score in worst)


def tilt(down_deg: float, rolled_deg: float) -> str:
    """``level``, ``4° down``, ``4° up, rolled 2°``."""
    down, rolled = round(down_deg), round(abs(rolled_deg))
    parts = [f"{abs(down)}° {'down' if down > 0 else 'up'}" if down else "level"]
    return ", ".join([*parts, f"rolled {rolled}°"] if rolled else parts)


def size(count: int) -> str:
    """``0 MB``, ``12 MB``, ``1.4 GB``."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def wrap(text: str, width_px: float, ui_scale: float) -> list[str]:
    """Break ``text`` into lines for a box in a region of ``width_px``: Blender's labels do not wrap."""
    characters = max(18, int((width_px / max(ui_scale, 0.1) - 70) / 6.1))
    return textwrap.wrap(text, characters, break_on_hyphens=False) or [""]
