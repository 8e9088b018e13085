"""The mirror: seen in it, a clip is another clip, and what is said of that one is turned back exactly."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch
from torch import Tensor

from amr_blender.contract.job import Job
from model.detect.landmarks import OTHER_SIDE
from model.estimate import Plan, solved
from model.estimate.evidence import gather
from model.estimate.learned import InitialEstimate
from model.estimate.mirror import mean_output, mirrored_features, mirrored_output
from model.estimate.pose_angles import mirrored
from model.estimate.pose_layout import PoseLayout
from model.estimate.pose_space import PoseSpace
from model.estimate.rotation import matrix_from_rotvec
from model.networks.initial import InitialOutput, InitialSettings
from model.networks.straight_view import FEATURES, straight_view
from model.video import VideoInfo
from tests.model.puppets import initial_net

from .conftest import FOCAL_PX, SIZE_PX, make_scene

FRAMES = 9
FLIP = torch.tensor([-1.0, 1.0, 1.0])
SIDE = torch.from_numpy(OTHER_SIDE)


@pytest.fixture(scope="module")
def pose_layout(space: PoseSpace) -> PoseLayout:
    return PoseLayout(space)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def said(seed: int) -> InitialOutput:
    """What an untrained network says of noise."""
    net = initial_net(InitialSettings(width=16, depth=1), seed=5)
    with torch.no_grad():
        return net.read(net(random(1, FRAMES, FEATURES, seed=seed), torch.arange(FRAMES)[None] / 30))


def test_features_are_those_of_the_mirrored_clip() -> None:
    rays, world = 0.2 * random(1, FRAMES, 33, 2), 0.3 * random(1, FRAMES, 33, 3, seed=1)
    sure, present = random(1, FRAMES, 33, seed=2).sigmoid(), torch.ones(1, FRAMES, dtype=torch.bool)
    present[0, 4] = False
    time_s, height = torch.arange(FRAMES)[None] / 30, torch.tensor([1.6])
    own = straight_view(rays, sure, world, present, time_s, height)
    other = straight_view(
        rays[:, :, SIDE] * FLIP[:2], sure[..., SIDE], world[:, :, SIDE] * FLIP, present, time_s, height
    )
    assert torch.allclose(mirrored_features(own.features), other.features, atol=1e-5)
    assert (mirrored_features(own.features) - own.features).abs().max() > 0.1


def test_poses_are_mirrored_as_the_pose_space_has_it(space: PoseSpace, pose_layout: PoseLayout) -> None:
    angles, turn = 0.4 * random(FRAMES, len(space.names)), matrix_from_rotvec(random(FRAMES, 3, seed=1))
    balls, hinges = pose_layout.targets(angles)
    other_angles, other_turn = mirrored(space, angles.double(), turn.double())
    other_balls, other_hinges = pose_layout.targets(other_angles.float())
    output = replace(said(0), balls=balls[None], hinges=hinges[None], orientation=turn[None])
    back = mirrored_output(output, pose_layout)
    assert torch.allclose(back.balls[0], other_balls, atol=1e-5)
    assert torch.allclose(back.hinges[0], other_hinges, atol=1e-5)
    assert torch.allclose(back.orientation[0], other_turn.float(), atol=1e-5)


def test_twice_mirrored_is_what_it_was(pose_layout: PoseLayout) -> None:
    features = random(1, FRAMES, FEATURES)
    assert torch.equal(mirrored_features(mirrored_features(features)), features)
    output = said(0)
    again = mirrored_output(mirrored_output(output, pose_layout), pose_layout)
    for f in fields(InitialOutput):
        assert torch.allclose(getattr(again, f.name), getattr(output, f.name), atol=1e-6), f.name


def test_the_mean_of_equals_is_the_same_and_of_others_between() -> None:
    one, other = said(0), said(1)
    same = mean_output(one, one)
    for f in fields(InitialOutput):
        assert torch.allclose(getattr(same, f.name), getattr(one, f.name), atol=1e-5), f.name
    mean = mean_output(one, other)
    assert torch.allclose(mean.place, (one.place + other.place) / 2)
    for rotation in (mean.balls, mean.orientation):
        assert torch.allclose(rotation @ rotation.mT, torch.eye(3).expand_as(rotation), atol=1e-5)
    assert torch.allclose(mean.up.norm(dim=-1), torch.ones(1, FRAMES))


def test_with_a_mirror_left_and_right_are_treated_alike(body, space: PoseSpace, pose_layout: PoseLayout) -> None:
    zeros = torch.zeros(13, dtype=torch.float64)
    estimate = InitialEstimate(initial_net(InitialSettings(width=16, depth=1), seed=5), pose_layout, zeros, zeros + 1)
    own = gather(make_scene(body, space, frames=FRAMES).landmarks, FOCAL_PX, (SIZE_PX[0] / 2, SIZE_PX[1] / 2))
    other = replace(
        own,
        rays=own.rays[:, SIDE] * FLIP[:2],
        confidence=own.confidence[:, SIDE],
        world_m=own.world_m[:, SIDE] * FLIP,
    )

    def apart(alone: bool) -> float:
        here, there = estimate(own, alone=alone), estimate(other, alone=alone)
        return float((there.landmarks_m - here.landmarks_m[:, SIDE] * FLIP).abs().max())

    assert apart(alone=True) < 1e-4 < 1e-2 < apart(alone=False)


class Asked(Exception):
    """With what."""


@pytest.mark.parametrize("fit", [False, True])
def test_drafts_look_in_a_mirror_and_are_calmed(fit: bool, body, space: PoseSpace) -> None:
    def network(evidence: object, height_m: float | None, alone: bool) -> None:
        raise Asked(alone)

    info = VideoInfo("clip", *SIZE_PX, 30.0, FRAMES, 0, "", None)
    landmarks = make_scene(body, space, frames=FRAMES).landmarks
    with pytest.raises(Asked) as caught:
        solved(landmarks, space, info, Job("clip", "take"), Plan(True, fit, network))
    assert caught.value.args == (not fit,)
