"""Curves of a training, a table that grows by a row at every look, and what the model cards make of it."""

from __future__ import annotations

import csv
from pathlib import Path
from textwrap import fill
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


def read_columns(path: Path) -> dict[str, list[float]]:
    """The table, by column; NaN where a column was not there yet."""
    rows = list(csv.DictReader(path.open(newline="")))
    return {name: [float(row[name] or "nan") for row in rows] for name in rows[0]}


def in_lines(text: str) -> str:
    """A remark in the lines of a model card, nothing of nothing."""
    return f"\n{fill(text, 118, initial_indent='  ', subsequent_indent='  ')}" if text else ""
