"""A clip as the refinement reads it: crops, landmarks in them, and windows of the estimate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.body.hands import relaxed_fingers
from model.body.raster import project
from model.body.skinning import skin
from model.estimate.confidence import ERROR_PER_SIGMA
from model.estimate.evidence import STATURE_M
from model.estimate.pose_space import PoseSpace
from model.estimate.refined import all_rotations
from model.networks.body_map import LANDMARKS, BodyMap
from model.networks.looking import People

from .budget import complexity
from .crops import crop_cameras
from .eye import Glimpse
from .inputs import LEAST_DEPTH_M, Seen, Start

if TYPE_CHECKING:
    from model.estimate import Solved

_COARSE = 4
"""Every so-manieth vertex is enough to find where a body is."""
_BLOCK = 256


class Clip:
    """T frames of one person as they were estimated and seen.

    Attributes:
        present: (T,) bool. time_s: (T,) from the first frame on. crop_K: (T, 3, 3). picture_K: (3, 3). frame_K:
        (T, 3, 3) the same of each frame, which shifts as a camera that turns shows the body elsewhere.
    """

    def __init__(self, space: PoseSpace, found: Solved) -> None:
        self._space, self._pose, self.rest = space, found.solution.pose, found.solution.rest
        self._fingers = relaxed_fingers(space.body)
        evidence = found.evidence
        self.present, self.time_s = evidence.present, (evidence.time_s - evidence.time_s[0]).float()
        focal, (x, y) = evidence.focal_px, evidence.center_px.tolist()
        K = torch.tensor([[focal, 0, x], [0, focal, y], [0, 0, 1.0]], dtype=torch.float64)
        self.picture_K: NDArray[np.float64] = K.numpy()
        self.crop_K = crop_cameras(self._points_px(K), evidence.px, self.present, evidence.time_s, K)
        self.frame_K = np.repeat(self.picture_K[None], len(self.present), 0)
        if found.turns is not None:
            middle = (K @ torch.linalg.inv(self.crop_K.double()) @ K.new_tensor([0.5, 0.5, 1.0])).numpy()
            self.frame_K[:, :2, 2] += found.turns.shift_px(middle[:, :2], focal, found.sides.landmarks.size_px)
        rays = torch.cat([evidence.rays, torch.ones_like(evidence.rays[..., :1])], -1).float()
        self._landmarks, _ = project(rays, self.crop_K)
        self._confidence = evidence.confidence.float()
        if found.learned is not None:
            self._sigma_m = found.learned.landmark_sigma_m.float()
        else:
            self._sigma_m = (ERROR_PER_SIGMA * found.solution.sigma_m[:, :LANDMARKS]).float()
        size = float(self.rest.height_m) / STATURE_M
        told = evidence.relative_m if found.learned is None else found.learned.landmarks_m
        self._lifted_m = size * torch.stack([evidence.relative_m, told[:, :LANDMARKS]], 1).float()
        self._places_m = evidence.rays.float() * self._pose.position[:, None, 2:].float()
        self._places_m /= size

    def __len__(self) -> int:
        return len(self.present)

    def complexity(self, frames: slice) -> float:
        """0..1 of a stretch."""
        given = (self._places_m, self._confidence, self._sigma_m, self.present, self.time_s)
        return complexity(*(values[frames] for values in given))

    def frames(self, part: slice) -> dict[str, Tensor]:
        """What ``Start`` and ``Seen`` hold of a stretch, (T, ...) each, but for people and pictures."""
        return {
            "local": all_rotations(self._space, self._pose.part(part), self._fingers).float(),
            "root_cam_m": self._pose.position[part].float(),
            "sigma_m": self._sigma_m[part],
            "crop_K": self.crop_K[part],
            "landmarks": self._landmarks[part],
            "confidence": self._confidence[part],
            "lifted_m": self._lifted_m[part],
            "present": self.present[part],
            "time_s": self.time_s[part],
        }

    def windows(
        self, parts: Sequence[slice], glimpses: Sequence[Sequence[Glimpse]], body: BodyMap, device: torch.device
    ) -> tuple[Start, Seen]:
        """Windows of equal length, with what is seen in their frames, as the networks want them."""
        told = [self.frames(part) for part in parts]
        own = {name: torch.stack([frames[name] for frames in told]).to(device) for name in told[0]}
        vertices, heads = (
            values.float().to(device).expand(len(parts), -1, -1) for values in (self.rest.vertices_m, self.rest.heads_m)
        )
        people = People.at_rest(vertices, heads, body)
        start = Start(people=people, **{name: own.pop(name) for name in ("local", "root_cam_m", "sigma_m")})
        rgb = torch.from_numpy(np.stack([[glimpse.rgb for glimpse in part] for part in glimpses]))
        features = torch.stack([torch.stack([glimpse.features for glimpse in part]) for part in glimpses])
        return start, Seen(rgb=rgb.permute(0, 1, 4, 2, 3), features=features.to(device).float(), **own)

    def _points_px(self, K: Tensor) -> Tensor:
        """(T, N, 2) of the estimated body in the picture of a still camera."""
        body, rest, K = self._space.body, self.rest, K.float()
        vertices, weights = rest.vertices_m.float()[::_COARSE], body.skin_weights_dense[::_COARSE]
        found = []
        for first in range(0, len(self._pose.position), _BLOCK):
            pose = self._pose.part(slice(first, first + _BLOCK))
            local = all_rotations(self._space, pose, self._fingers).float()
            rotations, heads = body.kinematics(local, rest.heads_m.float(), pose.position.float())
            points = skin(vertices, rest.heads_m.float(), weights, rotations, heads)
            points = torch.cat([points[..., :2], points[..., 2:].clamp(min=LEAST_DEPTH_M)], -1)
            found.append(project(points, K)[0])
        return torch.cat(found)
