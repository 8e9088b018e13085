"""What is drawn for the networks: the mesh from its middle level, landmarks as blobs."""

from __future__ import annotations

import torch

from model.body.raster import rasterise, vertex_normals, visible
from model.estimate.rotation import matrix_from_rotvec
from model.networks.body_map import PARTS, WORK_LEVEL
from model.networks.evidence_maps import (
    MESH_CHANNELS,
    MESH_PX,
    RESIDUAL_SCALE,
    SIGN_CHANNELS,
    SIGNS_PX,
    landmark_maps,
)

from .conftest import UPRIGHT, Stage

BIG = 512


def test_the_silhouette_is_that_of_the_full_mesh(stage: Stage) -> None:
    posture = stage.posture(1, 2)
    maps = stage.drawn(posture).maps
    assert maps.shape == (2, MESH_CHANNELS, MESH_PX, MESH_PX)
    K = posture.crop_K[0] * torch.tensor([MESH_PX, MESH_PX, 1.0])[:, None]
    full = rasterise(stage.posed(posture).level(stage.map.hierarchy.last)[0], stage.map.faces, K, (MESH_PX, MESH_PX))
    drawn = maps[:, 0] > 0
    assert (drawn & full.hit).sum() / (drawn | full.hit).sum() > 0.93
    both = drawn & full.hit
    depth = posture.root_cam_m[0, 0, 2] - full.depth_m
    assert (maps[:, 1][both] - depth[both]).abs().median() < 0.005


def test_outside_the_body_there_is_nothing_and_inside_one_part_and_a_unit_normal(stage: Stage) -> None:
    maps = stage.drawn(stage.posture(1, 1)).maps[0]
    body = maps[0] > 0
    assert maps[:, ~body].abs().max() == 0
    assert torch.allclose(maps[5:, body].sum(0), torch.ones(1), atol=1e-4)
    length = maps[2:5, body].norm(dim=0)
    assert length.min() > 0.3 and length.max() < 1.001 and length.median() > 0.97
    facing = (maps[4, body] < 0).float().mean()  # the camera looks along +z
    assert facing > 0.95


def test_parts_lie_where_they_are(stage: Stage) -> None:
    """Facing the camera: the left arm on the right of the picture, the head above the trunk."""
    posture = stage.posture(1, 1, bend=0.0)
    maps = stage.drawn(posture).maps[0, 5:]
    row, column = torch.meshgrid(torch.arange(MESH_PX), torch.arange(MESH_PX), indexing="ij")
    x, y = ((maps * grid).sum((1, 2)) / maps.sum((1, 2)) for grid in (column, row))
    at = {name: (float(x[k]), float(y[k])) for k, name in enumerate(PARTS)}
    assert at["Arm.L"][0] > at["Torso"][0] > at["Arm.R"][0]
    assert at["Head"][1] < at["Torso"][1] < at["Leg.L"][1]


def test_visibility_is_nearly_that_of_a_fine_picture(stage: Stage) -> None:
    posture = stage.posture(1, 3)
    seen = stage.drawn(posture).visible
    full = stage.posed(posture).level(stage.map.hierarchy.last)[0]
    K = posture.crop_K[0] * torch.tensor([BIG, BIG, 1.0])[:, None]
    facing = (vertex_normals(full, stage.map.faces) * torch.nn.functional.normalize(full, dim=-1)).sum(-1) < 0
    true = facing & visible(full, rasterise(full, stage.map.faces, K, (BIG, BIG)).depth_m, K, 0.008)
    true = true[:, stage.map.hierarchy.seeds(WORK_LEVEL)]
    assert (seen == true).float().mean() > 0.9
    assert (seen & ~true).sum() / seen.sum() < 0.1
    assert (true & ~seen).sum() / true.sum() < 0.15


def test_a_leg_behind_the_other_is_not_seen(stage: Stage) -> None:
    """From the side its inner face looks at the camera, too."""
    posture = stage.posture(1, 1, bend=0.0)
    for side, near, far in ((0.5, "Leg.L", "Leg.R"), (-0.5, "Leg.R", "Leg.L")):
        posture.local[:, :, 0] = UPRIGHT @ matrix_from_rotvec(torch.tensor([0.0, 0.0, -side * torch.pi]))
        seen = stage.drawn(posture).visible[0]
        share = {name: seen[stage.map.part == PARTS.index(name)].float().mean() for name in (near, far)}
        assert share[near] > 0.35 and share[far] < 0.15


def test_landmarks_are_blobs_where_they_were_seen() -> None:
    where = torch.full((2, 33, 2), 0.5)
    where[0, 15], where[1, 15] = torch.tensor([0.25, 0.75]), torch.tensor([0.8, 0.1])
    confidence = torch.zeros(2, 33)
    confidence[:, 15] = 0.8
    residual, sigma = torch.zeros(2, 33, 2), torch.full((2, 33), 0.3)
    residual[:, 15, 1] = -0.02
    maps = landmark_maps(where, residual, confidence, sigma)
    assert maps.shape == (2, SIGN_CHANNELS, SIGNS_PX, SIGNS_PX)
    for picture, (x, y) in enumerate([(0.25, 0.75), (0.8, 0.1)]):
        left_arm = maps[picture, 2]
        peak = int(left_arm.argmax())
        assert abs((peak % SIGNS_PX + 0.5) / SIGNS_PX - x) < 0.03
        assert abs((peak // SIGNS_PX + 0.5) / SIGNS_PX - y) < 0.03
        assert 0.55 < left_arm.max() <= 0.8
        assert torch.allclose(maps[picture, 7], -0.02 * RESIDUAL_SCALE * left_arm, atol=1e-5)
        assert torch.allclose(maps[picture, 8], 0.3 * left_arm, atol=1e-5)
        assert maps[picture, [0, 1, 3, 4, 5, 6]].abs().max() == 0
