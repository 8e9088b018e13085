"""Captured motion on the body: limbs point where the captured limbs point, feet stand, nothing is mirrored."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model.body import AnnyBody
from model.body.retarget import CAPTURE_JOINTS, FOOT_ROLL, Z_UP, Retargeted, retarget
from model.paths import assets_folder
from model.synth.motion.mocap import Sequence, default_folder, read_sequences
from tests.model.made_capture import FPS, sequence, turned

LIMBS = {
    "thigh": ("hip", "knee", "upperleg01", "lowerleg01"), "shin": ("knee", "ankle", "lowerleg01", "foot"),
    "foot": ("ankle", "toe", "foot", "toe2-1"), "upper arm": ("shoulder", "elbow", "upperarm01", "lowerarm01"),
    "forearm": ("elbow", "wrist", "lowerarm01", "wrist"), "hand": ("wrist", "hand", "wrist", "finger3-1"),
}  # fmt: skip
REAL = ("CMU_35_01", "CMU_09_11", "CMU_49_08", "CMU_05_04", "CMU_85_04", "CMU_01_06", "CMU_135_02", "CMU_13_29")


@pytest.fixture(scope="module")
def body() -> AnnyBody:
    return AnnyBody.load(assets_folder())


@pytest.fixture(scope="module")
def rest(body):
    return body.rest(body.default_shape())


def heads_m(body, rest, moved: Retargeted) -> np.ndarray:
    return body.kinematics(moved.local, rest.heads_m.double(), moved.position_m)[1].numpy()


def direction_errors_deg(body, heads: np.ndarray, capture: Sequence) -> dict[str, np.ndarray]:
    def captured(start: str, end: str) -> np.ndarray:
        joints = capture.joints_m @ Z_UP.T
        return joints[:, CAPTURE_JOINTS.index(end)] - joints[:, CAPTURE_JOINTS.index(start)]

    def ours(start: str, end: str) -> np.ndarray:
        return heads[:, body.bone(end)] - heads[:, body.bone(start)]

    pairs = {
        f"{limb}.{side}": (captured(f"{s}_{a}", f"{s}_{b}"), ours(f"{c}.{side}", f"{d}.{side}"))
        for limb, (a, b, c, d) in LIMBS.items()
        for s, side in (("l", "L"), ("r", "R"))
    }
    pairs["trunk"] = (
        captured("l_hip", "neck_low") + captured("r_hip", "neck_low"),
        ours("upperleg01.L", "neck01") + ours("upperleg01.R", "neck01"),
    )
    pairs["hips"] = captured("r_hip", "l_hip"), ours("upperleg01.R", "upperleg01.L")
    pairs["shoulders"] = captured("r_shoulder", "l_shoulder"), ours("upperarm01.R", "upperarm01.L")
    out = {}
    for name, (a, b) in pairs.items():
        cosine = (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)
        out[name] = np.degrees(np.arccos(cosine.clip(-1, 1)))
    return out


POSES = {
    "rest": {},
    "turned": {"root": ("y", 70.0)},
    "sitting": {"l_hip": ("x", -90.0), "r_hip": ("x", -80.0), "l_knee": ("x", 40.0)},
    "arms": {"l_shoulder": ("z", -60.0), "r_shoulder": ("z", -70.0), "l_elbow": ("y", -80.0), "r_elbow": ("y", 90.0)},
    "bent": {"spine_low": ("x", 30.0), "chest": ("y", 20.0), "l_shoulder": ("y", 40.0)},
}


@pytest.mark.parametrize("pose", POSES)
def test_limbs_point_where_the_captured_limbs_point(body, rest, pose):
    capture = sequence(turned(3, **POSES[pose]))
    errors = direction_errors_deg(body, heads_m(body, rest, retarget(body, rest, capture)), capture)
    for limb, error in errors.items():
        assert error.max() < (4.0 if limb in ("trunk", "shoulders") else 0.5), limb


def test_left_is_left_and_forwards_forwards(body, rest):
    capture = sequence(turned(3, l_hip=("x", -60.0), r_elbow=("y", 90.0)))
    heads = heads_m(body, rest, retarget(body, rest, capture))[1]
    assert heads[body.bone("lowerleg01.L"), 1] < heads[body.bone("lowerleg01.R"), 1] - 0.2  # the left knee is in front
    assert heads[body.bone("wrist.R"), 1] < heads[body.bone("wrist.L"), 1] - 0.15  # the right forearm too
    assert heads[body.bone("upperarm01.L"), 0] > 0.1
    np.testing.assert_allclose(heads[body.bone("head"), 2] - heads[0, 2], 0.7, atol=0.1)


def test_hands_are_not_twisted(body, rest):
    """The rest pose of the capture: arms out, palms down, thumbs in front."""
    moved = retarget(body, rest, sequence(turned(2)))
    heads = heads_m(body, rest, moved)[0]
    for side in "LR":
        thumb = heads[body.bone(f"finger2-1.{side}")] - heads[body.bone(f"finger5-1.{side}")]
        assert thumb[1] < -0.9 * np.linalg.norm(thumb)
    rolled = retarget(body, rest, sequence(turned(2, l_forearm=("x", 60.0))))

    def turned_by_deg(bone: str) -> float:
        apart = moved.local[0, body.bone(bone)].T @ rolled.local[0, body.bone(bone)]
        return float(torch.rad2deg(torch.arccos((apart.trace() - 1) / 2)))

    assert turned_by_deg("lowerarm02.L") == pytest.approx(60.0, abs=2.0)  # the forearm takes the roll,
    assert turned_by_deg("wrist.L") < 3.0  # the wrist stays
    assert turned_by_deg("lowerarm01.L") < 1e-3


def test_standing_feet_are_on_the_floor_whatever_the_build(body, rest):
    capture = sequence(turned(40, l_hip=("z", -15.0), r_hip=("z", 15.0)))
    tall = body.default_shape()
    tall[body.shape_names.index("height")] = 0.9
    for person in (rest, body.rest(tall)):
        moved = retarget(body, person, capture)
        assert moved.contacts.all()
        vertices = body.pose(person, moved.local[:1].float(), moved.position_m[:1].float())
        assert abs(float(vertices[0, :, 2].min())) < 0.03
        assert float(vertices[0, :, 2].max()) > 0.9 * float(person.height_m)


def test_travel_grows_with_the_legs(body, rest):
    capture = sequence(turned(int(FPS)))
    capture.joints_m[:, :, 2] += np.linspace(0, 1, len(capture.joints_m))[:, None]
    moved = retarget(body, rest, capture)
    leg = float((rest.heads_m[body.bone("upperleg01.L")] - rest.heads_m[body.bone("foot.L")]).norm())
    travelled = moved.position_m[-1] - moved.position_m[0]
    assert float(travelled[1]) == pytest.approx(-leg / 0.82, rel=0.02)
    assert float(travelled[0]) == pytest.approx(0.0, abs=1e-9)


def test_a_flipped_foot_is_turned_back(body, rest):
    """The sole up, as the capture has it now and then: the foot still points where it pointed."""
    upright = sequence(turned(2))
    quaternions = upright.quaternions.copy()
    toe = upright.offsets_m[CAPTURE_JOINTS.index("l_toe")]
    quaternions[:, CAPTURE_JOINTS.index("l_ankle")] = [0.0, *(toe / np.linalg.norm(toe))]  # half a turn
    flipped = retarget(body, rest, sequence(quaternions))
    straight = retarget(body, rest, upright)
    foot = body.bone("foot.L")
    apart = straight.local[0, foot].T @ flipped.local[0, foot]
    angle = float(torch.arccos((apart.trace() - 1) / 2))
    assert angle < FOOT_ROLL
    errors = direction_errors_deg(body, heads_m(body, rest, flipped), sequence(quaternions))
    assert errors["foot.L"].max() < 0.5


@pytest.mark.skipif(not default_folder().is_dir(), reason="the motion capture (../shared/mocap) is not here")
def test_real_motions_keep_their_directions_and_proportions(body, rest):
    for capture in (s for s in read_sequences() if s.uid in REAL):
        moved = retarget(body, rest, capture)
        heads = heads_m(body, rest, moved)
        errors = direction_errors_deg(body, heads, capture)
        for limb, error in errors.items():
            assert np.median(error) < (7.0 if limb == "shoulders" else 4.0), (capture.uid, limb)  # collars stay at rest
        # Joints about the hips, in statures: proportions differ, poses must not.
        for s, side in (("l", "L"), ("r", "R")):
            for joint, bone in (("wrist", "wrist"), ("ankle", "foot"), ("elbow", "lowerarm01")):
                hips = [CAPTURE_JOINTS.index(n) for n in ("l_hip", "r_hip")]
                theirs = capture.joints_m[:, CAPTURE_JOINTS.index(f"{s}_{joint}")] - capture.joints_m[:, hips].mean(1)
                middle = heads[:, [body.bone("upperleg01.L"), body.bone("upperleg01.R")]].mean(1)
                ours = heads[:, body.bone(f"{bone}.{side}")] - middle
                apart = np.linalg.norm(ours / float(rest.height_m) - theirs @ Z_UP.T / 1.76, axis=-1)
                assert np.median(apart) < 0.07, (capture.uid, joint)
        if capture.floor_known:
            standing = moved.position_m[moved.contacts.any(1), 2]
            assert 0.05 < float(standing.min()) < float(standing.max()) < 1.1
