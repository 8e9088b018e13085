"""Conversions between spaces: each against a case that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from amr_blender.contract.rotations import matrix_from_quaternion
from amr_blender.contract.spaces import (
    blender_camera_matrix,
    blender_lens,
    camera_tilt_deg,
    focal_px_from_35mm_equivalent,
    focal_px_from_lens,
    intrinsics,
    invert_rigid,
    lens_from_focal_px,
    project_px,
    transform,
)


def test_a_point_ahead_lies_in_the_middle_of_the_frame() -> None:
    K = intrinsics(1000.0, 1920, 1080)
    points = np.array([[0.0, 0, 5], [0.5, 0, 5], [0, 0.25, 5], [0.96, 0.54, 1]])
    expected = [[960, 540], [1060, 540], [960, 590], [1920, 1080]]
    np.testing.assert_allclose(project_px(points, K), expected)


def test_lenses() -> None:
    assert focal_px_from_lens(36.0, 1920, 1080) == 1920
    assert focal_px_from_lens(36.0, 1080, 1920) == 1920
    assert lens_from_focal_px(focal_px_from_lens(35.0, 1280, 720), 1280, 720) == pytest.approx(35.0)
    # On a 3:2 frame diagonals and widths agree.
    assert focal_px_from_35mm_equivalent(50.0, 3000, 2000) == pytest.approx(focal_px_from_lens(50.0, 3000, 2000))


def test_rigid_transforms() -> None:
    random = np.random.default_rng(0)
    matrices = np.tile(np.eye(4), (7, 1, 1))
    matrices[:, :3, :3] = matrix_from_quaternion(random.normal(size=(7, 4)))
    matrices[:, :3, 3] = random.normal(size=(7, 3))
    np.testing.assert_allclose(invert_rigid(matrices) @ matrices, np.tile(np.eye(4), (7, 1, 1)), atol=1e-12)
    points = random.normal(size=(5, 3))
    np.testing.assert_allclose(transform(invert_rigid(matrices)[0], transform(matrices[0], points)), points)


def test_a_blender_camera_looks_along_its_negative_z() -> None:
    """An OpenCV camera that looks along the world's Y, upright, is a Blender camera turned by 90 degrees about X."""
    opencv = np.eye(4)
    opencv[:3, :3] = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]])  # columns: right, down, forward in the world
    blender = blender_camera_matrix(opencv)
    np.testing.assert_allclose(blender[:3, :3] @ [0, 0, -1], [0, 1, 0])
    np.testing.assert_allclose(blender[:3, :3] @ [0, 1, 0], [0, 0, 1])
    np.testing.assert_allclose(np.linalg.det(blender[:3, :3]), 1.0)


@pytest.mark.parametrize("horizontal", [True, False])
def test_blender_lens_of_a_centred_camera(horizontal: bool) -> None:
    lens, shift_x, shift_y = blender_lens(intrinsics(1920.0, 1920, 1080), 1920, 1080, horizontal)
    assert lens == pytest.approx(36.0 if horizontal else 36.0 * 1920 / 1080)
    assert (shift_x, shift_y) == (0, 0)


def test_blender_lens_of_a_shifted_camera() -> None:
    K = intrinsics(1920.0, 1920, 1080)
    K[0, 2] += 192.0
    _, shift_x, shift_y = blender_lens(K, 1920, 1080, True)
    assert (shift_x, shift_y) == (pytest.approx(-0.1), 0)


@pytest.mark.parametrize(("down", "rolled"), [(0, 0), (20, 0), (-35, 5), (10, -80)])
def test_tilt_of_a_camera(down: float, rolled: float) -> None:
    """Level and upright, then tilted down about its x axis, then turned clockwise about the axis it looks along."""
    level = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
    a, b = np.radians(-down), np.radians(rolled)
    tilted = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    turned = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    matrix = np.eye(4)
    matrix[:3, :3] = level @ tilted @ turned
    assert camera_tilt_deg(matrix) == pytest.approx((down, rolled), abs=1e-6)
