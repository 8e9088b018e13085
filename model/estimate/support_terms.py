"""What carries the body: what rests stays where it is, on the ground; nothing sinks; weight is over its support.

Balance is that of the linear inverted pendulum (Kajita et al., IROS 2001): the horizontal acceleration of the centre
of mass is g / h times its distance from the centre of pressure, which lies between the points that carry.  Who stands
still has the centre of mass over the feet; who falls or sets off accelerates accordingly.  One camera hardly sees a
lean towards it, but sees well that a body which leans so would fall and does not.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from model.body.body_points import BULK_NAMES, CONTACT_NAMES
from model.body.landmarks import LANDMARK_NAMES

from .equations import Equations, cauchy, cauchy_cost
from .motion_terms import GRAVITY_M_S2
from .settings import FitSettings

CONTACT_POINTS = slice(len(LANDMARK_NAMES), len(LANDMARK_NAMES) + len(CONTACT_NAMES))
"""Where they stand among the fit's points: the landmarks, ``CONTACT_NAMES``, ``BULK_NAMES``."""
POINT_NAMES = (*LANDMARK_NAMES, *CONTACT_NAMES, *BULK_NAMES)


@dataclass(frozen=True)
class Footing:
    """What carries the body of T frames, camera space, metres."""

    contacts: Tensor
    """(T, C) probability that each of ``CONTACT_NAMES`` rests on something."""
    grounded: Tensor
    """(T, C) probability that it rests on the ground."""
    flight: Tensor
    """(T,) probability that nothing carries the body."""
    up: Tensor
    """(3,): points x with up . x = height_m lie on the ground."""
    height_m: float

    def part(self, frames: slice) -> Footing:
        """The footing of a stretch of frames."""
        return Footing(self.contacts[frames], self.grounded[frames], self.flight[frames], self.up, self.height_m)

    def above_m(self, points: Tensor) -> Tensor:
        """(..., 3) points to (...) heights above the ground."""
        return points @ self.up - self.height_m


def mass_shares() -> Tensor:
    """(L + C + B,) shares of ``POINT_NAMES`` that add up to the centre of mass.

    Segment masses and centres: Winter, Biomechanics and Motor Control of Human Movement, 4th ed., table 4.1.
    """
    shares = torch.zeros(len(POINT_NAMES), dtype=torch.float64)

    def add(mass: float, **points: float) -> None:
        for name, part in points.items():
            shares[POINT_NAMES.index(name.replace("__", "."))] += mass * part

    add(0.081, l_ear=0.5, r_ear=0.5)
    add(0.497, chest=0.6, pelvis=0.4)
    for s, side in (("l", "L"), ("r", "R")):
        add(0.028, **{f"{s}_shoulder": 0.564, f"{s}_elbow": 0.436})
        add(0.022, **{f"{s}_elbow": 0.318, f"{s}_wrist": 0.682})
        add(0.1, **{f"thigh__{side}": 0.8, f"{s}_knee": 0.2})
        add(0.0465, **{f"{s}_knee": 0.567, f"{s}_ankle": 0.433})
        add(0.0145, **{f"{s}_ankle": 0.5, f"{s}_foot_index": 0.5})
    return shares / shares.sum()


MASS_SHARES = mass_shares()
_CARRIES = {"heel": 0.6, "toe": 0.4}
# Who stands still has the centre of pressure two fifths of the way from the heel (Winter, 1995).


def pressure_shares(contacts: Tensor) -> Tensor:
    """(T, C) shares of what rests in the centre of pressure."""
    weight = contacts * torch.tensor([_CARRIES.get(name.split(".")[0], 0.5) for name in CONTACT_NAMES])
    return weight / weight.sum(1, keepdim=True).clamp(min=1e-6)


def tangents(up: Tensor) -> Tensor:
    """(2, 3) horizontal directions."""
    first = torch.linalg.cross(up, torch.tensor([0.0, 0.0, 1.0], dtype=up.dtype))
    first = first / first.norm().clamp(min=1e-9)
    return torch.stack([first, torch.linalg.cross(up, first)])


def add_contacts(
    equations: Equations, footing: Footing, settings: FitSettings, step_s: Tensor, points: Tensor, derivative: Tensor
) -> None:
    """What rests does not slide, and what rests on the ground is neither above nor below it.

    Args:
        step_s: (T - 1,) between frames. points: (T, C, 3) of ``CONTACT_NAMES``. derivative: (T, C, 3, P).
    """
    s = settings
    height = footing.above_m(points)
    upward = torch.einsum("tcdp,d->tcp", derivative, footing.up)
    error = height / s.contact_height_m
    weight = footing.grounded.sqrt() / s.contact_height_m * cauchy(error, s.contact_height_reach)
    sunk = torch.where(height < 0, 1.0 / s.sink_m, 0.0)
    cost = footing.grounded * cauchy_cost(error, s.contact_height_reach) + 0.5 * (sunk * height) ** 2
    weight = (weight.square() + sunk.square()).sqrt()
    equations.add([weight[..., None] * upward], -weight * height, cost=cost)
    if len(points) < 2:
        return
    sigma = s.contact_speed * step_s[:, None]
    slide = points.diff(dim=0)
    both = footing.contacts[1:] * footing.contacts[:-1]
    away = slide.norm(dim=-1) / sigma
    weight = (both.sqrt() / sigma * cauchy(away, s.contact_speed_reach))[..., None, None]
    before, after = ((weight * d).reshape(len(slide), -1, d.shape[-1]) for d in (-derivative[:-1], derivative[1:]))
    cost = both * cauchy_cost(away, s.contact_speed_reach)
    equations.add([before, after], (-weight[..., 0] * slide).flatten(1), cost=cost)


def add_balance(
    equations: Equations, footing: Footing, settings: FitSettings, time_s: Tensor, points: Tensor, derivative: Tensor
) -> None:
    """The centre of mass over its support, or accelerating away from it as it then must.

    Args:
        time_s: (T,). points: (T, L + C + B, 3) of ``POINT_NAMES``. derivative: (T, L + C + B, 3, P).
    """
    s, level = settings, tangents(footing.up)
    mass = torch.einsum("l,tld->td", MASS_SHARES, points)
    carried = footing.contacts.sum(1)
    share = pressure_shares(footing.contacts)
    feet = points[:, CONTACT_POINTS]
    pressure = (share[..., None] * feet).sum(1)
    over = (mass - pressure) @ level.T  # (T, 2)
    moves = torch.einsum("l,tldp->tdp", MASS_SHARES, derivative)
    support = torch.einsum("tc,tcdp->tdp", share, derivative[:, CONTACT_POINTS])
    static = level @ (moves - support)
    falls = level @ moves
    spread = (feet - pressure[:, None]) @ level.T
    extent = torch.einsum("tc,tca,tcb->tab", share, spread, spread)
    eye = torch.eye(2, dtype=points.dtype)
    if len(points) < 3:
        whiten = _inverse_root(extent + (2.0 * s.support_m) ** 2 * eye)
        rows, error = [whiten @ static], (whiten @ over[..., None])[..., 0]
        weight = carried.clamp(max=1.0).sqrt()
    else:
        step_s = time_s.diff().clamp(min=1e-4)
        middle = (step_s[1:] + step_s[:-1]) / 2
        before, after = 1 / (step_s[:-1] * middle), 1 / (step_s[1:] * middle)
        stencil = torch.stack([before, -before - after, after], 1)
        lever = footing.above_m(mass).clamp(0.3, 1.3)[1:-1] / GRAVITY_M_S2
        flat = mass @ level.T
        acceleration = sum(stencil[:, k, None] * flat[k : k + len(stencil)] for k in range(3))
        error = over[1:-1] - lever[:, None] * acceleration
        whiten = _inverse_root(extent[1:-1] + s.support_m**2 * eye)
        rows = [
            whiten
            @ (-(lever * stencil[:, k])[:, None, None] * falls[k : k + len(stencil)] + (static[1:-1] if k == 1 else 0))
            for k in range(3)
        ]
        error = (whiten @ error[..., None])[..., 0]
        weight = torch.minimum(torch.minimum(carried[:-2], carried[2:]), carried[1:-1]).clamp(max=1.0).sqrt()
    away = error.norm(dim=-1)
    cost = weight**2 * cauchy_cost(away, s.support_reach)
    weight = (weight * cauchy(away, s.support_reach))[:, None]
    equations.add([weight[..., None] * row for row in rows], -weight * error, cost=cost)


def _inverse_root(matrix: Tensor) -> Tensor:
    """(..., 2, 2) positive definite to W with W^T W = its inverse."""
    return torch.linalg.inv(torch.linalg.cholesky(matrix))
