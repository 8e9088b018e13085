"""``python -m model train NETWORK``: where to, on what, and for how long."""

from __future__ import annotations

from pathlib import Path

import torch

from .initial.run import BUDGETS, Run, Stock

BUILD = Path(__file__).resolve().parents[2] / "build"


def train(
    network: str, out: Path | None, budget: str | None, minutes: float, device: str | None, workers: int, threads: int
) -> str:
    """Train until the end or for some ``minutes``, and say how it stands."""
    if threads:
        torch.set_num_threads(threads)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    folder = out or BUILD / network
    chosen = BUDGETS[budget or ("full" if device == "cuda" else "small")]
    run = Run(folder, chosen, device, Stock.gather(chosen.chunks, BUILD / network, workers, BUILD / "detected"))
    return f"{'Finished' if run.go(minutes) else 'Not finished, call again'}: {folder}"
