"""What the network is trained by: nothing for the truth, each term for its own fault, and a gradient for everything."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from model.estimate.evidence import STATURE_M
from model.estimate.pose_layout import PoseLayout
from model.estimate.rotation import matrix_from_rotvec
from model.networks.initial import InitialOutput, InitialSettings
from model.synth.landmarks.crowd import Crowd
from model.train.initial.data import Window, Windows
from model.train.initial.losses import (
    ABSENT,
    WEIGHTS,
    doubt,
    losses,
    outliers,
    shape_mean,
    shape_sigma,
    total,
)
from tests.model.puppets import initial_net

TINY = InitialSettings(width=32, depth=2)
DOUBTS = [name for name in WEIGHTS if name.endswith("sigma")]


@pytest.fixture(scope="module")
def window(windows: Windows) -> Window:
    """Six windows, in one of which nobody is seen for a while, and sides exchanged in another."""
    window = windows.batch(torch.arange(6), torch.Generator().manual_seed(1), 24)
    present = torch.ones_like(window.present)
    present[2, 5:12] = False
    exchanged = window.exchanged.clone()
    exchanged[1, 3:9, 1] = 1.0
    contacts = window.contacts.clone()
    contacts[0, :, :4] = 1.0
    return replace(window, present=present, exchanged=exchanged, contacts=contacts)


@pytest.fixture(scope="module")
def truth(window: Window, pose_layout: PoseLayout, crowd: Crowd) -> InitialOutput:
    """What a network says that knows everything."""
    balls, hinges = pose_layout.targets(window.angles)
    stature, person = crowd.stature_m, window.person
    shape = ((crowd.shape - shape_mean(crowd)) / shape_sigma(crowd))[person]
    points = window.points_m[:, :, :33]
    about = (points - points[:, :, 23:25].mean(2, keepdim=True)) * (STATURE_M / stature[person])[:, None, None, None]
    sigma = torch.full((*window.time_s.shape, 1), 0.1)
    tall = (stature[person] / STATURE_M).log()[:, None, None].expand_as(sigma)
    return InitialOutput(
        balls=balls,
        orientation=window.orientation,
        hinges=hinges,
        place=window.place,
        up=window.up,
        contacts=20.0 * (2 * window.contacts - 1),
        exchanged=20.0 * (2 * window.exchanged - 1),
        angle_sigma=sigma.expand(-1, -1, 48),
        orientation_sigma=sigma.expand(-1, -1, 3),
        landmarks_m=about,
        landmark_sigma_m=sigma.expand(-1, -1, 33),
        place_sigma=sigma.expand(-1, -1, 2),
        shape=shape[:, None].expand(-1, sigma.shape[1], -1),
        stature=torch.cat([tall, sigma], -1),
        seen_sigma_m=sigma.expand(-1, -1, 33),
        say=torch.randn(sigma.shape[:2], generator=torch.Generator().manual_seed(3)),
    )


def terms_of(output: InitialOutput, window: Window, crowd: Crowd, layout: PoseLayout) -> dict[str, Tensor]:
    return losses(output, window, crowd, layout)[0]


def test_the_truth_costs_nothing(truth: InitialOutput, window: Window, crowd: Crowd, pose_layout: PoseLayout) -> None:
    terms, watched = losses(truth, window, crowd, pose_layout)
    assert set(terms) == set(WEIGHTS)
    for name, term in terms.items():
        assert name in DOUBTS or 0 <= term < 3e-3, name
    for name in ("angle_sigma", "orientation_sigma", "landmark_sigma", "place_sigma", "stature_sigma"):
        assert float(terms[name]) == pytest.approx(math.log(0.1), abs=0.02), name
    assert watched["points_mm"] < 1.0 and watched["landmarks_mm"] < 1e-3
    assert watched["depth_percent"] < 1e-3 and watched["stature_percent"] < 1e-3
    assert watched["up_deg"] < 0.1


def _turn(degrees: float) -> Tensor:
    return matrix_from_rotvec(torch.tensor([math.radians(degrees), 0.0, 0.0]))


def _jitter(like: Tensor, size: float) -> Tensor:
    sign = torch.tensor([1.0, -1.0]).repeat(like.shape[1] // 2)
    return size * sign.reshape(1, -1, *[1] * (like.dim() - 2)).expand_as(like)


FAULTS = {
    "balls": (lambda o: {"balls": o.balls @ _turn(10)}, {"balls", "points", "projection"}),
    "orientation": (lambda o: {"orientation": _turn(10) @ o.orientation}, {"orientation", "points", "projection"}),
    "hinges": (lambda o: {"hinges": o.hinges.flip(-1)}, {"hinges", "points", "projection"}),
    "place": (lambda o: {"place": o.place + torch.tensor([0.1, 0, 0])}, {"place", "projection"}),
    "depth": (lambda o: {"place": o.place + torch.tensor([0, 0, 0.2])}, {"place", "projection"}),
    "drift": (lambda o: {"place": o.place + _jitter(o.place, 0.05)}, {"place", "projection", "drift"}),
    "up": (lambda o: {"up": (_turn(10) @ o.up[..., None])[..., 0]}, {"up"}),
    "contacts": (lambda o: {"contacts": -o.contacts}, {"contacts"}),
    "exchanged": (lambda o: {"exchanged": -o.exchanged}, {"exchanged"}),
    "landmarks": (lambda o: {"landmarks_m": o.landmarks_m + 0.05}, {"landmarks"}),
    "shaking landmarks": (
        lambda o: {"landmarks_m": o.landmarks_m + _jitter(o.landmarks_m, 0.05)}, {"landmarks", "landmark_motion"},
    ),
    "shape": (lambda o: {"shape": o.shape + 0.5}, {"shape"}),
    "stature": (lambda o: {"stature": o.stature + torch.tensor([0.2, 0.0])}, {"stature"}),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_costs_what_it_should(
    truth: InitialOutput, window: Window, crowd: Crowd, pose_layout: PoseLayout, fault: str
) -> None:
    """More of its own terms, and of no others; a fault that lasts does not count as one that shakes."""
    change, expected = FAULTS[fault]
    before = terms_of(truth, window, crowd, pose_layout)
    after = terms_of(replace(truth, **change(truth)), window, crowd, pose_layout)
    raised = {name for name in WEIGHTS if name not in DOUBTS and after[name] > before[name] + 0.01}
    assert expected <= raised
    assert raised <= expected | ({"motion", "drift"} if fault in ("balls", "orientation", "hinges") else set())
    assert total(after) > total(before)


def test_pose_and_shape_are_learned_apart(
    truth: InitialOutput, window: Window, crowd: Crowd, pose_layout: PoseLayout
) -> None:
    """Positions are those of the true person."""
    pose = replace(truth, shape=truth.shape * 0, stature=truth.stature * 0 + 1)
    assert terms_of(pose, window, crowd, pose_layout)["points"] < 1e-3


def test_frames_that_say_more_count_more(
    truth: InitialOutput, window: Window, crowd: Crowd, pose_layout: PoseLayout
) -> None:
    wrong = truth.stature.clone()
    wrong[:, 0, 0] += 1.0
    say = torch.zeros_like(truth.say)
    for loud, expected in ((-20.0, 0.0), (0.0, 1 / 24), (20.0, 1.0)):
        say[:, 0] = loud
        terms = terms_of(replace(truth, stature=wrong, say=say), window, crowd, pose_layout)
        assert float(terms["stature"]) == pytest.approx(expected, abs=1e-3)


def test_frames_without_a_person_count_less(
    truth: InitialOutput, window: Window, crowd: Crowd, pose_layout: PoseLayout
) -> None:
    costs = []
    for frames in (slice(5, 12), slice(12, 19)):  # nobody, somebody
        up = truth.up.clone()
        up[2, frames] = -up[2, frames]
        costs.append(float(terms_of(replace(truth, up=up), window, crowd, pose_layout)["up"]))
    assert costs[0] == pytest.approx(ABSENT * costs[1], rel=1e-3)
    gone = replace(truth, seen_sigma_m=truth.seen_sigma_m * torch.where(window.present, 1.0, 30.0)[..., None])
    before, after = (terms_of(o, window, crowd, pose_layout)["seen_sigma"] for o in (truth, gone))
    assert torch.equal(before, after)  # where nobody is seen nothing is seen wrongly


@pytest.mark.parametrize(("loss", "error"), [(doubt, 0.3), (outliers, 0.3), (doubt, 0.02), (outliers, 0.02)])
def test_doubt_is_best_where_it_is_as_large_as_the_error(loss, error: float) -> None:
    """And what errs does not learn to err so that it can be foreseen."""
    sigma = torch.linspace(0.003, 1.0, 4000, requires_grad=True)
    wrong = torch.full_like(sigma, error, requires_grad=True)
    values = loss(wrong, sigma)
    best = float(sigma.detach()[values.argmin()])
    assert best == pytest.approx(error if loss is doubt else error / 2**0.5, rel=0.02)
    values.sum().backward()
    assert wrong.grad is None
    assert sigma.grad is not None and (sigma.grad.abs() > 0).float().mean() > 0.99


def test_one_large_error_hardly_changes_the_usual_doubt() -> None:
    errors = torch.cat([torch.full((19,), 0.01), torch.full((1,), 2.0)])
    sigmas = torch.linspace(0.003, 1.0, 4000)
    best = {
        loss: float(sigmas[torch.stack([loss(errors, sigma.expand(20)).sum() for sigma in sigmas]).argmin()])
        for loss in (doubt, outliers)
    }
    assert best[outliers] < 0.02 < 0.05 < best[doubt]


def test_every_parameter_learns(window: Window, crowd: Crowd, pose_layout: PoseLayout) -> None:
    """And every number that the network gives."""
    net = initial_net(TINY, seed=0)
    raw = net(window.features, window.time_s)
    raw.retain_grad()
    total(terms_of(net.read(raw), window, crowd, pose_layout)).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        share = (parameter.grad.flatten(1) if parameter.dim() > 1 else parameter.grad[:, None]).abs().sum(1) > 0
        # Keys' biases cancel in the softmax: a third of that vector learns nothing but noise.
        assert share.all() or (name.endswith("qkv.bias") and share.float().mean() > 0.6), name
    assert raw.grad is not None
    silent = (raw.grad.abs().sum((0, 1)) == 0).nonzero()[:, 0].tolist()
    assert silent == []


def test_every_term_teaches_the_network(window: Window, crowd: Crowd, pose_layout: PoseLayout) -> None:
    net = initial_net(TINY, seed=0)
    terms = terms_of(net.read(net(window.features, window.time_s)), window, crowd, pose_layout)
    for name, term in terms.items():
        (gradient,) = torch.autograd.grad(term, [net.head.weight], retain_graph=True, allow_unused=True)
        (points,) = torch.autograd.grad(term, [net.points.weight], retain_graph=True, allow_unused=True)
        assert any(g is not None and g.abs().max() > 0 for g in (gradient, points)), name


def test_the_sum_is_weighted() -> None:
    terms = {name: torch.tensor(float(k)) for k, name in enumerate(WEIGHTS)}
    assert float(total(terms)) == pytest.approx(sum(k * weight for k, weight in enumerate(WEIGHTS.values())))


def test_a_still_shape_is_not_divided_by_nothing(crowd: Crowd) -> None:
    assert (shape_sigma(crowd) >= 0.05).all()
    assert torch.allclose(shape_mean(crowd), crowd.shape.mean(0))
