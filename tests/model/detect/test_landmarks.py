"""Raw outputs of the landmark network to pixels and metres."""

from __future__ import annotations

import numpy as np
import pytest

from model.detect.landmarks import OTHER_SIDE, decode, refine


def heatmap(peaks: dict[tuple[int, int], float]) -> np.ndarray:
    """(1, 64, 64, 1) logits of a map that is nothing but ``peaks`` (row, column)."""
    values = np.full((1, 64, 64, 1), -100.0, np.float32)
    for (row, column), value in peaks.items():
        values[0, row, column, 0] = np.log(value / (1 - value))
    return values


def test_a_clear_peak_nearby_draws_the_point() -> None:
    points = np.array([[[30.4 / 64, 20.2 / 64]]])
    (moved,) = refine(points, heatmap({(22, 33): 0.9, (22, 34): 0.9}))[0]
    assert moved == pytest.approx([33.5 / 64, 22 / 64])


def test_the_window_ends_four_cells_away() -> None:
    points = np.array([[[30.4 / 64, 20.2 / 64]]])
    assert refine(points, heatmap({(20, 34): 0.9}))[0, 0, 0] == pytest.approx(34 / 64)
    assert refine(points, heatmap({(20, 35): 0.9})) == pytest.approx(points)
    assert refine(points, heatmap({(25, 30): 0.9})) == pytest.approx(points)


def test_a_weak_peak_is_ignored() -> None:
    points = np.array([[[0.5, 0.5]]])
    assert refine(points, heatmap({(33, 32): 0.49})) == pytest.approx(points)


@pytest.mark.parametrize("point", [(-0.2, 0.5), (0.5, 1.0), (1.3, 1.3)])
def test_points_outside_stay(point: tuple[float, float]) -> None:
    points = np.array([[point]])
    assert refine(points, np.full((1, 64, 64, 1), 2.0, np.float32)) == pytest.approx(points)


def test_at_the_edge_the_window_is_cut() -> None:
    points = np.array([[[0.5 / 64, 0.5 / 64]]])
    moved = refine(points, np.full((1, 64, 64, 1), 2.0, np.float32))[0, 0]
    assert moved == pytest.approx([2 / 64, 2 / 64]), "the mean of columns 0 to 4"


def outputs(points: np.ndarray, world: np.ndarray) -> dict[str, np.ndarray]:
    landmarks = np.zeros((1, 39, 5), np.float32)
    landmarks[0, :, :2] = points * 256
    landmarks[0, :, 3], landmarks[0, :, 4] = 2.0, -2.0
    return {
        "landmarks": landmarks.reshape(1, 195),
        "presence": np.array([[0.75]], np.float32),
        "heatmaps": np.full((1, 64, 64, 39), -20, np.float32),
        "world": np.tile(world, (39, 1)).astype(np.float32).reshape(1, 117),
    }


def test_decodes_into_the_frame_and_turns_the_world_back() -> None:
    points = np.full((39, 2), 0.5)
    points[1] = [0.5, 0.25]  # above the middle of the crop
    points[34] = [0.5, 0.1]
    crop = np.array([[400.0, 300.0, 200.0, np.pi / 2]])  # lies on its right side: up is to the right
    pose = decode(outputs(points, np.array([0.0, -1.0, 0.3])), crop, 256)
    assert pose.px.shape == (1, 33, 2) and pose.world_m.shape == (1, 33, 3)
    assert pose.px[0, 0] == pytest.approx([400, 300])
    assert pose.px[0, 1] == pytest.approx([450, 300])
    assert pose.world_m[0, 5] == pytest.approx([1.0, 0.0, 0.3], abs=1e-6)
    assert pose.score == pytest.approx([0.75])
    assert pose.visibility[0, 0] == pytest.approx(0.8808, abs=1e-4)
    assert pose.presence[0, 0] == pytest.approx(0.1192, abs=1e-4)
    assert pose.crops[0] == pytest.approx([400, 300, 2.5 * 80, np.pi / 2])


def test_a_mirror_image_gives_the_pose_of_the_crop_itself() -> None:
    """The network sees a left wrist (15) at the left edge of the mirrored crop: it is the right wrist, at the right."""
    points = np.full((39, 2), 0.5)
    points[15], points[34] = [0.1, 0.4], [0.5, 0.1]
    seen = outputs(points, np.array([-0.5, 0.2, 0.3]))
    seen["landmarks"].reshape(39, 5)[15, 3] = 9.0
    crop = np.array([[400.0, 300.0, 200.0, 0.0]])
    pose = decode(seen, crop, 256, np.array([True]))
    assert pose.px[0, 16] == pytest.approx([400 + 0.4 * 200, 300 - 0.1 * 200])
    assert pose.px[0, 15] == pytest.approx([400, 300])
    assert pose.world_m[0, 16] == pytest.approx([0.5, 0.2, 0.3])
    assert pose.visibility[0, 16] > 0.99 > pose.visibility[0, 15]
    plain = decode(seen, crop, 256, np.array([False]))
    assert plain.px[0, 15] == pytest.approx([400 - 0.4 * 200, 300 - 0.1 * 200])


def test_a_mirrored_peak_lands_where_the_point_does() -> None:
    points = np.full((39, 2), 0.5)
    points[11] = [50.2 / 64, 20.2 / 64]
    seen = outputs(points, np.zeros(3))
    seen["heatmaps"][0, 20, 52, 11] = 10
    crop = np.array([[128.0, 128.0, 256.0, 0.0]])
    assert decode(seen, crop, 256, np.array([True])).px[0, 12] == pytest.approx(
        [256 * 12 / 64, 256 * 20 / 64], abs=0.01
    )


def test_sides_are_paired() -> None:
    assert OTHER_SIDE[[0, 2, 5, 11, 12, 31, 32]].tolist() == [0, 5, 2, 12, 11, 32, 31]
    assert (OTHER_SIDE[OTHER_SIDE] == np.arange(33)).all()
