"""A camera that turns: out of the landmarks, into the take's camera."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from amr_blender.contract.job import Job
from amr_blender.contract.spaces import project_px, transform
from amr_blender.contract.take import Take
from model.detect import Background, CameraMotion, Landmarks
from model.estimate import Plan, estimate, solved
from model.estimate.camera_turns import LARGEST_SHIFT, CameraTurns, camera_turns
from model.refine.clip import Clip
from model.video import VideoInfo
from tests.model.moving_camera import moving_camera, still_camera

from .conftest import FOCAL_PX, FPS, SIZE_PX

LONGER = max(SIZE_PX)
FRAMES = np.arange(45, dtype=np.int32)
T = FRAMES / FPS
SHIFT = np.column_stack([0.12 * np.sin(4 * T), 0.05 * np.cos(7 * T)])
ROLL = 0.06 * np.sin(5 * T)
NO_LINES = np.zeros((0, 2, 2), np.float32)


def test_turns_put_the_middle_where_the_picture_has_it() -> None:
    focal = FOCAL_PX / LONGER
    turns = CameraTurns(SHIFT, ROLL).matrices(focal)
    np.testing.assert_allclose(turns @ np.swapaxes(turns, 1, 2), np.broadcast_to(np.eye(3), turns.shape), atol=1e-12)
    ahead = turns[:, :, 2]
    np.testing.assert_allclose(focal * ahead[:, :2] / ahead[:, 2:], SHIFT, atol=1e-12)
    rolled = CameraTurns(0 * SHIFT, ROLL).matrices(focal) @ [1.0, 0, 0]
    np.testing.assert_allclose(np.arctan2(rolled[:, 1], rolled[:, 0]), ROLL, atol=1e-12)  # y is down: clockwise


def filmed(landmarks: Landmarks, turns: CameraTurns) -> Landmarks:
    """What a camera that turns sees of what a still one sees."""
    middle = np.array(SIZE_PX) / 2
    rays = np.concatenate([(landmarks.px - middle) / FOCAL_PX, np.ones_like(landmarks.px[..., :1])], -1)
    seen = np.einsum("tij,tlj->tli", turns.matrices(FOCAL_PX / LONGER), rays)
    cosine, sine = np.cos(turns.roll_rad)[:, None], np.sin(turns.roll_rad)[:, None]
    x, y, z = np.moveaxis(landmarks.world_m, -1, 0)
    world_m = np.stack([cosine * x - sine * y, sine * x + cosine * y, z], -1)
    px = seen[..., :2] / seen[..., 2:] * FOCAL_PX + middle
    return replace(landmarks, px=px.astype(np.float32), world_m=world_m.astype(np.float32))


def test_landmarks_are_where_a_still_camera_has_them(scene) -> None:
    turns = CameraTurns(SHIFT, ROLL)
    steady = turns.steadied(filmed(scene.landmarks, turns), FOCAL_PX)
    np.testing.assert_allclose(steady.px, scene.landmarks.px, atol=0.01)
    np.testing.assert_allclose(steady.world_m, scene.landmarks.world_m, atol=1e-6)
    there = turns.shift_px(scene.landmarks.px[:, 0], FOCAL_PX, SIZE_PX) + scene.landmarks.px[:, 0]
    np.testing.assert_allclose(there, filmed(scene.landmarks, turns).px[:, 0], atol=0.01)


def test_the_still_camera_looks_at_the_middle_of_the_way() -> None:
    turns = camera_turns(moving_camera(SHIFT + [0.3, 0.1], SIZE_PX, ROLL), FRAMES)
    assert turns is not None
    np.testing.assert_allclose(turns.shift.max(0), -turns.shift.min(0), atol=1e-9)
    np.testing.assert_allclose(np.diff(turns.shift, axis=0), np.diff(SHIFT, axis=0), atol=1e-9)
    np.testing.assert_allclose(turns.roll_rad, ROLL, atol=1e-9)


@pytest.mark.parametrize(
    ("kind", "scale", "other"),
    [
        ("", 1.0, {}),
        ("zoom", 1.0, {"zoom": 1 + 0.3 * T}),
        ("pan", 1.0, {"zoom": 1 + 0.3 * T}),
        ("pan", 2.5 * LARGEST_SHIFT / np.ptp(SHIFT[:, 0]), {}),
        ("pan", 1.0, {"stretches": (FRAMES > 20).astype(np.int32)}),
        ("pan", 1.0, {"known": FRAMES % 2 == 0}),
    ],
    ids=["still", "zooms", "zooms too", "far", "lost in between", "mostly unknown"],
)
def test_what_cannot_be_undone_is_left(kind: str, scale: float, other: dict[str, Any]) -> None:
    assert camera_turns(moving_camera(scale * SHIFT, SIZE_PX, ROLL, kind, **other), FRAMES) is None


def test_a_moment_without_a_background_is_bridged() -> None:
    known = ~np.isin(FRAMES, (20, 21))
    turns = camera_turns(moving_camera(SHIFT, SIZE_PX, ROLL, known=known), FRAMES)
    assert turns is not None
    whole = camera_turns(moving_camera(SHIFT, SIZE_PX, ROLL), FRAMES)
    assert whole is not None
    np.testing.assert_allclose(turns.shift, whole.shift, atol=0.01)


def take_of(landmarks: Landmarks, space: Any, motion: CameraMotion) -> Take:
    info = VideoInfo("clip", *SIZE_PX, FPS, len(FRAMES), 0, "", None)
    job = Job("clip.mp4", "take.npz", quality="standard", focal_px=FOCAL_PX)
    return estimate(landmarks, space.body, info, job, lambda *_: None, background=Background(motion, NO_LINES))


def test_what_refines_looks_where_the_picture_has_the_body(scene, space) -> None:
    """Landmarks of the frames, through the cameras of the crops, are where the crops are said to have them."""
    shaken = filmed(scene.landmarks, CameraTurns(SHIFT, ROLL))
    info = VideoInfo("clip", *SIZE_PX, FPS, len(FRAMES), 0, "", None)
    job = Job("clip.mp4", "take.npz", focal_px=FOCAL_PX)
    background = Background(moving_camera(SHIFT, SIZE_PX, ROLL), NO_LINES)
    clip = Clip(space, solved(shaken, space, info, job, Plan(network=True, fit=False), background=background))
    told = clip.frames(slice(None))["landmarks"].numpy()

    def off(cameras: np.ndarray) -> float:
        to_crop = clip.crop_K.numpy() @ np.linalg.inv(cameras)
        seen = shaken.px @ np.swapaxes(to_crop[:, :2, :2], 1, 2) + to_crop[:, None, :2, 2]
        return float(np.linalg.norm(seen - told, axis=-1).max())

    assert off(clip.frame_K) < 0.04  # a roll of up to 3 degrees is left in the crop
    assert off(np.broadcast_to(clip.picture_K, clip.frame_K.shape)) > 0.12


def test_the_camera_turns_and_the_body_does_not(scene, space) -> None:
    """The motion in the world is that of the still camera's take; the take's camera sees the landmarks where they are;
    with the camera taken for still, the foot that stands slides."""
    turns = CameraTurns(SHIFT, ROLL)
    shaken = filmed(scene.landmarks, turns)
    still = take_of(scene.landmarks, space, still_camera(len(SHIFT), SIZE_PX))
    found = take_of(shaken, space, moving_camera(SHIFT, SIZE_PX, ROLL))
    fooled = take_of(shaken, space, still_camera(len(SHIFT), SIZE_PX))

    def path(take: Take) -> np.ndarray:
        return take.translation_m - take.translation_m.mean(0)

    assert np.linalg.norm(path(found) - path(still), axis=1).mean() < 0.03
    assert np.linalg.norm(path(fooled) - path(still), axis=1).mean() > 0.1
    own = list(zip(found.camera_to_world, found.joints12_cam_m.astype(float), strict=True))
    ankle = np.stack([transform(camera, joints)[0] for camera, joints in own])
    assert np.linalg.norm(np.diff(ankle, axis=0), axis=1).mean() * FPS < 0.05  # m/s; the right foot stands
    assert found.meta["warnings"][-1]["code"] == "camera-turns"
    assert fooled.meta["warnings"] == still.meta["warnings"] == []
    assert np.ptp(found.camera_to_world[:, :3, :3], axis=0).max() > 0.1
    assert np.ptp(found.camera_to_world[:, :3, 3], axis=0).max() < 1e-9
    knees = [1, 4]  # of the twelve joints; 26 and 25 of the landmarks
    seen = project_px(found.joints12_cam_m[:, knees].astype(float), found.K)
    assert np.linalg.norm(seen - shaken.px[:, [26, 25]], axis=-1).mean() < 8
    np.testing.assert_allclose(found.landmarks_px, shaken.px)
