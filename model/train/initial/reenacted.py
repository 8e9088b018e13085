"""The detected clips enacted by others, in other directions and a little otherwise, seen with the same errors.

A few hundred clips are soon known by heart: who it is, and what he does.  What is worth learning from them is how the
detector errs, and that hardly changes when the person, the heading and the pose change a little: the landmarks go where
the body goes, and keep their distance from it.  A hidden landmark is the detector's guess from what it sees: it goes
with person and heading, not with what the hidden limb does.

And they are seen better: what the detector sees of a drawn person is off by half as much again as what it sees of a
real one (median of good footage 19 mm for 12).  Its 3D errs as much, but otherwise: a drawn person as a whole leans by
7 degrees too much or too little, the one real person whose truth is known by 2.5, from two sides.  So clips lean less
here, by about as much.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from model.body.landmarks import LANDMARK_NAMES
from model.detect.landmarks import OTHER_SIDE
from model.estimate.pose_layout import PoseLayout
from model.estimate.rotation import matrix_from_rotvec, nearest_rotation, rotvec_from_matrix
from model.estimate.sides import GROUPS
from model.synth.landmarks.crowd import Crowd
from model.synth.landmarks.noise import Sighting, lifted_m
from model.synth.landmarks.plays import Plays

SOMEBODY_ELSE = 0.7
"""Share of the clips that another person enacts, as far from the camera as makes him as large in the picture."""
HEADING_RAD, LEAN_RAD = 0.3, 0.08
"""Standard deviations of what the whole body turns about the vertical, and of what it leans."""
LASTING_RAD, SLOW_RAD, KNOT_FRAMES = 0.12, 0.06, 12
"""Of each angle's change over the clip, and of what comes and goes over so many frames."""
CLOSER = (0.4, 1.0)
"""What remains, at least and at most, of a clip's errors in the picture."""
LEANS = (0.0, 0.6)
"""What remains, likewise, of the turn of a clip's whole 3D against the truth."""
_LARGEST_LEAN_RAD = 0.6
_NEAREST_M = 0.2
_SIDE = torch.from_numpy(OTHER_SIDE)


def reenacted(
    plays: Plays, seen: Sighting, visible: Tensor, crowd: Crowd, layout: PoseLayout, rng: torch.Generator
) -> tuple[Plays, Sighting]:
    """B clips of T frames to as many others.

    Args:
        visible: (B, T, 33) bool, which landmarks can be seen. crowd: the people of the plays. layout: of their poses.
    """
    count, frames = plays.angles.shape[:2]
    person = torch.from_numpy(plays.person).long()
    other = torch.randint(len(crowd.stature_m), (count,), generator=rng)
    other = torch.where(torch.rand(count, generator=rng) < SOMEBODY_ELSE, other, person)
    angles, orientation, root, points = (
        torch.from_numpy(a) for a in (plays.angles, plays.orientation, plays.root_cam_m, plays.points_cam_m)
    )
    turned = _turn(torch.from_numpy(plays.up), rng)[:, None] @ orientation
    moved = angles + _change(count, frames, angles.shape[-1], rng)
    ratio = crowd.stature_m[other] / crowd.stature_m[person]
    away = root * ratio[:, None, None]

    def enacted(angles: Tensor) -> Tensor:
        balls, hinges = layout.targets(angles)
        return crowd.points(other, layout.local(balls, hinges, turned)) + away[:, :, None]

    same, final = enacted(angles), enacted(moved)
    marks = slice(0, len(LANDMARK_NAMES))
    before, between, after = (
        _shown(p[:, :, marks], crowd.stature_m[who]) for p, who in ((points, person), (same, other), (final, other))
    )
    rays, world = (
        a + _exchanged(middle - first + visible[..., None] * (last - middle), seen.exchanged)
        for a, first, middle, last in zip((seen.rays, seen.world_m), before, between, after, strict=True)
    )
    remains = CLOSER[0] + (CLOSER[1] - CLOSER[0]) * torch.rand(count, 1, 1, 1, generator=rng)
    rays = closer(rays, after[0], visible, seen.exchanged, remains)
    mask = seen.present[..., None, None]
    share = LEANS[0] + (LEANS[1] - LEANS[0]) * torch.rand(count, 1, generator=rng)
    near = visible & seen.present[..., None] & ~seen.exchanged.any(-1, keepdim=True)
    world = world @ matrix_from_rotvec((share - 1) * _lean(world, after[1], near))[:, None].mT
    return replace(
        plays,
        person=other.numpy().astype(plays.person.dtype),
        angles=moved.numpy(),
        orientation=turned.numpy(),
        root_cam_m=away.numpy(),
        points_cam_m=final.numpy(),
    ), replace(seen, rays=rays * mask, world_m=world * mask)


def _lean(world_m: Tensor, true_m: Tensor, near: Tensor) -> Tensor:
    """(B, 3) rotation vectors of whole clips' 3D against the truth, (B, T, 33, 3) both, by the landmarks of (B, T, 33)
    ``near`` (Kabsch, 1976); zero where it is so large that it is another kind of error."""
    pairs = torch.einsum("btli,btlj->bij", world_m * near[..., None], true_m)
    lean = rotvec_from_matrix(nearest_rotation(pairs + 1e-3 * torch.eye(3)))
    return torch.where(lean.norm(dim=-1, keepdim=True) < _LARGEST_LEAN_RAD, lean, 0.0)


def closer(rays: Tensor, true: Tensor, visible: Tensor, exchanged: Tensor, remains: Tensor | float) -> Tensor:
    """(B, T, 33, 2) rays of which so much of the error ``remains`` where the landmark can be seen and nothing is
    exchanged."""
    near = visible & ~exchanged.any(-1, keepdim=True)
    return torch.where(near[..., None], true + remains * (rays - true), rays)


def _turn(up: Tensor, rng: torch.Generator) -> Tensor:
    """(B, 3, 3) about (B, 3) the vertical, and a little about any axis."""
    heading = HEADING_RAD * torch.randn(len(up), 1, generator=rng) * up
    return matrix_from_rotvec(heading + LEAN_RAD * torch.randn(len(up), 3, generator=rng))


def _change(count: int, frames: int, angles: int, rng: torch.Generator) -> Tensor:
    """(B, T, Q) radians."""
    lasting = LASTING_RAD * torch.randn(count, 1, angles, generator=rng)
    knots = torch.randn(count, angles, max(frames // KNOT_FRAMES, 1) + 1, generator=rng)
    slow = functional.interpolate(knots, frames, mode="linear", align_corners=True).transpose(1, 2)
    return lasting + SLOW_RAD * slow


def _shown(points_m: Tensor, stature_m: Tensor) -> tuple[Tensor, Tensor]:
    """(B, T, 33, 3) to rays, and to BlazePose's 3D, as a detector without errors has them."""
    return true_rays(points_m), lifted_m(points_m, stature_m)


def true_rays(points_m: Tensor) -> Tensor:
    """(..., 3) in camera space to (..., 2)."""
    return points_m[..., :2] / points_m[..., 2:].clamp(min=_NEAREST_M)


def _exchanged(change: Tensor, exchanged: Tensor) -> Tensor:
    """(B, T, 33, C) as the landmarks have it where sides are taken for each other, (B, T, G)."""
    out = change
    for group, pairs in enumerate(GROUPS.values()):
        member = torch.zeros(change.shape[2], dtype=torch.bool)
        member[sum(pairs, [])] = True
        out = torch.where(exchanged[:, :, group, None, None] & member[:, None], change[:, :, _SIDE], out)
    return out
