"""The painter: what is in front covers what is behind, at the right pixels."""

from __future__ import annotations

import numpy as np

from amr_blender.contract.spaces import intrinsics
from model.synth.render.painter import Paint, paint

K = intrinsics(100.0, 80, 60)
LIGHT = np.array([0.0, 0.0, -1.0])


def square(half_m: float, z_m: float, x_m: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    corners = np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]]) * half_m
    points = np.column_stack([corners[:, 0] + x_m, corners[:, 1], np.full(4, z_m)])
    return points, np.array([[0, 3, 2, 1]]) if _faces_away(points) else np.array([[0, 1, 2, 3]])


def _faces_away(points: np.ndarray) -> bool:
    return bool(np.cross(points[2] - points[0], points[3] - points[1])[2] > 0)


def test_places_a_square_where_the_camera_sees_it() -> None:
    points, polygons = square(0.2, 2.0, 0.1)
    picture = paint([Paint(points, polygons, np.array([1.0, 0, 0]))], K, np.zeros((60, 80, 3), np.uint8), LIGHT)
    rows, columns = np.nonzero(picture[..., 0] > 140)  # more than half covered
    # x: (0.1 +- 0.2) / 2 * 100 + 40 = 35 to 55; y: +-10 around 30
    assert (columns.min(), columns.max()) == (35, 54)
    assert (rows.min(), rows.max()) == (20, 39)
    assert not picture[..., 1].any()


def test_nearer_covers_farther_whatever_the_order() -> None:
    near, far = Paint(*square(0.1, 1.5), np.array([0, 1.0, 0])), Paint(*square(0.4, 2.0), np.array([1.0, 0, 0]))
    background = np.zeros((60, 80, 3), np.uint8)
    first, second = paint([near, far], K, background, LIGHT), paint([far, near], K, background, LIGHT)
    np.testing.assert_array_equal(first, second)
    assert first[30, 40, 1] > 100
    assert first[30, 40, 0] == 0


def test_backs_and_what_is_behind_the_camera_are_not_drawn() -> None:
    points, polygons = square(0.2, 2.0)
    back = Paint(points, polygons[:, ::-1], np.ones(3))
    behind = Paint(points * [1, 1, -1], polygons[:, ::-1], np.ones(3))
    background = np.full((60, 80, 3), 7, np.uint8)
    np.testing.assert_array_equal(paint([back, behind], K, background, LIGHT), background)
