"""``python -m model train NETWORK``: where to, on what, and for how long."""

from __future__ import annotations

from pathlib import Path

import torch

from .initial import run as initial
from .refine import alone
from .refine import run as refine

BUILD = Path(__file__).resolve().parents[2] / "build"


def train(
    network: str, out: Path | None, budget: str | None, minutes: float, device: str | None, workers: int, threads: int,
    start: Path | None = None,
) -> str:  # fmt: skip
    """Train until the end or for some ``minutes``, and say how it stands; ``start``: weights to begin with."""
    if threads:
        torch.set_num_threads(threads)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    size = budget or ("full" if device == "cuda" else "small")
    if network == "initial":
        folder = out or BUILD / network
        chosen = initial.BUDGETS[size]
        stock = initial.Stock.gather(chosen.chunks, BUILD / network, workers, BUILD)
        finished = initial.Run(folder, chosen, device, stock, start=start).go(minutes)
    elif network == "uncertainty":
        folder = out or BUILD / network
        alone_cost = alone.BUDGETS[size]
        finished = alone.Alone(folder, BUILD / "refine", alone_cost, device).go(minutes, alone_cost.refinement)
    else:  # attention goes on where refinement ends
        folder = out or BUILD / "refinement"
        cost = refine.BUDGETS[size]
        until = cost.refinement + (cost.attention if network == "attention" else 0)
        finished = refine.Run(folder, BUILD / "refine", cost, device).go(minutes, until)
    return f"{'Finished' if finished else 'Not finished, call again'}: {folder}"
