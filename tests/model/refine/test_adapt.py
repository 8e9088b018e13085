"""Adaptation follows what is seen, within its bounds, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from model.body.raster import project
from model.networks.evidence_maps import MeshDrawer
from model.networks.looking import PosedBody, Posture
from model.refine.adapt import REACH, adapt
from model.refine.inputs import Seen, Start, landmark_points, prepare

from .conftest import Stage, scene

SIGMA_MM = 60.0


def still_scene(stage: Stage, frames: int, off: float) -> tuple[Start, Seen]:
    """Every frame the same, pixels too; landmarks ``off`` to the right."""
    start, seen = scene(stage, 1, frames, off)

    def same(values: Tensor) -> Tensor:
        return values[:, :1].expand_as(values).clone()

    start = replace(start, local=same(start.local))
    assert seen.rgb is not None
    return start, replace(seen, rgb=same(seen.rgb), landmarks=same(seen.landmarks))


def adapted(stage: Stage, start: Start, seen: Seen, silhouette: float = 8.0) -> tuple[Tensor, Tensor]:
    windows, frames = seen.present.shape
    given = prepare(stage.map, stage.body.kinematics, MeshDrawer(stage.map), start, seen).given
    turn, shift = torch.zeros(windows, frames, len(stage.map.bones), 3), torch.zeros(windows, frames, 3)
    sigma = torch.full(given.visible.shape, SIGMA_MM)
    person = torch.full((windows, frames, 32, 32), silhouette)
    with torch.no_grad():  # as where it is called
        return adapt(stage.map, stage.body.kinematics, start, seen, given.visible, person, sigma, turn, shift)


def missed(stage: Stage, start: Start, seen: Seen, turn: Tensor, shift: Tensor) -> Tensor:
    posture = Posture(start.local, start.root_cam_m, seen.crop_K)
    posed = PosedBody(stage.map, stage.body.kinematics, start.people, posture, turn, shift)
    where = project(landmark_points(stage.map, posed), seen.crop_K.flatten(0, 1))[0].reshape(seen.landmarks.shape)
    return (where - seen.landmarks).norm(dim=-1)


def test_landmarks_are_followed_within_the_bounds(stage: Stage) -> None:
    start, seen = still_scene(stage, 3, 0.01)
    turn, shift = adapted(stage, start, seen)
    before = missed(stage, start, seen, 0 * turn, 0 * shift)
    after = missed(stage, start, seen, turn, shift)
    assert after.mean() < 0.6 * before.mean()
    assert shift[..., 0].min() > 0.002
    bound_m = REACH * SIGMA_MM / 1000
    assert shift.norm(dim=-1).max() <= np.sqrt(3) * bound_m
    assert (turn.abs() * stage.map.lever_m[:, None]).max() <= bound_m + 1e-6


def test_what_agrees_stays(stage: Stage) -> None:
    turn, shift = adapted(stage, *still_scene(stage, 3, 0.0))
    assert shift.abs().max() < 0.004
    assert (turn.abs() * stage.map.lever_m[:, None]).max() < 0.008


def test_where_nobody_is_seen_nothing_changes(stage: Stage) -> None:
    start, seen = still_scene(stage, 3, 0.01)
    turn, shift = adapted(stage, start, replace(seen, present=torch.tensor([[True, False, True]])))
    assert turn[0, 1].abs().max() == 0 and shift[0, 1].abs().max() == 0
    assert shift[0, 0, 0] > 0.003 and shift[0, 2, 0] > 0.003


def test_pixels_that_move_draw_the_body_along(stage: Stage) -> None:
    """No landmark is trusted: only the pictures move, to the right."""
    start, seen = still_scene(stage, 2, 0.0)
    smooth = torch.nn.functional.interpolate(
        torch.rand(1, 3, 20, 20, generator=torch.Generator().manual_seed(3)), (256, 256), mode="bicubic"
    ).clamp(0, 1)
    pictures = torch.stack([smooth[0], smooth[0].roll(4, -1)])[None]
    seen = replace(seen, rgb=(255 * pictures).byte(), confidence=0 * seen.confidence)
    _, shift = adapted(stage, start, seen)
    assert shift[0, 1, 0] - shift[0, 0, 0] > 0.004
