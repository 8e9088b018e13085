"""The real body, and people who were seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from amr_blender.contract.job import Job
from model.body.body_points import body_points
from model.body.landmarks import LandmarkRegressor
from model.body.raster import project
from model.detect.landmarks import Landmarks
from model.estimate import Plan, Solved, solved
from model.estimate.pose_space import PoseSpace
from model.networks.attention import DAN, DanSettings
from model.networks.body_map import HIPS, BodyMap
from model.networks.evidence_maps import FRAME_CHANNELS
from model.networks.refinement import HRN, HrnSettings
from model.networks.weights import save_weights
from model.paths import WEIGHTS
from model.refine.inputs import Seen, Start
from model.refine.refiner import ATTENTION_FILE, REFINEMENT_FILE, Calibration, Refiner
from model.video import Frame, VideoInfo
from tests.model.estimate.conftest import FOCAL_PX, FPS, SIZE_PX, make_scene
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
    features = 4 * torch.rand(windows, frames, FRAME_CHANNELS, 32, 32, generator=random)
    rgb = torch.randint(0, 256, (windows, frames, 3, 256, 256), generator=random, dtype=torch.uint8)
    start = Start(posture.local, posture.root_cam_m, stage.people(windows), torch.full((windows, frames, 33), 0.1))
    ones = torch.ones(windows, frames)
    time_s = (torch.arange(frames) / 25.0).expand(windows, -1)
    where = where + torch.tensor([off, 0.0])
    lifted = (points - points[:, :, HIPS].mean(2, keepdim=True))[:, :, None].expand(-1, -1, 2, -1, -1)
    sure = torch.ones(windows, frames, 33)
    return start, Seen(features, posture.crop_K, where, sure, lifted, ones > 0, time_s, rgb)


DAN_SMALL = DanSettings(fine=16, features=16, residual=1, detail=8, width=32, depth=1, heads=2, head=16)
HRN_SMALL = HrnSettings(
    detail=9, frame=16, pose_width=32, pose_depth=1, touch=16, widths=(16, 16, 16, 16), blocks=(1, 1, 1, 1)
)


def networks(body: BodyMap, lively: float = 200.0, seed: int = 1) -> tuple[DAN, HRN]:
    """Untrained, but with some attention, and moving much (or, with 0, not at all)."""
    torch.manual_seed(seed)
    dan, hrn = DAN(body, DAN_SMALL).eval(), HRN(body, HRN_SMALL).eval()
    with torch.no_grad():
        for head in (hrn.pose.turn, hrn.pose.shift, *(level.move for level in hrn.levels)):
            head.weight.mul_(lively)
    return dan, hrn


def maker(stage: Stage, lively: float = 200.0, uniform: bool = False) -> Callable[[BodyMap], Refiner]:
    def make(body: BodyMap) -> Refiner:
        return Refiner(*networks(body, lively), stage.body.kinematics, Calibration(2.0, 1.0), uniform=uniform)

    return make


def save_networks(stage: Stage, folder: Path, **about: object) -> Path:
    """Write the weights of :func:`networks`, with other things about them."""
    dan, hrn = networks(stage.map)
    told = {"settings": dan.settings.to_dict(), "sigma_scale": 2.0, "sigma_power": 1.0, **about}
    save_weights(folder / ATTENTION_FILE, dan, told)
    save_weights(folder / REFINEMENT_FILE, hrn, {"settings": hrn.settings.to_dict()})
    return folder


@dataclass(frozen=True)
class Shown:
    """A person before a camera, what was estimated of them, and footage in which there is nothing but noise."""

    space: PoseSpace
    landmarks: Landmarks
    found: Solved

    def part(self, frames: int, absent: slice | None = None) -> Shown:
        """The first frames, estimated anew, the person in some of them not seen."""
        arrays = {k: v if k == "size_px" else v[:frames].copy() for k, v in vars(self.landmarks).items()}
        if absent is not None:
            arrays["present"][absent] = False
        return shown(self.space, Landmarks(**arrays))

    def frames(self) -> Iterator[Frame]:
        noise = np.random.default_rng(0).integers(0, 256, (720, 1280, 3), dtype=np.uint8)
        for index, time_s in zip(self.landmarks.frames.tolist(), self.landmarks.time_s.tolist(), strict=True):
            yield Frame(index, time_s, np.roll(noise, 40 * index, 1))


INFO = VideoInfo("noise", *SIZE_PX, FPS, 45, 0, "", FOCAL_PX)
PLAN = Plan(network=True, fit=False, refine=True)


def shown(space: PoseSpace, landmarks: Landmarks) -> Shown:
    return Shown(space, landmarks, solved(landmarks, space, INFO, Job("noise", "take"), PLAN))


@pytest.fixture(scope="session")
def walk(stage: Stage) -> Shown:
    regressor = LandmarkRegressor.load(WEIGHTS / "landmark_regressor.npz").joined(body_points(stage.body))
    space = PoseSpace(stage.body, regressor)
    return shown(space, make_scene(stage.body, space).landmarks)
