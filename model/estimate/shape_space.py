"""The few shape parameters that landmarks can tell: height and lengths, on the vertices that matter to them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from model.body.anny import AnnyBody, RestBody
from model.body.landmarks import Attachment

from .pose_space import PoseSpace

HEIGHT_PRIOR_M, HEIGHT_SIGMA_M = 1.70, 0.09
"""Standing height of adults, both sexes together (NCD-RisC, eLife 2016: 1.71 m men, 1.59 m women, sigma 0.07)."""
GIVEN_HEIGHT_SIGMA_M = 0.002
HELD = 1 / 3
"""How closely a fit keeps to the height that is expected, against how well it is known: a picture tells nothing of
size, and what is measured in metres, such as accelerations, would always rather have a small person near the camera."""
LENGTH_SIGMA, PHENOTYPE_SIGMA = 0.3, 0.3
_EXTREME_M = 0.03  # vertices within this distance of crown or sole measure the height
_STEP = 0.02


DOUBTED = 2.0
"""Standard deviation for the mean error of a guessed height: it is guessed from proportions, which vary."""
_PEOPLE = ((0.85, HEIGHT_PRIOR_M, HEIGHT_SIGMA_M), (0.15, 1.35, 0.35))
"""Share, mean and standard deviation (m) of the heights of those who are filmed: adults, and anybody."""


def expected_height(told_m: float, doubt: float) -> tuple[float, float]:
    """Mean and standard deviation (m) of a height that something guesses: most people are adults, who vary little.

    Args:
        told_m: the guess. doubt: mean error of its logarithm.
    """
    variance = (DOUBTED * doubt * told_m) ** 2
    weights, means, variances = [], [], []
    for share, mean, sigma in _PEOPLE:
        total = variance + sigma**2
        weights.append(share * math.exp(-0.5 * (told_m - mean) ** 2 / total) / total**0.5)
        means.append((told_m * sigma**2 + mean * variance) / total)
        variances.append(variance * sigma**2 / total)
    shares = [weight / sum(weights) for weight in weights]
    mean = sum(share * one for share, one in zip(shares, means, strict=True))
    spread = sum(s * (v + (m - mean) ** 2) for s, v, m in zip(shares, variances, means, strict=True))
    return mean, max(spread**0.5, 0.02)


@dataclass(frozen=True)
class ShapeState:
    """The person of some shape values, linearised.

    ``moved`` holds, for each value, the attachment after a step of ``step``; ``matrix`` (Z, Z) and ``target`` (Z,)
    are the prior's normal equations there.
    """

    attachment: Attachment
    moved: list[Attachment]
    step: float
    matrix: Tensor
    target: Tensor


class ShapeSpace:
    """Shape as Z numbers: the ``height`` phenotype, then the changes of length.

    Args:
        height_m: standing height to expect; the fit keeps to it with the standard deviation ``sigma_m``.
        base: (P,) the shape to begin with, by default an average adult's.
    """

    def __init__(
        self,
        body: AnnyBody,
        space: PoseSpace,
        height_m: float = HEIGHT_PRIOR_M,
        sigma_m: float = HELD * HEIGHT_SIGMA_M,
        base: Tensor | None = None,
    ) -> None:
        self._body, self._space = body, space
        self._height_m, self._sigma_m = height_m, sigma_m
        self._base = body.default_shape().cpu() if base is None else base.clone()
        self._free = [body.shape_names.index("height"), *range(len(body.phenotype_names), len(self._base))]
        z = body.rest(self._base).vertices_m[:, 2]
        ends = torch.nonzero((z > z.max() - _EXTREME_M) | (z < z.min() + _EXTREME_M))[:, 0]
        landmarks = space.skeleton.regressor.vertex_index
        self._partial = body.watch(torch.cat([landmarks.flatten(), ends]))
        self._landmark_shape = (*landmarks.shape, 3)
        self.start = self._start()

    def shape(self, values: Tensor) -> Tensor:
        """(Z,) to the body's full (P,) shape."""
        shape = self._base.clone()
        shape[self._free] = values
        return shape

    def rest(self, values: Tensor) -> RestBody:
        """The whole body of these values."""
        return self._body.rest(self.shape(values))

    def limited(self, values: Tensor) -> Tensor:
        """Values within what the body model offers."""
        low = torch.full_like(values, -1.0)
        low[0] = 0.0
        return values.clamp(low, torch.ones_like(values))

    def attachment(self, values: Tensor) -> Attachment:
        """Where the fit's points are on the person of these values."""
        return self._watch(values)[0]

    def at(self, values: Tensor) -> ShapeState:
        """Linearise the person and the prior at ``values`` (Z,)."""
        attachment, height = self._watch(values)
        moved, slope = [], torch.zeros_like(values)
        for i in range(len(values)):
            other = values.clone()
            other[i] += _STEP
            changed, taller = self._watch(other)
            moved.append(changed)
            slope[i] = (taller - height) / _STEP
        sigma = torch.full_like(values, LENGTH_SIGMA)
        sigma[0] = PHENOTYPE_SIGMA
        matrix = torch.diag(sigma**-2) + torch.outer(slope, slope) / self._sigma_m**2
        target = -(values - self.start) / sigma**2 + slope * (self._height_m - height) / self._sigma_m**2
        return ShapeState(attachment, moved, _STEP, matrix, target)

    def _start(self) -> Tensor:
        """The average proportions at the expected height, by bisection: height is not linear in its phenotype."""
        values = self._base[self._free].clone()
        low, high = 0.0, 1.0
        for _ in range(20):
            values[0] = (low + high) / 2
            if self._watch(values)[1] < self._height_m:
                low = float(values[0])
            else:
                high = float(values[0])
        return values

    def _watch(self, values: Tensor) -> tuple[Attachment, float]:
        """Landmarks and standing height."""
        rest = self._partial(self.shape(values))
        count = self._landmark_shape[0] * self._landmark_shape[1]
        vertices = rest.vertices_m[:count].double().reshape(self._landmark_shape)
        return self._space.skeleton.attach(rest.heads_m.double(), vertices), float(rest.height_m)
