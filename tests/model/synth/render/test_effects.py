"""From light to footage."""

from __future__ import annotations

import pytest
import torch

from model.synth.render import effects


def test_developing_is_the_srgb_curve_until_it_burns_out() -> None:
    light = torch.tensor([0.0, 0.002, 0.2, 0.5, 1.0, 50.0]).reshape(1, 1, 1, 6).expand(1, 3, 1, 6)
    value = effects.develop(light, torch.ones(1))[0, 0, 0]
    assert value[:4].tolist() == pytest.approx([0, 0.02584, 0.48453, 0.73536], abs=1e-4)
    assert value[3] < value[4] < value[5] <= 1.0
    assert torch.equal(
        effects.develop(light, torch.full((1,), 2.0))[..., 2], effects.develop(2 * light, torch.ones(1))[..., 2]
    )


def test_blur_keeps_light_and_moves_it_where_it_should() -> None:
    point = torch.zeros(2, 3, 21, 21)
    point[:, :, 10, 10] = 1.0
    out = effects.blur(point, torch.tensor([1.5, 0.3]), torch.tensor([[0.0, 0], [8, 0]]))
    assert out.sum((2, 3)).flatten().tolist() == pytest.approx([1.0] * 6, abs=1e-5)
    side = torch.arange(21.0) - 10
    assert (out[0, 0].sum(0) @ side**2).item() == pytest.approx(1.5**2, rel=0.1)  # the Gaussian's variance
    assert out[1, 0, 10, 6:15].min() > 0.05  # a line of eight pixels
    assert out[1, 0, 8].max() < 1e-3


def test_coarse_pictures_have_fewer_pixels() -> None:
    torch.manual_seed(0)
    pictures = torch.rand(2, 3, 24, 24)
    out = effects.coarse(pictures, torch.tensor([1, 4]))
    assert torch.equal(out[0], pictures[0])
    assert out[1].mean().item() == pytest.approx(pictures[1].mean().item(), abs=0.01)
    assert out[1].std() < 0.5 * pictures[1].std()


def test_grain_is_as_strong_as_asked_stronger_in_the_dark_and_the_same_again() -> None:
    grey = torch.full((2, 3, 64, 64), 0.2)
    grey[1] = 0.9

    def noise() -> torch.Tensor:
        return effects.grain(grey, torch.tensor([0.05, 0.05]), torch.Generator().manual_seed(4)) - grey

    assert torch.equal(noise(), noise())
    dark, light = noise().std((1, 2, 3)).tolist()
    assert dark == pytest.approx(0.05 * 1.1 * 0.9, rel=0.25)
    assert light < 0.5 * dark


@pytest.mark.parametrize(("quality", "most"), [(100, 0.0), (90, 0.02), (10, 0.15)])
def test_compression_spoils_as_little_as_its_quality_says(quality: int, most: float) -> None:
    column = torch.linspace(0, 1, 30)
    picture = torch.stack(
        [column[None].expand(22, 30), column.flip(0)[None].expand(22, 30), torch.full((22, 30), 0.4)]
    )[None]
    spoilt = effects.compress(picture, torch.tensor([quality]))
    error = (spoilt - picture).abs()
    assert error.mean() <= most
    assert (error.mean() > 0.01) == (quality < 50)


def test_pictures_are_compressed_each_by_its_own_quality() -> None:
    pictures = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    together = effects.compress(pictures, torch.tensor([20, 100, 60]))
    assert torch.equal(together[1], pictures[1])
    alone = effects.compress(pictures[2:], torch.tensor([60]))
    assert torch.allclose(together[2:], alone, atol=1e-5)


def test_bytes_are_rounded_and_cut() -> None:
    values = torch.tensor([-1.0, 0.5, 2.0]).reshape(1, 3, 1, 1)
    assert effects.to_bytes(values).flatten().tolist() == [0, 128, 255]
