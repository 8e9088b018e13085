from __future__ import annotations

import pytest
import torch

from model.estimate.equations import Equations


@pytest.mark.parametrize("frames", [1, 2, 5, 8])
def test_equals_the_dense_problem(frames):
    size, shared, generator = 4, 3, torch.Generator().manual_seed(frames)

    def random(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    equations, total = Equations(frames, size, shared), frames * size + shared
    dense, right, cost = 1e-3 * torch.eye(total, dtype=torch.float64), torch.zeros(total, dtype=torch.float64), 0.0
    for width in (1, 2, 3):
        count = frames - width + 1
        if count < 1:
            continue
        rows, target, by_shared = [random(count, 6, size) for _ in range(width)], random(count, 6), random(count, 6, 3)
        equations.add(rows, target, by_shared)
        cost += 0.5 * float(target.square().sum())
        for n in range(count):
            row = torch.zeros((6, total), dtype=torch.float64)
            for k in range(width):
                row[:, (n + k) * size : (n + k + 1) * size] = rows[k][n]
            row[:, frames * size :] = by_shared[n]
            dense += row.T @ row
            right += row.T @ target[n]
    equations.system.diagonal.diagonal(dim1=1, dim2=2).add_(1e-3)
    equations.shared[:, :-1] += 1e-3 * torch.eye(shared)
    solution, reduced = equations.solve()
    change = torch.linalg.solve(reduced[:, :-1], reduced[:, -1])
    step = solution[..., 0] - solution[..., 1:] @ change
    expected = torch.linalg.solve(dense, right)
    assert torch.allclose(torch.cat([step.flatten(), change]), expected, atol=1e-6)
    assert equations.cost == pytest.approx(cost)
    inverse = torch.linalg.inv(dense[: frames * size, : frames * size])
    for frame, block in enumerate(equations.system.marginals()):
        own = slice(frame * size, (frame + 1) * size)
        assert torch.allclose(block, inverse[own, own], atol=1e-8)
