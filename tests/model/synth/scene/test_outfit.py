"""Clothes cover the body, follow its build and hide its toes."""

from __future__ import annotations

import numpy as np
import pytest

from model.body import AnnyBody
from model.paths import assets_folder
from model.synth.scene.outfit import Garment, Tailor, face_normals


@pytest.fixture(scope="module")
def body() -> AnnyBody:
    return AnnyBody.load(assets_folder())


@pytest.fixture(scope="module")
def wardrobe(body: AnnyBody) -> dict[str, list[Garment]]:
    parts: dict[str, list[Garment]] = {}
    for garment in Tailor.of(body).dress():
        parts.setdefault(garment.name, []).append(garment)
    return parts


def test_all_parts_are_there(wardrobe: dict[str, list[Garment]]) -> None:
    assert {n: len(g) for n, g in wardrobe.items()} == {
        "skin": 1, "eyes": 1, "irises": 1, "teeth": 1, "brows": 1, "lips": 1, "trousers": 1, "shirt": 1, "shoe": 2,
        "sole": 2, "hair": 1,
    }  # fmt: skip
    assert all(len(g.polygons) for parts in wardrobe.values() for g in parts)


def test_skin_weights_stay_a_partition(body: AnnyBody, wardrobe: dict[str, list[Garment]]) -> None:
    weights = body.skin_weights_dense.double().numpy()
    for parts in wardrobe.values():
        for garment in parts:
            np.testing.assert_allclose((garment.combine @ weights).sum(1), 1.0, atol=1e-5)


@pytest.mark.parametrize("gender", [0.0, 1.0])
def test_trousers_lie_outside_the_legs_of_any_build(
    body: AnnyBody, wardrobe: dict[str, list[Garment]], gender: float
) -> None:
    shape = body.default_shape()
    shape[body.shape_names.index("gender")] = gender
    rest = body.rest(shape).vertices_m.double().numpy()
    (trousers,) = wardrobe["trousers"]
    cloth, legs = trousers.rest_m(rest), trousers.combine @ rest
    knee = np.abs(legs[:, 2] - np.quantile(legs[:, 2], 0.35)) < 0.05
    for side in (1.0, -1.0):
        ring = knee & (legs[:, 0] * side > 0)
        middle = legs[ring].mean(0)
        wider = np.linalg.norm((cloth - middle)[ring, :2], axis=1) - np.linalg.norm((legs - middle)[ring, :2], axis=1)
        assert wider.mean() > 0.006


def test_shoes_are_closed_and_point_outwards(body: AnnyBody, wardrobe: dict[str, list[Garment]]) -> None:
    rest = body.rest(body.default_shape()).vertices_m.double().numpy()
    for shoe in wardrobe["shoe"] + wardrobe["sole"]:
        triangles = shoe.polygons[:, :3]
        edges = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
        assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()  # every edge has two sides
        points = shoe.rest_m(rest)
        outwards = points[shoe.polygons].mean(1) - points.mean(0)
        assert ((face_normals(points, shoe.polygons) * outwards).sum(1) > 0).mean() > 0.97


def test_hair_leaves_face_and_ears_free(body: AnnyBody, wardrobe: dict[str, list[Garment]]) -> None:
    rest = body.rest(body.default_shape())
    eye = rest.heads_m[body.bone("eye.L")].double().numpy()
    hair = wardrobe["hair"][0].rest_m(rest.vertices_m.double().numpy())
    face = (hair[:, 1] < eye[1] + 0.02) & (np.abs(hair[:, 0]) < 0.06)
    assert hair[face, 2].min() > eye[2] + 0.03
