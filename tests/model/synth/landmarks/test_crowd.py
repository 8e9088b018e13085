"""People posed by the batch: the same points as the pose space's, which poses one at a time in double precision."""

from __future__ import annotations

import pytest
import torch

from model.estimate.pose_space import PoseSpace
from model.estimate.rotation import matrix_from_rotvec
from model.synth.landmarks.crowd import Crowd
from model.synth.scene import scenes


@pytest.fixture(scope="module")
def crowd(space: PoseSpace) -> Crowd:
    """A fifth of them young."""
    return Crowd.draw(space, (100, 112), 12)


def test_points_are_the_pose_spaces(space: PoseSpace, crowd: Crowd) -> None:
    generator = torch.Generator().manual_seed(0)
    who = torch.tensor([3, 0, 7])
    angles = space.mean + 0.6 * space.sigma * torch.randn(3, 5, len(space.names), generator=generator).double()
    orientation = matrix_from_rotvec(torch.randn(3, 5, 3, generator=generator).double())
    moving = torch.stack([matrix_from_rotvec(space.rotvecs(one)) for one in angles])
    moving[:, :, 0] = orientation
    points = crowd.points(who, moving.float())
    assert points.shape == (3, 5, len(space.skeleton.regressor.vertex_index), 3)
    for number, person in enumerate(who.tolist()):
        rest = space.body.rest(crowd.shape[person].double())
        expected, _ = space.landmarks(
            space.attach(rest), torch.zeros(5, 3).double(), orientation[number], angles[number]
        )
        assert (points[number].double() - expected).norm(dim=-1).max() < 1e-4
    assert (points[0] - points[1]).norm(dim=-1).max() > 0.1  # people and poses do differ


def test_a_gradient_reaches_every_rotation(space: PoseSpace, crowd: Crowd) -> None:
    local = torch.eye(3).repeat(1, 2, len(space.skeleton.names), 1, 1).requires_grad_()
    crowd.points(torch.tensor([1]), local).square().sum().backward()
    assert local.grad is not None
    assert (local.grad.abs().amax((0, 1, 3, 4)) > 1e-6).all()


def test_people_are_as_tall_as_they_are(space: PoseSpace, crowd: Crowd) -> None:
    for person in range(12):
        vertices = space.body.rest(crowd.shape[person].double()).vertices_m
        assert float(vertices[:, 2].max() - vertices[:, 2].min()) == pytest.approx(
            float(crowd.stature_m[person]), abs=2e-3
        )
    assert crowd.stature_m.min() > 0.5 and crowd.stature_m.max() < 2.3
    assert crowd.stature_m.max() - crowd.stature_m.min() > 0.2


def test_legs_are_measured_against_the_average_bodys(space: PoseSpace, crowd: Crowd) -> None:
    average = space.attach(space.body.rest(space.body.default_shape()))
    hip, foot = (space.skeleton.names.index(name) for name in ("upperleg01.R", "foot.R"))
    usual = float(average.heads_m[hip, 2] - average.heads_m[foot, 2])
    for shape, scale in zip(crowd.shape, crowd.leg_scale, strict=True):
        heads_m = space.attach(space.body.rest(shape.double())).heads_m
        assert float(heads_m[hip, 2] - heads_m[foot, 2]) / usual == pytest.approx(float(scale), rel=0.01)
    assert torch.corrcoef(torch.stack([crowd.leg_scale, crowd.stature_m]))[0, 1] > 0.8


def test_a_person_depends_on_the_number_alone(space: PoseSpace, crowd: Crowd) -> None:
    again = Crowd.draw(space, (103, 112), 2)
    assert torch.equal(again.shape, crowd.shape[3:5])
    assert torch.equal(again.levers_m, crowd.levers_m[3:5])


def test_who_may_not_be_used_is_not(space: PoseSpace, crowd: Crowd) -> None:
    """Of the first three bodies alone, again and again."""
    few = Crowd.draw(space, (100, 103), 5)
    assert torch.equal(few.shape, crowd.shape[[0, 1, 2, 0, 1]])


def test_some_are_young(space: PoseSpace, monkeypatch: pytest.MonkeyPatch) -> None:
    column = space.body.shape_names.index("age")
    ages = {}
    for share in (0.0, 1.0):
        monkeypatch.setattr(scenes, "YOUNG_SHARE", share)
        ages[share] = Crowd.draw(space, (100, 106), 6).shape[:, column]
    assert ages[1.0].max() <= 0.5 <= ages[0.0].min()


def test_adults_are_as_tall_as_people_are(space: PoseSpace, monkeypatch: pytest.MonkeyPatch) -> None:
    """NCD-RisC (2016) has 1.71 m for men and 1.59 for women, with 0.07 about it."""
    monkeypatch.setattr(scenes, "YOUNG_SHARE", 0.0)
    stature_m = Crowd.draw(space, (200, 280), 80).stature_m
    assert 1.6 < stature_m.mean() < 1.78
    assert 0.06 < stature_m.std() < 0.14
    assert stature_m.min() > 1.25 and stature_m.max() < 2.1
