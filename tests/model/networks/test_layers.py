"""Gathers against what they stand for, and blocks that know no begin of time."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from model.networks.layers import SpaceTimeBlock, as_rows, corners, gathered, rotary


def test_a_gather_is_a_weighted_sum_of_rows() -> None:
    random = torch.Generator().manual_seed(0)
    table = torch.randn(20, 5, generator=random, requires_grad=True)
    index, weight = torch.randint(0, 20, (7, 3), generator=random), torch.rand(7, 3, generator=random)
    expected = (table[index] * weight[..., None]).sum(1)
    assert torch.allclose(gathered(table, index, weight), expected, atol=1e-6)
    there, here = (torch.autograd.grad(x.square().sum(), table)[0] for x in (gathered(table, index, weight), expected))
    assert torch.allclose(there, here, atol=1e-5)


@pytest.mark.parametrize("size", [(16, 16), (5, 9)])
def test_corners_sample_bilinearly_and_see_nothing_beyond_the_rim(size: tuple[int, int]) -> None:
    random = torch.Generator().manual_seed(1)
    maps = torch.randn(3, 4, *size, generator=random)
    where = 1.6 * torch.rand(3, 50, 2, generator=random) - 0.3
    expected = functional.grid_sample(maps, 2 * where[:, :, None] - 1, align_corners=False)[..., 0].transpose(1, 2)
    picture = torch.arange(3).repeat_interleave(50)
    found = gathered(as_rows(maps), *corners(where.reshape(-1, 2), picture, size))
    assert torch.allclose(found, expected.reshape(-1, 4), atol=1e-5)


def _answer(time_s: torch.Tensor) -> torch.Tensor:
    torch.manual_seed(2)
    block = SpaceTimeBlock(32, 4)
    x = torch.randn(2, time_s.shape[1], 6, 32)
    with torch.no_grad():
        return block(x, *rotary(time_s, 4))


def test_a_block_knows_distances_in_time_alone() -> None:
    time_s = torch.arange(5)[None].expand(2, -1) / 30.0
    assert torch.allclose(_answer(time_s), _answer(time_s + 7.0), atol=1e-4)
    assert (_answer(time_s) - _answer(2 * time_s)).abs().max() > 1e-3
