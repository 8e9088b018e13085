"""More of the detected clips than there are: mirrored, rolled, backwards, faster or slower, and a little noisier.

They are few, and a network would learn them by heart.  Nothing here changes how a detector errs: it sees a mirrored or
a slightly rolled picture much as the picture itself (within what is drawn here), and its noise has no direction in
time.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from model.body.body_points import BULK_NAMES, CONTACT_NAMES
from model.body.landmarks import LANDMARK_NAMES
from model.detect.landmarks import OTHER_SIDE
from model.estimate.pose_angles import mirrored, partners
from model.estimate.pose_space import PoseSpace
from model.synth.landmarks.noise import Sighting
from model.synth.landmarks.plays import Plays

ROLL_RAD = 0.2
SPEED = 0.35
"""Spread (log) of the rate at which frames follow each other."""
JITTER, BIAS = 0.004, 0.008
"""Standard deviations of what is added to the landmarks, in metres at the person: in a frame, and lasting."""
LENGTHS = (48, 32, 24, 16)


def varied(plays: Plays, seen: Sighting, space: PoseSpace, rng: torch.Generator) -> tuple[Plays, Sighting]:
    """B clips of T frames to as many others, of the same or a shorter length."""
    count, frames = plays.angles.shape[:2]
    length = min(frames, LENGTHS[int(torch.randint(len(LENGTHS), (), generator=rng))])
    start = int(torch.randint(frames - length + 1, (), generator=rng))
    part = slice(start, start + length)
    plays, seen = plays.cut(part), Sighting(*(value[:, part] for value in vars(seen).values()))
    plays, seen = _mirrored(plays, seen, space, torch.rand(count, generator=rng) < 0.5)
    plays, seen = _rolled(plays, seen, ROLL_RAD * torch.randn(count, generator=rng))
    plays, seen = _backwards(plays, seen, torch.rand(count, generator=rng) < 0.5)
    speed = torch.exp(SPEED * (2 * torch.rand(count, generator=rng) - 1)).numpy()
    size = (1.0 / torch.from_numpy(plays.root_cam_m)[..., 2].clamp(min=0.3))[..., None, None]
    bias = BIAS * torch.randn(count, 1, seen.rays.shape[2], 2, generator=rng)
    jitter = JITTER * torch.randn(seen.rays.shape, generator=rng)
    rays = seen.rays + size * (bias + jitter) * seen.present[..., None, None]
    return replace(plays, fps=(plays.fps * speed).astype(np.float32)), replace(seen, rays=rays)


def _mirrored(plays: Plays, seen: Sighting, space: PoseSpace, which: Tensor) -> tuple[Plays, Sighting]:
    """Left for right, those of ``which`` (B,)."""
    angles, orientation = torch.from_numpy(plays.angles), torch.from_numpy(plays.orientation)
    other, turned = mirrored(space, angles.flatten(0, 1), orientation.flatten(0, 1))
    flip = torch.tensor([-1.0, 1.0, 1.0])
    points = torch.from_numpy(plays.points_cam_m)[:, :, _points()] * flip
    contacts = torch.from_numpy(plays.contacts)[:, :, partners(CONTACT_NAMES)]

    def choose(own: Tensor, theirs: Tensor) -> Tensor:
        return torch.where(which.reshape(-1, *[1] * (own.dim() - 1)), theirs, own)

    own = {name: torch.from_numpy(getattr(plays, name)) for name in ("root_cam_m", "up", "points_cam_m", "contacts")}
    theirs = {"root_cam_m": own["root_cam_m"] * flip, "up": own["up"] * flip, "points_cam_m": points}
    own |= {"angles": angles, "orientation": orientation}
    theirs |= {
        "contacts": contacts,
        "angles": other.reshape(angles.shape),
        "orientation": turned.reshape(orientation.shape),
    }
    arrays = {name: choose(own[name], theirs[name]).numpy().astype(getattr(plays, name).dtype) for name in own}
    side = torch.from_numpy(OTHER_SIDE)
    return replace(plays, **arrays), replace(
        seen,
        rays=choose(seen.rays, seen.rays[:, :, side] * flip[:2]),
        visibility=choose(seen.visibility, seen.visibility[:, :, side]),
        world_m=choose(seen.world_m, seen.world_m[:, :, side] * flip),
    )


def _rolled(plays: Plays, seen: Sighting, angle: Tensor) -> tuple[Plays, Sighting]:
    """The camera turned about its axis by (B,) radians."""
    c, s, o = angle.cos(), angle.sin(), torch.zeros_like(angle)
    turn = torch.stack([c, -s, o, s, c, o, o, o, o + 1], -1).reshape(-1, 3, 3)
    turned = {
        "orientation": turn[:, None] @ torch.from_numpy(plays.orientation),
        "up": (turn @ torch.from_numpy(plays.up)[..., None])[..., 0],
        "root_cam_m": torch.from_numpy(plays.root_cam_m) @ turn.mT,
        "points_cam_m": torch.from_numpy(plays.points_cam_m) @ turn[:, None].mT,
    }
    return replace(plays, **{name: value.numpy() for name, value in turned.items()}), replace(
        seen, rays=seen.rays @ turn[:, None, :2, :2].mT, world_m=seen.world_m @ turn[:, None].mT
    )


def _backwards(plays: Plays, seen: Sighting, which: Tensor) -> tuple[Plays, Sighting]:
    """Those of ``which`` (B,) from the last frame to the first."""
    rows = which.numpy()
    by_frame = ("angles", "orientation", "points_cam_m", "root_cam_m", "contacts")
    arrays = {name: getattr(plays, name).copy() for name in by_frame}
    for value in arrays.values():
        value[rows] = value[rows, ::-1]
    shown = {name: torch.where(which.reshape(-1, *[1] * (v.dim() - 1)), v.flip(1), v) for name, v in vars(seen).items()}
    return replace(plays, **arrays), Sighting(**shown)


def _points() -> list[int]:
    """Partners of the landmarks, then of the body's own points."""
    count = len(LANDMARK_NAMES)
    return [*OTHER_SIDE.tolist(), *(count + k for k in partners((*CONTACT_NAMES, *BULK_NAMES)))]
