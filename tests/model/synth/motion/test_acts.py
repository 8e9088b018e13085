"""Motion by hand: what stands stays, nothing sinks, and it goes where it should."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model.body import AnnyBody, RestBody
from model.synth.clips.made_clips import BY_HAND, facing_deg, puppet_of
from model.synth.motion import acts
from model.synth.motion.acts import Motion
from model.synth.motion.floor_acts import KEYED, play


def vertices(body: AnnyBody, rest: RestBody, motion: Motion) -> np.ndarray:
    posed = body.pose(rest, torch.from_numpy(motion.local).float(), torch.from_numpy(motion.root_m).float())
    return posed.numpy()


@pytest.mark.parametrize("name", list(BY_HAND))
def test_feet_stand_on_the_ground_and_stay_there(name: str, body: AnnyBody, rest: RestBody) -> None:
    motion = BY_HAND[name](puppet_of(body, rest), np.random.default_rng(7))
    assert np.allclose(motion.local @ motion.local.swapaxes(-1, -2), np.eye(3), atol=1e-6)
    posed = vertices(body, rest, motion)
    assert posed[..., 2].min() > -0.02
    lowest = posed[..., 2].min(1)
    assert np.median(np.abs(lowest)) < 0.006
    speed = np.linalg.norm(np.gradient(posed, axis=0), axis=-1) * motion.fps
    touching = posed[..., 2] < 0.004
    assert np.median(speed[touching]) < 0.05


def test_a_walk_goes_forwards_at_the_speed_of_a_walk(walk: Motion) -> None:
    way = walk.root_m[-1] - walk.root_m[0]
    seconds = (len(walk.root_m) - 1) / walk.fps
    assert 0.8 < np.linalg.norm(way[:2]) / seconds < 1.6
    ahead = acts.forward(facing_deg(walk))
    assert way[:2] @ ahead / np.linalg.norm(way[:2]) > 0.97


def test_a_turn_on_the_spot_comes_round(body: AnnyBody, rest: RestBody) -> None:
    motion = acts.turn_on_the_spot(puppet_of(body, rest), np.random.default_rng(1))
    ahead = -motion.local[:, 0, :, 1]
    heading = np.unwrap(np.arctan2(ahead[:, 0], -ahead[:, 1]))
    assert abs(np.rad2deg(heading[-1] - heading[0])) == pytest.approx(360, abs=12)
    assert np.ptp(motion.root_m[:, :2], axis=0).max() < 0.12


@pytest.mark.parametrize("name", list(KEYED))
def test_keyed_motion_lies_on_the_ground_and_does_not_slide(name: str, body: AnnyBody, rest: RestBody) -> None:
    motion = play(body, rest, KEYED[name](np.random.default_rng(3)))
    posed = vertices(body, rest, motion)
    assert np.abs(posed[..., 2].min(1)).max() < 0.01
    speed = np.linalg.norm(np.gradient(posed[..., :2], axis=0), axis=-1) * motion.fps
    assert np.median(speed[posed[..., 2] < 0.01]) < 0.15
    assert np.linalg.norm(np.diff(motion.root_m, axis=0), axis=1).max() * motion.fps < 4.0


def test_the_same_seed_gives_the_same_motion(body: AnnyBody, rest: RestBody) -> None:
    one, other = (acts.squat(puppet_of(body, rest), np.random.default_rng(9)) for _ in range(2))
    assert np.array_equal(one.local, other.local)
