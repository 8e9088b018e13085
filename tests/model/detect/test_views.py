"""Several looks at one person, and what becomes of their disagreement."""

from __future__ import annotations

import numpy as np
import pytest

from model.detect.landmarks import Pose
from model.detect.views import OTHER_SIDE, combine, mirror_back, view_crops, views_for


def pose_of(px: np.ndarray, score: float = 0.9) -> Pose:
    """N poses (N, 33, 2) with everything else the same."""
    count = len(px)
    world = np.concatenate([px / 100, np.zeros((count, 33, 1))], axis=-1)
    crops = np.tile([100.0, 100.0, 250.0, 0.0], (count, 1))
    return Pose(px, np.full((count, 33), 0.8), np.full((count, 33), 0.7), np.full(count, score), world, crops)


def standing() -> np.ndarray:
    """(33, 2): limbs spread, each landmark at a place of its own."""
    px = np.random.default_rng(3).uniform(90, 110, (33, 2))
    px[11:33:2, 0] += 60
    px[12:33:2, 0] -= 60
    return px


def test_sides_are_paired() -> None:
    assert OTHER_SIDE[[0, 2, 5, 11, 12, 31, 32]].tolist() == [0, 5, 2, 12, 11, 32, 31]
    assert (OTHER_SIDE[OTHER_SIDE] == np.arange(33)).all()


@pytest.mark.parametrize(("quality", "count"), [("draft", 1), ("standard", 2), ("best", 4)])
def test_every_quality_has_its_views(quality: str, count: int) -> None:
    views = views_for(quality)
    assert len(views) == count
    crops = view_crops(np.array([10.0, 20.0, 100.0, 0.3]), views)
    assert crops.shape == (count, 4)
    assert crops.mean(0) == pytest.approx([10, 20, 100, 0.3], rel=0.05)


def test_an_unknown_quality() -> None:
    with pytest.raises(KeyError):
        views_for("fabulous")


def test_agreeing_views_are_averaged() -> None:
    px = np.stack([standing(), standing() + 4])
    chosen = combine(pose_of(px), 2).choose(0, None)
    assert chosen.px[0] == pytest.approx(standing() + 2)
    assert chosen.world_m[0, :, :2] == pytest.approx((standing() + 2) / 100)


def test_where_sides_disagree_the_view_that_continues_the_motion_is_taken() -> None:
    right, wrong = standing(), standing()[OTHER_SIDE]
    candidates = combine(pose_of(np.stack([wrong, right])), 2)
    assert candidates.choose(0, right + 3).px[0] == pytest.approx(right)
    assert candidates.choose(0, wrong + 3).px[0] == pytest.approx(wrong)
    assert candidates.choose(0, None).px[0] == pytest.approx(wrong), "without a past the first view counts"


def test_the_majority_decides_where_there_is_no_past() -> None:
    right, wrong = standing(), standing()[OTHER_SIDE]
    candidates = combine(pose_of(np.stack([wrong, right, right + 2, right - 2])), 4)
    assert candidates.choose(0, None).px[0] == pytest.approx(right)


def test_mirroring_twice_changes_nothing() -> None:
    random = np.random.default_rng(0)
    outputs = {
        "landmarks": random.normal(128, 40, (2, 195)).astype(np.float32),
        "presence": np.array([[0.9], [0.8]], np.float32),
        "heatmaps": random.normal(0, 3, (2, 64, 64, 39)).astype(np.float32),
        "world": random.normal(0, 1, (2, 117)).astype(np.float32),
    }
    mirrored = np.array([False, True])
    once = mirror_back(outputs, mirrored, 256)
    for name, values in outputs.items():
        assert np.array_equal(once[name].reshape(values.shape)[0], values[0]), "the plain view stays"
    twice = mirror_back(once, mirrored, 256)
    for name, values in outputs.items():
        kept = twice[name].reshape(values.shape)
        if name == "heatmaps":
            kept, values = kept[:, :, 1:], values[:, :, 1:]
        assert kept == pytest.approx(values, abs=1e-4)


def test_a_mirrored_peak_lands_where_the_point_does() -> None:
    landmarks = np.zeros((1, 39, 5), np.float32)
    landmarks[0, 11, :2] = [256 * 50 / 64, 100]
    heatmaps = np.zeros((1, 64, 64, 39), np.float32)
    heatmaps[0, 25, 50, 11] = 1
    outputs = {
        "landmarks": landmarks.reshape(1, 195),
        "heatmaps": heatmaps,
        "world": np.zeros((1, 117), np.float32),
        "presence": np.ones((1, 1), np.float32),
    }
    back = mirror_back(outputs, np.array([True]), 256)
    assert back["landmarks"].reshape(39, 5)[12, 0] == pytest.approx(256 * 14 / 64)
    assert np.argwhere(back["heatmaps"] == 1).tolist() == [[0, 25, 14, 12]]
