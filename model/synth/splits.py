"""What is trained on and what is kept for testing, as ``splits.json`` says; decided before any training.

Bodies, looks, places and drawn poses are made from seeds, of which each side has its own range, 80 to 20.
"""

from __future__ import annotations

import json
from pathlib import Path

SPLITS = ("train", "test")
_FILE = Path(__file__).with_name("splits.json")


def held_out_subjects() -> frozenset[str]:
    """Subjects of the motion capture on whom nothing is trained."""
    return frozenset(json.loads(_FILE.read_text(encoding="utf-8"))["capture"]["test_subjects"])


def seeds(split: str) -> dict[str, tuple[int, int]]:
    """(first, end) by kind: ``bodies``, ``looks``, ``places``, ``poses``.

    Raises:
        ValueError: no such split.
    """
    if split not in SPLITS:
        raise ValueError(f"split is one of {SPLITS}, not {split!r}")
    ranges = json.loads(_FILE.read_text(encoding="utf-8"))["seeds"][split]
    return {kind: (int(first), int(end)) for kind, (first, end) in ranges.items()}
