"""Pose correctives as few shapes: as few as the error allows, and never a larger error than they say."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model.body.correctives import fewest_shapes


def corrections(frames: int, rank: int, parts: int = 40, vertices: int = 900) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(frames + rank)
    amounts = torch.randn((frames, rank), generator=generator, dtype=torch.float64)
    features = amounts @ torch.randn((rank, parts), generator=generator, dtype=torch.float64)
    return features, 0.001 * torch.randn((parts, vertices, 3), generator=generator)


def largest_error_mm(features: torch.Tensor, basis: torch.Tensor, found: tuple[np.ndarray, ...]) -> float:
    whole = np.einsum("tp,pvd->tvd", features.numpy(), basis.double().numpy())
    left = whole - np.einsum("tk,kvd->tvd", found[1], found[0])
    return float(1000 * np.linalg.norm(left, axis=-1).max())


def test_the_rank_is_found() -> None:
    features, basis = corrections(200, 5)
    found = fewest_shapes(features, basis, 0.01)
    assert found is not None
    assert found[0].shape == (5, 900, 3) and found[1].shape == (200, 5)
    assert found[0].dtype == found[1].dtype == np.float32
    assert largest_error_mm(features, basis, found) < 0.01
    assert np.abs(found[1]).max() == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("tolerance_mm", [0.5, 5.0, 30.0])
def test_the_error_is_as_told_and_within_the_tolerance(tolerance_mm: float) -> None:
    features, basis = corrections(120, 40)
    found = fewest_shapes(features, basis, tolerance_mm)
    assert found is not None
    assert largest_error_mm(features, basis, found) == pytest.approx(float(found[2]), abs=0.01)
    assert float(found[2]) <= tolerance_mm


def test_a_larger_error_takes_fewer_shapes() -> None:
    features, basis = corrections(120, 40)
    counts = [len(found[0]) for mm in (0.5, 10.0, 25.0) if (found := fewest_shapes(features, basis, mm))]
    assert counts == sorted(counts, reverse=True) and counts[0] > counts[-1] > 0


def test_no_corrections_no_shapes() -> None:
    features, basis = corrections(10, 3)
    assert fewest_shapes(features, basis, 1e6) is None
    assert fewest_shapes(0 * features, basis, 0.1) is None


def test_one_frame() -> None:
    features, basis = corrections(1, 3)
    found = fewest_shapes(features, basis, 0.1)
    assert found is not None and len(found[0]) == 1
    assert largest_error_mm(features, basis, found) < 0.1
