"""Normal equations of a clip: frames that are coupled with their neighbours, and unknowns that all frames share."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .banded import BandedSystem


class Equations:
    """Of T frames with P unknowns each, and G shared ones.

    Attributes:
        system: the frames' own matrix.
        right: (T, P, 1 + G): the frames' right-hand side, then their coupling with the shared unknowns.
        shared: (G, G + 1): the shared unknowns' matrix and right-hand side.
        cost: negative logarithm of the posterior, up to a constant.
    """

    def __init__(self, frames: int, size: int, shared: int) -> None:
        self.system = BandedSystem(frames, size)
        self.right = torch.zeros((frames, size, 1 + shared), dtype=torch.float64)
        self.shared = torch.zeros((shared, shared + 1), dtype=torch.float64)
        self.cost = 0.0

    def add(
        self,
        rows: Sequence[Tensor],
        target: Tensor,
        by_shared: Tensor | None = None,
        first: int = 0,
        cost: Tensor | None = None,
    ) -> None:
        """Add squared residuals that should change by ``target``.

        Args:
            rows: K tensors (N, R, P): derivatives of the N times R residuals by the unknowns of frame
                ``first + n + k``, K of 1 to 3.
            target: (N, R).
            by_shared: (N, R, G) derivatives by the shared unknowns; None for none.
            cost: of a robust loss, whose weights are in ``rows`` and ``target``; None for a plain square.
        """
        self.cost += float(0.5 * target.square().sum() if cost is None else cost.sum())
        count = len(target)
        blocks = {0: self.system.diagonal, 1: self.system.next_frame, 2: self.system.after_next}
        for i, later in enumerate(rows):
            here = slice(first + i, first + i + count)
            self.right[here, :, 0] += (later.mT @ target[..., None])[..., 0]
            if by_shared is not None:
                self.right[here, :, 1:] += later.mT @ by_shared
            for j in range(i + 1):
                blocks[i - j][first + j : first + j + count] += later.mT @ rows[j]
        if by_shared is not None:
            self.shared[:, :-1] += torch.einsum("nra,nrb->ab", by_shared, by_shared)
            self.shared[:, -1] += torch.einsum("nra,nr->a", by_shared, target)

    def add_differences(self, stencil: Tensor, weight: Tensor, value: Tensor, cost: Tensor | None = None) -> None:
        """Add squared differences of each unknown over 2 or 3 neighbouring frames.

        Args:
            stencil: (N, K) coefficients for the frames that begin at 0..N-1.
            weight: (N, P) squared weights. value: (N, P) what the differences are, to be brought to zero.
        """
        self.cost += float((0.5 * weight * value.square() if cost is None else cost).sum())
        self.system.add_stencil(stencil, weight, slice(0, weight.shape[1]))
        count = len(stencil)
        for k in range(stencil.shape[1]):
            self.right[k : k + count, :, 0] -= stencil[:, k, None] * weight * value

    def add_diagonal(self, first: int, precision: Tensor, pull: Tensor, cost: Tensor) -> None:
        """Add to the Q unknowns from ``first`` on: (T, Q, Q) or (T, Q) precisions and (T, Q) pulls."""
        self.cost += float(cost.sum())
        mine = slice(first, first + pull.shape[1])
        block = self.system.diagonal[:, mine, mine]
        if precision.dim() == 2:
            block.diagonal(dim1=1, dim2=2).add_(precision)
        else:
            block += precision
        self.right[:, mine, 0] += pull

    def solve(self) -> tuple[Tensor, Tensor]:
        """Eliminate the frames (Schur complement) and solve.

        Returns:
            (T, P, 1 + G): the frames' step at fixed shared unknowns, and how it falls with their change; then
            (G, G + 1): the shared unknowns' remaining matrix and right-hand side.
        """
        solution = self.system.solve(self.right)
        coupling = self.right[..., 1:]
        reduced = self.shared - torch.einsum("tpa,tpb->ab", coupling, torch.roll(solution, -1, 2))
        return solution, reduced


def cauchy_cost(error: Tensor, reach: float) -> Tensor:
    """The Cauchy loss; ``error`` in sigmas."""
    return 0.5 * reach**2 * torch.log1p((error / reach) ** 2)


def cauchy(error: Tensor, reach: float) -> Tensor:
    """Square root of the iteratively reweighted least squares weight of the Cauchy loss; ``error`` in sigmas."""
    return (1.0 + (error / reach) ** 2) ** -0.5
