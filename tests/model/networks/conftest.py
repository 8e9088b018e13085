"""The real body as the networks know it, and people who stand before a camera."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor

from model.body import AnnyBody
from model.body.hierarchy import Hierarchy
from model.body.landmarks import LandmarkRegressor
from model.estimate.pose_space import PoseSpace
from model.estimate.rotation import matrix_from_rotvec
from model.networks.body_map import WORK_LEVEL, BodyMap
from model.networks.evidence_maps import MeshDrawer, MeshMaps
from model.networks.looking import People, PosedBody, Posture
from model.paths import WEIGHTS

UPRIGHT = torch.tensor([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])


@dataclass(frozen=True)
class Stage:
    """The body and its map; makes scenes."""

    body: AnnyBody
    map: BodyMap

    def people(self, count: int) -> People:
        rest = self.body.rest(self.body.default_shape())
        same = (count, -1, -1)
        return People.at_rest(rest.vertices_m.expand(same).clone(), rest.heads_m.expand(same).clone(), self.map)

    def posture(self, windows: int, frames: int, bend: float = 0.25, seed: int = 0) -> Posture:
        """Whole in the crop, four metres away, joints bent at random and moving a little."""
        random = torch.Generator().manual_seed(seed)
        turns = torch.zeros(windows, frames, len(self.body.bone_names), 3)
        size = (windows, 1, len(self.map.bones), 3)
        moving = bend * torch.randn(size, generator=random)
        turns[:, :, self.map.bones] = moving + 0.1 * bend * torch.randn((windows, frames, *size[2:]), generator=random)
        local = matrix_from_rotvec(turns)
        local[:, :, 0] = UPRIGHT @ matrix_from_rotvec(torch.tensor([0.0, 0.0, 0.4]))
        root = torch.tensor([0.1, 0.0, 4.0]).expand(windows, frames, 3).clone()
        crop_K = torch.tensor([[1.8, 0, 0.45], [0, 1.8, 0.5], [0, 0, 1]]).expand(windows, frames, 3, 3).clone()
        return Posture(local, root, crop_K)

    def posed(self, posture: Posture, turn: Tensor | None = None, shift: Tensor | None = None) -> PosedBody:
        windows, frames = posture.local.shape[:2]
        turn = torch.zeros(windows, frames, len(self.map.bones), 3) if turn is None else turn
        shift = torch.zeros(windows, frames, 3) if shift is None else shift
        return PosedBody(self.map, self.body.kinematics, self.people(windows), posture, turn, shift)

    def drawn(self, posture: Posture) -> MeshMaps:
        posed = self.posed(posture)
        points, hips = posed.level(WORK_LEVEL).flatten(0, 1), posed.heads_m[:, :, 0].flatten(0, 1)
        return MeshDrawer(self.map)(points, hips, posture.crop_K.flatten(0, 1))


@pytest.fixture(scope="session")
def stage(assets: Path) -> Stage:
    body = AnnyBody.load(assets)
    space = PoseSpace(body, LandmarkRegressor.load(WEIGHTS / "landmark_regressor.npz"))
    return Stage(body, BodyMap(body, space.skeleton, Hierarchy.load(assets)))
