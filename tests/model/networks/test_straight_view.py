"""The straight view: what lens, place in the picture and gaps do to landmarks, and what the network sees of it."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from model.estimate.evidence import ray_rotation
from model.networks.straight_view import (
    FEATURES,
    FLAT,
    LOG_PER_METRE,
    REACH,
    WORLD,
    StraightView,
    straight_view,
    towards,
)

CONFIDENCE, CENTRE, HERE, STEP, HEIGHT = slice(66, 99), slice(198, 200), 203, 204, slice(205, 207)
FPS, DISTANCE_M = 30.0, 4.0


def person() -> Tensor:
    """(33, 3) about the middle of the trunk, whose corners lie at one depth."""
    points = torch.randn(33, 3, generator=torch.Generator().manual_seed(7)) * torch.tensor([0.25, 0.5, 0.12])
    points[[11, 12, 23, 24]] = torch.tensor([[0.2, -0.25, 0.0], [-0.2, -0.25, 0], [0.2, 0.25, 0], [-0.2, 0.25, 0]])
    return points


def look(points_m: Tensor, focal: float = 1.0, present: Tensor | None = None, **more: Tensor) -> StraightView:
    """(T, 33, 3) of the camera, through a lens that is taken to be ``focal`` times shorter than it is."""
    frames = len(points_m)
    world = (person() - person()[23:25].mean(0)).expand(frames, 33, 3)
    there = torch.ones(frames, dtype=torch.bool) if present is None else present
    given = {
        "confidence": torch.ones(1, frames, 33),
        "time_s": torch.arange(frames)[None] / FPS,
        "height_m": torch.zeros(1),
    } | more
    rays = focal * points_m[..., :2] / points_m[..., 2:]
    return straight_view(rays[None], given["confidence"], world[None], there[None], given["time_s"], given["height_m"])


def ahead(frames: int, place_m: Tensor | None = None) -> Tensor:
    """(T, 33, 3) the person before the lens, ``place_m`` (T, 3) from the middle of the picture."""
    place = torch.tensor([0.0, 0.0, DISTANCE_M]).expand(frames, 3)
    return person() + (place if place_m is None else place + place_m)[:, None]


def test_the_features_are_as_many_as_the_network_reads() -> None:
    view = look(ahead(6))
    assert view.features.shape == (1, 6, FEATURES)
    assert (view.turn.shape, view.per_metre.shape, view.centre.shape) == ((1, 6, 3, 3), (1, 6), (1, 6, 2))


@pytest.mark.parametrize("focal", [0.5, 0.8, 1.3, 2.5])
def test_the_focal_length_is_no_matter(focal: float) -> None:
    """Somebody in the middle of the picture, through a lens taken for another: only the size of a metre differs."""
    view, other = look(ahead(5)), look(ahead(5), focal)
    assert torch.allclose(other.features[..., :LOG_PER_METRE], view.features[..., :LOG_PER_METRE], atol=1e-5)
    assert torch.allclose(other.features[..., LOG_PER_METRE].exp(), other.per_metre)
    assert torch.allclose(other.per_metre, focal * view.per_metre, rtol=1e-5)


@pytest.mark.parametrize("right_deg", [-30.0, -10.0, 10.0, 30.0])
@pytest.mark.parametrize("down_deg", [0.0, 10.0])
def test_the_place_in_the_picture_is_no_matter(right_deg: float, down_deg: float) -> None:
    """The same person turned about the lens: the same landmarks, up to a size that ``per_metre`` tells."""
    ray = torch.tensor([math.tan(math.radians(right_deg)), math.tan(math.radians(down_deg))])
    view, aside = look(ahead(5)), look(ahead(5) @ towards(ray).mT)
    straight, other = (v.features[0, 0, FLAT].unflatten(0, (33, 2)) * v.per_metre[0, 0] for v in (view, aside))
    assert (other - straight).norm(dim=-1).max() < 0.012  # of rays, about 1 / 4 m
    assert torch.allclose(aside.centre, ray.expand(1, 5, 2), atol=0.02)
    assert torch.allclose(aside.features[..., CENTRE], aside.centre)
    through = torch.tensor([0.0, 0.0, DISTANCE_M]) @ towards(ray).mT
    assert torch.allclose(through @ aside.turn[0, 0], torch.tensor([0.0, 0.0, DISTANCE_M]), atol=0.08)


def test_a_metre_is_as_large_as_it_looks() -> None:
    for distance in (2.0, 4.0, 10.0):
        place = torch.tensor([0.0, 0.0, distance - DISTANCE_M]).expand(3, 3)
        assert look(ahead(3, place)).per_metre[0] == pytest.approx(torch.full((3,), 1 / distance), rel=0.1)


def test_the_view_follows_who_walks() -> None:
    frames = 60
    place = torch.zeros(frames, 3)
    place[:, 0] = torch.linspace(-1.5, 1.5, frames)
    view = look(ahead(frames, place))
    inner = slice(20, 40)  # at the ends the path is smoothed to one side
    assert torch.allclose(view.centre[0, inner, 0], place[inner, 0] / DISTANCE_M, atol=0.02)
    still = look(ahead(frames))
    assert (view.features[0, inner, FLAT] - still.features[0, inner, FLAT]).abs().max() < 0.2


def test_frames_without_a_person_are_bridged() -> None:
    frames = 60
    place = torch.zeros(frames, 3)
    place[:, 0] = torch.linspace(-0.6, 0.6, frames)
    gap = torch.zeros(frames, dtype=torch.bool)
    gap[25:35] = True
    points = ahead(frames, place)
    points[gap] = torch.tensor([50.0, 50.0, 1.0])  # whatever is told there is not looked at
    view, whole = look(points, present=~gap), look(ahead(frames, place))
    assert (view.centre - whole.centre).abs().max() < 0.03
    assert (view.per_metre / whole.per_metre - 1).abs().max() < 0.02
    assert (view.features[0, gap, :198] == 0).all()
    assert (view.features[0, gap, HERE] == 0).all() and (view.features[0, ~gap, HERE] == 1).all()
    assert torch.isfinite(view.features).all()


def test_a_gap_of_many_seconds_is_bridged_from_one_end_to_the_other() -> None:
    frames = 300
    place = torch.zeros(frames, 3)
    place[200:, 0] = 1.0
    there = torch.zeros(frames, dtype=torch.bool)
    there[:30] = there[-30:] = True
    centre = look(ahead(frames, place), present=there).centre[0, :, 0]
    assert (torch.diff(centre) > -1e-6).all()
    assert centre[0] == pytest.approx(0.0, abs=0.01) and centre[-1] == pytest.approx(1 / DISTANCE_M, abs=0.01)
    assert 0.05 < centre[150] < 0.2
    assert centre[80] < 0.03 and centre[220] > 0.22  # nearer to the nearer end


def test_nobody_at_all_is_no_reason_to_fail() -> None:
    view = look(ahead(4), present=torch.zeros(4, dtype=torch.bool))
    assert torch.isfinite(view.features).all() and torch.isfinite(view.turn).all()
    assert (view.per_metre > 0).all()


def test_one_frame_is_enough() -> None:
    one, many = look(ahead(1)), look(ahead(4))
    assert torch.allclose(one.features[0, 0, :STEP], many.features[0, 0, :STEP], atol=1e-6)
    assert one.features[0, 0, STEP] == 0.0
    assert many.features[0, :, STEP] == pytest.approx(torch.full((4,), 20.0 / FPS), rel=1e-4)


def test_a_batch_is_what_its_windows_are_alone() -> None:
    places = torch.randn(3, 12, 3, generator=torch.Generator().manual_seed(1)) * torch.tensor([0.4, 0.3, 0.5])
    points = torch.stack([ahead(12, place) for place in places])
    rays = points[..., :2] / points[..., 2:]
    confidence = torch.rand(3, 12, 33, generator=torch.Generator().manual_seed(2))
    present = torch.rand(3, 12, generator=torch.Generator().manual_seed(3)) > 0.2
    time_s = torch.arange(12)[None] / torch.tensor([[15.0], [30.0], [60.0]])
    height_m = torch.tensor([0.0, 1.5, 1.9])
    world = person().expand(3, 12, 33, 3)
    given = (rays, confidence, world, present, time_s, height_m)
    together = straight_view(*given)
    for k in range(3):
        alone = straight_view(*(value[k : k + 1] for value in given))
        assert torch.allclose(together.features[k : k + 1], alone.features, atol=1e-5)
        assert torch.allclose(together.turn[k : k + 1], alone.turn, atol=1e-6)


@pytest.mark.parametrize("offset_s", [0.5, 64.0])
def test_when_a_window_begins_is_no_matter(offset_s: float) -> None:
    place = torch.linspace(-0.5, 0.5, 20)[:, None] * torch.tensor([1.0, 0.2, 0.5])
    time_s = torch.arange(20)[None] / FPS
    early, late = (look(ahead(20, place), time_s=time_s + offset) for offset in (0.0, offset_s))
    assert torch.allclose(early.features, late.features, atol=1e-3)


def test_the_detectors_word_is_passed_on() -> None:
    confidence = torch.rand(1, 5, 33, generator=torch.Generator().manual_seed(4))
    view = look(ahead(5), confidence=confidence)
    assert torch.equal(view.features[..., CONFIDENCE], confidence)
    world = person() - person()[23:25].mean(0)
    assert torch.allclose(view.features[0, 0, WORLD].unflatten(0, (33, 3)), world)


def test_a_landmark_that_flies_off_is_kept_within_reach() -> None:
    points = ahead(5)
    points[2, 15] = torch.tensor([300.0, -200.0, 1.0])
    view = look(points)
    assert view.features.abs().max() <= REACH
    assert (view.features[0, 2, 30:32].abs() == REACH).all()


def test_a_height_is_told_apart_from_none() -> None:
    told = look(ahead(3), height_m=torch.tensor([1.3])).features[0, :, HEIGHT]
    assert torch.allclose(told, torch.tensor([1.0, math.log(1.3)]).expand(3, 2))
    assert (look(ahead(3)).features[0, :, HEIGHT] == 0).all()


def test_towards_is_the_smallest_turn_into_the_ray() -> None:
    rays = torch.randn(50, 2, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    turn = towards(rays)
    assert torch.allclose(turn.mT @ turn, torch.eye(3, dtype=torch.float64).expand(50, 3, 3))
    assert torch.allclose(turn[..., :2, 2] / turn[..., 2:, 2], rays)
    assert torch.allclose(turn, ray_rotation(rays), atol=1e-9)
