"""What is known of the lens before the clip is seen."""

from __future__ import annotations

import math
from dataclasses import dataclass

USUAL, SIGMA = 1.05, 0.3
"""Focal length in longer sides of the picture, and its spread (log): phones film at 0.75 to 0.95 (a 26 mm equivalent,
cropped by stabilisation), normal lenses at 1.0 to 1.4, few at less or more."""

LEAST_SIGMA = 0.15
"""Of what a clip can tell (log): what the fit itself thinks of its certainty knows nothing of the detector's bias.
Measured on footage with known lenses: off by 0.05 to 0.15 where the person shows perspective, more where not."""


@dataclass(frozen=True)
class LensPrior:
    """``focal_px`` most likely before anything is seen, with ``sigma`` of its logarithm, 0 where it is known."""

    focal_px: float
    sigma: float = 0.0

    @property
    def known(self) -> bool:
        return self.sigma == 0.0

    def linearise(self, focal_px: float) -> tuple[float, float]:
        """Precision of the logarithm of the focal length, and the pull at ``focal_px``."""
        return self.sigma**-2, (math.log(self.focal_px) - math.log(focal_px)) / self.sigma**2


def unknown_lens(width_px: int, height_px: int) -> LensPrior:
    """The prior where nothing is known."""
    return LensPrior(USUAL * max(width_px, height_px), SIGMA)
