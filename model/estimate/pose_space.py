"""The pose as few numbers: degrees of freedom of the joints that the landmarks can tell apart.

A frame has P = 6 + Q numbers: 3 of position (camera, metres), 3 of the hips' orientation (rotation increments), and
Q joint angles (radians).  Several bones may share one angle (the spine bends as a whole), a hinge has one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model.body.anny import AnnyBody, RestBody
from model.body.landmarks import Attachment, LandmarkRegressor, Skeleton

from .rotation import left_jacobian, matrix_from_rotvec

_ENDS_M = 0.03
"""Of the body from its lowest and its highest point, where those of anybody are."""
POSITION, ORIENTATION, FIRST_ANGLE = slice(0, 3), slice(3, 6), 6


@dataclass(frozen=True)
class Pose:
    """T frames in the camera's space: ``position`` (T, 3) metres, ``orientation`` (T, 3, 3), ``angles`` (T, Q)."""

    position: Tensor
    orientation: Tensor
    angles: Tensor

    def part(self, frames: slice) -> Pose:
        """The pose in a stretch of frames."""
        return Pose(self.position[frames], self.orientation[frames], self.angles[frames])

    def moved(self, step: Tensor) -> Pose:
        """The pose after a Gauss-Newton step (T, P)."""
        return Pose(
            self.position + step[:, POSITION],
            matrix_from_rotvec(step[:, ORIENTATION]) @ self.orientation,
            self.angles + step[:, FIRST_ANGLE:],
        )


@dataclass(frozen=True)
class _Ball:
    """Three angles (a rotation vector) spread evenly over ``bones``."""

    name: str
    bones: tuple[str, ...]
    sigma: tuple[float, float, float]
    """Prior standard deviation in radians about body x (left), y (back) and z (up)."""
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class _Hinge:
    """One angle about the axis in which the limb of the rest pose is bent: 0 as at rest, growing with flexion."""

    name: str
    bone: str
    chain: tuple[str, str, str]
    """Bones whose heads are the two ends and the middle of the bent limb: upper, hinge, lower."""
    mean: float
    sigma: float


@dataclass(frozen=True)
class _Twist:
    """One angle about the bone's own axis."""

    name: str
    bone: str
    sigma: float


def _both(side: str) -> list[_Ball | _Hinge | _Twist]:
    s = side
    return [
        _Ball(f"collar.{s}", (f"clavicle.{s}", f"shoulder01.{s}"), (0.08, 0.15, 0.12)),
        _Ball(f"shoulder.{s}", (f"upperarm01.{s}",), (1.2, 1.2, 1.2)),
        _Hinge(f"elbow.{s}", f"lowerarm01.{s}", (f"upperarm01.{s}", f"lowerarm01.{s}", f"wrist.{s}"), 0.2, 1.0),
        _Twist(f"forearm.{s}", f"lowerarm02.{s}", 0.7),
        _Ball(f"wrist.{s}", (f"wrist.{s}",), (0.3, 0.3, 0.3)),
        _Ball(f"hip.{s}", (f"upperleg01.{s}",), (0.9, 0.5, 0.5)),
        _Hinge(f"knee.{s}", f"lowerleg01.{s}", (f"upperleg01.{s}", f"lowerleg01.{s}", f"foot.{s}"), 0.2, 1.0),
        _Ball(f"ankle.{s}", (f"foot.{s}",), (0.4, 0.2, 0.25)),
    ]


_JOINTS: tuple[_Ball | _Hinge | _Twist, ...] = (
    _Ball("waist", ("spine05", "spine04", "spine03"), (0.18, 0.13, 0.15)),
    _Ball("chest", ("spine02", "spine01"), (0.13, 0.1, 0.15)),
    _Ball("neck", ("neck01", "neck02", "neck03"), (0.3, 0.2, 0.4)),
    _Ball("head", ("head",), (0.3, 0.2, 0.4)),
    *_both("L"),
    *_both("R"),
)


class PoseSpace:
    """Maps pose numbers to rotations and landmarks, with derivatives.  float64, CPU.

    Attributes:
        names: Q names of the angles.
        mean, sigma: (Q,) prior of the angles, radians.
        lower, upper: (Q,) limits of hinges, radians, infinite elsewhere.
    """

    def __init__(self, body: AnnyBody, regressor: LandmarkRegressor) -> None:
        self.body = body
        moving = [b for joint in _JOINTS for b in (joint.bones if isinstance(joint, _Ball) else (joint.bone,))]
        self.skeleton = Skeleton(body, regressor, moving)
        rest = body.rest(body.default_shape())
        heads = rest.heads_m.double().cpu()
        slot = {name: i for i, name in enumerate(self.skeleton.names)}
        self.names: list[str] = []
        pairs: list[tuple[int, int, Tensor]] = []  # angle, bone slot, axis scaled by the bone's share
        mean: list[float] = []
        sigma: list[float] = []
        lower: list[float] = []
        upper: list[float] = []

        def add(name: str, parts: list[tuple[str, Tensor]], m: float, s: float, lo: float, hi: float) -> None:
            pairs.extend((len(self.names), slot[bone], axis) for bone, axis in parts)
            self.names.append(name)
            for values, value in ((mean, m), (sigma, s), (lower, lo), (upper, hi)):
                values.append(value)

        infinite = float("inf")
        for joint in _JOINTS:
            if isinstance(joint, _Ball):
                for k, axis in enumerate(torch.eye(3, dtype=torch.float64)):
                    parts = [(bone, axis / len(joint.bones)) for bone in joint.bones]
                    add(f"{joint.name}.{'xyz'[k]}", parts, joint.mean[k], joint.sigma[k], -infinite, infinite)
            elif isinstance(joint, _Hinge):
                a, b, c = (heads[body.bone(n)] for n in joint.chain)
                axis = torch.linalg.cross(b - a, c - b)
                at_rest = float(torch.atan2(axis.norm(), (b - a) @ (c - b)))
                axis = axis / axis.norm()
                add(joint.name, [(joint.bone, axis)], joint.mean, joint.sigma, -at_rest, 2.7 - at_rest)
            else:
                bone = body.bone(joint.bone)
                axis = rest.tails_m.double().cpu()[bone] - heads[bone]
                add(joint.name, [(joint.bone, axis / axis.norm())], 0.0, joint.sigma, -1.6, 1.6)
        self.mean, self.sigma = torch.tensor(mean).double(), torch.tensor(sigma).double()
        self.lower, self.upper = torch.tensor(lower).double(), torch.tensor(upper).double()
        self._pair_angle = torch.tensor([p[0] for p in pairs])
        self._pair_slot = torch.tensor([p[1] for p in pairs])
        self._pair_axis = torch.stack([p[2] for p in pairs])
        self._parents = torch.tensor(self.skeleton.parents)

    @property
    def size(self) -> int:
        """P, numbers per frame."""
        return FIRST_ANGLE + len(self.names)

    def attach(self, rest: RestBody) -> Attachment:
        """The landmarks of one person."""
        index = self.skeleton.regressor.vertex_index
        return self.skeleton.attach(rest.heads_m.double().cpu(), rest.vertices_m.double().cpu()[index])

    def people(self) -> Callable[[Tensor], tuple[Attachment, float]]:
        """A function from (P,) shapes to the landmarks of those people and their standing height in metres, much faster
        than one by one from their whole bodies."""
        regressor = self.skeleton.regressor
        z = self.body.rest(self.body.default_shape()).vertices_m[:, 2]
        ends = torch.nonzero((z > z.max() - _ENDS_M) | (z < z.min() + _ENDS_M))[:, 0]
        watch, count = self.body.watch(torch.cat([regressor.vertex_index.flatten(), ends])), regressor.weight.numel()

        def person(shape: Tensor) -> tuple[Attachment, float]:
            rest = watch(shape)
            vertices = rest.vertices_m[:count].double().reshape(*regressor.weight.shape, 3)
            return self.skeleton.attach(rest.heads_m.double(), vertices), float(rest.height_m)

        return person

    def rotvecs(self, angles: Tensor) -> Tensor:
        """(T, Q) angles to (T, S, 3) rotation vectors of the moving bones (slot 0, the hips, stays 0)."""
        out = angles.new_zeros((len(angles), len(self.skeleton.names), 3))
        return out.index_add(1, self._pair_slot, angles[:, self._pair_angle, None] * self._pair_axis)

    def local_rotations(self, orientation: Tensor, angles: Tensor) -> Tensor:
        """(T, B, 3, 3) local rotations of all bones, from (T, 3, 3) hips orientations and (T, Q) angles."""
        moving = matrix_from_rotvec(self.rotvecs(angles))
        local = torch.eye(3, dtype=angles.dtype).repeat(len(angles), len(self.body.bone_names), 1, 1)
        local[:, self.skeleton.bones] = moving
        local[:, 0] = orientation
        return local

    def levers(self, person: Attachment) -> Tensor:
        """(L, S, 3) from the head of the hips' bone to the landmarks: turned by the bones' rotations against rest and
        summed over the bones they are the landmarks, arms and bones' lengths together."""
        parents = self._parents.clamp(min=0)
        offsets = person.heads_m - person.heads_m[parents]
        carried = (person.shares @ self.skeleton.below)[..., None] * offsets
        return person.arms_m.index_add(1, parents, carried)

    def changes(
        self, attachments: Sequence[Attachment], base: Attachment, orientation: Tensor, angles: Tensor
    ) -> Tensor:
        """(T, L, 3, Z): how much further the landmarks of Z other people, in the same pose, are than those of ``base``.

        Linear in the arms and in the bones' lengths, so that one product over all bones does for all of them.
        """
        local = torch.cat([orientation[:, None], matrix_from_rotvec(self.rotvecs(angles))[:, 1:]], 1)
        rotations = self.skeleton.kinematics.rotations(local)
        arms = torch.stack([self.levers(a) for a in attachments]) - self.levers(base)
        frames, bones = rotations.shape[:2]
        flat = rotations.transpose(1, 2).reshape(frames * 3, bones * 3)
        out = flat @ arms.permute(2, 3, 1, 0).reshape(bones * 3, -1)
        return out.reshape(frames, 3, arms.shape[1], arms.shape[0]).transpose(1, 2)

    def landmarks(
        self, attachment: Attachment, position: Tensor, orientation: Tensor, angles: Tensor, jacobian: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Pose the landmarks.

        Args:
            attachment: of the person, L landmarks.
            position: (T, 3) head of the hips, metres. orientation: (T, 3, 3). angles: (T, Q) radians.
            jacobian: also return the derivative.

        Returns:
            (T, L, 3) landmarks and, if asked for, (T, L, 3, P) derivatives by position, by a world-side rotation
            of the hips (``exp(d) @ orientation``) and by the angles.
        """
        rotvecs = self.rotvecs(angles)
        local = matrix_from_rotvec(rotvecs)
        local = torch.cat([orientation[:, None], local[:, 1:]], 1)
        rotations, heads = self.skeleton.kinematics(local, attachment.heads_m, position)
        shares = attachment.per_bone(rotations, heads)
        points = shares.sum(2)
        if not jacobian:
            return points, None
        frames, count = points.shape[:2]
        carried = torch.einsum("tlsd,sb->tlbd", shares, self.skeleton.below)
        weight = attachment.shares @ self.skeleton.below
        levers = carried - weight[None, :, :, None] * heads[:, None]  # (T, L, S, 3) about each bone's head
        out = points.new_zeros((frames, count, 3, self.size))
        out[..., POSITION] = torch.eye(3, dtype=points.dtype)
        eye = torch.eye(3, dtype=points.dtype)
        for k in range(3):
            out[..., 3 + k] = torch.linalg.cross(eye[k].expand(frames, count, 3), levers[:, :, 0])
        parent = rotations[:, self._parents[self._pair_slot]]
        turn = left_jacobian(rotvecs)[:, self._pair_slot]
        axes = (parent @ (turn @ self._pair_axis[:, :, None]))[..., 0]  # (T, N, 3) world axis of each pair
        moved = torch.linalg.cross(axes[:, None], levers[:, :, self._pair_slot])  # (T, L, N, 3)
        out.index_add_(3, FIRST_ANGLE + self._pair_angle, moved.transpose(2, 3))
        return points, out
