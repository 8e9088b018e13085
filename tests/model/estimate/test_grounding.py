from __future__ import annotations

import torch

from model.estimate.grounding import TOLERANCE_M, lifted, lowest_m, settled
from model.estimate.pose_space import Pose
from model.estimate.support_terms import Footing


def _standing(body, space, frames):
    rest = body.rest(body.default_shape())
    angles = torch.zeros((frames, len(space.names)), dtype=torch.float64)
    position = rest.heads_m[0].double().expand(frames, 3).clone()
    orientation = torch.eye(3, dtype=torch.float64).expand(frames, 3, 3)
    sole = float(rest.vertices_m[:, 2].min())
    none = torch.zeros((frames, 10), dtype=torch.float64)
    up = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    return rest, Pose(position, orientation, angles), Footing(none, none, none[:, 0], up, sole)


def test_nothing_stays_under_the_ground_and_nothing_else_moves(body, space):
    rest, pose, footing = _standing(body, space, 40)
    pose.position[18:22, 2] -= 0.05
    time_s = torch.arange(40, dtype=torch.float64) / 30
    assert float(lowest_m(space, rest, pose, footing).min()) < -0.04
    raised = lifted(space, rest, pose, footing, time_s)
    assert float(lowest_m(space, rest, raised, footing).min()) > -TOLERANCE_M - 1e-9
    assert torch.equal(raised.position[:12], pose.position[:12])
    lift = (raised.position - pose.position)[:, 2]
    assert float(lift.diff().abs().max()) < 0.04  # softly


def test_a_pose_above_the_ground_is_left_alone(body, space):
    rest, pose, footing = _standing(body, space, 5)
    assert lifted(space, rest, pose, footing, torch.arange(5, dtype=torch.float64)) is pose


def test_who_floats_through_the_whole_clip_stands_on_a_higher_ground(body, space):
    rest, pose, footing = _standing(body, space, 40)
    pose.position[:, 2] += 0.2
    pose.position[30:, 2] += 0.3  # a leap
    higher = settled(space, rest, pose, footing, torch.ones(40, dtype=torch.bool))
    assert abs(higher.height_m - footing.height_m - 0.2) < 0.01
