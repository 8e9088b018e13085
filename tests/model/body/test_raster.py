"""The torch renderer against geometry worked out by hand, against brute force, and against Blender."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from amr_blender.contract.spaces import intrinsics
from model.body import AnnyBody
from model.body.raster import hits, project, rasterise, triangles, vertex_normals, visible
from model.synth.motion.puppet import Posture, Puppet, arm, turn

K = torch.tensor([[100.0, 0, 32], [0, 100, 24], [0, 0, 1]])


def square(x: float, y: float, z: float, half: float) -> torch.Tensor:
    """(4, 3) facing the camera, in the order of :data:`TWO`."""
    return torch.tensor(
        [[x - half, y - half, z], [x - half, y + half, z], [x + half, y + half, z], [x + half, y - half, z]]
    )


TWO = torch.tensor([[0, 1, 2], [0, 2, 3]])


def test_a_square_covers_the_pixels_whose_centres_lie_in_it() -> None:
    raster = rasterise(square(0, 0, 2.0, 0.1)[None], TWO, K, (64, 48))
    expected = torch.zeros(48, 64, dtype=torch.bool)
    expected[19:29, 27:37] = True  # 100 px / 2 m * 0.1 m = 5 px around (32, 24)
    assert (raster.hit[0] == expected).all()
    assert torch.allclose(raster.depth_m[0][expected], torch.tensor(2.0))
    assert torch.isinf(raster.depth_m[0][~expected]).all()


def test_the_nearer_square_wins_whatever_the_order() -> None:
    points = torch.cat([square(0, 0, 2.0, 0.1), square(0, 0, 1.0, 0.02)])[None]
    faces = torch.cat([TWO, TWO + 4])
    one = rasterise(points, faces, K, (64, 48))
    other = rasterise(points, faces.flip(0), K, (64, 48))
    assert one.face[0, 24, 32] >= 2
    assert one.face[0, 20, 28] < 2
    assert torch.equal(one.depth_m, other.depth_m)


def test_back_faces_are_left_out_only_if_asked() -> None:
    points = square(0, 0, 2.0, 0.1)[None]
    assert not rasterise(points, TWO.flip(1), K, (64, 48)).hit.any()
    assert rasterise(points, TWO.flip(1), K, (64, 48), cull=False).hit.any()


def test_what_is_behind_the_camera_or_beside_the_picture_draws_nothing() -> None:
    for points in (square(0, 0, -2.0, 0.1), square(9, 0, 2.0, 0.1)):
        assert not rasterise(points[None], TWO, K, (64, 48), cull=False).hit.any()


def test_a_triangle_larger_than_the_picture_fills_it() -> None:
    assert rasterise(square(0, 0, 2.0, 50.0)[None], TWO, K, (64, 48)).hit.all()


def test_values_are_interpolated_right_in_perspective() -> None:
    tilted = torch.tensor([[-0.5, -0.3, 1.0], [-0.5, 0.3, 1.0], [0.5, 0.3, 3.0], [0.5, -0.3, 3.0]])
    raster = rasterise(tilted[None], TWO, K, (64, 48))
    found = hits(raster, tilted[None], TWO, K)
    places = found.interpolate(tilted[None])
    px, depth = project(places[None], K)
    row, column = found.pixel % (64 * 48) // 64, found.pixel % 64
    assert torch.allclose(px[0], torch.stack([column, row], 1) + 0.5, atol=1e-3)
    assert torch.allclose(depth[0], raster.depth_m.flatten()[found.pixel], atol=1e-4)
    assert torch.allclose(places[:, 2], 2.0 + 2.0 * places[:, 0], atol=1e-4)  # on the plane


def test_a_closed_surface_has_no_cracks_and_pictures_of_a_batch_are_those_of_one() -> None:
    rng = np.random.default_rng(3)
    rings, around = 60, 90
    theta, phi = np.meshgrid(np.linspace(0.01, np.pi - 0.01, rings), np.linspace(0, 2 * np.pi, around, endpoint=False))
    ball = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], -1).reshape(-1, 3)
    index = np.arange(around * rings).reshape(around, rings)
    nxt = np.roll(index, -1, 0)
    quads = np.stack([index[:, :-1], index[:, 1:], nxt[:, 1:], nxt[:, :-1]], -1).reshape(-1, 4)
    faces = triangles(torch.from_numpy(quads))
    points = torch.from_numpy((0.5 * ball + [[[0, 0, 3.0]]] + rng.normal(0, 0.05, (3, 1, 3))).astype(np.float32))
    batch = rasterise(points, faces, K, (64, 48))
    both = rasterise(points, faces, K, (64, 48), cull=False)
    assert torch.equal(batch.hit, both.hit)
    for number in range(3):
        assert torch.equal(rasterise(points[number : number + 1], faces, K, (64, 48)).face[0], batch.face[number])
        filled = batch.hit[number].numpy().astype(np.uint8)
        outline, _ = cv2.findContours(filled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        assert len(outline) == 1  # one outer contour, no hole
        normals = vertex_normals(points, faces)[number]
        assert torch.allclose(normals[500], (points[number] - points[number].mean(0))[500] / 0.5, atol=0.02)


def test_visible_points_are_those_in_front_and_in_the_picture() -> None:
    depth = rasterise(square(0, 0, 2.0, 0.1)[None], TWO, K, (64, 48)).depth_m
    points = torch.tensor([[[0.0, 0, 1.995], [0, 0, 2.5], [0.3, 0, 2.5], [5.0, 0, 2.0], [0, 0, -1.0]]])
    assert visible(points, depth, K).tolist() == [[True, False, True, False, False]]


@pytest.fixture(scope="module")
def bodies(assets: Path) -> tuple[np.ndarray, np.ndarray]:
    """Two people in camera space (2, V, 3), and the mesh's quads."""
    body = AnnyBody.load(assets)
    rest = body.rest(body.default_shape())
    puppet = Puppet(
        rest.heads_m.double().numpy(), body.bone_parents, body.bone_names, float(rest.vertices_m[:, 2].min())
    )
    out = []
    for raise_deg, yaw_deg, away_m in ((0.0, 0.0, 3.2), (120.0, 65.0, 4.5)):
        feet = {s: puppet.planted(s, np.array([x, 0.0]), 0.0) for s, x in (("L", 0.15), ("R", -0.2))}
        joints = arm("L", raise_deg, 20.0, 0.0, 40.0, puppet) | arm("R", 10.0, 10.0, 0.0, 70.0, puppet)
        posture = Posture(np.array([0, 0, puppet.standing_pelvis_m - 0.1]), turn("z", yaw_deg), feet, joints)
        local, root = puppet.pose(posture)
        posed = body.pose(rest, torch.from_numpy(local[None]).float(), torch.from_numpy(root[None]).float())[0].numpy()
        out.append(posed @ np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]) + [0.05, 0.85, away_m])
    return np.stack(out), body.quads


def test_silhouette_and_depth_are_blenders(bodies: tuple[np.ndarray, np.ndarray]) -> None:
    blender = pytest.importorskip("model.synth.render.blender", reason="needs bpy")
    points, quads = bodies
    matrix = intrinsics(330.0, 256, 256)
    faces = triangles(torch.from_numpy(quads.astype(np.int64)))
    ours = rasterise(torch.from_numpy(points.astype(np.float32)), faces, torch.from_numpy(matrix).float(), (256, 256))
    for depth, place in zip(ours.depth_m.numpy(), points, strict=True):
        theirs = blender.depth_m(place, faces.numpy(), matrix, (256, 256))
        mine, yours = np.isfinite(depth), np.isfinite(theirs)
        assert 2000 < yours.sum() < 20_000
        assert (mine & yours).sum() / (mine | yours).sum() >= 0.98
        inner = cv2.erode((mine & yours).astype(np.uint8), np.ones((3, 3))) > 0
        assert np.median(np.abs(depth[inner] - theirs[inner])) < 1e-3
