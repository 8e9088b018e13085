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
    points, about = puppet()(balls, hinges, orientation.float(), torch.tensor([shape]))
    largest = 0.002 if any(shape) else 1e-5
    assert (points[0] - true).norm(dim=-1).max() < largest
    assert torch.allclose(about, points - (points[:, :, 23:24] + points[:, :, 24:25]) / 2, atol=1e-6)


def test_a_build_makes_a_difference() -> None:
    poses = layout()
    balls, hinges = poses.targets(torch.zeros(1, 1, len(poses.names)))
    one, other = (puppet()(balls, hinges, torch.eye(3)[None, None], shape)[0] for shape in torch.eye(13)[:2, None])
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
