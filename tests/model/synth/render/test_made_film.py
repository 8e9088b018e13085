"""A tiny clip from scene to disk, and its truth."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from amr_blender.contract.spaces import project_px, transform
from amr_blender.contract.take import JOINT12_NAMES
from model.body.landmarks import LandmarkRegressor
from model.paths import WEIGHTS
from model.synth.clips.clip_folder import is_made, write_clip
from model.synth.clips.truth import CONTACT_NAMES, clip_truth, contacts, shown_person
from model.synth.render.film import Film, box


@pytest.fixture(scope="module")
def regressor() -> LandmarkRegressor:
    return LandmarkRegressor.load(WEIGHTS / "landmark_regressor.npz")


@pytest.fixture(scope="module")
def truth(film: Film, regressor: LandmarkRegressor) -> dict[str, np.ndarray]:
    return clip_truth(film, np.zeros(13), regressor, "side")


def test_truth_and_pictures_agree(film: Film, truth: dict[str, np.ndarray]) -> None:
    """Joints lie on the person's pixels, and vertices of the truth are those that were drawn."""
    for frame in (0, 20, 44):
        shown, _ = shown_person(film, frame)
        px = project_px(truth["joints12_cam_m"][frame].astype(float), film.camera.K)
        near = cv2.dilate(shown.astype(np.uint8), np.ones((3, 3))) > 0
        assert near[px[:, 1].astype(int), px[:, 0].astype(int)].all()
    world = transform(film.camera.camera_to_world, truth["vertices_cam_m"].astype(float))
    bare = film.posed(film.rest.vertices_m, film.body.skin_weights_dense).numpy()
    assert np.abs(world - bare[:, truth["vertex_index"]]).max() < 1e-4


def test_seen_from_its_left_the_left_side_is_visible(truth: dict[str, np.ndarray]) -> None:
    seen = dict(zip(JOINT12_NAMES, truth["visible12"].mean(0), strict=True))
    assert seen["l_hip"] > 0.9
    assert seen["l_shoulder"] > 0.9
    assert seen["r_hip"] < 0.1
    assert 0.2 < truth["vertices_visible"].mean() < 0.5


def test_directions_are_those_of_the_walk(truth: dict[str, np.ndarray]) -> None:
    """Seen from the left of somebody who walks to the picture's left."""
    assert truth["head_forward_cam"][:, 0].max() < -0.9
    assert np.median(truth["foot_forward_cam"][..., 0]) < -0.7
    way = truth["joints12_cam_m"][-1].mean(0) - truth["joints12_cam_m"][0].mean(0)
    assert way[0] < -0.8


def test_feet_touch_in_turn(truth: dict[str, np.ndarray]) -> None:
    touch = dict(zip(CONTACT_NAMES, truth["contacts"].T, strict=True))
    for side in "LR":
        share = (touch[f"heel.{side}"] | touch[f"toe.{side}"]).mean()
        assert 0.4 < share < 0.8  # stance is about 60 % of a stride
    assert (truth["contacts"].any(1)).mean() > 0.95
    assert np.abs(truth["lowest_m"]).max() < 0.02


def test_contact_needs_nearness_and_rest() -> None:
    still, sliding, high = (np.zeros((6, 1, 3)) for _ in range(3))
    sliding[:, 0, 0] = np.arange(6) * 0.01
    high[..., 2] = 0.02
    found = contacts([still, sliding, high, np.concatenate([high, still], 1)], fps=30.0)
    assert found.all(0).tolist() == [True, False, False, True]
    assert not found[:, 1:3].any()


def test_a_wall_before_the_person_hides_them(film: Film) -> None:
    eye, root = film.camera.camera_to_world[:3, 3], film.motion.root_m[22]
    place = 0.5 * (eye + root) * [1, 1, 0]
    walled = replace(film, props=[box(place - [0.1, 0.1, 0], place + [0.1, 0.1, 3.0], np.full(3, 0.5))])
    assert shown_person(film, 22)[1] == 0.0
    assert shown_person(walled, 22)[1] > 0.3


def test_pictures_are_the_same_again_and_move(film: Film) -> None:
    first, again, later = film.light(0), film.light(0), film.light(30)
    assert np.array_equal(first, again)
    assert np.isfinite(first).all()
    assert first.min() >= 0
    assert np.abs(later - first).mean() > 1e-3


def test_a_clip_on_disk_is_whole(film: Film, regressor: LandmarkRegressor, tmp_path: Path) -> None:
    short = replace(film, motion=replace(film.motion, local=film.motion.local[:4], root_m=film.motion.root_m[:4]))
    assert not is_made(tmp_path / "clip")
    write_clip(tmp_path / "clip", short, np.zeros(13), regressor, "side", {"action": "walk"})
    assert is_made(tmp_path / "clip")
    movie = cv2.VideoCapture(str(tmp_path / "clip" / "clip.mp4"))
    assert movie.get(cv2.CAP_PROP_FRAME_COUNT) == 4
    assert movie.read()[1].shape == (96, 160, 3)
    with np.load(tmp_path / "clip" / "truth.npz", allow_pickle=False) as kept:
        assert kept["joints12_cam_m"].shape == (4, 12, 3)
        assert kept["frame_light"].shape == (4,)
        assert 0.02 < kept["frame_light"].mean() < 0.98
        assert 0.5 < kept["frame_joint_speed_m_s"].mean() < 2.5  # a walk
    given = json.loads((tmp_path / "clip" / "conditions.json").read_text())
    assert given["action"] == "walk"
    assert given["inside_share"] == 1.0
    assert 50 < given["person_height_px"] < 96
