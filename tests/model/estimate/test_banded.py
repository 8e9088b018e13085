from __future__ import annotations

import pytest
import torch

from model.estimate.banded import BandedSystem


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 7, 8])
def test_equals_the_dense_solution(frames):
    size, generator = 3, torch.Generator().manual_seed(frames)
    system = BandedSystem(frames, size)
    system.diagonal += torch.eye(size)
    dense = torch.eye(frames * size, dtype=torch.float64)
    for width in (2, 3):
        count = frames - width + 1
        if count < 1:
            continue
        stencil = torch.randn(count, width, generator=generator, dtype=torch.float64)
        weight = torch.rand(count, 2, generator=generator, dtype=torch.float64)
        system.add_stencil(stencil, weight, slice(1, 3))
        for t in range(count):
            for p in range(2):
                row = torch.zeros(frames * size, dtype=torch.float64)
                for k in range(width):
                    row[(t + k) * size + 1 + p] = stencil[t, k]
                dense += weight[t, p] * torch.outer(row, row)
    rhs = torch.randn(frames, size, 2, generator=generator, dtype=torch.float64)
    expected = torch.linalg.solve(dense, rhs.reshape(-1, 2)).reshape(frames, size, 2)
    assert torch.allclose(system.solve(rhs), expected, atol=1e-12)
