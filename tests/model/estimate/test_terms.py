"""Each term's derivatives against finite differences of its own residuals, and what the physical ones mean."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from model.body.body_points import CONTACT_NAMES
from model.body.landmarks import LANDMARK_NAMES
from model.estimate.equations import Equations
from model.estimate.evidence import gather
from model.estimate.fit import Shared, TemporalFit
from model.estimate.lens import LensPrior
from model.estimate.pose_space import Pose
from model.estimate.settings import FitSettings
from model.estimate.support_terms import (
    CONTACT_POINTS,
    MASS_SHARES,
    POINT_NAMES,
    Footing,
    add_balance,
    add_contacts,
)

from .conftest import FOCAL_PX, SIZE_PX, make_problem, make_scene

UP = torch.tensor([0.0, -1.0, 0.0], dtype=torch.float64)
GENTLE = FitSettings(
    reprojection_reach=1e4, relative_reach=1e4, acceleration_reach=1e4, contact_speed_reach=1e4,
    contact_height_reach=1e4, support_reach=1e4, sink_m=1e3, relative_m=1e4,
)  # fmt: skip
"""Without robust weights, which the solver holds fixed during a step, the equations are exact."""


@pytest.fixture(scope="module")
def state(body, space):
    """A stretch, a pose and what all frames share, off the optimum."""
    scene = make_scene(body, space, frames=5, noise_px=2.0)
    problem = dataclasses.replace(make_problem(space, lens=LensPrior(1.1 * FOCAL_PX, 0.3)), settings=GENTLE)
    evidence = gather(scene.landmarks, FOCAL_PX, (SIZE_PX[0] / 2, SIZE_PX[1] / 2))
    shared = Shared(problem.shapes.start, 1.1 * FOCAL_PX, 0.3)
    pose = TemporalFit(problem, evidence).start(shared)
    frames, contacts = 5, torch.full((5, len(CONTACT_NAMES)), 0.7, dtype=torch.float64)
    footing = Footing(contacts, contacts, torch.full((frames,), 0.0, dtype=torch.float64), UP, -0.9)
    return problem, evidence, pose, shared, footing


def test_the_right_hand_side_is_the_gradient_of_the_cost(state):
    problem, evidence, pose, shared, footing = state
    equations = TemporalFit(problem, evidence, footing).equations(pose, shared, free=True)
    generator, step = torch.Generator().manual_seed(3), 1e-5

    def cost(pose: Pose, shared: Shared) -> float:
        return TemporalFit(problem, evidence, footing).equations(pose, shared, free=True).cost

    frames, size = equations.right.shape[:2]
    for _ in range(3):
        direction = torch.randn((frames, size), generator=generator, dtype=torch.float64)
        slope = (cost(pose.moved(step * direction), shared) - cost(pose.moved(-step * direction), shared)) / (2 * step)
        expected = -float((equations.right[..., 0] * direction).sum())
        assert slope == pytest.approx(expected, rel=0.05, abs=0.02 * abs(expected) + 1.0)


def test_mass_shares_are_a_mean():
    assert float(MASS_SHARES.sum()) == pytest.approx(1.0)
    assert len(MASS_SHARES) == len(POINT_NAMES)


def _body_at(offset_m: float) -> torch.Tensor:
    """(3, N, 3) a column of points: the contacts on the ground, all else ``offset_m`` aside."""
    points = torch.zeros((3, len(POINT_NAMES), 3), dtype=torch.float64)
    points[..., 1] = -1.0
    points[..., 2] = 4.0
    points[:, :, 0] = offset_m
    points[:, CONTACT_POINTS, 0], points[:, CONTACT_POINTS, 1] = 0.0, 0.0
    return points


def _pull(offset_m: float, contacts: torch.Tensor) -> float:
    """How strongly balance pulls a body that can only shift sideways."""
    points = _body_at(offset_m)
    derivative = torch.zeros((*points.shape, 1), dtype=torch.float64)
    derivative[:, : len(LANDMARK_NAMES), 0, 0] = 1.0
    derivative[:, CONTACT_POINTS.stop :, 0, 0] = 1.0
    equations = Equations(3, 1, 0)
    footing = Footing(contacts, contacts, torch.zeros(3, dtype=torch.float64), UP, 0.0)
    time_s = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    add_balance(equations, footing, FitSettings(), time_s, points, derivative)
    return float(equations.right[1, 0, 0])


def test_who_stands_still_is_pulled_over_the_feet_and_only_if_something_carries():
    standing = torch.zeros((3, len(CONTACT_NAMES)), dtype=torch.float64)
    standing[:, :4] = 1.0
    assert _pull(0.05, standing) < -1.0
    assert _pull(-0.05, standing) > 1.0
    assert _pull(0.0, standing) == pytest.approx(0.0, abs=1e-6)
    assert _pull(0.05, torch.zeros_like(standing)) == 0.0


def test_what_rests_is_held_and_what_sinks_is_raised():
    points = torch.zeros((2, len(CONTACT_NAMES), 3), dtype=torch.float64)
    points[1, 0, 0] = 0.01  # the left heel slides
    points[:, 9, 1] = 0.03  # the seat is below the ground (up is -y)
    derivative = torch.zeros((*points.shape, 3), dtype=torch.float64)
    for axis in range(3):
        derivative[..., axis, axis] = 1.0
    contacts = torch.zeros((2, len(CONTACT_NAMES)), dtype=torch.float64)
    contacts[:, 0] = 1.0
    equations = Equations(2, 3, 0)
    footing = Footing(contacts, contacts, torch.zeros(2, dtype=torch.float64), UP, 0.0)
    add_contacts(equations, footing, FitSettings(), torch.tensor([1 / 30]), points, derivative)
    right = equations.right[..., 0]
    assert float(right[0, 0]) > 1.0 > -1.0 > float(right[1, 0])
    assert (right[:, 1] < -1.0).all()
