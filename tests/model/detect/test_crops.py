"""Turned crops: geometry, pixels, smoothing."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from model.detect.crops import MARGIN, crops_from_keypoints, cut_out, interpolate, smooth, to_frame


@pytest.mark.parametrize(
    ("rim", "angle_deg"), [((0, -100), 0), ((100, 0), 90), ((0, 100), 180), ((-100, 0), -90), ((70.7, -70.7), 45)]
)
def test_a_crop_stands_upright_on_the_body_s_axis(rim: tuple[float, float], angle_deg: float) -> None:
    center = np.array([[300.0, 200.0]])
    (crop,) = crops_from_keypoints(center, center + rim)
    assert crop[:2] == pytest.approx([300, 200])
    assert crop[2] == pytest.approx(2 * MARGIN * 100, rel=1e-3)
    assert np.degrees(crop[3]) == pytest.approx(angle_deg)
    up = to_frame(np.array([[[0.5, 0.5 - 100 / crop[2]]]]), crop[None])[0, 0]
    assert up == pytest.approx(np.array([300, 200]) + rim, abs=0.2)


@pytest.mark.parametrize("angle_deg", [0, 30, 120, -75])
def test_pixels_lie_where_points_do(angle_deg: float) -> None:
    rgb = np.zeros((400, 600, 3), np.uint8)
    spot = (350, 180)
    cv2.circle(rgb, spot, 5, (255, 255, 255), -1)
    crop = np.array([320.0, 200.0, 256.0, np.radians(angle_deg)])
    patch = cut_out(rgb, crop, 256, cv2.BORDER_CONSTANT)
    rows, columns = np.nonzero(patch[..., 0] > 127)
    found = to_frame(np.array([[[columns.mean() / 256, rows.mean() / 256]]]), crop[None])[0, 0]
    assert found == pytest.approx(spot, abs=0.1)


def test_outside_the_frame_the_border_is_as_asked() -> None:
    rgb = np.full((50, 50, 3), 200, np.uint8)
    crop = np.array([0.0, 25.0, 40.0, 0.0])
    assert cut_out(rgb, crop, 40, cv2.BORDER_CONSTANT)[:, 5].max() == 0
    assert cut_out(rgb, crop, 40, cv2.BORDER_REPLICATE)[:, 5].min() == 200


def test_equals_the_reference_s_sampling() -> None:
    """The reference maps the crop's four corners onto the whole picture's with a perspective warp."""
    rgb = np.random.default_rng(0).integers(0, 255, (300, 300, 3)).astype(np.uint8)
    rgb = cv2.GaussianBlur(rgb, (0, 0), 4)
    x, y, side, angle = 140.0, 160.0, 200.0, 0.6
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    corners = np.array([[-0.5, 0.5], [-0.5, -0.5], [0.5, -0.5], [0.5, 0.5]]) * side @ turn.T + [x, y]
    target = np.array([[0, 256], [0, 0], [256, 0], [256, 256]], np.float32)
    matrix = cv2.getPerspectiveTransform(corners.astype(np.float32), target)
    expected = cv2.warpPerspective(rgb, matrix, (256, 256), borderMode=cv2.BORDER_REPLICATE)
    found = cut_out(rgb, np.array([x, y, side, angle]), 256, cv2.BORDER_REPLICATE)
    assert np.abs(found.astype(int) - expected).max() <= 2


def test_interpolation_goes_the_short_way_round() -> None:
    crops = np.array([[0, 0, 100, np.radians(170)], [10, 20, 400, np.radians(-170)]])
    (crop,) = interpolate(np.array([0.0, 1.0]), crops, np.array([0.5]))
    assert crop[:3] == pytest.approx([5, 10, 200])
    assert abs(np.degrees(crop[3])) == pytest.approx(180)


def test_smoothing_follows_steady_motion_and_calms_noise() -> None:
    times = np.arange(60) / 10
    random = np.random.default_rng(1)
    true = np.column_stack([50 + 100 * times, 300 - 40 * times, np.full(60, 250.0), 0.1 * times])
    noisy = true + random.normal(0, [8, 8, 8, 0.03], true.shape)
    wanted = np.linspace(0, 5.9, 119)
    steady = smooth(times, true, np.ones(60), 0.12, wanted)
    exact = np.column_stack([50 + 100 * wanted, 300 - 40 * wanted, np.full(119, 250.0), 0.1 * wanted])
    assert np.abs(steady[10:-10] - exact[10:-10]).max() < 0.5
    assert np.abs(steady - exact).max() < 6, "the ends hold back a little"
    calm = smooth(times, noisy, np.ones(60), 0.12, times)
    assert np.abs(calm - true).std(0)[0] < 0.75 * np.abs(noisy - true).std(0)[0]


def test_smoothing_a_single_crop_keeps_it() -> None:
    crop = np.array([[10.0, 20.0, 30.0, 0.4]])
    assert smooth(np.array([2.0]), crop, np.ones(1), 0.12, np.array([1.5, 2.0, 9.0])) == pytest.approx(
        np.repeat(crop, 3, 0)
    )
