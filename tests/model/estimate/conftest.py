"""A person with known pose, and the landmarks that a perfect detector would report."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from model.body import AnnyBody
from model.body.body_points import body_points
from model.body.landmarks import LandmarkRegressor
from model.detect.landmarks import Landmarks
from model.estimate.fit import Problem
from model.estimate.lens import LensPrior
from model.estimate.pose_space import PoseSpace
from model.estimate.prior import PosePrior
from model.estimate.rotation import matrix_from_rotvec
from model.estimate.settings import FitSettings
from model.estimate.shape_space import GIVEN_HEIGHT_SIGMA_M, ShapeSpace
from model.paths import WEIGHTS, assets_folder

FOCAL_PX, SIZE_PX, FPS = 1200.0, (1280, 720), 30.0
PITCH = 0.25
LEAN = 0.05
"""The body forwards from the ankles, as standing people have it: over the middle of the feet."""
UNBALANCED = FitSettings(support_m=1e3)
"""The scene's person lifts a knee without leaning over the other foot, so balance would mislead."""


@pytest.fixture(scope="session")
def body() -> AnnyBody:
    return AnnyBody.load(assets_folder())


@pytest.fixture(scope="session")
def space(body) -> PoseSpace:
    return PoseSpace(body, LandmarkRegressor.load(WEIGHTS / "landmark_regressor.npz").joined(body_points(body)))


def make_problem(space: PoseSpace, height_m: float | None = None, lens: LensPrior | None = None) -> Problem:
    """What is known before the clip is seen; without ``lens`` the scene's own."""
    shapes = (
        ShapeSpace(space.body, space)
        if height_m is None
        else ShapeSpace(space.body, space, height_m, GIVEN_HEIGHT_SIGMA_M)
    )
    prior = PosePrior.load(WEIGHTS / "pose_prior.npz", space.names)
    return Problem(space, shapes, lens or LensPrior(FOCAL_PX), prior, UNBALANCED)


@dataclass
class Scene:
    """A person who sways, waves and lifts a knee before a camera that looks down by ``PITCH``."""

    landmarks: Landmarks
    points_m: torch.Tensor
    angles: torch.Tensor
    height_m: float
    up: torch.Tensor


def make_scene(body: AnnyBody, space: PoseSpace, frames: int = 45, noise_px: float = 0.0) -> Scene:
    shapes = ShapeSpace(body, space, 1.75)
    rest = shapes.rest(shapes.start)
    time_s = torch.arange(frames, dtype=torch.float64) / FPS
    angles = torch.zeros((frames, len(space.names)), dtype=torch.float64)
    for name, values in (
        ("shoulder.R.y", 1.2 + 0.3 * torch.sin(5 * time_s)),
        ("elbow.R", 0.5 + 0.4 * torch.sin(7 * time_s)),
        ("hip.L.x", -0.9 * torch.sin(2 * time_s).clamp(min=0)),
        ("knee.L", 1.1 * torch.sin(2 * time_s).clamp(min=0)),
        ("waist.z", 0.2 * torch.sin(3 * time_s)),
        ("ankle.L.x", torch.full_like(time_s, -LEAN)),
        ("ankle.R.x", torch.full_like(time_s, -LEAN)),
    ):
        angles[:, space.names.index(name)] = values
    tilt = matrix_from_rotvec(torch.tensor([PITCH, 0.0, 0.0], dtype=torch.float64))
    facing_camera = torch.tensor([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]], dtype=torch.float64)
    upright = tilt @ facing_camera
    orientation = upright @ matrix_from_rotvec(torch.tensor([LEAN, 0.0, 0.0], dtype=torch.float64))
    attachment = space.attach(rest)
    position = torch.tensor([0.1, 0.0, 4.0], dtype=torch.float64).expand(frames, 3).clone()
    points, _ = space.landmarks(attachment, position, orientation.expand(frames, 3, 3), angles)
    # The right foot carries: keep its heel where it was.
    position = position + (points[:1, 30] - points[:, 30])
    points, _ = space.landmarks(attachment, position, orientation.expand(frames, 3, 3), angles)
    points = points[:, :33]
    center = torch.tensor([SIZE_PX[0] / 2, SIZE_PX[1] / 2], dtype=torch.float64)
    px = points[..., :2] / points[..., 2:] * FOCAL_PX + center
    px = px + noise_px * torch.randn(px.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    hips = (points[:, 23] + points[:, 24])[:, None] / 2
    ones = np.ones((frames, 33), np.float32)
    landmarks = Landmarks(
        frames=np.arange(frames, dtype=np.int32),
        time_s=time_s.numpy(),
        present=np.ones(frames, bool),
        px=px.numpy().astype(np.float32),
        visibility=ones,
        presence=ones,
        score=ones[:, 0],
        world_m=(points - hips).numpy().astype(np.float32),
        size_px=SIZE_PX,
    )
    return Scene(landmarks, points, angles, float(rest.height_m), upright[:, 2])


@pytest.fixture(scope="session")
def scene(body, space) -> Scene:
    return make_scene(body, space)
