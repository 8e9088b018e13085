"""The real body, and people who were seen."""

from __future__ import annotations

import torch

from model.body.raster import project
from model.refine.inputs import Seen, Start
from tests.model.networks.conftest import Stage, stage

__all__ = ["Stage", "scene", "stage"]


def scene(stage: Stage, windows: int, frames: int, off: float = 0.0, seed: int = 0) -> tuple[Start, Seen]:
    """Windows of people whose landmarks lie ``off`` crop units to the right of where the estimate has them, in front
    of random pixels."""
    random = torch.Generator().manual_seed(seed)
    posture = stage.posture(windows, frames, seed=seed)
    index, weight = stage.map.landmark_index, stage.map.landmark_weight
    points = (stage.posed(posture).level(stage.map.hierarchy.last)[:, :, index] * weight[..., None]).sum(-2)
    where = project(points.flatten(0, 1), posture.crop_K.flatten(0, 1))[0].reshape(*points.shape[:3], 2)
    rgb = torch.randint(0, 256, (windows, frames, 3, 128, 128), generator=random, dtype=torch.uint8)
    start = Start(posture.local, posture.root_cam_m, stage.people(windows), torch.full((windows, frames, 33), 0.1))
    ones = torch.ones(windows, frames)
    time_s = (torch.arange(frames) / 25.0).expand(windows, -1)
    where = where + torch.tensor([off, 0.0])
    return start, Seen(rgb, posture.crop_K, where, torch.ones(windows, frames, 33), ones > 0, time_s)
