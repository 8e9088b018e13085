"""Lens and vertical from the edges of a scene, against cameras that are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from amr_blender.contract.job import Job
from model.detect import Background
from model.estimate import SCENE_LINES, estimate
from model.estimate.scene_camera import SceneCamera, camera_from_lines
from model.estimate.support_terms import POINT_NAMES
from model.estimate.world import find_ground
from model.video import VideoInfo
from tests.model.moving_camera import still_camera

from .conftest import FOCAL_PX, FPS, PITCH, SIZE_PX

PIXEL = 1 / 960


def held(pitch_deg: float, roll_deg: float, yaw_deg: float) -> np.ndarray:
    """(3, 3) world axes as rows, camera axes: two level ones, then up; the camera looks up by ``pitch_deg``."""
    pitch, roll, yaw = np.radians([pitch_deg, roll_deg, yaw_deg])
    up = np.array([np.sin(roll) * np.cos(pitch), -np.cos(roll) * np.cos(pitch), np.sin(pitch)])
    ahead = np.array([0.0, 0.0, 1.0]) - up[2] * up
    ahead /= np.linalg.norm(ahead)
    aside = np.cross(ahead, up)
    return np.stack([np.cos(yaw) * ahead + np.sin(yaw) * aside, np.cos(yaw) * aside - np.sin(yaw) * ahead, up])


def edges(axes: np.ndarray, focal: float, counts: tuple[int, ...], clutter: int, seed: int) -> np.ndarray:
    """(N, 2, 2) edges along each of ``axes``, seen with an error of a third of a pixel, and others that run anyhow."""
    rng, found = np.random.default_rng(seed), []
    for axis, count in zip(axes, counts, strict=True):
        while sum(1 for _, one in found if one is axis) < count:
            middle = rng.uniform([-2.5, -2, 2.5], [2.5, 2, 7])
            ends = middle + np.outer([-0.5, 0.5], axis) * rng.uniform(0.4, 2.0)
            if ends[:, 2].min() < 1:
                continue
            seen = focal * ends[:, :2] / ends[:, 2:] + rng.normal(0, PIXEL / 3, (2, 2))
            if np.abs(seen).max() < 0.5 and np.linalg.norm(seen[1] - seen[0]) > 0.035:
                found.append((seen, axis))
    lines = [seen for seen, _ in found]
    for _ in range(clutter):
        middle, angle = rng.uniform(-0.4, 0.4, 2), rng.uniform(0, np.pi)
        lines.append(middle + np.outer([-0.5, 0.5], [np.cos(angle), np.sin(angle)]) * rng.uniform(0.04, 0.15))
    return np.stack(lines)


def off_deg(scene: SceneCamera, up: np.ndarray) -> float:
    """Between the vertical and what is nearest to it."""
    return float(np.degrees(np.arccos(np.clip(np.abs(scene.axes @ up).max(), -1, 1))))


@pytest.mark.parametrize(
    ("pitch", "roll", "yaw", "focal"),
    [(-20, 0, 30, 0.9), (-12, 15, 55, 1.3), (8, -4, 40, 1.05), (-35, 90, 20, 0.8), (-10, 2, 45, 2.0)],
)
def test_a_room_tells_lens_and_vertical(pitch: float, roll: float, yaw: float, focal: float) -> None:
    """Half of the lines are clutter; the fourth camera is held upright, on its side."""
    axes = held(pitch, roll, yaw)
    scene = camera_from_lines(edges(axes, focal, (25, 25, 25), 75, 3))
    assert scene.focal == pytest.approx(focal, rel=0.06)
    assert abs(np.log(scene.focal / focal)) < 2.5 * scene.focal_sigma
    assert off_deg(scene, axes[2]) < 1.5
    assert len(scene.axes) == 3


def test_lines_that_run_anyhow_tell_no_lens() -> None:
    for seed in range(6):
        assert camera_from_lines(edges(np.eye(3), 1.0, (0, 0, 0), 120, seed)).focal is None


def test_a_fence_tells_the_vertical_alone() -> None:
    """All posts upright, the camera level: how long the lens is they can't show."""
    axes = held(0, 3, 30)
    scene = camera_from_lines(edges(axes, 1.0, (0, 0, 60), 15, 1))
    assert scene.focal is None
    assert off_deg(scene, axes[2]) < 1.5


def test_few_lines_tell_nothing() -> None:
    axes = held(-20, 0, 30)
    for lines in (edges(axes, 1.0, (6, 6, 6), 0, 2), np.zeros((0, 2, 2))):
        scene = camera_from_lines(lines)
        assert scene.focal is None
        assert len(scene.axes) == 0


def standing() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(30, N, 3) an upright column of points before a level camera, feet below, what rests, and who is there."""
    points = torch.zeros((30, len(POINT_NAMES), 3), dtype=torch.float64)
    points[..., 2] = 4.0
    for index, name in enumerate(POINT_NAMES):
        low = name.startswith(("heel", "toe", "l_heel", "r_heel", "l_foot", "r_foot"))
        points[:, index, 1] = 1.0 if low else -0.3
    resting = torch.zeros((30, 10), dtype=torch.float64)
    resting[:, :4] = 1.0
    return points, resting, torch.ones(30, dtype=torch.bool)


@pytest.mark.parametrize(("roll", "follows"), [(8.0, True), (60.0, False)])
def test_the_scene_tells_up_where_the_body_nearly_agrees(roll: float, follows: bool) -> None:
    """A direction far from how the body stands is another edge of the room, or of what is not square."""
    points, resting, present = standing()
    up = np.array([np.sin(np.radians(roll)), -np.cos(np.radians(roll)), 0.0])
    scene = SceneCamera(None, np.inf, -up[None], np.array([0.02]))  # the opposite will do
    alone = find_ground(points, resting, present, FPS).up
    told = find_ground(points, resting, present, FPS, scene=scene).up
    away = np.degrees(np.arccos(float(told @ torch.from_numpy(up))))
    assert away < 2.0 if follows else torch.equal(told, alone)


def test_the_take_says_that_the_lens_is_the_scenes(scene, space) -> None:
    axes, focal = held(-np.degrees(PITCH), 0, 40), FOCAL_PX / max(SIZE_PX)
    still = still_camera(len(scene.landmarks.frames), SIZE_PX)
    background = Background(still, edges(axes, focal, (30, 30, 30), 20, 5))
    info = VideoInfo("clip", *SIZE_PX, FPS, len(scene.landmarks.frames), 0, "", None)

    def meta(seen: Background | None, focal_px: float | None = None) -> dict[str, Any]:
        job = Job("clip.mp4", "take.npz", quality="draft", focal_px=focal_px)
        return estimate(scene.landmarks, space.body, info, job, lambda *_: None, background=seen).meta

    alone, told, given = meta(None), meta(background), meta(background, 1000.0)
    assert [one["focal_source"] for one in (alone, told, given)] == ["estimated", SCENE_LINES, "given"]
    assert given["camera"]["focal_px"] == 1000.0
    assert told["camera"]["focal_px"] == pytest.approx(FOCAL_PX, rel=0.06)
    ranges = [one["camera"]["focal_high_px"] / one["camera"]["focal_low_px"] for one in (told, alone)]
    assert ranges[0] < 1.2 < ranges[1]
