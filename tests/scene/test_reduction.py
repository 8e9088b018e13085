"""Few shape keys, and an honest error."""

from __future__ import annotations

import numpy as np
import pytest

from amr_blender.contract import rotations as rot
from amr_blender.contract.take import Take
from amr_blender.scene import reduction
from amr_blender.scene.reduction import BakedMotion, reduce_motion
from amr_blender.scene.sampling import Motion, sample
from amr_blender.scene.timing import timing_without_strip

from . import reference
from .take_factory import make_take


def _motion(take: Take) -> Motion:
    return sample(take, timing_without_strip(take.time_s, 30.0, 30.0, 1), 30.0)


def _true_error_mm(take: Take, baked: BakedMotion) -> float:
    """Rebuilt from what is keyed, against the take, over every frame and vertex."""
    worst = 0.0
    for frame in range(take.frame_count):
        local = baked.rest_m + np.tensordot(baked.values[frame], baked.shapes, 1)
        turn = rot.matrix_from_quaternion(baked.quaternions[frame])
        world = local @ turn.T + baked.location_m[frame]
        worst = max(worst, float(np.linalg.norm(world - reference.vertices(take, frame), axis=1).max()))
    return 1000.0 * worst


@pytest.mark.parametrize("refinement", [0, 4])
@pytest.mark.parametrize("allowed_mm", [40.0, 5.0, 0.1])
def test_error_is_kept_and_told(allowed_mm: float, refinement: int) -> None:
    take = make_take(60, refinement=refinement)
    baked = reduce_motion(take, _motion(take), allowed_mm)
    assert baked.error_mm <= allowed_mm
    assert _true_error_mm(take, baked) == pytest.approx(baked.error_mm, abs=5e-3)
    assert np.abs(baked.values).max() <= 1.0
    assert baked.shapes.dtype == baked.values.dtype == np.float32


def test_fewer_keys_for_a_larger_error() -> None:
    take = make_take(80)
    motion = _motion(take)
    counts = [len(reduce_motion(take, motion, mm).shapes) for mm in (0.5, 5.0, 50.0)]
    assert counts[0] > counts[1] > counts[2] > 0
    assert counts[0] < take.frame_count


def test_rigid_motion_needs_no_key() -> None:
    """Hips that turn and travel are motion of the object."""
    take = make_take(30)
    take.rotations[:, 2:] = (1, 0, 0, 0)
    baked = reduce_motion(take, _motion(take), 5.0)
    assert len(baked.shapes) == 0
    assert _true_error_mm(take, baked) < 0.01


def test_one_frame_needs_one_key() -> None:
    take = make_take(1)
    baked = reduce_motion(take, _motion(take), 5.0)
    assert len(baked.shapes) == 1
    assert _true_error_mm(take, baked) < 0.01


def test_two_frames() -> None:
    take = make_take(2)
    assert _true_error_mm(take, reduce_motion(take, _motion(take), 0.05)) <= 0.05


def test_unreachable_error_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reduction, "MAX_KEYS", 3)
    take = make_take(40)
    baked = reduce_motion(take, _motion(take), 0.1)
    assert len(baked.shapes) == 3
    assert baked.error_mm > 0.1
    assert _true_error_mm(take, baked) == pytest.approx(baked.error_mm, rel=1e-3)


def test_more_modes_than_the_first_guess(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reduction, "_FIRST_RANK", 4)
    take = make_take(60)
    baked = reduce_motion(take, _motion(take), 1.0)
    assert len(baked.shapes) > 4
    assert _true_error_mm(take, baked) <= 1.0


def test_a_vertex_that_the_sample_misses(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a sample of five vertices the full check has to find what they do not show."""
    monkeypatch.setattr(reduction, "_SAMPLES", 5)
    take = make_take(60)
    baked = reduce_motion(take, _motion(take), 2.0)
    assert _true_error_mm(take, baked) <= 2.0
