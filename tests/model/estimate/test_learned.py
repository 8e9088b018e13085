"""The network beside a pose space: clips of any length, no seams, and files that don't fit are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from amr_blender.contract.errors import RuntimeSetupError
from model.estimate.evidence import Evidence, gather
from model.estimate.learned import (
    LOST,
    LOST_MOST,
    NEED,
    NEED_LEAST,
    OVERLAP,
    SEEN_PER_SIGMA,
    STEEPNESS,
    SURE_RAD,
    USUAL_TRUST,
    WINDOW,
    InitialEstimate,
    Learned,
    calmed,
    faded_windows,
)  # fmt: skip
from model.estimate.pose_layout import PoseLayout
from model.networks.initial import InitialNet, InitialSettings
from model.networks.weights import save_weights
from tests.model.puppets import initial_net

from .conftest import FOCAL_PX, SIZE_PX, make_scene

TINY = InitialSettings(width=32, depth=2)
LENGTHS = (1, 5, 96, 97, 200)


def network() -> InitialNet:
    """Untrained, but with opinions."""
    net = initial_net(TINY, seed=2)
    with torch.no_grad():
        net.head.weight.mul_(2.0)
    return net


@pytest.fixture(scope="module")
def layout(space) -> PoseLayout:
    return PoseLayout(space)


def estimate_of(net: InitialNet, layout: PoseLayout) -> InitialEstimate:
    mean = torch.linspace(-0.5, 0.5, TINY.shape, dtype=torch.float64)
    return InitialEstimate(net, layout, mean, 0.1 + torch.zeros_like(mean))


@pytest.fixture(scope="module")
def evidence(body, space) -> Evidence:
    scene = make_scene(body, space, frames=200, noise_px=3.0)
    return gather(scene.landmarks, FOCAL_PX, (SIZE_PX[0] / 2, SIZE_PX[1] / 2))


@pytest.fixture(scope="module")
def said(layout, evidence) -> dict[int, Learned]:
    """By the length of the clip."""
    estimate = estimate_of(network(), layout)
    return {frames: estimate(evidence.part(slice(frames))) for frames in LENGTHS}


def tensors(learned: Learned) -> dict[str, Tensor]:
    plain = {name: value for name, value in vars(learned).items() if isinstance(value, Tensor)}
    return plain | {f"pose.{name}": value for name, value in vars(learned.pose).items()}


def alike(evidence: Evidence) -> Evidence:
    """All frames as the first one, but for their time."""
    once = ("time_s", "focal_px", "center_px")
    same = {k: v if k in once else v[:1].expand_as(v).contiguous() for k, v in vars(evidence).items()}
    return Evidence(**same)


@pytest.mark.parametrize("frames", [*LENGTHS, 2, 160, 161, 1000])
def test_windows_cover_the_clip_and_their_weights_sum_to_one(frames: int) -> None:
    total, before = torch.zeros(frames), -1
    for part, weight in faded_windows(frames):
        assert part.start > before  # each begins later than the last
        before = part.start
        assert part.start >= 0 and part.stop <= frames
        assert part.stop - part.start == min(frames, WINDOW) == len(weight)
        assert (weight > 0).all()
        total[part] += weight
    assert torch.allclose(total, torch.ones(frames), atol=1e-6)


@pytest.mark.parametrize("frames", [97, 200, 1000])
def test_one_window_fades_into_the_next(frames: int) -> None:
    """None comes or goes with a jump, and where two meet they share enough frames to do so."""
    step = 2.5 / OVERLAP
    windows = list(faded_windows(frames))
    for part, weight in windows:
        assert torch.diff(weight).abs().max() < step
        assert part.start == 0 or weight[0] < step
        assert part.stop == frames or weight[-1] < step
    for (early, _), (late, _) in zip(windows, windows[1:], strict=False):
        assert early.stop - late.start >= OVERLAP - 1


@pytest.mark.parametrize("frames", LENGTHS)
def test_any_length_gives_a_body_in_every_frame(said, space, frames: int) -> None:
    learned = said[frames]
    for name, value in tensors(learned).items():
        assert torch.isfinite(value).all(), name
        assert value.dtype == torch.float64, name
        assert name in ("up", "shape") or len(value) == frames, name
    rotation = learned.pose.orientation
    assert torch.allclose(rotation.mT @ rotation, torch.eye(3, dtype=torch.float64).expand_as(rotation), atol=1e-6)
    assert torch.allclose(torch.linalg.det(rotation), torch.ones(frames, dtype=torch.float64))
    assert learned.pose.angles.shape == (frames, len(space.names))
    assert (learned.pose.position[:, 2] > 0.5).all()
    assert learned.up.norm() == pytest.approx(1.0)
    for chance in (learned.contacts, learned.exchanged):
        assert ((chance > 0) & (chance < 1)).all()
    for sigma in (learned.angle_sigma, learned.orientation_sigma, learned.landmark_sigma_m):
        assert (sigma > 0).all()
    assert 0.3 < learned.stature_m < 3.0


def test_the_person_is_placed_where_the_landmarks_are(said, evidence) -> None:
    """Even untrained: the hips near the ray through the trunk."""
    position = said[200].pose.position
    ray = (evidence.rays[:, 23] + evidence.rays[:, 24]) / 2
    assert (position[:, :2] / position[:, 2:] - ray).norm(dim=-1).max() < 0.25


def test_frames_that_are_alike_get_the_same_answer(layout, evidence) -> None:
    """Without the convolutions, which see where a clip ends, fading adds nothing of its own."""
    net = network()
    with torch.no_grad():
        for block in net.blocks:
            block.mixed.weight.zero_()
    for frames in (97, 200):
        learned = estimate_of(net, layout)(alike(evidence.part(slice(frames))))
        for name, value in tensors(learned).items():
            if len(value) == frames and name not in ("up", "shape"):
                assert torch.allclose(value, value[:1].expand_as(value), atol=2e-5), name


def test_no_seam_where_windows_meet(layout, evidence) -> None:
    """Where every frame is alike so is every answer, also where a window begins or ends, and where the clip does."""
    learned = estimate_of(network(), layout)(alike(evidence))
    for name in ("pose.angles", "pose.position", "angle_sigma", "contacts"):
        jump = torch.diff(tensors(learned)[name], dim=0).abs().amax(1)
        assert jump.max() < 1e-4, name


def test_when_a_clip_begins_is_no_matter(layout, said, evidence) -> None:
    clip = evidence.part(slice(97))
    late = estimate_of(network(), layout)(replace(clip, time_s=clip.time_s + 3600.0))
    for name, value in tensors(late).items():
        assert torch.allclose(value, tensors(said[97])[name], atol=2e-4), name


def test_a_known_height_is_heard(layout, said, evidence) -> None:
    told = estimate_of(network(), layout)(evidence.part(slice(97)), 1.2)
    assert abs(told.stature_m - said[97].stature_m) > 1e-4


def test_a_gap_is_bridged(layout, evidence) -> None:
    present = torch.ones(200, dtype=torch.bool)
    present[60:90] = False
    mask = present[:, None, None]
    gone = replace(
        evidence,
        present=present,
        rays=evidence.rays * mask,
        world_m=evidence.world_m * mask,
        confidence=evidence.confidence * mask[..., 0],
    )
    learned = estimate_of(network(), layout)(gone)
    assert all(torch.isfinite(value).all() for value in tensors(learned).values())
    depth = learned.pose.position[:, 2]
    assert (depth[~present] / depth[present].mean() - 1).abs().max() < 0.5


def test_frames_that_two_windows_see_do_not_count_twice(layout, evidence) -> None:
    """All equally sure: the shape is the mean over the frames, each one's the faded one of its windows."""
    net = network()
    before = net.read(torch.arange(float(net.outputs))[None, None])
    say = int(before.say)
    with torch.no_grad():
        net.head.weight[say] = 0.0
        net.again.last.weight[say] = 0.0
    ones = torch.ones(TINY.shape, dtype=torch.float64)
    estimate = InitialEstimate(net, layout, 0 * ones, ones)
    faded = torch.zeros(200, TINY.shape)
    for part, weight in faded_windows(200):
        output, _ = estimate._read(evidence.part(part), None)
        assert (output.say == 0).all()
        faded[part] += weight[:, None] * output.shape[0]
    assert faded.std(0).min() > 1e-3
    assert torch.allclose(estimate(evidence).shape, faded.mean(0).double(), atol=1e-5)


def test_the_shape_is_counted_from_the_mean_of_people(layout, evidence) -> None:
    clip, ones = evidence.part(slice(5)), torch.ones(TINY.shape, dtype=torch.float64)
    plain = InitialEstimate(network(), layout, 0 * ones, ones)(clip).shape
    assert plain.abs().min() > 1e-4
    assert torch.allclose(InitialEstimate(network(), layout, 3 * ones, 0.5 * ones)(clip).shape, 3 + 0.5 * plain)


def test_a_stretch_is_the_same_in_its_frames(said) -> None:
    whole = said[200]
    part = whole.part(slice(20, 50))
    for name, value in tensors(part).items():
        expected = tensors(whole)[name]
        assert torch.equal(value, expected if name in ("up", "shape") else expected[20:50]), name
    assert (part.stature_m, part.stature_sigma) == (whole.stature_m, whole.stature_sigma)


def test_landmarks_are_trusted_as_far_as_the_network_trusts_them(said, evidence) -> None:
    present = torch.arange(200) >= 10
    clip = replace(evidence, confidence=0.7 * evidence.confidence * present[:, None])
    sigma = torch.zeros_like(said[200].seen_sigma)
    sigma[:, 15], sigma[:, 16] = 0.01 / SEEN_PER_SIGMA, 0.1 / SEEN_PER_SIGMA
    trusted = replace(said[200], seen_sigma=sigma).trusted(clip, 0.01)
    assert (trusted.confidence[:10] == 0).all()
    assert trusted.confidence[20, 11] == pytest.approx(1.0)
    assert trusted.confidence[20, 15] == pytest.approx(0.5, rel=0.01)
    assert trusted.confidence[20, 16] < 0.02
    assert torch.equal(trusted.rays, clip.rays)


def _seen_sigma(trust: float, reprojection: float) -> float:
    """The doubt in a landmark that is trusted so much."""
    return reprojection / SEEN_PER_SIGMA * (1 / trust - 1) ** (1 / STEEPNESS)


def test_counts_where_it_is_sure_and_where_there_is_nothing_else(said) -> None:
    usual = replace(
        said[200],
        seen_sigma=torch.full_like(said[200].seen_sigma, _seen_sigma(USUAL_TRUST, 0.01)),
        angle_sigma=torch.full_like(said[200].angle_sigma, SURE_RAD),
    )
    assert torch.allclose(usual.need(0.01), torch.ones(1).double())
    well_seen = replace(usual, seen_sigma=torch.zeros_like(usual.seen_sigma))
    assert torch.allclose(well_seen.need(0.01), torch.tensor(NEED_LEAST**NEED).double())
    unsure = replace(well_seen, angle_sigma=2 * usual.angle_sigma)
    assert (unsure.need(0.01) < 0.01).all()
    blind = replace(unsure, seen_sigma=torch.full_like(usual.seen_sigma, 0.1))
    assert torch.allclose(blind.need(0.01), torch.tensor(LOST_MOST**LOST).double())


def test_what_trembles_is_calmed_and_what_moves_stays() -> None:
    time = torch.arange(60.0)
    path = torch.stack([0.3 * time, torch.sin(time / 9)], -1)[:, None].expand(-1, 3, -1)
    noise = 0.1 * torch.randn(path.shape, generator=torch.Generator().manual_seed(0))
    calm = calmed(path + noise, 1.5)
    assert calm.shape == path.shape
    assert (calm - path)[5:-5].std() < 0.6 * noise.std()
    assert (calmed(path, 1.5) - path)[5:-5].abs().max() < 0.02
    assert torch.allclose(calmed(path[:, 0, 0], 0.1), path[:, 0, 0], atol=1e-5)
    assert calmed(path[:1], 1.5).shape == path[:1].shape


# The file.


def about(space: Any, **changes: Any) -> dict[str, Any]:
    zeros = [0.0] * TINY.shape
    return {
        "settings": TINY.to_dict(),
        "angles": space.names,
        "shape_names": space.body.shape_names,
        "shape_mean": zeros,
        "shape_sigma": [1.0] * TINY.shape,
    } | changes


def test_a_saved_network_says_what_it_said(space, layout, evidence, tmp_path: Path) -> None:
    path = tmp_path / "initial.safetensors"
    net = initial_net(TINY).half().float()  # as it will be on disk
    net.again.puppet = layout.puppet(torch.full((TINY.shape,), 0.25), torch.full((TINY.shape,), 0.5))
    save_weights(path, net, about(space, shape_mean=[0.25] * TINY.shape, shape_sigma=[0.5] * TINY.shape))
    clip = evidence.part(slice(20))
    again = InitialEstimate.load(path, space)
    expected = InitialEstimate(
        net, layout, torch.full((TINY.shape,), 0.25).double(), torch.full((TINY.shape,), 0.5).double()
    )
    assert again.settings == TINY
    for name, value in tensors(expected(clip)).items():
        assert torch.equal(tensors(again(clip))[name], value), name


@pytest.mark.parametrize(
    "changes",
    [
        {"angles": ["knee.L"]},
        {"shape_names": ["tall"]},
        {"settings": TINY.to_dict() | {"width": 64}},
        {"settings": TINY.to_dict() | {"depth": 3}},
        {"settings": TINY.to_dict() | {"layers": 3}},
        {"settings": None},
        {"shape_mean": None},
        {"shape_mean": ["tall"]},
        {"shape_sigma": [1.0]},
    ],
    ids=lambda changes: "-".join(changes),
)
def test_a_file_that_does_not_fit_is_refused(space, tmp_path: Path, changes: dict[str, Any]) -> None:
    path = tmp_path / "initial.safetensors"
    save_weights(path, network(), about(space, **changes))
    with pytest.raises(RuntimeSetupError, match=r"initial\.safetensors can't be used") as caught:
        InitialEstimate.load(path, space)
    assert caught.value.remedy


def test_a_file_that_tells_too_little_is_refused(space, tmp_path: Path) -> None:
    path = tmp_path / "initial.safetensors"
    for missing in about(space):
        save_weights(path, network(), {k: v for k, v in about(space).items() if k != missing})
        with pytest.raises(RuntimeSetupError, match=missing):
            InitialEstimate.load(path, space)
