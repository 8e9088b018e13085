"""``python -m model train uncertainty``: DAN without HRN, for how wrong the estimate is as it stands.

What is expected of a vertex begins with what is usual for it, and DAN learns what is more and what is less; a clip is
taken as a whole, so that it also learns when a vertex is further off than at other times.  Estimates are those of the
product, neither moved towards the truth nor away from it: an error that nothing shows can't be told.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from model.evaluate.uncertainty import VERTEX_STRIDE, spearman_pooled, spearman_within
from model.networks.attention import DAN, SIGMA_MM, USUAL_MM
from model.networks.refinement import HRN

from .run import SEED, Budget, Run
from .variants import Variant

BUDGETS = {
    "small": Budget(900, 0, 1, 16, rate=7e-4, look=150),
    "full": Budget(20_000, 0, 8, 16, rate=7e-4, average=0.999),
}
"""Steps are those of ``refinement``, the batch is in clips."""
EACH = 3
"""Windows of a clip."""
USUAL_OF = 200
"""Clips that what is usual is taken from."""


class Alone(Run):
    """A run of DAN; arguments as of :class:`Run`."""

    def __init__(
        self, folder: Path, stock: Path, budget: Budget, device: str, variant: Variant | None = None, seed: int = SEED
    ) -> None:
        super().__init__(folder, stock, budget, device, variant, seed)
        if self._step == 0:
            usual = (self._usual_mm() / USUAL_MM).log()
            with torch.no_grad():
                self._nets.dan.usual.copy_(usual)
            self._average["dan.usual"].copy_(usual)

    @torch.no_grad()
    def _usual_mm(self) -> Tensor:
        """(V_2,) mean errors about the hips, of the clips trained on; at least one."""
        means = []
        for clip in range(min(len(self._windows), USUAL_OF)):
            _, judge = self._ready(*self._windows.windows([clip], [0], self._windows.frames(clip)))
            means.append((judge.refined(None) - judge.goal()[0]).norm(dim=-1).mean((0, 1)))
        return (1000 * torch.stack(means).mean(0)).clamp(min=SIGMA_MM[0])

    def _terms(self, rng: torch.Generator) -> dict[str, Tensor]:
        windows, frames = self._variant.windows(self._budget.frames)
        each = EACH * windows
        prepared, judge = self._ready(*self._windows.stretches(self._budget.batch, each, frames, rng))
        dan, (true, _) = self._nets(prepared), judge.goal()
        error_m = (judge.refined(None) - true).norm(dim=-1)
        return judge.told_terms(dan, error_m) | {"within": judge.within_term(dan, error_m, each)}

    def _value(self, held: dict[str, float]) -> float:
        return held["sigma"] + 1 - held["within"]

    def _shipped(self) -> tuple[tuple[str, DAN | HRN], ...]:
        return (("attention", self._nets.dan),)

    @torch.no_grad()
    def held_out(self) -> dict[str, float]:
        """The loss of the uncertainty, and its ranks: over everything, and over time within a vertex."""
        told, errors, losses, within = [], [], [], []
        for clip in range(0, len(self._held), 2):
            rows = []
            for first in range(0, self._held.frames(clip), self._budget.frames):
                length = min(self._budget.frames, self._held.frames(clip) - first)
                prepared, judge = self._ready(*self._held.windows([clip], [first], length))
                dan = self._nets(prepared)
                error_m = (judge.refined(None) - judge.goal()[0]).norm(dim=-1)
                losses.append(float(judge.told_terms(dan, error_m)["sigma"]))
                both = torch.stack([dan.sigma_mm[0], 1000 * error_m[0]])
                rows.append(both[:, judge.seen.present[0], ::VERTEX_STRIDE])
            sigma, error = torch.cat(rows, 1).double().cpu().numpy()
            told.append(sigma)
            errors.append(error)
            rank = spearman_within(sigma, error)
            within += [] if rank is None else [rank]
        sigma, error = np.concatenate(told), np.concatenate(errors)
        return {
            "before_mm": float(error.mean()),
            "sigma": float(np.mean(losses)),
            "spearman": spearman_pooled(sigma, error) or 0.0,
            "within": float(np.mean(within)) if within else 0.0,
        }
