"""Limbs of many poses at once, in an animator's terms: by directions and bends, or by where a hand should be.

Space: metres, Z up, facing -Y, left +X at rest; all rotations are world-aligned, angles in radians unless said.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from model.body import AnnyBody

Array = NDArray[np.floating]
SIGN = {"L": 1.0, "R": -1.0}


def about(axis: str, degrees: Array) -> Array:
    """(N, 3, 3) rotations about a rest axis; about x, positive bends forwards and swings hanging limbs backwards."""
    return np.asarray(Rotation.from_euler(axis, np.asarray(degrees, float), degrees=True).as_matrix())


def around(axis: Array, angle: Array) -> Array:
    """(N, 3, 3) rotations by (N,) radians about unit axes (N, 3) or (3,)."""
    return np.asarray(Rotation.from_rotvec(np.asarray(angle)[:, None] * axis).as_matrix())


def unit(v: Array) -> Array:
    return np.asarray(v / np.linalg.norm(v, axis=-1, keepdims=True).clip(1e-12))


def turned(rotations: Array, vectors: Array) -> Array:
    """(N, 3, 3) rotations of (N, 3) vectors."""
    return np.asarray((rotations @ vectors[..., None])[..., 0])


def frames(along: Array, beside: Array) -> Array:
    """(..., 3, 3) right-handed frames: first axis ``along``, second ``beside`` made perpendicular."""
    first = unit(along)
    second = unit(beside - first * (first * beside).sum(-1, keepdims=True))
    return np.stack([first, second, np.cross(first, second)], -1)


@dataclass(frozen=True)
class Limb:
    """An arm or a leg at rest: (3,) bone vectors ``upper`` and ``lower``, the axis ``hinge`` and the ball's ``root_m``.

    ``bent`` is the hinge's angle at rest, radians from straight.
    """

    upper: Array
    lower: Array
    hinge: Array
    root_m: Array
    bent: float

    @classmethod
    def of(cls, body: AnnyBody, heads_m: Array, ball: str, hinge: str, end: str) -> Limb:
        a, b, c = (heads_m[body.bone(n)] for n in (ball, hinge, end))
        axis = np.cross(b - a, c - b)
        bent = float(np.arctan2(np.linalg.norm(axis), (b - a) @ (c - b)))
        return cls(b - a, c - b, unit(axis), a, bent)

    def point(self, along: Array, hinge: Array, bend: Array) -> tuple[Array, Array]:
        """(N, 3, 3) rotations of ball and hinge that point the limb ``along`` (N, 3), bent by (N,) about ``hinge``."""
        ball = frames(along, hinge) @ frames(self.upper, self.hinge).T
        return ball, around(self.hinge, np.clip(bend, 0.0, 2.65) - self.bent)

    def reach(self, target_m: Array, outwards: Array) -> tuple[Array, Array]:
        """The same for an end at (N, 3) ``target_m``, the middle joint towards (N, 3) ``outwards``; too far is cut."""
        a, b = np.linalg.norm(self.upper), np.linalg.norm(self.lower)
        wanted = target_m - self.root_m
        distance = np.linalg.norm(wanted, axis=-1).clip(abs(a - b) + 0.05, 0.995 * (a + b))
        along = unit(wanted)
        side = unit(outwards - along * (outwards * along).sum(-1, keepdims=True))
        cosine = ((a**2 + distance**2 - b**2) / (2 * a * distance)).clip(-1, 1)
        upper = cosine[:, None] * along + np.sqrt(1 - cosine**2)[:, None] * side
        bend = np.pi - np.arccos(((a**2 + b**2 - distance**2) / (2 * a * b)).clip(-1, 1))
        return self.point(upper, np.cross(side, along), bend)


def leg(limb: Limb, side: str, flex: Array, out: Array, turn: Array, knee: Array) -> tuple[Array, Array]:
    """(N, 3, 3) hip and knee of one leg; (N,) degrees from a leg hanging straight.

    ``out`` lifts it sideways, then ``flex`` forwards; ``turn`` rolls it outwards about its length.
    """
    hang = about("x", -flex) @ about("y", -SIGN[side] * out)
    along = hang @ [0.0, 0.0, -1.0]
    hinge = around(along, -SIGN[side] * np.deg2rad(turn)) @ (hang @ [1.0, 0.0, 0.0])[..., None]
    return limb.point(along, hinge[..., 0], np.deg2rad(knee))


def arm(limb: Limb, side: str, forward: Array, out: Array, twist: Array, elbow: Array) -> tuple[Array, Array]:
    """(N, 3, 3) shoulder and elbow of one arm; degrees as in ``model.synth.motion.puppet.arm``."""
    hang = about("y", -SIGN[side] * out) @ about("x", -forward)
    along = hang @ [0.0, 0.0, -1.0]
    hinge = around(along, SIGN[side] * np.deg2rad(twist)) @ (hang @ [-1.0, 0.0, 0.0])[..., None]
    return limb.point(along, hinge[..., 0], np.deg2rad(elbow))


def roll_towards(forearm: Array, axis: Array, palm: Array, wanted: Array, most: float) -> Array:
    """(N,) roll of the forearm about ``axis`` (3,) that turns the ``palm`` (3,) as far as it can to ``wanted`` (N, 3).

    ``forearm`` (N, 3, 3) before the roll; at most ``most`` radians.
    """
    local = (forearm.swapaxes(-1, -2) @ wanted[..., None])[..., 0]
    flat, aim = palm - axis * (palm @ axis), local - axis * (local @ axis)[:, None]
    angle = np.arctan2(np.cross(flat, aim) @ axis, aim @ flat)
    return np.asarray(np.clip(angle, -most, most))
