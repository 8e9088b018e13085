"""A take of a refined estimate: bones, skin and joints agree, and a refinement that moves nothing leaves no trace."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from amr_blender.contract.job import Job
from amr_blender.contract.take import Take, validate
from model.estimate import estimate
from model.estimate.take_builder import JOINT12_LANDMARKS
from model.evaluate.bodies import motion_of_take
from model.refine.stage import Refinement

from .conftest import INFO, PLAN, Shown, Stage, maker


def take_of(stage: Stage, shown: Shown, assets: Path, lively: float | None) -> Take:
    refine = None if lively is None else Refinement(assets, shown.frames, "standard", refiner=maker(stage, lively))
    job = Job("noise", "take")
    take = estimate(shown.landmarks, stage.body, INFO, job, lambda *_: None, plan=PLAN, refine=refine)
    validate(take)
    return take


def test_joints_are_on_the_refined_skin(stage: Stage, walk: Shown, assets: Path) -> None:
    take = take_of(stage, walk.part(20, absent=slice(8, 10)), assets, 200.0)
    assert take.filled is not None and take.filled.sum() == 2
    motion = motion_of_take(take, 20)
    regressor = walk.space.skeleton.regressor
    vertices = torch.from_numpy(motion.vertices_cam_m)
    points = regressor.positions(vertices)[:, JOINT12_LANDMARKS].numpy()
    assert take.refinement_basis is not None and take.refinement_error_mm is not None
    assert np.abs(points - take.joints12_cam_m).max() < 1e-4
    plain = take_of(stage, walk.part(20, absent=slice(8, 10)), assets, None)
    moved = np.linalg.norm(take.joints12_cam_m - plain.joints12_cam_m, axis=-1)
    assert 0.003 < np.median(moved) < 0.5
    np.testing.assert_array_equal(take.camera_to_world, plain.camera_to_world)
    assert motion.uncertainty_mm is not None and motion.attention is not None


def test_a_refinement_that_moves_nothing_is_the_estimate(stage: Stage, walk: Shown, assets: Path) -> None:
    shown = walk.part(20)
    still, plain = (take_of(stage, shown, assets, lively) for lively in (0.0, None))
    for name in ("rotations", "translation_m", "joints12_cam_m", "contacts", "vertices_m"):
        np.testing.assert_allclose(getattr(still, name), getattr(plain, name), atol=2e-6)
    assert still.refinement_basis is None and still.attention is not None and plain.attention is None
