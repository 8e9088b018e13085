"""Conditions of frames: measured from the truth, and classed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from model.evaluate.conditions import classify, conditions_of, view_deg
from model.evaluate.motion import Motion
from tests.model.evaluate.people import STANDING, still


def turned(degrees: float) -> Motion:
    """The standing person turned about the vertical through the hips; at 0 the left side is at the picture's right."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    joints = (STANDING - [0, 0, 2]) @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]).T + [0, 0, 2]
    return Motion(10.0, np.repeat(joints[None], 3, 0))


@pytest.mark.parametrize("degrees", [0, 30, 90, 150, 180, 270])
def test_view_is_the_angle_to_the_camera(degrees: float) -> None:
    assert view_deg(turned(degrees)) == pytest.approx(min(degrees, 360 - degrees), abs=1e-4)


def test_speed_counts_the_walk_but_not_the_camera() -> None:
    walk = np.zeros((8, 1, 3))
    walk[:, 0, 0] = 0.05 * np.arange(8)
    truth = replace(still(), joints12_cam_m=still().joints12_cam_m + walk)
    assert conditions_of(truth, {}).numbers["motion"] == pytest.approx(0.5)
    cameras = np.repeat(np.eye(4)[None], 8, 0)
    cameras[:, :3, 3] = -walk[:, 0]
    assert conditions_of(replace(truth, camera_to_world=cameras), {}).numbers["motion"] == pytest.approx(0)


def test_what_the_clip_tells_and_what_nobody_knows() -> None:
    visible = np.ones((8, 12), bool)
    visible[4:, :6] = False
    found = conditions_of(
        replace(still(), visible12=visible), {"light": 0.1, "person_height_px": 300.0, "action": "squat", "x": 1}
    )
    assert found.classes["occlusion"].tolist() == ["free"] * 4 + ["much hidden"] * 4
    assert set(found.classes["light"]) == {"dim"}
    assert set(found.classes["size"]) == {"medium"}
    assert set(found.classes["action"]) == {"squat"}
    assert set(found.classes["view"]) == {"front"}
    bare = conditions_of(still(1), {})
    assert set(bare.classes) == {"motion", "view"}
    assert bare.classes["motion"].tolist() == [""]


def test_limits_belong_to_the_class_above() -> None:
    assert classify("motion", np.array([0.0, 0.29, 0.3, 0.99, 1.0, 50.0, np.nan])).tolist() == [
        "slow", "slow", "medium", "medium", "fast", "fast", "",
    ]  # fmt: skip
