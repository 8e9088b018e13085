"""Skin metrics against values computed by hand, and distances against a search through all triangles."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model.evaluate import surface
from model.evaluate.motion import Motion
from model.evaluate.suites import made_truth
from tests.model.evaluate.people import still

SQUARE = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
QUADS = np.array([[0, 1, 2, 3]])


def sheet(height_m: float, frames: int = 2) -> Motion:
    """A square of a square metre, ``height_m`` along z."""
    skin = np.repeat((SQUARE + [0, 0, height_m])[None], frames, 0).astype(np.float32)
    return replace(still(frames), vertices_cam_m=skin, quads=QUADS)


def test_per_vertex_error_lays_the_hips_on_each_other() -> None:
    truth, estimate = sheet(0), sheet(0)
    estimate.vertices_cam_m[:, 2, 0] += 0.02
    assert surface.pve_mm(truth, estimate).value() == pytest.approx(20 / 4, abs=1e-3)
    shifted = replace(
        estimate, vertices_cam_m=estimate.vertices_cam_m + 0.5, joints12_cam_m=estimate.joints12_cam_m + 0.5
    )
    assert surface.pve_mm(truth, shifted).value() == pytest.approx(5, abs=1e-3)


def test_per_vertex_error_of_the_vertices_that_the_truth_keeps() -> None:
    estimate = sheet(0)
    estimate.vertices_cam_m[:, 2, 0] += 0.02
    kept = replace(sheet(0), vertices_cam_m=sheet(0).vertices_cam_m[:, [1, 2]], vertex_index=np.array([1, 2]))
    assert surface.pve_mm(kept, estimate).value() == pytest.approx(10, abs=1e-3)
    other_body = replace(estimate, vertices_cam_m=np.zeros((2, 9, 3), np.float32))
    assert surface.pve_mm(sheet(0), other_body) is None
    assert surface.pve_mm(sheet(0), still(2)) is None
    assert surface.pve_mm(kept, kept).value() == 0


def test_chamfer_between_parallel_sheets_is_their_distance() -> None:
    assert surface.chamfer_mm(sheet(0), sheet(0.03)).value() == pytest.approx(30, abs=1e-3)
    assert surface.chamfer_mm(sheet(0), still(2)) is None


def test_chamfer_goes_both_ways() -> None:
    """From half a sheet to the whole 0; back, half of the points are 250 mm away on average: 125, halved."""
    half = sheet(0)
    half.vertices_cam_m[:, [1, 2], 0] = 0.5
    assert surface.chamfer_mm(sheet(0), half).value() == pytest.approx(62.5, rel=0.05)
    assert surface.chamfer_mm(half, sheet(0)).value() == surface.chamfer_mm(sheet(0), half).value()


def test_chamfer_of_another_mesh_of_the_same_surface_is_nothing() -> None:
    finer = np.array([[0, 0, 0], [0.5, 0, 0], [1, 0, 0], [1, 1, 0], [0.5, 1, 0], [0, 1, 0.0]], np.float32)
    other = replace(still(2), vertices_cam_m=np.repeat(finer[None], 2, 0), quads=np.array([[0, 1, 4, 5], [1, 2, 3, 4]]))
    assert surface.chamfer_mm(sheet(0), other).value() == pytest.approx(0, abs=1e-6)
    assert surface.pve_mm(sheet(0), other) is None


def test_chamfer_looks_at_a_few_frames_of_a_long_clip() -> None:
    found = surface.chamfer_mm(sheet(0, 100), sheet(0.01, 100))
    assert found.weight.sum() == surface.CHAMFER_FRAMES
    assert found.weight[[0, 99]].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("point", "distance"),
    [([0.2, 0.2, 0.5], 0.5), ([-1, 0.5, 0], 1), ([-3, -4, 0], 5), ([1, 1, 0], np.sqrt(0.5)), ([2, 0, 1], np.sqrt(2))],
)
def test_distance_from_a_triangle(point: list[float], distance: float) -> None:
    a, b, c = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    found = surface.point_triangle_distance(np.array(point), a, b, c)
    assert found == pytest.approx(distance)
    assert surface.point_triangle_distance(np.array(point), c, b, a) == pytest.approx(distance)


def test_distance_from_a_triangle_without_area_is_that_from_a_line() -> None:
    a, b = np.array([0.0, 0, 0]), np.array([1.0, 0, 0])
    assert surface.point_triangle_distance(np.array([0.5, 2.0, 0]), a, b, b) == pytest.approx(2)


def test_samples_follow_the_area() -> None:
    vertices = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [5, 0, 0], [8, 0, 0], [5, 1, 0]])
    points = surface.sample_surface(vertices, np.array([[0, 1, 2], [3, 4, 5]]), 4000, 0)
    assert (points[:, 0] >= 5).mean() == pytest.approx(0.75, abs=0.02)
    first = points[points[:, 0] < 5]
    assert first.mean(0) == pytest.approx([1 / 3, 1 / 3, 0], abs=0.02)
    assert (first[:, 0] + first[:, 1]).max() <= 1 + 1e-9
    assert np.array_equal(points, surface.sample_surface(vertices, np.array([[0, 1, 2], [3, 4, 5]]), 4000, 0))


def test_nearest_triangles_are_enough_on_a_body(repo_root: Path, assets: Path) -> None:
    """On the body's mesh, whose triangles differ in size, the search among near ones finds what a full search finds."""
    truth = made_truth(repo_root / "tests" / "data" / "demo_clip_truth.npz")
    skin, faces = truth.vertices_cam_m[100].astype(float), surface.triangles(truth.quads)
    rng = np.random.default_rng(0)
    points = skin[rng.integers(0, len(skin), 40)] + 0.05 * rng.standard_normal((40, 3))
    found = surface.surface_distance(points, skin, faces)
    a, b, c = (skin[faces[:, corner]] for corner in range(3))
    full = np.array([surface.point_triangle_distance(point, a, b, c).min() for point in points])
    assert np.abs(found - full).max() < 1e-4
    assert full.max() > 0.02


def test_penetration_is_the_lowest_vertex_under_the_method_s_own_ground() -> None:
    cameras = np.repeat(np.eye(4)[None], 2, 0)
    cameras[:, 2, 3] = [0.0, -0.03]
    estimate = replace(sheet(0.01), camera_to_world=cameras)
    assert surface.penetration_mm(still(2), estimate).total == pytest.approx([0, 20], abs=1e-3)
    assert surface.penetration_mm(still(2), sheet(0)) is None
    unseen = replace(estimate, joints12_cam_m=np.full((2, 12, 3), np.nan))
    assert surface.penetration_mm(still(2), unseen).weight.sum() == 0
