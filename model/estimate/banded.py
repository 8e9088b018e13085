"""Symmetric positive definite systems in which a frame is coupled with its two neighbours on either side."""

from __future__ import annotations

import torch
from torch import Tensor


class BandedSystem:
    """Normal equations of T frames with P unknowns each: block-pentadiagonal matrix and right-hand sides.

    Attributes:
        diagonal: (T, P, P); next_frame: (T - 1, P, P), the block of frames t + 1 and t; after_next: (T - 2, P, P).
    """

    def __init__(self, frames: int, size: int) -> None:
        self.diagonal = torch.zeros((frames, size, size), dtype=torch.float64)
        self.next_frame = torch.zeros((max(frames - 1, 0), size, size), dtype=torch.float64)
        self.after_next = torch.zeros((max(frames - 2, 0), size, size), dtype=torch.float64)

    def add_stencil(self, coefficients: Tensor, weight: Tensor, rate: slice) -> None:
        """Add squared residuals sum_k c_k x_(t+k) per unknown, k = 0..2.

        Args:
            coefficients: (N, K) with K of 2 or 3, for the frames that begin at t = 0..N-1.
            weight: (N, R) squared weights of the unknowns in ``rate``.
            rate: the unknowns concerned, R of them.
        """
        count, width = coefficients.shape
        blocks = {0: self.diagonal, 1: self.next_frame, 2: self.after_next}
        for i in range(width):
            for j in range(i + 1):
                target = blocks[i - j][j : j + count, rate, rate]
                target.diagonal(dim1=1, dim2=2).add_((coefficients[:, i] * coefficients[:, j])[:, None] * weight)

    def solve(self, rhs: Tensor) -> Tensor:
        """(T, P, R) right-hand sides to (T, P, R) solutions, by block Cholesky of pairs of frames; O(T P^3).

        Raises:
            torch.linalg.LinAlgError: the matrix is not positive definite.
        """
        frames, size, columns = rhs.shape
        pairs = (frames + 1) // 2
        a = torch.eye(2 * size, dtype=rhs.dtype).repeat(pairs, 1, 1)
        b = torch.zeros((max(pairs - 1, 0), 2 * size, 2 * size), dtype=rhs.dtype)
        y = torch.zeros((pairs, 2 * size, columns), dtype=rhs.dtype)
        odd = frames // 2
        first, second = slice(0, size), slice(size, 2 * size)
        a[:, first, first] = self.diagonal[0::2]
        a[:odd, second, second] = self.diagonal[1::2]
        a[:odd, second, first] = self.next_frame[0::2]
        a[:odd, first, second] = self.next_frame[0::2].mT
        y[:, first], y[:odd, second] = rhs[0::2], rhs[1::2]
        b[:, first, first] = self.after_next[0::2][: pairs - 1]
        b[:, first, second] = self.next_frame[1::2][: pairs - 1]
        across = self.after_next[1::2]
        b[: len(across), second, second] = across
        factors: list[Tensor] = []
        below: list[Tensor] = []
        for k in range(pairs):
            block, right = a[k], y[k]
            if k:
                block = block - below[-1] @ below[-1].mT
                right = right - below[-1] @ y[k - 1]
            factor = torch.linalg.cholesky(block)
            factors.append(factor)
            y[k] = torch.linalg.solve_triangular(factor, right, upper=False)
            if k + 1 < pairs:
                below.append(torch.linalg.solve_triangular(factor, b[k].mT, upper=False).mT)
        for k in range(pairs - 1, -1, -1):
            right = y[k] if k + 1 == pairs else y[k] - below[k].mT @ y[k + 1]
            y[k] = torch.linalg.solve_triangular(factors[k].mT, right, upper=True)
        out = torch.empty_like(rhs)
        out[0::2], out[1::2] = y[:, first], y[:odd, second]
        return out
