"""The network on a tiny configuration: shapes, batches, times, bounds, and both devices alike."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch
from torch import Tensor

from model.networks.initial import SIGMA, InitialNet, InitialOutput, InitialSettings, rotation_of
from model.networks.straight_view import FEATURES, WORLD
from tests.model.puppets import initial_net

TINY = InitialSettings(width=32, depth=2)
SHAPES = {
    "balls": (14, 3, 3), "orientation": (3, 3), "hinges": (6, 2), "place": (3,), "up": (3,), "contacts": (10,),
    "exchanged": (3,), "angle_sigma": (48,), "orientation_sigma": (3,), "landmarks_m": (33, 3),
    "landmark_sigma_m": (33,), "place_sigma": (2,), "shape": (13,), "stature": (2,), "seen_sigma_m": (33,), "say": (),
}  # fmt: skip


def network(settings: InitialSettings = TINY) -> InitialNet:
    return initial_net(settings).eval()


def windows(batch: int, frames: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    time_s = torch.arange(frames) / (15.0 + 45.0 * torch.rand(batch, 1, generator=generator))
    return torch.randn(batch, frames, FEATURES, generator=generator), time_s


@torch.no_grad()
def answer(net: InitialNet, features: Tensor, time_s: Tensor) -> Tensor:
    return net(features, time_s)


@pytest.mark.parametrize("frames", [1, 2, 5, 96, 130])
def test_every_output_has_its_shape_at_any_length(frames: int) -> None:
    net = network()
    raw = answer(net, *windows(2, frames))
    assert raw.shape == (2, frames, net.outputs)
    output = net.read(raw)
    assert {f.name for f in fields(InitialOutput)} == set(SHAPES)
    for name, shape in SHAPES.items():
        assert getattr(output, name).shape == (2, frames, *shape), name
        assert torch.isfinite(getattr(output, name)).all(), name


def test_other_settings_make_other_outputs() -> None:
    net = InitialNet(InitialSettings(width=16, depth=1, heads=2, balls=3, hinges=2, angles=11, shape=4, passes=0))
    output = net.read(answer(net, *windows(1, 4)))
    assert output.balls.shape == (1, 4, 3, 3, 3)
    assert output.hinges.shape == (1, 4, 2, 2)
    assert output.angle_sigma.shape == (1, 4, 11)
    assert output.shape.shape == (1, 4, 4)


def test_a_batch_is_what_its_windows_are_alone() -> None:
    net = network()
    features, time_s = windows(5, 20)
    together = answer(net, features, time_s)
    alone = torch.cat([answer(net, features[k : k + 1], time_s[k : k + 1]) for k in range(5)])
    assert torch.allclose(together, alone, atol=1e-5)
    assert (together[0] - together[1]).abs().max() > 0.01


@pytest.mark.parametrize("offset_s", [0.5, 64.0, -3.0])
def test_when_a_window_begins_is_no_matter(offset_s: float) -> None:
    net = network()
    with torch.no_grad():
        net.again.last.weight.mul_(0.1)  # corrections at random make more of what single precision loses of the times
    features, time_s = windows(2, 30)
    assert torch.allclose(answer(net, features, time_s + offset_s), answer(net, features, time_s), atol=1e-4)


def test_how_fast_a_window_runs_is() -> None:
    net = network()
    features, time_s = windows(1, 30)
    assert (answer(net, features, 2 * time_s) - answer(net, features, time_s)).abs().max() > 1e-3


def test_a_frame_is_read_beside_all_others() -> None:
    """By attention, farther than the convolutions reach."""
    net = network()
    features, time_s = windows(1, 60)
    other = features.clone()
    other[0, -1] += 1.0
    change = (answer(net, other, time_s) - answer(net, features, time_s)).abs().amax(-1)[0]
    assert (change > 1e-6).all()
    assert change[-1] > 3 * change[0]


def test_begins_with_somebody_who_stands_and_faces_the_lens() -> None:
    """And with the detector's own 3D, or a share of it."""
    net = network()
    features, time_s = windows(4, 10)
    output = net.read(answer(net, features, time_s))
    both = torch.stack([output.landmarks_m.flatten(), features[..., WORLD].flatten()])
    assert torch.corrcoef(both)[0, 1] > 0.9
    upright = torch.tensor([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])
    assert (output.orientation - upright).abs().mean() < 0.2
    assert (output.balls - torch.eye(3)).abs().mean() < 0.2
    assert (output.up * torch.tensor([0.0, -1.0, 0.0])).sum(-1).min() > 0.7
    assert output.hinges[..., 0].min() > 0.7


@pytest.mark.parametrize("size", [0.01, 1.0, 100.0])
def test_rotations_are_rotations(size: float) -> None:
    matrix = rotation_of(size * torch.randn(200, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64))
    assert torch.allclose(matrix.mT @ matrix, torch.eye(3, dtype=torch.float64).expand(200, 3, 3), atol=1e-9)
    assert torch.allclose(torch.linalg.det(matrix), torch.ones(200, dtype=torch.float64))


def test_a_rotations_own_columns_give_it_back() -> None:
    matrix = rotation_of(torch.randn(50, 6, generator=torch.Generator().manual_seed(4), dtype=torch.float64))
    six = torch.cat([3.0 * matrix[..., 0], 0.2 * matrix[..., 1] + 0.7 * matrix[..., 0]], -1)
    assert torch.allclose(rotation_of(six), matrix, atol=1e-12)


@pytest.mark.parametrize("size", [0.1, 1e4])
def test_what_is_read_keeps_its_bounds_whatever_the_raw_numbers_are(size: float) -> None:
    net = network()
    raw = size * torch.randn(2, 7, net.outputs, generator=torch.Generator().manual_seed(5))
    output = net.read(raw)
    for name in ("angle_sigma", "orientation_sigma", "landmark_sigma_m", "seen_sigma_m", "place_sigma"):
        values = getattr(output, name)
        assert values.min() >= SIGMA[0] and values.max() <= SIGMA[1], name
    assert SIGMA[0] <= output.stature[..., 1].min() and output.stature[..., 1].max() <= SIGMA[1]
    for name in ("up", "hinges"):
        assert torch.allclose(getattr(output, name).norm(dim=-1), torch.ones(1), atol=1e-5), name
    assert torch.allclose(torch.linalg.det(output.balls), torch.ones(1), atol=1e-4)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA on this machine")
def test_a_gpu_says_what_a_processor_says() -> None:
    net = network()
    features, time_s = windows(3, 96)
    here = answer(net, features, time_s)
    allowed = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    try:
        there = answer(net.cuda(), features.cuda(), time_s.cuda()).cpu()
    finally:
        torch.backends.cuda.matmul.allow_tf32 = allowed
    assert torch.allclose(here, there, atol=1e-3)
