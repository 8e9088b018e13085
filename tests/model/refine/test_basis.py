"""Few shape keys for a clip's offsets, and a bound of their error that holds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model.refine import basis as module
from model.refine.basis import TOLERANCE_MM, OffsetBasis

VERTICES = 300


def offsets(frames: int, shapes: int, noise_m: float = 0.0, seed: int = 0) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    basis = 0.01 * torch.randn(shapes, VERTICES, 3, generator=random)
    amounts = torch.randn(frames, shapes, generator=random)
    whole = torch.einsum("tk,kvd->tvd", amounts, basis)
    return whole + noise_m * torch.randn(frames, VERTICES, 3, generator=random)


def collected(values: torch.Tensor, block: int = 12) -> tuple[np.ndarray | None, np.ndarray, float]:
    found = OffsetBasis(VERTICES)
    for part in values.split(block):
        found.add(part)
    return found.shapes()


def worst_mm(values: torch.Tensor, basis: np.ndarray, weights: np.ndarray) -> float:
    made = np.tensordot(weights, basis, 1)
    return 1000 * float(np.linalg.norm(made - values.numpy(), axis=-1).max())


@pytest.mark.parametrize("block", [5, 12, 100])
def test_as_many_keys_as_there_are_shapes_however_the_frames_come(block: int) -> None:
    values = offsets(60, 4)
    basis, weights, error_mm = collected(values, block)
    assert basis.shape == (4, VERTICES, 3) and weights.shape == (60, 4)
    assert basis.dtype == weights.dtype == np.float32
    assert worst_mm(values, basis, weights) - 1e-3 < error_mm < TOLERANCE_MM
    assert np.abs(weights).max() == pytest.approx(1.0)


def test_a_shape_that_comes_late_is_not_missed() -> None:
    values = torch.cat([torch.zeros(20, VERTICES, 3), offsets(10, 1), torch.zeros(6, VERTICES, 3)])
    basis, weights, error_mm = collected(values)
    assert len(basis) == 1
    assert np.abs(weights[:20]).max() < 1e-6 < np.abs(weights[20:30]).min()
    assert worst_mm(values, basis, weights) <= error_mm + 1e-3


def test_the_bound_holds_where_there_are_more_shapes_than_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_KEYS", 6)
    monkeypatch.setattr(module, "_MOST_DIRECTIONS", 20)
    monkeypatch.setattr(module, "_FEWER", 10)
    values = offsets(80, 30, 1e-4)
    basis, weights, error_mm = collected(values)
    assert len(basis) == 6
    assert 1.0 < worst_mm(values, basis, weights) <= error_mm


def test_what_hardly_moves_is_no_key() -> None:
    values = offsets(30, 2) * 0.003
    basis, weights, error_mm = collected(values)
    assert basis is None and weights.shape == (30, 0)
    assert 1000 * float(values.norm(dim=-1).max()) <= error_mm <= TOLERANCE_MM
    assert collected(0 * values)[0] is None
