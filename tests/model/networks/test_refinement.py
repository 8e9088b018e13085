"""HRN on a tiny configuration: what moves, how far, at what cost, and what stays exactly as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from model.networks.looking import Looking
from model.networks.refinement import HRN, HrnOutput, HrnSettings
from model.networks.weights import MAX_BYTES, read_weights, save_weights

from .conftest import Stage

TINY = HrnSettings(
    detail=5, frame=6, pose_width=32, pose_depth=1, touch=16, widths=(16, 16, 16, 16), blocks=(1, 1, 1, 1)
)


def network(stage: Stage, settings: HrnSettings = TINY, seed: int = 1) -> HRN:
    """Untrained, but no longer still."""
    torch.manual_seed(seed)
    net = HRN(stage.map, settings).eval()
    with torch.no_grad():
        for head in (net.pose.turn, net.pose.shift, *(level.move for level in net.levels)):
            head.weight.mul_(200.0)
    return net


def looking(stage: Stage, windows: int, frames: int, part: slice = slice(None)) -> Looking:
    random = torch.Generator().manual_seed(5)
    posture = stage.posture(windows, frames)
    vertices = stage.map.hierarchy.sizes[2]
    arrays = [
        torch.randn(windows, frames, 6, 16, 16, generator=random),
        torch.randn(windows, frames, 5, 32, 32, generator=random),
        torch.rand(windows, frames, 33, 2, generator=random),
        torch.rand(windows, frames, 33, generator=random),
        torch.randn(windows, frames, 2, 33, 3, generator=random),
        torch.rand(windows, frames, vertices, generator=random) < 0.5,
    ]
    posture = type(posture)(*(value[part] for value in vars(posture).values()))
    people = stage.people(len(posture.local))
    return Looking(stage.map, stage.body.kinematics, people, posture, *(array[part] for array in arrays))


def maps(stage: Stage, windows: int, frames: int) -> tuple[Tensor, Tensor, Tensor]:
    """Attention high on the left arm alone, uncertainty all over the place, times."""
    vertices = stage.map.hierarchy.sizes[2]
    random = torch.Generator().manual_seed(6)
    arm = (stage.map.part == 2).float()
    attention = (0.1 + 0.8 * arm).expand(windows, frames, vertices).clone()
    sigma_mm = 5 + 60 * torch.rand(windows, frames, vertices, generator=random)
    return attention, sigma_mm, torch.arange(frames).expand(windows, -1) / 30.0


@torch.no_grad()
def answer(net: HRN, look: Looking, *given: Tensor, threshold: float | None = None) -> HrnOutput:
    return net(look, *given, threshold=threshold)


@pytest.mark.parametrize("frames", [1, 3])
def test_every_output_has_its_shape_at_any_length(stage: Stage, frames: int) -> None:
    output = answer(network(stage), looking(stage, 1, frames), *maps(stage, 1, frames))
    assert output.turn.shape == (1, frames, len(stage.map.bones), 3)
    assert output.shift_m.shape == (1, frames, 3)
    for offsets, size in zip(output.offsets_m, stage.map.hierarchy.sizes, strict=True):
        assert offsets.shape == (1, frames, size, 3)
        assert torch.isfinite(offsets).all()


def test_work_is_done_on_active_vertices_alone_and_the_others_are_unpooled_exactly(stage: Stage) -> None:
    tree, frames = stage.map.hierarchy, 2
    attention, sigma_mm, time_s = maps(stage, 1, frames)
    output = answer(network(stage), looking(stage, 1, frames), attention, sigma_mm, time_s)
    everywhere = {2: attention[0], 3: tree.unpool(attention[0][..., None], 3)[..., 0]}
    for level, gate in everywhere.items():
        active = gate > TINY.threshold
        assert output.active[level] == active.sum()
        assert 0.05 < active.float().mean() < 0.3
        assert output.active[level] < output.rows[level] < 0.4 * active.numel()
        unpooled = tree.unpool(output.offsets_m[level - 1], level)[0]
        moved = output.offsets_m[level][0] - unpooled
        assert torch.equal(output.offsets_m[level][0][~active], unpooled[~active])
        assert moved[active].abs().max() > 1e-4
    assert output.active[:2] == (frames * tree.sizes[0], frames * tree.sizes[1])
    full = answer(network(stage), looking(stage, 1, frames), attention, sigma_mm, time_s, threshold=-1.0)
    assert full.active == full.rows == tuple(frames * size for size in tree.sizes)


def test_an_active_vertex_does_not_care_who_else_is(stage: Stage) -> None:
    """Beyond its neighbours, for as many blocks as there are."""
    attention, sigma_mm, time_s = maps(stage, 1, 1)
    look, net = looking(stage, 1, 1), network(stage)
    some = answer(net, look, attention, sigma_mm, time_s)
    every = answer(net, look, attention, sigma_mm, time_s, threshold=-1.0)
    tree = stage.map.hierarchy
    active = attention[0, 0] > TINY.threshold
    inner = active & active[tree.neighbours(2)].all(1)
    assert inner.sum() > 50
    assert torch.allclose(some.offsets_m[2][0, 0, inner], every.offsets_m[2][0, 0, inner], atol=1e-6)


def test_without_attention_nothing_moves(stage: Stage) -> None:
    attention, sigma_mm, time_s = maps(stage, 1, 2)
    output = answer(network(stage), looking(stage, 1, 2), 0 * attention, sigma_mm, time_s)
    assert output.turn.abs().max() == 0 and output.shift_m.abs().max() == 0
    assert all(offsets.abs().max() == 0 for offsets in output.offsets_m)
    assert output.active[2:] == (0, 0)


def test_uncertainty_bounds_every_move(stage: Stage) -> None:
    net = network(stage)
    with torch.no_grad():
        for head in (net.pose.turn, net.pose.shift, *(level.move for level in net.levels)):
            head.bias.copy_(torch.tensor([30.0, -5.0, 9.0]))
    attention, sigma_mm, time_s = maps(stage, 1, 2)
    output = answer(net, looking(stage, 1, 2), torch.ones_like(attention), sigma_mm, time_s)
    tree = stage.map.hierarchy
    bound = TINY.reach * sigma_mm / 1000.0
    bounds = {2: bound, 3: tree.unpool(bound[..., None], 3)[..., 0]}
    for level, limit in bounds.items():
        length = output.offsets_m[level].norm(dim=-1)
        assert (length <= limit.clamp(max=TINY.most_mm / 1000) + 1e-6).all()
        assert length.max() > TINY.shares[level] * limit.min()
    doubt, _ = stage.map.on_bones(tree.pool(sigma_mm[..., None], 2))
    reach_m = TINY.reach * doubt[..., 0] / 1000.0
    assert (output.turn.norm(dim=-1) * stage.map.lever_m <= reach_m + 1e-5).all()
    assert (output.shift_m.norm(dim=-1) <= reach_m[..., 0] + 1e-6).all()
    assert output.turn.norm(dim=-1).max() > 0.1


def test_no_gradient_reaches_the_uncertainty(stage: Stage) -> None:
    """Or it would grow to let more be moved."""
    attention, sigma_mm, time_s = maps(stage, 1, 1)
    sigma_mm.requires_grad_()
    attention.requires_grad_()
    output = network(stage)(looking(stage, 1, 1), attention, sigma_mm, time_s)
    (output.offsets_m[-1].square().sum() + output.turn.square().sum()).backward()
    assert sigma_mm.grad is None
    assert attention.grad is not None and attention.grad.abs().max() > 0


def test_a_batch_is_what_its_windows_are_alone(stage: Stage) -> None:
    net, given = network(stage), maps(stage, 2, 2)
    together = answer(net, looking(stage, 2, 2), *given)
    for k in range(2):
        one = slice(k, k + 1)
        alone = answer(net, looking(stage, 2, 2, one), *(value[one] for value in given))
        assert torch.allclose(together.turn[one], alone.turn, atol=1e-5)
        assert torch.allclose(together.offsets_m[-1][one], alone.offsets_m[-1], atol=1e-5)
    assert (together.turn[0] - together.turn[1]).abs().max() > 1e-3


def test_every_parameter_learns(stage: Stage) -> None:
    net = network(stage).train()
    output = net(looking(stage, 1, 2), *maps(stage, 1, 2))
    random = torch.Generator().manual_seed(8)
    told = [output.turn, output.shift_m, output.offsets_m[-1]]
    sum((x * torch.randn(x.shape, generator=random)).sum() for x in told).backward()
    for name, value in net.named_parameters():
        assert value.grad is not None and value.grad.abs().max() > 0, name


def test_every_stage_looks_again(stage: Stage) -> None:
    """At the pose, and at the offsets, that the stages before it have come to."""

    class Watched(Looking):
        asked: list[tuple[str, float]]

        def bones(self, turn: Tensor, shift: Tensor):
            self.asked.append(("bones", float(turn.abs().max())))
            return super().bones(turn, shift)

        def vertices(self, level: int, picture: Tensor, vertex: Tensor, offset_m: Tensor | None) -> Tensor:
            self.asked.append((f"level {level}", float(offset_m.abs().max()) if offset_m is not None else 0.0))
            return super().vertices(level, picture, vertex, offset_m)

    look = looking(stage, 1, 1)
    look.__class__ = Watched
    look.asked = []  # type: ignore[attr-defined]
    answer(network(stage), look, *maps(stage, 1, 1))
    names = [name for name, _ in look.asked]  # type: ignore[attr-defined]
    assert names == ["bones", "level 1"] * 2 + ["bones"] + [f"level {k}" for k in range(4)]
    moved = [size for _, size in look.asked]  # type: ignore[attr-defined]
    assert moved[0] == 0 < moved[2] and moved[4] != moved[2]
    assert moved[5] == 0 < min(moved[6:])


def test_moves_are_smooth_in_time(stage: Stage) -> None:
    attention, sigma_mm, time_s = maps(stage, 1, 6)
    same = (attention, sigma_mm[:, :1].expand_as(sigma_mm), time_s)
    rough = network(stage, HrnSettings(**{**TINY.to_dict(), "smooth_s": 1e-4}))
    smooth = network(stage)
    look = looking(stage, 1, 6)
    jitter = [torch.diff(answer(net, look, *same).offsets_m[-1], dim=1).norm(dim=-1).mean() for net in (rough, smooth)]
    assert jitter[1] < 0.7 * jitter[0]


def test_settings_that_do_not_fit_the_hierarchy_are_refused(stage: Stage) -> None:
    with pytest.raises(ValueError, match="levels"):
        HRN(stage.map, HrnSettings(widths=(8, 8), blocks=(1, 1)))


def test_comes_back_from_disk_and_fits_the_bound(stage: Stage, tmp_path: Path) -> None:
    path = tmp_path / "refinement.safetensors"
    save_weights(path, HRN(stage.map), {"settings": HrnSettings().to_dict()})
    assert path.stat().st_size < MAX_BYTES
    save_weights(path, network(stage), {"settings": TINY.to_dict()})
    state, about = read_weights(path)
    first, second = (HRN(stage.map, HrnSettings(**about["settings"])).eval() for _ in range(2))
    first.load_state_dict(state)
    save_weights(path, first, about)
    second.load_state_dict(read_weights(path)[0])
    given = maps(stage, 1, 1)
    found = [answer(net, looking(stage, 1, 1), *given).offsets_m[-1] for net in (first, second, network(stage))]
    assert torch.equal(found[0], found[1])
    assert torch.allclose(found[0], found[2], atol=0.002)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA on this machine")
def test_a_gpu_says_what_a_processor_says(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)
    given, net = maps(stage, 1, 2), network(stage)
    here = answer(net, looking(stage, 1, 2), *given)
    look = looking(stage, 1, 2)
    net.cuda()
    try:
        for name, value in vars(look).items():
            if isinstance(value, Tensor):
                setattr(look, name, value.cuda())
        for name in ("_people", "_posture"):
            whole = getattr(look, name)
            setattr(look, name, type(whole)(*(value.cuda() for value in vars(whole).values())))
        look._kinematics = stage.body.kinematics.cuda()
        there = answer(net, look, *(value.cuda() for value in given))
    finally:
        net.cpu()  # the body and its map are shared by all tests
        stage.body.kinematics.cpu()
    assert torch.allclose(there.offsets_m[-1].cpu(), here.offsets_m[-1], atol=1e-4)
    assert torch.allclose(there.turn.cpu(), here.turn, atol=1e-4)
