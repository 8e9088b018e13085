"""The last word on the ground: no part of the body's skin may be under it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from model.body.anny import RestBody
from model.body.skinning import skin

from .pose_space import Pose, PoseSpace
from .refined import Refined
from .support_terms import Footing

TOLERANCE_M = 0.004
"""Skin gives way that much."""
SPREAD_S = 0.08
"""A lift begins and ends this softly."""
FLOATING = 0.05
"""Share of the frames in which the body is down."""
_EVERY = 12  # of the skin's vertices are looked at, and all of the soles
_SOLE_M = 0.025
_BLOCK = 256


def settled(space: PoseSpace, rest: RestBody, pose: Pose, footing: Footing, present: Tensor) -> Footing:
    """The footing, on a ground as high as the body comes down to: nobody floats through a whole clip."""
    floats = float(lowest_m(space, rest, pose, footing)[present].quantile(FLOATING))
    return replace(footing, height_m=footing.height_m + max(floats, 0.0))


def lifted(space: PoseSpace, rest: RestBody, pose: Pose, footing: Footing, time_s: Tensor) -> Pose:
    """The pose, raised softly around every moment in which something is under the ground."""
    lift = _lift(lowest_m(space, rest, pose, footing), time_s)
    if not bool(lift.any()):
        return pose
    return Pose(pose.position + lift[:, None] * footing.up, pose.orientation, pose.angles)


def raised(refined: Refined, space: PoseSpace, rest: RestBody, pose: Pose, footing: Footing, time_s: Tensor) -> Refined:
    """The refinement of a pose, raised in the same way: nothing that it moved is under the ground."""
    lift = _lift(lowest_m(space, rest, pose, footing, refined), time_s)
    return replace(refined, shift_m=refined.shift_m + lift[:, None] * footing.up)


def _lift(lowest: Tensor, time_s: Tensor) -> Tensor:
    """(T,) by how much (m) to raise a body whose lowest point is (T,) above the ground."""
    under = (-lowest - TOLERANCE_M).clamp(min=0)
    if not bool(under.any()):
        return under
    # A running maximum keeps the lift whole where it is needed, the mean over the same span makes it soft.
    most, soft = torch.empty_like(under), torch.empty_like(under)
    for here, near, apart in _neighbours(time_s):
        most[here] = torch.where(apart <= SPREAD_S, under[near], 0.0).amax(1)
    for here, near, apart in _neighbours(time_s):
        weight = torch.exp(-0.5 * (apart / (0.5 * SPREAD_S)) ** 2) * (apart <= SPREAD_S)
        soft[here] = (weight @ most[near]) / weight.sum(1)
    return torch.maximum(soft, under)


def _neighbours(time_s: Tensor) -> Iterator[tuple[slice, slice, Tensor]]:
    """Blocks of frames, the frames that lie within ``SPREAD_S`` of any of them, and how far apart (s) they are.

    By blocks, so that memory does not grow with the square of the clip.
    """
    for start in range(0, len(time_s), _BLOCK):
        here = slice(start, min(start + _BLOCK, len(time_s)))
        first = int(torch.searchsorted(time_s, time_s[here.start] - SPREAD_S)) - 1
        last = int(torch.searchsorted(time_s, time_s[here.stop - 1] + SPREAD_S, right=True)) + 1
        near = slice(max(first, 0), min(last, len(time_s)))
        yield here, near, (time_s[here, None] - time_s[None, near]).abs()


def lowest_m(space: PoseSpace, rest: RestBody, pose: Pose, footing: Footing, refined: Refined | None = None) -> Tensor:
    """(T,) height (m) of the skin's lowest vertex above the ground, of the pose as it is or refined."""
    body, vertices = space.body, rest.vertices_m.double().cpu()
    near = vertices[:, 2] < vertices[:, 2].min() + _SOLE_M
    near[::_EVERY] = True
    chosen = torch.nonzero(near)[:, 0]
    weights, heads = body.skin_weights_dense.double().cpu()[chosen], rest.heads_m.double().cpu()
    kinematics = body.kinematics.double()
    out = []
    for start in range(0, len(pose.position), _BLOCK):
        frames = slice(start, start + _BLOCK)
        part = pose.part(frames)
        local, place = space.local_rotations(part.orientation, part.angles), part.position
        if refined is not None:
            local, place = refined.turned(local, frames, space.skeleton.bones), place + refined.shift_m[frames]
        rotations, posed = kinematics(local, heads, place)
        out.append(footing.above_m(skin(vertices[chosen], heads, weights, rotations, posed)).amin(1))
    return torch.cat(out)
