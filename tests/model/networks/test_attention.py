"""DAN on a tiny configuration: shapes, batches, gradients, and that what is hidden isn't read off what hides it."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from model.networks.attention import DAN, HINTS, DanInput, DanOutput, DanSettings
from model.networks.evidence_maps import FRAME_CHANNELS, SIGN_CHANNELS
from model.networks.weights import MAX_BYTES, read_weights, save_weights

from .conftest import Stage

TINY = DanSettings(fine=16, features=16, residual=1, detail=8, width=32, depth=1, head=16)


def network(stage: Stage, settings: DanSettings | None = TINY) -> DAN:
    torch.manual_seed(1)
    return DAN(stage.map, settings).eval()


def windows(stage: Stage, count: int, frames: int, seed: int = 0) -> DanInput:
    random = torch.Generator().manual_seed(seed)
    drawn = stage.drawn(stage.posture(count, frames, seed=seed))
    shape = (count, frames)
    return DanInput(
        features=4 * torch.rand(*shape, FRAME_CHANNELS, 32, 32, generator=random),
        signs=torch.randn(*shape, SIGN_CHANNELS, 32, 32, generator=random),
        mesh=drawn.maps.unflatten(0, shape),
        where=drawn.where.unflatten(0, shape),
        visible=drawn.visible.unflatten(0, shape),
        hints=torch.randn(*shape, 33, HINTS, generator=random),
        time_s=torch.arange(frames).expand(count, -1) / 30.0,
    )


def part(given: DanInput, window: slice) -> DanInput:
    return DanInput(**{f.name: getattr(given, f.name)[window] for f in fields(DanInput)})


@torch.no_grad()
def answer(net: DAN, given: DanInput) -> DanOutput:
    return net(given)


@pytest.mark.parametrize("frames", [1, 2, 7])
def test_every_output_has_its_shape_at_any_length(stage: Stage, frames: int) -> None:
    output = answer(network(stage), windows(stage, 1, frames))
    vertices = stage.map.hierarchy.sizes[2]
    shapes = {
        "mask_logit": (16, 16), "vertex_logit": (vertices,), "sigma_mm": (vertices,), "silhouette": (32, 32),
        "frame": (16, 16, 16), "detail": (9, 32, 32),
    }  # fmt: skip
    assert {f.name for f in fields(DanOutput)} == set(shapes)
    for name, shape in shapes.items():
        assert getattr(output, name).shape == (1, frames, *shape), name
        assert torch.isfinite(getattr(output, name)).all(), name
    assert output.mask.shape == (1, frames, 256, 256)
    assert output.attention.min() > 0 and output.attention.max() < 1 and output.sigma_mm.min() > 0


def test_a_batch_is_what_its_windows_are_alone(stage: Stage) -> None:
    net, given = network(stage), windows(stage, 3, 4)
    together = answer(net, given)
    for k in range(3):
        alone = answer(net, part(given, slice(k, k + 1)))
        for field in fields(DanOutput):
            assert torch.allclose(
                getattr(together, field.name)[k], getattr(alone, field.name)[0], rtol=1e-4, atol=1e-4
            ), field.name
    assert (together.mask_logit[0] - together.mask_logit[1]).abs().max() > 0.01


def test_every_parameter_learns(stage: Stage) -> None:
    net = network(stage).train()
    output = net(windows(stage, 1, 2))
    weights = torch.Generator().manual_seed(2)
    told: list[Tensor] = [output.vertex_logit, output.sigma_mm.log(), output.silhouette, output.frame]
    sum((x * torch.randn(x.shape, generator=weights)).sum() for x in told).backward()
    for name, value in net.named_parameters():
        assert value.grad is not None and value.grad.abs().max() > 0, name


def test_a_seen_vertex_has_the_mask_where_it_projects_and_a_hidden_one_has_not(stage: Stage) -> None:
    net, given = network(stage), windows(stage, 1, 2)
    output = answer(net, given)
    sampled = functional.grid_sample(
        output.mask_logit[0][:, None], 2 * given.where[0][:, :, None] - 1, align_corners=False
    )[:, 0, :, 0]
    seen = given.visible[0]
    assert torch.allclose(output.vertex_logit[0][seen], sampled[seen], atol=1e-5)
    with torch.no_grad():
        net.b += 1.0  # the mask alone changes
    other = answer(net, given)
    inside = seen & (given.where[0] > 0.1).all(-1) & (given.where[0] < 0.9).all(-1)
    assert torch.allclose(other.vertex_logit[0][inside] - output.vertex_logit[0][inside], torch.ones(1), atol=1e-4)
    assert torch.equal(other.vertex_logit[0][~seen], output.vertex_logit[0][~seen])


def test_what_is_hidden_depends_on_its_own_bones_and_landmarks(stage: Stage) -> None:
    """Not on what is sampled in front of it: the features there count for the seen vertices only."""
    net, given = network(stage), windows(stage, 1, 1)
    hints = given.hints.clone()
    hints[:, :, [27, 29, 31]] += 0.3  # the left foot's
    other = part(DanInput(**{**vars(given), "hints": hints}), slice(None))
    change = (answer(net, other).sigma_mm - answer(net, given).sigma_mm).abs()
    assert (change > 1e-6).all()  # each tells of the clip
    with torch.no_grad():
        net.hints.weight.zero_()
    change = (answer(net, other).vertex_logit - answer(net, given).vertex_logit)[0, 0].abs()
    hidden = ~given.visible[0, 0]
    names = [stage.body.bone_names[b] for b in stage.map.hierarchy.bone(2).tolist()]
    foot = torch.tensor([name == "foot.L" for name in names])
    head = torch.tensor([name == "head" for name in names])
    assert change[hidden & foot].mean() > 1e-4
    assert change[hidden & head].max() < 1e-6
    nowhere = answer(net, DanInput(**{**vars(given), "visible": torch.zeros_like(given.visible)}))
    elsewhere = answer(
        net, DanInput(**{**vars(given), "visible": torch.zeros_like(given.visible), "where": given.where + 0.1})
    )
    assert torch.equal(nowhere.vertex_logit, elsewhere.vertex_logit)


def test_frames_know_of_each_other(stage: Stage) -> None:
    net, given = network(stage), windows(stage, 1, 4)
    other = given.features.clone()
    other[:, 0] = 1 - other[:, 0]
    change = answer(net, DanInput(**{**vars(given), "features": other})).mask_logit - answer(net, given).mask_logit
    assert (change[0].abs().amax((1, 2)) > 1e-6).all()


def test_when_a_window_begins_is_no_matter(stage: Stage) -> None:
    net, given = network(stage), windows(stage, 1, 3)
    later = DanInput(**{**vars(given), "time_s": given.time_s + 20.0})
    assert torch.allclose(answer(net, later).mask_logit, answer(net, given).mask_logit, atol=1e-4)


def test_comes_back_from_disk_and_fits_the_bound(stage: Stage, tmp_path: Path) -> None:
    path = tmp_path / "attention.safetensors"
    save_weights(path, network(stage, None), {"settings": DanSettings().to_dict()})
    assert path.stat().st_size < MAX_BYTES
    save_weights(path, network(stage), {"settings": TINY.to_dict()})
    state, about = read_weights(path)
    first, second = (DAN(stage.map, DanSettings(**about["settings"])).eval() for _ in range(2))
    first.load_state_dict(state)
    save_weights(path, first, about)
    second.load_state_dict(read_weights(path)[0])
    given = windows(stage, 1, 2)
    assert torch.equal(answer(first, given).vertex_logit, answer(second, given).vertex_logit)
    assert torch.allclose(answer(first, given).vertex_logit, answer(network(stage), given).vertex_logit, atol=0.02)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA on this machine")
def test_a_gpu_says_what_a_processor_says(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    net, given = network(stage), windows(stage, 2, 4)
    here = answer(net, given)
    try:
        there = answer(net.cuda(), DanInput(**{n: v.cuda() for n, v in vars(given).items()}))
    finally:
        net.cpu()  # the body's map is shared by all tests
    for field in fields(DanOutput):
        assert torch.allclose(getattr(there, field.name).cpu(), getattr(here, field.name), rtol=1e-3, atol=1e-3)
