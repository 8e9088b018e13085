"""Clips filmed again by a camera that turns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from amr_blender.contract.spaces import project_px
from model.evaluate.motion import Motion, in_world
from model.evaluate.suites import Clip, made_truth
from model.evaluate.turned import moves, turned, write
from model.video import Video
from tests.model.clips import write_clip
from tests.model.evaluate.people import still

FRAMES, FPS, SIZE = 12, 12.0, (512, 384)


def known() -> Motion:
    """Somebody before a camera that is known, 640 x 480 pixels."""
    cameras = np.repeat(np.eye(4)[None], FRAMES, 0)
    return replace(still(FRAMES, FPS), camera_to_world=cameras, standing=np.ones((FRAMES, 2), bool))


@pytest.mark.parametrize("name", ["pan", "hand"])
def test_joints_are_where_the_pictures_are_warped_to(name: str) -> None:
    truth, turns = known(), moves(np.arange(FRAMES) / FPS)[name]
    arrays, maps = turned(truth, turns, SIZE)
    there = project_px(truth.joints12_cam_m, truth.K)
    warped = np.stack([cv2.perspectiveTransform(px[None], m)[0] for px, m in zip(there, maps, strict=True)])
    np.testing.assert_allclose(project_px(arrays["joints12_cam_m"], arrays["K"]), warped, atol=1e-6)
    assert np.abs(np.diff(warped, axis=0)).max() > 1


def test_in_the_world_nothing_moves() -> None:
    truth = known()
    arrays, _ = turned(truth, moves(np.arange(FRAMES) / FPS)["hand"], SIZE)
    again = Motion(FPS, arrays["joints12_cam_m"], camera_to_world=arrays["camera_to_world"])
    np.testing.assert_allclose(in_world(again.joints12_cam_m, again), truth.joints12_cam_m, atol=1e-9)


def test_a_claim_is_held_to_its_own_camera() -> None:
    """Who takes the camera for still has the person move; who has it turn the other way, twice as much."""
    truth = known()
    arrays, _ = turned(truth, moves(np.arange(FRAMES) / FPS)["pan"], SIZE)
    again = Motion(FPS, arrays["joints12_cam_m"], camera_to_world=arrays["camera_to_world"])
    fooled = replace(again, camera_to_world=np.repeat(again.camera_to_world[:1], FRAMES, 0))
    true, own, none = (
        in_world(again.joints12_cam_m, again, claim) for claim in (again, fooled, replace(again, camera_to_world=None))
    )
    assert np.ptp(true, axis=0).max() < 1e-9 < 0.1 < np.ptp(own, axis=0).max()
    np.testing.assert_allclose(none, true, atol=1e-9)


def test_a_clip_is_written_and_read(tmp_path: Path) -> None:
    """A bright square in the middle of the picture goes the way of the pan."""
    picture = np.full((480, 640, 3), 30, np.uint8)
    picture[220:260, 300:340] = 220
    video = write_clip(tmp_path / "still.mp4", [picture] * FRAMES, FPS)
    write(Clip("s", "d", "c", video, (), lambda: (known(), {})), tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["d_c_hand", "d_c_pan"]
    folder = tmp_path / "out" / "d_c_pan"
    truth = made_truth(folder / "truth.npz")
    assert truth.standing is not None and truth.standing.all()
    middles = [np.argwhere(frame.rgb[..., 1] > 120).mean(0)[::-1] for frame in Video(folder / "clip.mp4").frames()]
    assert len(middles) == FRAMES
    way = middles[-1] - middles[0]
    np.testing.assert_allclose(way, 512 * np.array([0.11, 0.05]), atol=2)


def test_what_is_filmed_by_an_unknown_camera_is_not_filmed_again() -> None:
    with pytest.raises(ValueError, match="known"):
        turned(still(FRAMES, FPS), moves(np.arange(FRAMES) / FPS)["pan"], SIZE)
