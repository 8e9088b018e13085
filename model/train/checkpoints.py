"""Checkpoints of a training: whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

_NAME = "checkpoint.pt"


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Write it beside the last one, and only then in its place."""
    partial = folder / "checkpoint.partial"
    torch.save(state, partial)
    partial.replace(folder / _NAME)


def read_checkpoint(folder: Path, device: torch.device) -> dict[str, Any] | None:
    """The last one of a run, None before the first."""
    path = folder / _NAME
    if not path.is_file():
        return None
    state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    return state
