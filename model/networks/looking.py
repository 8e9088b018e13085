"""Fresh evidence: the body posed again as the refinement has moved it, and what the pictures say just there.

What is looked up does not carry gradients back to where it was looked up (as in RAFT, Teed and Deng, ECCV 2020): only
the feature maps learn from it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from model.body.raster import project, vertex_normals
from model.body.skinning import Kinematics
from model.estimate.rotation import matrix_from_rotvec

from .body_map import HIPS, LANDMARKS, WORK_LEVEL, BodyMap
from .evidence_maps import RESIDUAL_SCALE
from .layers import as_rows, corners, gathered

RESIDUALS = 3 + 3 + 3
"""Numbers of a landmark: by how much the estimate misses it in the picture, how sure the detector is of it, and by how
much the estimate misses it in 3D, as the detector and as the initial network have it."""
SIGHT = 3 + 3 + RESIDUALS + 1
"""Numbers of a vertex beside the sampled features: place about the hips, normal, residuals, visible."""
_LIFT_SCALE = 4.0
BONE_SIGHT = 6 + 6 + 3
"""Numbers of a bone beside the sampled features: local and whole rotation, place about the hips."""


@dataclass(frozen=True)
class People:
    """B people at rest: ``vertices_m`` (B, V, 3), unit ``normals`` (B, V, 3), ``heads_m`` (B, J, 3) of all bones."""

    vertices_m: Tensor
    normals: Tensor
    heads_m: Tensor

    @classmethod
    def at_rest(cls, vertices_m: Tensor, heads_m: Tensor, body: BodyMap) -> People:
        """With their normals."""
        return cls(vertices_m, vertex_normals(vertices_m, body.faces), heads_m)


@dataclass(frozen=True)
class Posture:
    """Poses of B windows of T frames, and the camera: ``local`` (B, T, J, 3, 3) rotations of all bones, the first one's
    in camera axes, ``root_cam_m`` (B, T, 3), ``crop_K`` (B, T, 3, 3) to crop units."""

    local: Tensor
    root_cam_m: Tensor
    crop_K: Tensor


class PosedBody:
    """People in a posture, moved by the refinement.  Vertices are asked for one by one: only those are computed.

    Args:
        kinematics: of the body's tree. turn: (B, T, S, 3) rotation vectors of the moving bones, after their own
            rotations. shift: (B, T, 3) metres.
    """

    def __init__(
        self, body: BodyMap, kinematics: Kinematics, people: People, posture: Posture, turn: Tensor, shift: Tensor
    ) -> None:
        self._body, self._people = body, people
        self.frames = turn.shape[1]
        bones = body.bones
        moved = posture.local[:, :, bones] @ matrix_from_rotvec(turn)
        self.local = posture.local.index_copy(2, bones, moved)
        both = [
            kinematics(local, heads, root)
            for local, heads, root in zip(self.local, people.heads_m, posture.root_cam_m + shift, strict=True)
        ]
        self.rotations, self.heads_m = (torch.stack(part) for part in zip(*both, strict=True))
        rest = (self.rotations @ people.heads_m[:, None, :, :, None])[..., 0]
        affine = torch.cat([self.rotations, (self.heads_m - rest)[..., None]], -1)
        self._bones = affine.shape[2]
        self._affine = affine.reshape(-1, 12)

    def at(self, picture: Tensor, vertex: Tensor, offset_m: Tensor | None) -> tuple[Tensor, Tensor]:
        """(P,) frames of all windows one after another and vertices of the full mesh, with (P, 3) offsets at rest, to
        (P, 3) places, camera axes, and (P, 3) normals (those of the rest pose, turned)."""
        index = self._body.skin_index[vertex] + (picture * self._bones)[:, None]
        blend = gathered(self._affine, index, self._body.skin_weight[vertex]).unflatten(1, (3, 4))
        person = picture // self.frames
        rest = self._people.vertices_m[person, vertex]
        rest = rest if offset_m is None else rest + offset_m
        turn = blend[..., :3]
        normal = (turn @ self._people.normals[person, vertex][..., None])[..., 0]
        return (turn @ rest[..., None])[..., 0] + blend[..., 3], torch.nn.functional.normalize(normal, dim=-1)

    def level(self, level: int, offset_m: Tensor | None = None) -> Tensor:
        """(B, T, V_level, 3) all vertices of a level, with offsets at rest of the same shape."""
        seeds = self._body.hierarchy.seeds(level)
        windows = len(self._people.vertices_m)
        pictures = torch.arange(windows * self.frames, device=seeds.device)
        flat = None if offset_m is None else offset_m.reshape(-1, 3)
        points, _ = self.at(pictures.repeat_interleave(len(seeds)), seeds.repeat(len(pictures)), flat)
        return points.reshape(windows, self.frames, -1, 3)


@dataclass(frozen=True)
class BoneSight:
    """What is seen of the S moving bones and of the landmarks: ``numbers`` (B, T, S, BONE_SIGHT), ``sampled``
    (B, T, S, C), ``residual`` (B, T, 33, RESIDUALS) of the landmarks, scaled to be about one."""

    numbers: Tensor
    sampled: Tensor
    residual: Tensor


class Looking:
    """Looks at the pictures where the body is now.

    Args:
        body, kinematics, people, posture: who, and how estimated at first.
        frame: (B, T, C', 16, 16) and detail: (B, T, C, 32, 32) of ``DanOutput``.
        landmarks: (B, T, 33, 2) crop units, as detected. confidence: (B, T, 33). lifted_m: (B, T, 2, 33, 3) about the
            hips, camera axes, as the detector and the initial network have them. visible: (B, T, V_2) bool.
    """

    def __init__(
        self, body: BodyMap, kinematics: Kinematics, people: People, posture: Posture, frame: Tensor, detail: Tensor,
        landmarks: Tensor, confidence: Tensor, lifted_m: Tensor, visible: Tensor,
    ) -> None:  # fmt: skip
        self._body, self._kinematics, self._people, self._posture = body, kinematics, people, posture
        self._frame, self._detail = as_rows(frame.flatten(0, 1)), as_rows(detail.flatten(0, 1))
        self._sides = (frame.shape[-2:], detail.shape[-2:])
        self._landmarks, self._confidence, self._lifted_m = landmarks, confidence, lifted_m
        self._visible = visible.flatten(0, 1)
        self._crop_K = posture.crop_K.flatten(0, 1)
        self._posed: PosedBody | None = None
        self._residual = landmarks.new_zeros(0, RESIDUALS)

    @torch.no_grad()
    def _move(self, turn: Tensor, shift: Tensor) -> PosedBody:
        body, posture = self._body, self._posture
        self._posed = posed = PosedBody(body, self._kinematics, self._people, posture, turn.detach(), shift.detach())
        windows, frames = turn.shape[:2]
        pictures = torch.arange(windows * frames, device=turn.device)
        index = body.landmark_index.flatten()
        points, _ = posed.at(pictures.repeat_interleave(len(index)), index.repeat(len(pictures)), None)
        points = points.reshape(windows, frames, LANDMARKS, -1, 3)
        landmarks = (points * body.landmark_weight[..., None]).sum(-2)
        where, _ = project(landmarks.flatten(0, 1), self._crop_K)
        missed = RESIDUAL_SCALE * (self._landmarks - where.reshape(self._landmarks.shape)).clamp(-0.3, 0.3)
        seen = self._confidence[..., None]
        hips = landmarks[:, :, HIPS].mean(2, keepdim=True)
        above = _LIFT_SCALE * (self._lifted_m - (landmarks - hips)[:, :, None]).clamp(-1.0, 1.0)
        there = (seen.amax(2, keepdim=True) > 0).to(above)
        self._residual = torch.cat([missed * seen, seen, above[:, :, 0] * there, above[:, :, 1] * there], -1)
        return posed

    def bones(self, turn: Tensor, shift: Tensor) -> BoneSight:
        """Pose again and look along the bones; arguments as of :class:`PosedBody`."""
        posed, bones = self._move(turn, shift), self._body.bones
        with torch.no_grad():
            heads = posed.heads_m[:, :, bones]
            whole, local = posed.rotations[:, :, bones], posed.local[:, :, bones]
            sixes = [matrix[..., :2].mT.flatten(-2) for matrix in (local, whole)]
            numbers = torch.cat([*sixes, heads - heads[:, :, :1]], -1)
            where, _ = project(heads.flatten(0, 1), self._crop_K)
            pictures = torch.arange(len(where), device=where.device).repeat_interleave(len(bones))
        sampled = [
            gathered(rows, *corners(where.reshape(-1, 2), pictures, (side[0], side[1])))
            for rows, side in zip((self._frame, self._detail), self._sides, strict=True)
        ]
        return BoneSight(numbers, torch.cat(sampled, 1).reshape(*heads.shape[:3], -1), self._residual)

    def vertices(self, level: int, picture: Tensor, vertex: Tensor, offset_m: Tensor | None) -> Tensor:
        """(P, SIGHT + C) what is known at (P,) vertices of a level in (P,) frames, with (P, 3) offsets at rest."""
        assert self._posed is not None, "look at the bones first"
        body = self._body
        with torch.no_grad():
            full = body.hierarchy.seeds(level)[vertex]
            points, normal = self._posed.at(picture, full, None if offset_m is None else offset_m.detach())
            hips = self._posed.heads_m[:, :, 0].flatten(0, 1)[picture]
            homogeneous = (self._crop_K[picture] @ points[..., None])[..., 0]
            where = homogeneous[:, :2] / homogeneous[:, 2:].clamp(min=0.05)
            near = body.near_index[full] + (picture * LANDMARKS)[:, None]
            residual = gathered(self._residual.reshape(-1, RESIDUALS), near, body.near_weight[full])
            owner = body.hierarchy.owner(level)[vertex] if level > WORK_LEVEL else vertex
            visible = self._visible[picture, owner][:, None].to(points)
            rows, weights = corners(where, picture, (self._sides[1][0], self._sides[1][1]))
        sampled = gathered(self._detail, rows, weights)
        return torch.cat([points - hips, normal, residual, visible, sampled], -1)
