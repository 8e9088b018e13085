from __future__ import annotations

import numpy as np
import torch

from model.estimate.grounding import TOLERANCE_M, lifted, lowest_m, raised, settled
from model.estimate.pose_space import Pose
from model.estimate.refined import Refined
from model.estimate.support_terms import CONTACT_POINTS, POINT_NAMES, Footing
from model.estimate.world import find_ground


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


def test_who_lies_does_not_turn_the_camera_over():
    """(T, N, 3) a body along the picture's x axis, nothing of it on its feet: up stays near the camera's own."""
    points = torch.zeros((30, len(POINT_NAMES), 3), dtype=torch.float64)
    points[..., 1], points[..., 2] = 0.8, 4.0
    points[:, [POINT_NAMES.index(n) for n in ("l_shoulder", "r_shoulder", "l_ear", "r_ear", "chest")], 0] = 1.4
    points[:, [POINT_NAMES.index(n) for n in ("pelvis", "thigh.L", "thigh.R")], 0] = 0.9
    resting = torch.zeros((30, 10), dtype=torch.float64)
    resting[:, :2] = 0.3
    ground = find_ground(points, resting, torch.ones(30, dtype=torch.bool), 30.0)
    assert float(ground.up @ torch.tensor([0.0, -1.0, 0.0], dtype=torch.float64)) > 0.98


def test_the_network_tells_the_vertical_where_nothing_else_does():
    """Nobody rests, and the camera looks steeply down; over footholds that lie apart the plane says more."""
    points = torch.zeros((30, len(POINT_NAMES), 3), dtype=torch.float64)
    points[..., 2] = 4.0
    learned = torch.tensor([0.0, -0.6, -0.8], dtype=torch.float64)
    present, still = torch.ones(30, dtype=torch.bool), torch.zeros((30, 10), dtype=torch.float64)
    alone, told = (float(find_ground(points, still, present, 30.0, learned=u).up @ learned) for u in (None, learned))
    assert told > 0.95 > 0.9 > alone
    up = torch.tensor([0.0, -1.0, 0.0], dtype=torch.float64)
    points = torch.zeros((900, len(POINT_NAMES), 3), dtype=torch.float64)
    points[:, CONTACT_POINTS, 0] = torch.linspace(-3, 3, 900, dtype=torch.float64)[:, None]
    points[:, CONTACT_POINTS, 2] = 5.0 + 3.0 * torch.sin(0.1 * torch.arange(900, dtype=torch.float64))[:, None]
    points[..., 1] = 1.0
    points[:, : CONTACT_POINTS.start, 1] = points[:, CONTACT_POINTS.stop :, 1] = 0.0
    points[..., [0, 2]] = points[:, CONTACT_POINTS.start, None][..., [0, 2]]
    off = torch.tensor([0.1, -0.995, 0.0], dtype=torch.float64)
    rests = torch.zeros((900, 10), dtype=torch.float64)
    rests[:, :4] = 1.0
    found = find_ground(points, rests, torch.ones(900, dtype=torch.bool), 30.0, learned=off).up
    assert float(found @ up) > float(off @ up) + 0.002


def test_a_refinement_that_goes_under_the_ground_is_raised(body, space):
    rest, pose, footing = _standing(body, space, 40)
    time_s = torch.arange(40, dtype=torch.float64) / 30
    turn = torch.zeros((40, len(space.skeleton.bones), 3), dtype=torch.float64)
    turn[18:22, space.skeleton.names.index("foot.L"), 0] = 0.5
    shift = torch.zeros((40, 3), dtype=torch.float64)
    shift[19, 2] = -0.05
    none = np.zeros((40, 1), np.float16)
    moved = Refined(turn, shift, none, none, None, None, 0.0, {})
    assert float(lowest_m(space, rest, pose, footing, moved).min()) < -0.045
    up = raised(moved, space, rest, pose, footing, time_s)
    assert float(lowest_m(space, rest, pose, footing, up).min()) > -TOLERANCE_M - 1e-9
    assert torch.equal(up.shift_m[:12], shift[:12]) and torch.equal(up.turn, turn)
    assert float((up.shift_m - shift)[:, :2].abs().max()) < 1e-9
