"""What the network tries its poses on: the same people as the pose space's, seen as the straight view sees them."""

from __future__ import annotations

import pytest
import torch

from model.estimate.evidence import STATURE_M
from model.estimate.rotation import matrix_from_rotvec
from model.networks.puppet import projected
from model.train.initial.data import layout, pose_space
from tests.model.puppets import puppet


@pytest.mark.parametrize("shape", [[0.0] * 13, [1.0] + [0.0] * 12])
def test_people_stand_as_the_pose_space_has_them(shape: list[float]) -> None:
    """The average ones to the micrometre, others as far as their build is linear."""
    space, poses = pose_space(), layout()
    generator = torch.Generator().manual_seed(3)
    angles = 0.4 * torch.randn(1, 5, len(space.names), generator=generator, dtype=torch.float64)
    orientation = matrix_from_rotvec(torch.randn(1, 5, 3, generator=generator, dtype=torch.float64))
    person, stature_m = space.people()(space.body.default_shape() + 0.1 * torch.tensor(shape))
    true, _ = space.landmarks(person, torch.zeros(5, 3).double(), orientation[0], angles[0])
    true = true[:, :33] * STATURE_M / stature_m
    balls, hinges = poses.targets(angles.float())
    posed = puppet()(balls, hinges, orientation.float(), torch.tensor([shape]))
    points = posed.points
    largest = 0.002 if any(shape) else 1e-5
    assert (points[0] - true).norm(dim=-1).max() < largest
    assert torch.allclose(posed.about, points - (points[:, :, 23:24] + points[:, :, 24:25]) / 2, atol=1e-6)


def test_a_build_makes_a_difference() -> None:
    poses = layout()
    balls, hinges = poses.targets(torch.zeros(1, 1, len(poses.names)))
    one, other = (puppet()(balls, hinges, torch.eye(3)[None, None], shape).points for shape in torch.eye(13)[:2, None])
    assert (one - other).norm(dim=-1).max() > 0.003


@pytest.mark.parametrize("size", [0.8, 1.0, 1.2])
@pytest.mark.parametrize("depth_m", [2.0, 4.0])
def test_is_seen_where_a_camera_sees_it(size: float, depth_m: float) -> None:
    points = torch.randn(1, 2, 33, 3, generator=torch.Generator().manual_seed(1)) * 0.3
    root = torch.tensor([0.2, -0.1, depth_m])
    there = size * points + root
    per_metre = torch.full((1, 2), 1.1 / depth_m)
    across = root[:2] / depth_m / per_metre[0, 0]
    place = torch.cat([across, (depth_m * per_metre[0, :1]).log()]).expand(1, 2, 3)
    seen = projected(points, place, torch.full((1, 2), size).log(), per_metre)
    assert torch.allclose(seen, there[..., :2] / there[..., 2:] / per_metre[..., None, None], atol=1e-5)


def test_nothing_is_infinite_behind_the_lens() -> None:
    points = torch.full((1, 1, 33, 3), -9.0)
    assert torch.isfinite(projected(points, torch.zeros(1, 1, 3), torch.zeros(1, 1), torch.ones(1, 1))).all()


def test_pulls_are_the_gradient_of_the_squared_distances() -> None:
    """Against autograd, through turns of all joints about where they are."""
    space, poses, generator = pose_space(), layout(), torch.Generator().manual_seed(2)
    angles = 0.4 * torch.randn(2, 3, len(space.names), generator=generator)
    hips = matrix_from_rotvec(torch.randn(2, 3, 3, generator=generator))
    balls, hinges = poses.targets(angles)
    shape, missed = torch.randn(2, 13, generator=generator), 0.02 * torch.randn(2, 3, 33, 3, generator=generator)
    people = puppet()
    of_balls, of_hips, of_hinges = people.pulled(people(balls, hinges, hips, shape), missed)
    steps = [torch.zeros_like(turn, requires_grad=True) for turn in (of_balls, of_hips, of_hinges)]
    theta = torch.atan2(hinges[..., 1], hinges[..., 0]) + steps[2]
    moved = people(
        matrix_from_rotvec(steps[0]) @ balls,
        torch.stack([theta.cos(), theta.sin()], -1),
        matrix_from_rotvec(steps[1]) @ hips,
        shape,
    )
    gradients = torch.autograd.grad((moved.points * missed).sum(), steps)
    own = torch.tensor([name.rstrip(".LR") not in ("waist", "chest", "neck", "collar") for name in poses.balls])
    for turn, gradient in ((of_balls[:, :, own], gradients[0][:, :, own]), (of_hips, gradients[1])):
        assert torch.cosine_similarity(turn, gradient, -1).min() > 0.999
        inertia = gradient.norm(dim=-1) / turn.norm(dim=-1)
        assert torch.allclose(inertia, inertia[:1, :1].expand_as(inertia), rtol=1e-3)
    inertia = gradients[2] / of_hinges
    assert torch.allclose(inertia, inertia[:1, :1].expand_as(inertia), rtol=1e-3) and (inertia > 0).all()
    shared = torch.cosine_similarity(of_balls[:, :, ~own], gradients[0][:, :, ~own], -1)
    assert shared.mean() > 0.9  # several bones, each with an inertia of its own


def test_following_the_pulls_leads_to_the_landmarks() -> None:
    space, poses, generator = pose_space(), layout(), torch.Generator().manual_seed(4)
    angles = 0.3 * torch.randn(1, 4, len(space.names), generator=generator)
    hips = matrix_from_rotvec(torch.randn(1, 4, 3, generator=generator))
    people, shape = puppet(), torch.zeros(1, 13)
    goal = people(*poses.targets(angles), hips, shape).about
    balls, hinges = poses.targets(angles + 0.2 * torch.randn(angles.shape, generator=generator))
    off = []
    for _ in range(40):
        posed = people(balls, hinges, hips, shape)
        off.append(float((goal - posed.about).norm(dim=-1).mean()))
        of_balls, of_hips, of_hinges = people.pulled(posed, goal - posed.about)
        theta = torch.atan2(hinges[..., 1], hinges[..., 0]) + 0.2 * of_hinges
        balls, hips = (matrix_from_rotvec(0.2 * turn) @ now for turn, now in ((of_balls, balls), (of_hips, hips)))
        hinges = torch.stack([theta.cos(), theta.sin()], -1)
    assert off[-1] < 0.2 * off[0]
