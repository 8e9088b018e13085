"""Several looks at one person, and what becomes of their disagreement."""

from __future__ import annotations

import numpy as np
import pytest

from model.detect.landmarks import OTHER_SIDE, Pose
from model.detect.views import combine, view_crops, views_for


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
