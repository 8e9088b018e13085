"""Which points of the body rest, and on what: a two-state hidden Markov model for each point.

A resting point is still in the picture for a while and, on the ground, low.  What the camera sees badly counts less:
motion along the viewing ray by a fifth, and how high a point is tells the less the more the camera looks down, for then
a wrong depth lifts or sinks it.  The speeds and heights of both states were set on made clips with known contacts.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from model.body.body_points import CONTACT_NAMES, FEET

from .support_terms import CONTACT_POINTS

STILL_M_S, MOVING_M_S = (0.13, 0.6), (1.5, 1.2)
"""Speeds of a point that rests (noise of the landmarks included) and of one that moves: median and spread (log)."""
HEIGHT_M, DEPTH_M, RAISED_M, DRIFT_M = 0.02, 0.07, 0.2, 0.08
"""Typical height of a resting point, error of its depth, height of a raised one, and drift of the whole body."""
ALONG = 0.2
"""Share of a speed along the viewing ray that counts."""
RETURN_S, SAME_PLACE_M, LIFTED_M = 0.35, 0.06, 0.06
"""What leaves its place and is back there so soon, and is not seen so high meanwhile, was not lifted."""
BEGIN_S, END_S = 0.5, 0.4
"""Mean time until a contact begins and ends."""
RARE = {"toe": 0.0, "heel": 0.0, "hand": 3.0, "knee": 2.5, "seat": 2.0}
"""How much less likely than not (log odds) a contact is before anything is seen."""
LEARNED_SHARE, SURELY = 0.4, 1e-3
"""Share of the initial network in a contact's log odds, and how improbable the surest are at most."""
CROSSING_M = 0.3
"""Across the viewing ray; a foot is that long, and hides what is behind it."""
_ENDS = (27, 28, 27, 28, 15, 16, 25, 26, 23, 24)
_OTHER_ENDS = (28, 27, 28, 27, 16, 15, 26, 25, 24, 23)
# Landmarks whose crossing tells: ankles for heel and toe, wrists, knees, hips.
_SEAT_THIGH = 0.6  # sine: thighs steeper than this carry


def contact_probability(
    points_m: Tensor, still_m: Tensor, time_s: Tensor, present: Tensor, up: Tensor, height_m: float | None,
    learned: Tensor | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """(T, C) probabilities that each of ``CONTACT_NAMES`` rests on anything, and that it rests on the ground.

    Args:
        points_m: (T, L + C + B, 3) the fit's points, camera space.
        still_m: the same from a fit that no contact has held: heights and speeds are taken from it, or contacts would
            confirm themselves.
        time_s: (T,). present: (T,). up: (3,). height_m: of the ground; None takes each frame's lowest foot for it.
        learned: (T, C) probabilities that the initial network gives.
    """
    points, free = points_m[:, CONTACT_POINTS], still_m[:, CONTACT_POINTS]
    speed = _speed(free, time_s)
    ray = points / points.norm(dim=-1, keepdim=True)
    tall = free @ up
    # A wrong depth lifts or sinks the whole body: the lowest foot is taken for the ground unless that is far away.
    ground = tall[:, :FEET].amin(1, keepdim=True)
    if height_m is not None:
        ground = height_m + (ground - height_m).clamp(max=DRIFT_M)
    height = tall - ground
    sigma = (HEIGHT_M**2 + (DEPTH_M * (ray @ up)) ** 2).sqrt()
    low = _log_normal(height, sigma) - _log_wide(height, RAISED_M, sigma)
    still = _log_lognormal(speed, *STILL_M_S) - _log_lognormal(speed, *MOVING_M_S)
    still = torch.where(still < 0, still * _clear_view(points_m), still)
    rare = torch.tensor([RARE[name.split(".")[0]] for name in CONTACT_NAMES], dtype=points.dtype)
    score = (still.clamp(-6, 3) - rare) + low.clamp(-8, 2)
    seats = [i for i, name in enumerate(CONTACT_NAMES) if name.startswith("seat")]
    sitting = _sitting(points_m, up, still[:, seats].clamp(-6, 3))
    score = torch.where(present[:, None], score, 0.0)
    grounded = _smooth(score, time_s)
    if learned is not None:
        grounded = torch.sigmoid((1 - LEARNED_SHARE) * _log_odds(grounded) + LEARNED_SHARE * _log_odds(learned))
    grounded = _bridged(grounded, free, height, time_s)
    contacts = grounded.clone()
    contacts[:, seats] = torch.maximum(contacts[:, seats], _smooth(torch.where(present[:, None], sitting, 0.0), time_s))
    seen = present[:, None].to(points)
    return contacts * seen, grounded * seen


def flight_probability(points_m: Tensor, contacts: Tensor, up: Tensor, height_m: float) -> Tensor:
    """(T,) probability that nothing carries the body: everything is clear of the ground and nothing rests."""
    clear = points_m[:, CONTACT_POINTS] @ up - height_m
    lowest = clear.amin(1)
    return (1 - contacts).prod(1) * torch.sigmoid((lowest - 0.06) / 0.015)


def _log_odds(probability: Tensor) -> Tensor:
    return torch.logit(probability, SURELY)


def _sitting(points_m: Tensor, up: Tensor, still: Tensor) -> Tensor:
    """(T, 2) log odds that the body sits: the thighs lie more than they stand, and the seat is still."""
    hips, knees = points_m[:, 23:25], points_m[:, 25:27]
    thigh = knees - hips
    steep = -(thigh / thigh.norm(dim=-1, keepdim=True).clamp(min=1e-6)) @ up
    return still - 3.5 + 6.0 * (_SEAT_THIGH - steep)


def _clear_view(points_m: Tensor) -> Tensor:
    """(T, C) 0..1: low where the other side's limb passes in front, for the detector then sees the hidden one move."""
    ends, other = points_m[:, list(_ENDS)], points_m[:, list(_OTHER_ENDS)]
    far, near = ends.norm(dim=-1), other.norm(dim=-1)
    off = other * (far / near.clamp(min=1e-6))[..., None] - ends
    off = _across(off, ends)
    beside = 1 - torch.exp(-((off.norm(dim=-1) / CROSSING_M) ** 2))
    return torch.where(near < far, beside, 1.0)


def _speed(points: Tensor, time_s: Tensor) -> Tensor:
    """(T, C) speeds, m/s, of which the part along the viewing ray counts by ``ALONG``."""
    if len(points) < 2:
        return torch.full(points.shape[:2], STILL_M_S[0], dtype=points.dtype)
    velocity = torch.gradient(points, spacing=(time_s,), dim=0)[0]
    across = _across(velocity, points)
    return (across.square().sum(-1) + ALONG**2 * (velocity - across).square().sum(-1)).sqrt()


def _across(vector: Tensor, points: Tensor) -> Tensor:
    """The part of a vector that is perpendicular to the viewing ray of its point."""
    ray = points / points.norm(dim=-1, keepdim=True)
    return vector - (vector * ray).sum(-1, keepdim=True) * ray


def _bridged(contacts: Tensor, points: Tensor, height: Tensor, time_s: Tensor) -> Tensor:
    """Contacts that go on where a point left its place and is back so soon that it was the detector that slipped."""
    out = contacts.clone()
    for c in range(contacts.shape[1]):
        rests = torch.nonzero(contacts[:, c] > 0.5)[:, 0]
        for before, after in zip(rests[:-1].tolist(), rests[1:].tolist(), strict=True):
            if after - before < 2 or float(time_s[after] - time_s[before]) > RETURN_S:
                continue
            moved = _across(points[after, c] - points[before, c], points[after, c])
            hole = slice(before + 1, after)
            if float(moved.norm()) < SAME_PLACE_M and float(height[hole, c].mean()) < LIFTED_M:
                out[hole, c] = torch.maximum(out[hole, c], torch.minimum(out[before, c], out[after, c]))
    return out


def _log_normal(x: Tensor, sigma: Tensor) -> Tensor:
    return -0.5 * (x / sigma) ** 2 - sigma.log()


def _log_wide(x: Tensor, reach: float, sigma: Tensor) -> Tensor:
    """Density of raised points: exponential above the ground, as blurred as the height is."""
    above = x.clamp(min=0) / reach
    below = 0.5 * (x.clamp(max=0) / sigma) ** 2
    return -above - below - torch.log(torch.tensor(reach, dtype=x.dtype)) + 0.9


def _log_lognormal(speed: Tensor, median: float, spread: float) -> Tensor:
    """Density of the logarithm of a speed; below 2 cm/s nothing more is told."""
    return -0.5 * ((speed.clamp(min=0.02) / median).log() / spread) ** 2 - math.log(spread)


def _smooth(log_odds: Tensor, time_s: Tensor) -> Tensor:
    """(T, C) posterior of the state "rests" by forward-backward, evidence counted per 1/30 s."""
    frames, count = log_odds.shape
    if frames < 2:
        return torch.sigmoid(log_odds)
    step = time_s.diff().clamp(min=1e-4)
    mean = float(step.median())
    score = log_odds * min(1.0, mean * 30.0)
    begin, end = 1 - torch.exp(-step / BEGIN_S), 1 - torch.exp(-step / END_S)
    forward = torch.zeros((frames, count, 2), dtype=log_odds.dtype)
    prior = torch.tensor([END_S / (BEGIN_S + END_S)], dtype=log_odds.dtype)
    rest = torch.stack([torch.ones_like(score), torch.exp(score)], -1)
    state = torch.stack([1 - prior, prior], -1) * rest[0]
    forward[0] = state / state.sum(-1, keepdim=True)
    moves = torch.stack([torch.stack([1 - begin, begin], -1), torch.stack([end, 1 - end], -1)], -2)  # (T - 1, 2, 2)
    for t in range(1, frames):
        state = (forward[t - 1] @ moves[t - 1]) * rest[t]
        forward[t] = state / state.sum(-1, keepdim=True)
    backward = torch.ones((count, 2), dtype=log_odds.dtype)
    out = torch.empty_like(log_odds)
    for t in range(frames - 1, -1, -1):
        both = forward[t] * backward
        out[t] = both[:, 1] / both.sum(-1)
        if t:
            backward = (backward * rest[t]) @ moves[t - 1].T
            backward = backward / backward.sum(-1, keepdim=True)
    return out
