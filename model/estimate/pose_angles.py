"""From bone rotations to the few numbers of ``PoseSpace``: its inverse, as well as it can be.

The pose space has hinges where a captured or authored pose may have any rotation.  What a hinge can't do goes into the
twist of the ball above it, which moves neither the limb above nor, then, the limb below; the last bone of a limb keeps
its orientation in space by its own ball.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from amr_blender.contract.rotations import continuous, quaternion_from_matrix

from .pose_space import PoseSpace
from .rotation import matrix_from_rotvec

BENT = 0.25
"""Sine of a bend from which on the bend itself tells the hinge's axis; below it the given twist does."""
BACKWARDS = 0.35
"""rad; what bends backwards by more was turned the wrong way round."""


@dataclass(frozen=True)
class _Limb:
    """Names of a limb's joints, from the trunk outwards; a leg has no ``twist``."""

    ball: str
    hinge: str
    twist: str | None
    end: str


_LIMBS = tuple(
    limb
    for s in "LR"
    for limb in (
        _Limb(f"shoulder.{s}", f"elbow.{s}", f"forearm.{s}", f"wrist.{s}"),
        _Limb(f"hip.{s}", f"knee.{s}", None, f"ankle.{s}"),
    )
)


def angles_from_local(space: PoseSpace, local: Tensor, consecutive: bool = True) -> Tensor:
    """The angles of which ``PoseSpace.local_rotations`` makes these rotations, or the nearest it can.

    Limbs keep their directions, hands and feet their orientation in space, unless a hinge would leave its limits.

    Args:
        space: degrees of freedom.
        local: (T, B, 3, 3) world-aligned local rotations of all bones; those that ``space`` does not move are taken
            to be at rest, and the hips' is not looked at.
        consecutive: the frames follow each other in time: rotation vectors are continuous, and of the continuous
            ones nearest to ``space.mean``.  Otherwise each frame's is the one nearest to the mean.

    Returns:
        (T, Q) radians in the order of ``space.names``, float64.
    """
    unit = space.rotvecs(torch.eye(len(space.names), dtype=torch.float64))
    bones: dict[str, list[int]] = {}
    for name, vectors in zip(space.names, unit, strict=True):
        slots = vectors.norm(dim=-1).nonzero()[:, 0].tolist()
        bones[name.removesuffix(".x").removesuffix(".y").removesuffix(".z")] = [space.skeleton.bones[s] for s in slots]
    total: dict[str, Tensor] = {}  # of each joint, (T, 3, 3)
    for joint, chain in bones.items():
        turn = local[:, chain[0]].double()
        for bone in chain[1:]:
            turn = turn @ local[:, bone].double()
        total[joint] = turn
    angles = torch.zeros((len(local), len(space.names)), dtype=torch.float64)
    heads = space.body.rest(space.body.default_shape()).heads_m.double().cpu()
    for limb in _LIMBS:
        above, middle, below = (heads[bones[joint][0]] for joint in (limb.ball, limb.hinge, limb.end))
        column = space.names.index(limb.hinge)
        axis = unit[column].sum(0)
        given = total[limb.ball] @ total[limb.hinge]
        total[limb.ball], angles[:, column] = _bend(
            total[limb.ball], given, _unit(middle - above), _unit(below - middle), axis
        )
        angles[:, column].clamp_(space.lower[column], space.upper[column])
        now = total[limb.ball] @ matrix_from_rotvec(angles[:, column, None] * axis)
        if limb.twist is not None:
            given = given @ total[limb.twist]
            column = space.names.index(limb.twist)
            axis = unit[column].sum(0)
            angles[:, column] = _twist(now.mT @ given, axis).clamp(space.lower[column], space.upper[column])
            now = now @ matrix_from_rotvec(angles[:, column, None] * axis)
        total[limb.end] = now.mT @ given @ total[limb.end]
    for joint, turn in total.items():
        if f"{joint}.x" in space.names:
            column = space.names.index(f"{joint}.x")
            ball = slice(column, column + 3)
            angles[:, ball] = _rotvecs(turn, space.mean[ball], consecutive)
    return angles


def mirrored(space: PoseSpace, angles: Tensor, orientation: Tensor) -> tuple[Tensor, Tensor]:
    """The same poses with left and right exchanged: (T, Q) angles and (T, 3, 3) hips' orientations."""
    partner = partners(space.names)
    unit = space.rotvecs(torch.eye(len(partner), dtype=torch.float64)).sum(1)
    sign = mirror_signs(unit, partner)
    mirror = torch.diag(orientation.new_tensor([-1.0, 1.0, 1.0]))
    return (angles * sign)[:, partner], mirror @ orientation @ mirror


def partners(names: Sequence[str]) -> list[int]:
    """Where each name's other side stands; a name without a side stays."""
    other = [n.replace(".L", ".?").replace(".R", ".L").replace(".?", ".R") for n in names]
    return [list(names).index(name) for name in other]


def mirror_signs(axes: Tensor, partner: list[int]) -> Tensor:
    """(N,) +1 or -1: an angle about (N, 3) an axis, in a mirror, as one about its partner's axis."""
    seen = axes * axes.new_tensor([1.0, -1.0, -1.0])  # an axis turns the other way in a mirror
    return (seen * axes[partner]).sum(-1).sign()


def _unit(v: Tensor) -> Tensor:
    return v / v.norm(dim=-1, keepdim=True).clamp(min=1e-12)


def _frames(along: Tensor, beside: Tensor) -> Tensor:
    """(..., 3, 3) right-handed frames: first axis ``along``, a unit vector, second ``beside`` made perpendicular."""
    second = _unit(beside - along * (along * beside).sum(-1, keepdim=True))
    return torch.stack([along, second, torch.linalg.cross(along, second)], -1)


def _bend(ball: Tensor, below: Tensor, upper: Tensor, lower: Tensor, axis: Tensor) -> tuple[Tensor, Tensor]:
    """Ball and hinge that point the two limbs where they point.

    Args:
        ball: (T, 3, 3) rotation of the upper limb. below: (T, 3, 3) of the lower limb, in the same frame.
        upper, lower: (3,) unit directions of the limbs at rest. axis: (3,) the hinge's, perpendicular to both.

    Returns:
        (T, 3, 3) the ball turned about the upper limb, and (T,) the hinge's angle from rest.
    """
    u, f, told = ball @ upper, below @ lower, ball @ axis
    across = torch.linalg.cross(u, f)
    sine = across.norm(dim=-1, keepdim=True)
    bend = torch.atan2(sine, (u * f).sum(-1, keepdim=True))
    backwards = ((across * told).sum(-1, keepdim=True) < 0) & (bend < BACKWARDS)
    seen = torch.where(backwards, -1.0, 1.0) * across / sine.clamp(min=1e-9)
    trust = sine**2 / (sine**2 + BENT**2)
    hinge = _frames(u, (1 - trust) * told + trust * seen)[..., 1]
    angle = torch.atan2((hinge * across).sum(-1), (u * f).sum(-1))
    at_rest = torch.atan2(axis @ torch.linalg.cross(upper, lower), upper @ lower)
    return _frames(u, hinge) @ _frames(upper, axis).mT, angle - at_rest


def _twist(turn: Tensor, axis: Tensor) -> Tensor:
    """(T,) angle about ``axis`` (3,) in -pi..pi of (T, 3, 3) rotations (swing and twist)."""
    q = torch.from_numpy(quaternion_from_matrix(turn.numpy()))
    angle = 2 * torch.atan2(q[:, 1:] @ axis, q[:, 0])
    return torch.remainder(angle + torch.pi, 2 * torch.pi) - torch.pi


def _rotvecs(turn: Tensor, mean: Tensor, consecutive: bool) -> Tensor:
    """(T, 3) rotation vectors of (T, 3, 3); of the two within a full turn, those that suit ``mean`` (3,)."""
    q = quaternion_from_matrix(turn.numpy())
    if consecutive:
        q = continuous(q)
    both = torch.stack([_logarithm(torch.from_numpy(sign * q)) for sign in (1.0, -1.0)])  # (2, T, 3)
    away = (both - mean).norm(dim=-1)
    if consecutive:
        return both[int(away.mean(1).argmin())]
    return both[away.argmin(0), torch.arange(len(turn))]


def _logarithm(q: Tensor) -> Tensor:
    """(T, 3) rotation vectors of (T, 4) wxyz, of length 0..2 pi: beyond pi where w is negative."""
    sine = q[:, 1:].norm(dim=-1, keepdim=True)
    angle = 2 * torch.atan2(sine, q[:, :1])
    return torch.where(sine > 1e-9, angle / sine.clamp(min=1e-12), 2.0) * q[:, 1:]
