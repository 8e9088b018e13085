"""Crops hold the body, keep steady, and are cut out where they say."""

from __future__ import annotations

import numpy as np
import torch

from model.refine.crops import crop_cameras, cut

K = torch.tensor([[900.0, 0, 320], [0, 900, 240], [0, 0, 1]], dtype=torch.float64)
CORNERS = torch.tensor([[-20.0, -60], [20, -60], [20, 60], [-20, 60]])


def person(centre: torch.Tensor) -> torch.Tensor:
    return centre[:, None] + CORNERS


def in_crop(px: torch.Tensor, crop_K: torch.Tensor) -> torch.Tensor:
    rays = torch.cat([(px - K[:2, 2].float()) / 900.0, torch.ones_like(px[..., :1])], -1)
    return (rays @ crop_K.mT)[..., :2]


def clip(frames: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A person walks to the right; time, centre, presence."""
    time_s = torch.arange(frames) / 25.0
    centre = torch.stack([100 + 150 * time_s, torch.full_like(time_s, 200.0)], 1)
    return time_s, centre, torch.ones(frames) > 0


def test_the_body_fills_the_crop_with_the_margin_about_it() -> None:
    time_s, centre, present = clip(40)
    points = person(centre)
    landmarks = centre[:, None].expand(-1, 33, -1)
    where = in_crop(points, crop_cameras(points, landmarks, present, time_s, K))
    assert where.min() > 0 and where.max() < 1
    height = where[:, 2, 1] - where[:, 0, 1]
    assert torch.allclose(height, torch.full_like(height, 1 / 1.25), atol=1e-3)


def test_landmarks_draw_the_crop_but_not_the_strayed_ones_and_not_of_the_absent() -> None:
    time_s, centre, present = clip(3)
    points, landmarks = person(centre), centre[:, None].repeat(1, 33, 1)
    plain = crop_cameras(points, landmarks, present, time_s, K)
    landmarks[:, 15, 1] += 75.0
    drawn = crop_cameras(points, landmarks, present, time_s, K)
    assert in_crop(landmarks, drawn)[:, 15, 1].max() < 0.95
    landmarks[:, 15, 1] += 4000.0
    strayed = crop_cameras(points, landmarks, present, time_s, K)
    assert (strayed[:, 0, 0] > 0.75 * plain[:, 0, 0]).all()
    assert torch.equal(crop_cameras(points, landmarks, ~present, time_s, K), plain)


def test_a_frame_that_jumps_moves_the_crop_little_and_is_still_held() -> None:
    time_s, centre, present = clip(40)
    calm = crop_cameras(person(centre), centre[:, None].expand(-1, 33, -1), present, time_s, K)
    centre[20, 0] += 12.0
    points = person(centre)
    jumped = crop_cameras(points, centre[:, None].expand(-1, 33, -1), present, time_s, K)
    shifts = (in_crop(centre[:, None], jumped)[:, 0, 0] - 0.5).abs()
    assert shifts[20] > 0.05 and shifts.median() < 0.01
    moved = (in_crop(centre[:, None], jumped) - in_crop(centre[:, None], calm))[:, 0, 0].abs()
    assert moved.max() < 0.01
    centre[20, 0] += 90.0
    points = person(centre)
    thrown = in_crop(points, crop_cameras(points, centre[:, None].expand(-1, 33, -1), present, time_s, K))
    assert thrown.min() > 0 and thrown.max() < 1


def test_a_body_behind_the_camera_gives_a_crop_all_the_same() -> None:
    time_s, centre, present = clip(3)
    points = person(centre)
    points[1] *= float("inf")
    assert crop_cameras(points, centre[:, None].expand(-1, 33, -1), present, time_s, K).isfinite().all()


def slope(width: int, height: int) -> np.ndarray:
    """A picture whose red is a ramp along x, green along y, of pixel centres at .5."""
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    return np.stack([x * 250 / width, y * 250 / height, np.full_like(x, 200)], -1).round().astype(np.uint8)


def test_pixels_are_those_of_their_place() -> None:
    for side, width in ((50.0, 200), (128.0, 640), (700.0, 1600)):
        picture = slope(width, width)
        x0, y0 = 0.3 * width, 0.21 * width
        crop = np.array([[1 / side, 0, -x0 / side], [0, 1 / side, -y0 / side], [0, 0, 1]])
        found = cut(picture, np.eye(3), crop, 128)
        centre = (np.arange(128) + 0.5) / 128 * side
        assert np.abs(found[64, :, 0] - (x0 + centre) * 250 / width).max() < 1.6
        assert np.abs(found[:, 64, 1] - (y0 + centre) * 250 / width).max() < 1.6


def test_what_lies_outside_the_picture_is_black() -> None:
    crop = np.array([[1 / 200, 0, 0.5], [0, 1 / 200, 0.5], [0, 0, 1]])
    found = cut(slope(300, 300), np.eye(3), crop, 128)
    assert found[:63].max() == 0 and found[:, :63].max() == 0 and found[66:, 66:, 2].min() == 200
    far = np.array([[1 / 200, 0, 90.0], [0, 1 / 200, 90.0], [0, 0, 1]])
    assert cut(slope(300, 300), np.eye(3), far, 128).max() == 0


def test_what_is_shrunk_is_averaged() -> None:
    picture = np.random.default_rng(0).integers(0, 2, (1024, 1024, 1), dtype=np.uint8).repeat(3, 2) * 255
    crop = np.diag([1 / 1024, 1 / 1024, 1.0])
    assert cut(picture, np.eye(3), crop, 128)[8:-8, 8:-8].std() < 20
