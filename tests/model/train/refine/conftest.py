"""A small stock of clips whose estimates are right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from model.body import AnnyBody
from model.body.hierarchy import Hierarchy
from model.estimate.rotation import matrix_from_rotvec
from model.networks.body_map import BodyMap
from model.networks.evidence_maps import FRAME_CHANNELS
from model.train.initial.data import pose_space
from model.train.refine.stock import PARTS, Footage

FRAMES = 10
UPRIGHT = torch.tensor([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])


def footage(body: AnnyBody, seed: int) -> Footage:
    """Somebody whose estimate is right."""
    random = torch.Generator().manual_seed(seed)
    local = torch.eye(3).repeat(FRAMES, len(body.bone_names), 1, 1)
    local[:, 1:5] = matrix_from_rotvec(0.2 * torch.randn(1, 4, 3, generator=random)).expand(FRAMES, -1, -1, -1)
    local[:, 0] = UPRIGHT
    root = torch.tensor([0.1, 0.0, 4.0]).expand(FRAMES, 3)
    crop_K = torch.tensor([[1.8, 0, 0.45], [0, 1.8, 0.5], [0, 0, 1]]).expand(FRAMES, 3, 3)
    numbers = {"local": local, "root_cam_m": root, "shape": body.default_shape()}
    numbers |= {f"true_{name}": value for name, value in numbers.items()}
    arrays = {name: value.numpy().astype(np.float32) for name, value in numbers.items()}
    return Footage(
        features=torch.randint(100, (FRAMES, FRAME_CHANNELS, 32, 32), generator=random).to(torch.uint8).numpy(),
        lifted_m=np.zeros((FRAMES, 2, 33, 3), np.float32),
        crop_K=crop_K.numpy(),
        landmarks=torch.rand(FRAMES, 33, 2, generator=random).numpy(),
        confidence=np.ones((FRAMES, 33), np.float32),
        present=np.arange(FRAMES) != 3,
        time_s=(np.arange(FRAMES) / 30).astype(np.float32),
        sigma_m=np.full((FRAMES, 33), 0.05, np.float32),
        true_focal=np.float32(1.0),
        mask=np.zeros((FRAMES, 32, 32), np.uint8),
        **arrays,
    )


@pytest.fixture(scope="module")
def body() -> AnnyBody:
    return pose_space().body


@pytest.fixture(scope="module")
def body_map(assets: Path, body: AnnyBody) -> BodyMap:
    return BodyMap(body, pose_space().skeleton, Hierarchy.load(assets))


@pytest.fixture(scope="module")
def stock(body: AnnyBody, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stock")
    for part in sum(PARTS.values(), ()):
        (folder / part).mkdir()
        for number in range(2):
            footage(body, 5 + number).save(folder / part / f"{number:06d}.npz")
    return folder
