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
        factors, below = self._factors()
        pairs, odd = len(factors), frames // 2
        y = torch.zeros((pairs, 2 * size, columns), dtype=rhs.dtype)
        y[:, :size], y[:odd, size:] = rhs[0::2], rhs[1::2]
        for k in range(pairs):
            right = y[k] - below[k - 1] @ y[k - 1] if k else y[k]
            y[k] = torch.linalg.solve_triangular(factors[k], right, upper=False)
        for k in range(pairs - 1, -1, -1):
            right = y[k] if k + 1 == pairs else y[k] - below[k].mT @ y[k + 1]
            y[k] = torch.linalg.solve_triangular(factors[k].mT, right, upper=True)
        out = torch.empty_like(rhs)
        out[0::2], out[1::2] = y[:, :size], y[:odd, size:]
        return out

    def log_determinant(self) -> float:
        """Natural logarithm of the matrix's determinant."""
        factors, _ = self._factors()
        return float(2 * sum(f.diagonal().log().sum() for f in factors))

    def marginals(self) -> Tensor:
        """(T, P, P) diagonal blocks of the inverse: the covariance of each frame's unknowns, all others unknown too.

        By the recursion of Takahashi, Fagan and Chin (1973) on the block Cholesky factors.
        """
        frames, size = self.diagonal.shape[:2]
        factors, below = self._factors()
        out = torch.empty_like(self.diagonal)
        later: Tensor | None = None
        for k in range(len(factors) - 1, -1, -1):
            inverse = torch.linalg.solve_triangular(factors[k], torch.eye(2 * size, dtype=out.dtype), upper=False)
            block = inverse.mT @ inverse
            if later is not None:
                carried = below[k] @ inverse
                block = block + carried.mT @ later @ carried
            later = block
            out[2 * k] = block[:size, :size]
            if 2 * k + 1 < frames:
                out[2 * k + 1] = block[size:, size:]
        return out

    def _factors(self) -> tuple[list[Tensor], list[Tensor]]:
        """Lower Cholesky factors of the diagonal blocks of pairs of frames, and the blocks below them."""
        frames, size = self.diagonal.shape[:2]
        pairs, odd = (frames + 1) // 2, frames // 2
        first, second = slice(0, size), slice(size, 2 * size)
        a = torch.eye(2 * size, dtype=self.diagonal.dtype).repeat(pairs, 1, 1)
        b = torch.zeros((max(pairs - 1, 0), 2 * size, 2 * size), dtype=self.diagonal.dtype)
        a[:, first, first] = self.diagonal[0::2]
        a[:odd, second, second] = self.diagonal[1::2]
        a[:odd, second, first] = self.next_frame[0::2]
        a[:odd, first, second] = self.next_frame[0::2].mT
        b[:, first, first] = self.after_next[0::2][: pairs - 1]
        b[:, first, second] = self.next_frame[1::2][: pairs - 1]
        across = self.after_next[1::2]
        b[: len(across), second, second] = across
        factors: list[Tensor] = []
        below: list[Tensor] = []
        for k in range(pairs):
            block = a[k] - below[-1] @ below[-1].mT if k else a[k]
            factor = torch.linalg.cholesky(block)
            factors.append(factor)
            if k + 1 < pairs:
                below.append(torch.linalg.solve_triangular(factor, b[k].mT, upper=False).mT)
        return factors, below
