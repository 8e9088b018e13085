"""Fresh evidence: the body posed again, one vertex at a time, and what lies where it now is."""

from __future__ import annotations

import torch

from model.body.raster import project
from model.estimate.rotation import matrix_from_rotvec
from model.networks.body_map import HIPS
from model.networks.evidence_maps import RESIDUAL_SCALE
from model.networks.looking import SIGHT, Looking

from .conftest import Stage


def looking(stage: Stage, windows: int = 1, frames: int = 2, off: float = 0.0, up: float = 0.0) -> Looking:
    """Landmarks lie where the body has them, ``off`` crop units to the right, in 3D ``up`` metres further down."""
    posture = stage.posture(windows, frames)
    posed = stage.posed(posture).level(stage.map.hierarchy.last)
    index, weight = stage.map.landmark_index, stage.map.landmark_weight
    points = (posed[:, :, index] * weight[..., None]).sum(-2)
    where = project(points.flatten(0, 1), posture.crop_K.flatten(0, 1))[0].reshape(*points.shape[:3], 2)
    where = where + torch.tensor([off, 0.0])
    row, column = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    detail = (torch.stack([column, row]) + 0.5) / 32
    lifted = (points - points[:, :, HIPS].mean(2, keepdim=True))[:, :, None] + torch.tensor([0.0, up, 0.0])
    lifted = lifted.expand(-1, -1, 2, -1, -1)
    return Looking(
        stage.map, stage.body.kinematics, stage.people(windows), posture,
        torch.zeros(windows, frames, 3, 16, 16), detail.expand(windows, frames, -1, -1, -1),
        where, torch.ones(windows, frames, 33), lifted, torch.ones(windows, frames, stage.map.hierarchy.sizes[2]) > 0,
    )  # fmt: skip


def zeros(stage: Stage, windows: int = 1, frames: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.zeros(windows, frames, len(stage.map.bones), 3), torch.zeros(windows, frames, 3)


def test_one_by_one_is_the_body_as_it_poses_itself(stage: Stage) -> None:
    posture = stage.posture(2, 3)
    rest = stage.body.rest(stage.body.default_shape())
    posed = stage.posed(posture)
    for window in range(2):
        whole = stage.body.pose(rest, posture.local[window], posture.root_cam_m[window])
        assert torch.allclose(posed.level(stage.map.hierarchy.last)[window], whole, atol=1e-5)
        coarse = stage.map.hierarchy.sample(whole, 1)
        assert torch.allclose(posed.level(1)[window], coarse, atol=1e-5)


def test_turns_come_after_the_bones_own_rotations_and_offsets_lie_at_rest(stage: Stage) -> None:
    posture = stage.posture(1, 1)
    turn, shift = zeros(stage, 1, 1)
    turn[0, 0, 5], shift[0, 0, 1] = torch.tensor([0.1, -0.2, 0.3]), 0.25
    local = posture.local.clone()
    bone = int(stage.map.bones[5])
    local[0, 0, bone] = local[0, 0, bone] @ matrix_from_rotvec(torch.tensor([0.1, -0.2, 0.3]))
    rest = stage.body.rest(stage.body.default_shape())
    offset = 0.01 * torch.randn(rest.vertices_m.shape, generator=torch.Generator().manual_seed(3))
    moved = type(rest)(rest.vertices_m + offset, rest.heads_m, rest.tails_m)
    expected = stage.body.pose(moved, local[0], posture.root_cam_m[0] + torch.tensor([0.0, 0.25, 0.0]))
    found = stage.posed(posture, turn, shift).level(stage.map.hierarchy.last, offset[None, None])
    assert torch.allclose(found[0], expected, atol=1e-5)


def test_where_landmarks_lie_as_detected_nothing_is_missed(stage: Stage) -> None:
    for off, up in ((0.0, 0.0), (0.02, 0.0), (0.02, 0.1)):
        look = looking(stage, off=off, up=up)
        sight = look.bones(*zeros(stage))
        expected = torch.tensor([RESIDUAL_SCALE * off, 0.0, 1.0, *[0.0, 4 * up, 0.0] * 2]).expand_as(sight.residual)
        assert torch.allclose(sight.residual, expected, atol=2e-4)
        some = torch.arange(40)
        seen = look.vertices(3, some % 2, 300 * some, None)
        assert torch.allclose(seen[:, 6:15], expected[0, 0, :1].expand(40, 9), atol=2e-4)


def test_evidence_is_that_of_the_place_where_the_body_is_now(stage: Stage) -> None:
    """The pictures here hold their own coordinates."""
    look = looking(stage)
    turn, shift = zeros(stage)
    frame, vertex = torch.tensor([0, 1, 1]), torch.tensor([100, 500, 900])
    look.bones(turn, shift)
    before = look.vertices(2, frame, vertex, None)
    shift[..., 0] = 0.2
    sight = look.bones(turn, shift)
    after = look.vertices(2, frame, vertex, None)
    moved = after[:, SIGHT:] - before[:, SIGHT:]
    assert torch.allclose(moved[:, 0], torch.tensor(1.8 * 0.2 / 4.0), atol=0.01)
    assert moved[:, 1].abs().max() < 1e-4
    assert torch.allclose(after[:, :3], before[:, :3], atol=1e-6)  # about the hips, which moved too
    assert (sight.residual[..., 0] < -0.5).all()
    offset = torch.tensor([[0.05, 0, 0]]).expand(3, 3)
    assert ((look.vertices(2, frame, vertex, offset) - after)[:, :3].norm(dim=-1) - 0.05).abs().max() < 5e-3


def test_only_the_pictures_learn_from_a_look(stage: Stage) -> None:
    look = looking(stage)
    turn, shift = zeros(stage)
    turn.requires_grad_()
    look.bones(turn, shift)
    assert not look.vertices(2, torch.tensor([0]), torch.tensor([7]), None).requires_grad
