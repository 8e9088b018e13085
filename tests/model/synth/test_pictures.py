"""Training pictures: repeatable, right about what they show, and from their own side of the split."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model.body import AnnyBody
from model.body.raster import project
from model.synth.motion.mocap import TEST_SUBJECTS
from model.synth.motion.puppet import turn
from model.synth.pictures import Batch, PictureMaker
from model.synth.splits import SPLITS, held_out_subjects, seeds


def standing(rng: np.random.Generator, count: int) -> np.ndarray:
    local = np.tile(np.eye(3), (count, 104, 1, 1))
    local[:, 0] = [turn("z", float(angle)) for angle in rng.uniform(0, 360, count)]
    return local


@pytest.fixture(scope="module")
def maker(body: AnnyBody) -> PictureMaker:
    return PictureMaker(body, standing, seeds("train"), size_px=96, seed=3)


@pytest.fixture(scope="module")
def batch(maker: PictureMaker) -> Batch:
    return maker.batch(0, 6)


def test_shapes_and_ranges(batch: Batch, body: AnnyBody) -> None:
    assert batch.images.shape == (6, 96, 96, 3)
    assert batch.images.dtype == torch.uint8
    assert batch.vertices_cam_m.shape == (6, 13718, 3)
    assert batch.visible.shape == (6, 13718)
    assert batch.shape.shape == (6, len(body.shape_names))
    assert all(values.shape == (6,) and torch.isfinite(values).all() for values in batch.conditions.values())
    assert batch.images.float().std() > 20
    assert (batch.conditions["person_height_px"] > 40).all()


def test_a_batch_is_a_function_of_its_number(maker: PictureMaker, batch: Batch, body: AnnyBody) -> None:
    again = PictureMaker(body, standing, seeds("train"), size_px=96, seed=3)
    again.batch(5, 2)  # whatever came before
    assert torch.equal(again.batch(0, 6).images, batch.images)
    assert not torch.equal(maker.batch(1, 6).images, batch.images)


def test_the_crop_is_where_the_person_is(batch: Batch) -> None:
    crop, _ = project(batch.vertices_cam_m, batch.K)
    frame, _ = project(batch.vertices_cam_m, batch.frame_K)
    inside_frame = ((frame > 0) & (frame < batch.frame_px[:, None])).all(-1)
    inside_crop = ((crop > 0) & (crop < 96)).all(-1)
    assert inside_crop.float().mean() > 0.7
    assert not (batch.visible & ~inside_frame).any()
    assert not (batch.visible & ~inside_crop).any()
    assert 0.1 < batch.visible.float().mean() < 0.6


def test_pose_shape_and_place_give_the_vertices(batch: Batch, body: AnnyBody) -> None:
    for number in range(2):
        rest = body.rest(batch.shape[number])
        posed = body.pose(rest, batch.local[number : number + 1], batch.root_m[number : number + 1])[0]
        camera = batch.camera_to_world[number]
        seen = (posed - camera[:3, 3]) @ camera[:3, :3]
        assert torch.allclose(seen, batch.vertices_cam_m[number], atol=2e-4)
        assert -0.01 < posed[:, 2].min() < 0.51


def test_the_sides_of_the_split_share_nothing() -> None:
    train, test = (seeds(split) for split in SPLITS)
    assert train.keys() == test.keys() == {"bodies", "looks", "places", "poses"}
    for kind in train:
        (first, end), (other_first, other_end) = train[kind], test[kind]
        assert end <= other_first
        assert (other_end - other_first) / (other_end - other_first + end - first) == pytest.approx(0.2)
    assert held_out_subjects() == TEST_SUBJECTS
    with pytest.raises(ValueError, match="split is one of"):
        seeds("all")
