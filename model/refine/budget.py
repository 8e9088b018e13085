"""How much work a window is worth: scene complexity sets the budget, quality its ceiling.

A draft is not refined at all.  Otherwise the budget is a share of the mesh's vertices that may be worked on, the ones
with the highest attention first.  A window in which everything is seen, sharp and slow gets ``LEAST`` of the ceiling,
an occluded or a fast one all of it.  Attention that is low everywhere costs nothing in any case: the network's own
threshold holds, too.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

LEAST = 0.4
CEILING = {"standard": 0.35, "best": 1.0}
"""Share of the vertices that may be active, by quality."""
FAST_M_S = 4.0
"""Speed of hands and feet, for a body of 1.7 m, from which on a window is as hard as any."""
HIDDEN = 0.5
"""Share of the landmarks that the detector does not trust from which on a window is as hard as any."""
DOUBT_M = 0.25
"""Mean doubt of the initial network from which on a window is as hard as any."""
_ENDS = (15, 16, 27, 28)
_STATURE_M = 1.7


@dataclass(frozen=True)
class Budget:
    """What a quality pays for."""

    ceiling: float
    adapts: bool = False
    """To the clip itself, as ``adapt`` does."""

    @classmethod
    def of(cls, quality: str) -> Budget:
        """That of a quality that is refined."""
        return cls(CEILING[quality], quality == "best")

    def threshold(self, attention: Tensor, complexity: float, least: float) -> float:
        """The attention from which on a vertex is worked on.

        Args:
            attention: (..., V_2) of one window. complexity: 0..1 of it. least: the network's own threshold.
        """
        share = self.ceiling * (LEAST + (1 - LEAST) * complexity)
        if share >= 1:
            return least
        flat = attention.flatten()
        dearest = flat.kthvalue(max(round(len(flat) * (1 - share)), 1)).values
        return max(float(dearest), least)


def complexity(places_m: Tensor, confidence: Tensor, doubt_m: Tensor, present: Tensor, time_s: Tensor) -> float:
    """0 (all is seen, sharp and slow) to 1 of one window: the hardest of what makes it hard.

    Args:
        places_m: (T, 33, 2) landmarks across the viewing ray, metres at the body's depth. confidence: (T, 33) of them.
        doubt_m: (T, 33) of the initial network. present: (T,). time_s: (T,).
    """
    if not bool(present.any()):
        return 0.0
    hidden = float((1 - confidence[present]).mean()) / HIDDEN
    doubt = float(doubt_m[present].mean()) / DOUBT_M
    both = present[1:] & present[:-1]
    fast = 0.0
    if bool(both.any()):
        steps = (places_m[1:, _ENDS] - places_m[:-1, _ENDS]).norm(dim=-1)[both]
        speeds = steps / time_s.diff().clamp(min=1e-3)[both, None]
        fast = float(torch.quantile(speeds.mean(1), 0.75)) / FAST_M_S
    return min(max(hidden, doubt, fast), 1.0)
