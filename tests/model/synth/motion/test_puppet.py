"""Posing: feet stand where they are put, knees bend forwards, arms go where the angles say."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model.body import AnnyBody
from model.synth.motion.puppet import SIDES, Posture, Puppet, arm, turn


@pytest.fixture(scope="module")
def body() -> AnnyBody:
    from model.paths import assets_folder

    return AnnyBody.load(assets_folder())


@pytest.fixture(scope="module")
def puppet(body: AnnyBody) -> Puppet:
    rest = body.rest(body.default_shape())
    sole = float(rest.vertices_m[:, 2].min())
    return Puppet(rest.heads_m.double().numpy(), body.bone_parents, body.bone_names, sole)


def posed_heads(body: AnnyBody, puppet: Puppet, posture: Posture) -> tuple[np.ndarray, np.ndarray]:
    local, root = puppet.pose(posture)
    heads = torch.from_numpy(puppet.heads_m)
    rotations, posed = body.kinematics(torch.from_numpy(local)[None], heads, torch.from_numpy(root)[None])
    return rotations[0].numpy(), posed[0].numpy()


def standing(puppet: Puppet, drop_m: float = 0.02) -> Posture:
    feet = {s: puppet.planted(s, np.array([sign * 0.12, 0.02]), sign * 5.0) for s, sign in SIDES.items()}
    return Posture(np.array([0.0, 0.0, puppet.standing_pelvis_m - drop_m]), np.eye(3), feet)


@pytest.mark.parametrize("drop_m", [0.02, 0.2, 0.4])
def test_feet_stand_where_they_are_put(body: AnnyBody, puppet: Puppet, drop_m: float) -> None:
    posture = standing(puppet, drop_m)
    rotations, heads = posed_heads(body, puppet, posture)
    for side in SIDES:
        foot = body.bone(f"foot.{side}")
        np.testing.assert_allclose(heads[foot], posture.feet[side].ankle_m, atol=1e-6)
        np.testing.assert_allclose(rotations[foot], posture.feet[side].rotation, atol=1e-6)


def test_knees_bend_forwards(body: AnnyBody, puppet: Puppet) -> None:
    _, heads = posed_heads(body, puppet, standing(puppet, 0.3))
    for side in SIDES:
        hip, knee, ankle = (heads[body.bone(f"{b}.{side}")] for b in ("upperleg01", "lowerleg01", "foot"))
        assert knee[1] < min(hip[1], ankle[1]) - 0.1  # forwards is -Y


def test_legs_keep_their_length_when_the_foot_is_out_of_reach(body: AnnyBody, puppet: Puppet) -> None:
    _, heads = posed_heads(body, puppet, standing(puppet, -0.3))
    hip, knee, ankle = (heads[body.bone(f"{b}.L")] for b in ("upperleg01", "lowerleg01", "foot"))
    assert np.linalg.norm(hip - knee) + np.linalg.norm(knee - ankle) == pytest.approx(puppet.leg_m, abs=1e-6)


@pytest.mark.parametrize("pitch_deg", [-20.0, 0.0, 35.0])
def test_a_rolling_foot_stays_on_the_ground(body: AnnyBody, puppet: Puppet, pitch_deg: float) -> None:
    """The sole's lowest point: on the floor, whatever the foot rolls over."""
    rest = body.rest(body.default_shape())
    posture = standing(puppet, 0.1)
    posture.feet["L"] = puppet.planted("L", np.array([0.12, 0.02]), 0.0, pitch_deg)
    local, root = puppet.pose(posture)
    vertices = body.pose(rest, torch.from_numpy(local)[None].float(), torch.from_numpy(root)[None].float())[0]
    left = vertices[(rest.vertices_m[:, 0] > 0) & (rest.vertices_m[:, 2] < rest.vertices_m[:, 2].min() + 0.05)]
    assert abs(float(left[:, 2].min())) < 0.012


def test_arm_angles(body: AnnyBody, puppet: Puppet) -> None:
    """Hanging, forwards, sideways; a bent elbow brings the forearm forwards."""

    def directions(side: str, *angles: float) -> tuple[np.ndarray, np.ndarray]:
        posture = standing(puppet)
        posture.joints = arm(side, *angles, puppet)
        _, heads = posed_heads(body, puppet, posture)
        shoulder, elbow, wrist = (heads[body.bone(f"{b}.{side}")] for b in ("upperarm01", "lowerarm01", "wrist"))
        return tuple((v / np.linalg.norm(v)) for v in (elbow - shoulder, wrist - elbow))

    for side, sign in SIDES.items():
        np.testing.assert_allclose(directions(side, 0, 0, 0, 0)[0], [0, 0, -1], atol=1e-6)
        np.testing.assert_allclose(directions(side, 90, 0, 0, 0)[0], [0, -1, 0], atol=1e-6)
        np.testing.assert_allclose(directions(side, 0, 90, 0, 0)[0], [sign, 0, 0], atol=1e-6)
        np.testing.assert_allclose(directions(side, 0, 0, 0, 90)[1], [0, -1, 0], atol=1e-6)
        inwards = directions(side, 0, 0, 90, 90)[1]  # turned inwards, the forearm points across the body
        np.testing.assert_allclose(inwards, [-sign, 0, 0], atol=1e-6)


def test_turn_bends_the_trunk_forwards() -> None:
    assert (turn("x", 30.0) @ [0, 0, 1])[1] < 0
