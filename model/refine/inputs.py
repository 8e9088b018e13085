"""What DAN and HRN are given: from an estimate and what was seen to their inputs.

Training and product go through here, so that nothing differs between them.  Everything is batched: B windows of T
frames, each window of one person.  No gradients.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from model.body.raster import project
from model.body.skinning import Kinematics
from model.estimate.evidence import LEFT_HIP, RIGHT_HIP
from model.networks.attention import DanInput, DanOutput
from model.networks.body_map import LANDMARKS, WORK_LEVEL, BodyMap
from model.networks.evidence_maps import MeshDrawer, landmark_maps
from model.networks.looking import Looking, People, PosedBody, Posture

LEAST_DEPTH_M = 0.05
_USUAL = 0.1
"""Of what is far, in metres and in sides of the crop."""


@dataclass(frozen=True)
class Start:
    """The estimate to refine, camera space."""

    local: Tensor
    """(B, T, J, 3, 3) rotations of all the body's bones, fingers included; the first in camera axes."""
    root_cam_m: Tensor
    """(B, T, 3)."""
    people: People
    """The B people at rest."""
    sigma_m: Tensor
    """(B, T, 33) the initial network's doubt of each landmark about the hips, of a body of 1.7 m."""


@dataclass(frozen=True)
class Seen:
    """What the camera and the detector say.  Frames without the person may hold anything finite."""

    features: Tensor
    """(B, T, FRAME_CHANNELS, 32, 32) of the crop, as BlazePose's trunk has them."""
    crop_K: Tensor
    """(B, T, 3, 3) of ``crops.crop_cameras``."""
    landmarks: Tensor
    """(B, T, 33, 2) crop units."""
    confidence: Tensor
    """(B, T, 33) 0..1, as the detector has it."""
    lifted_m: Tensor
    """(B, T, 2, 33, 3) landmarks about the hips, camera axes, as the detector and the initial network have them."""
    present: Tensor
    """(B, T) bool."""
    time_s: Tensor
    """(B, T) seconds; only their differences count."""
    rgb: Tensor | None = None
    """(B, T, 3, 256, 256) uint8 of ``crops.cut``, for what looks at the pixels themselves."""


class Prepared:
    """The input of DAN, and what follows from its output for HRN.

    Attributes:
        given: for DAN.
    """

    def __init__(self, body: BodyMap, kinematics: Kinematics, start: Start, seen: Seen, given: DanInput) -> None:
        self.given = given
        self._body, self._kinematics, self._start, self._seen = body, kinematics, start, seen
        self._confidence = seen.confidence * seen.present[..., None]

    def attention(self, output: DanOutput) -> Tensor:
        """(B, T, V_2) A, and zero where nobody is seen: nothing is to be found there."""
        return output.attention * self._seen.present[..., None]

    def look(self, output: DanOutput) -> Looking:
        """Fresh evidence for HRN."""
        start, seen = self._start, self._seen
        posture = Posture(start.local, start.root_cam_m, seen.crop_K)
        return Looking(
            self._body, self._kinematics, start.people, posture, output.frame, output.detail,
            seen.landmarks, self._confidence, seen.lifted_m, self.given.visible,
        )  # fmt: skip


@torch.no_grad()
def prepare(body: BodyMap, kinematics: Kinematics, drawer: MeshDrawer, start: Start, seen: Seen) -> Prepared:
    """Draw the estimate beside what was seen.

    Args:
        body: the body as the networks know it. kinematics: of its tree. drawer: of the same body.
    """
    windows, frames = seen.present.shape
    turn = start.root_cam_m.new_zeros(windows, frames, len(body.bones), 3)
    posture = Posture(start.local, start.root_cam_m, seen.crop_K)
    posed = PosedBody(body, kinematics, start.people, posture, turn, torch.zeros_like(start.root_cam_m))
    crop_K, hips = seen.crop_K.flatten(0, 1), posed.heads_m[:, :, 0].flatten(0, 1)
    drawn = drawer(posed.level(WORK_LEVEL).flatten(0, 1), hips, crop_K)
    there = seen.present[..., None]
    landmarks, confidence = seen.landmarks, seen.confidence * there
    points = landmark_points(body, posed)
    residual = landmarks - project(points, crop_K)[0].reshape(landmarks.shape)
    signs = landmark_maps(
        landmarks.flatten(0, 1), residual.flatten(0, 1), confidence.flatten(0, 1), start.sigma_m.flatten(0, 1)
    )
    shape = (windows, frames)
    given = DanInput(
        features=seen.features.float() * there[..., None, None],
        signs=signs.unflatten(0, shape),
        mesh=drawn.maps.unflatten(0, shape) * there[..., None, None],
        where=drawn.where.unflatten(0, shape),
        visible=drawn.visible.unflatten(0, shape) & there,
        hints=_hints(points.unflatten(0, shape), residual, start, seen),
        time_s=seen.time_s,
    )
    return Prepared(body, kinematics, start, seen, given)


def _hints(points: Tensor, missed: Tensor, start: Start, seen: Seen) -> Tensor:
    """(B, T, 33, HINTS) of ``DanInput``; of the estimate ``points`` (B, T, 33, 3), camera axes, and ``missed``
    (B, T, 33, 2), by how much the detector has them elsewhere in the crop."""
    about = points - points[:, :, [LEFT_HIP, RIGHT_HIP]].mean(2, keepdim=True)
    apart_m = (seen.lifted_m.transpose(2, 3) - about[..., None, :]).norm(dim=-1)
    far = torch.cat([start.sigma_m[..., None], apart_m, missed.norm(dim=-1, keepdim=True)], -1)
    hints = torch.cat([(far.clamp(1e-3, 3.0) / _USUAL).log(), seen.confidence[..., None]], -1)
    return hints * seen.present[..., None, None]


def landmark_points(body: BodyMap, posed: PosedBody) -> Tensor:
    """(B * T, 33, 3) of the estimate, camera axes; never behind the camera."""
    pictures = len(posed.heads_m.flatten(0, 1))
    index = body.landmark_index.flatten()
    picture = torch.arange(pictures, device=index.device).repeat_interleave(len(index))
    points, _ = posed.at(picture, index.repeat(pictures), None)
    points = (points.reshape(pictures, LANDMARKS, -1, 3) * body.landmark_weight[..., None]).sum(-2)
    return torch.cat([points[..., :2], points[..., 2:].clamp(min=LEAST_DEPTH_M)], -1)
