"""Curves of a training: a table that grows by a row at every look."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any


def append_row(path: Path, row: dict[str, float]) -> None:
    """Add a row to a CSV table; columns that are new are added to it."""
    rows: list[dict[str, Any]] = list(csv.DictReader(path.open(newline=""))) if path.is_file() else []
    rows.append(row)
    columns = list(dict.fromkeys(name for one in rows for name in one))
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, columns)
        writer.writeheader()
        writer.writerows(rows)
