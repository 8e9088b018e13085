"""Motion for any build, by hand (a walk, a turn on the spot, a squat, sitting down) or by capture; and its record.

Planted feet never slide: the pelvis moves over them and the legs follow by inverse kinematics, as in the demo clip's
choreography, whose timings of gait are used here too.  World: metres, Z up, ground at 0; at first facing -Y.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from model.body import AnnyBody, RestBody
from model.body.retarget import Capture, retarget

from .choreography import Step, ease
from .puppet import SIDES, FootPose, Posture, Puppet, arm, turn

Array = NDArray[np.floating]
Generator = np.random.Generator
_FAR_S = 100.0


@dataclass(frozen=True)
class Motion:
    """A motion of one build."""

    local: Array
    """(T, B, 3, 3) world-aligned local rotations."""
    root_m: Array
    """(T, 3) head of the root bone; bare soles on the ground."""
    fps: float


@dataclass(frozen=True)
class Gait:
    """How somebody steps."""

    step_s: float
    double_s: float
    """Both feet on the ground, per step."""
    half_width_m: float
    toes_out_deg: float = 6.0


def captured(
    body: AnnyBody, rest: RestBody, capture: Capture, start_s: float, stop_s: float, fps: float = 30.0
) -> Motion:
    """A stretch of a captured motion on one person's body, over the origin; ``fps`` divides the capture's."""
    moved = retarget(body, rest, capture)
    step = round(capture.fps / fps)
    part = slice(round(start_s * capture.fps), round(stop_s * capture.fps), step)
    root = moved.position_m.numpy()[part]
    middle = 0.5 * (root.min(0) + root.max(0)) * [1, 1, 0]
    return Motion(moved.local.numpy()[part], root - middle, capture.fps / step)


Route = Callable[[float], tuple[Array, float]]
"""Time in seconds to place (2,) and heading in degrees; 0 faces -Y, positive turns to the body's left."""


def forward(heading_deg: float) -> Array:
    """(2,) the direction of a heading on the ground."""
    return np.array([np.sin(np.deg2rad(heading_deg)), -np.cos(np.deg2rad(heading_deg))])


def footsteps(route: Route, gait: Gait, puppet: Puppet, first_s: float, last_s: float) -> dict[str, list[Step]]:
    """Alternating steps that land between two times; before and after, both feet stand."""
    behind = puppet.head("foot.L")[1] - puppet.heads_m[0, 1]
    swing = gait.step_s - gait.double_s
    tracks: dict[str, list[Step]] = {"L": [], "R": []}

    def place(time_s: float, side: str) -> tuple[Array, float]:
        xy, heading = route(time_s)
        left = np.array([-forward(heading)[1], forward(heading)[0]])
        return xy + SIDES[side] * gait.half_width_m * left - behind * forward(heading), heading

    for side in SIDES:
        xy, heading = place(first_s - gait.step_s, side)
        tracks[side].append(Step(xy, heading + SIDES[side] * gait.toes_out_deg, -_FAR_S, _FAR_S))
    land, side = first_s, "L"
    while land <= last_s:
        xy, heading = place(land + 0.5 * (gait.step_s + gait.double_s), side)
        tracks[side][-1].leave_s = land - swing
        tracks[side].append(Step(xy, heading + SIDES[side] * gait.toes_out_deg, land, _FAR_S))
        land, side = land + gait.step_s, "R" if side == "L" else "L"
    return tracks


def foot_at(time_s: float, track: list[Step], side: str, puppet: Puppet) -> FootPose:
    """Planted and rolling over heel and ball, or swinging to the next step; small steps roll little."""
    for before, current, after in zip([None, *track[:-1]], track, [*track[1:], None], strict=True):
        if current.land_s <= time_s <= current.leave_s:
            return puppet.planted(side, current.xy_m, current.heading_deg, _roll_deg(time_s, before, current, after))
        if after and current.leave_s < time_s < after.land_s:
            return _swing(time_s, before, current, after, side, puppet)
    raise ValueError(f"no step at {time_s} s")


def _size(one: Step | None, other: Step | None) -> float:
    """0 on the spot, 1 for the step of a brisk walk."""
    return 0.0 if one is None or other is None else min(float(np.linalg.norm(one.xy_m - other.xy_m)) / 1.1, 1.0)


def _roll_deg(time_s: float, before: Step | None, step: Step, after: Step | None) -> float:
    strike = -17.0 * float(1 - ease(time_s, step.land_s, step.land_s + 0.13)) * _size(before, step)
    off = 46.0 * float(ease(time_s, step.leave_s - 0.30, step.leave_s + 0.10)) if after else 0.0
    return strike + off * max(_size(step, after), 0.35 if after else 0.0)


def _swing(time_s: float, before: Step | None, current: Step, after: Step, side: str, puppet: Puppet) -> FootPose:
    u = (time_s - current.leave_s) / (after.land_s - current.leave_s)
    first, last = _roll_deg(current.leave_s, before, current, after), _roll_deg(after.land_s, current, after, None)
    start = puppet.planted(side, current.xy_m, current.heading_deg, first)
    end = puppet.planted(side, after.xy_m, after.heading_deg, last)
    s, size = float(ease(u, -0.05, 1.02)), _size(current, after)
    lift = (0.035 + 0.045 * size) * np.sin(np.pi * u) ** 1.5 * (1.0 - 0.35 * u)
    heading = current.heading_deg + (after.heading_deg - current.heading_deg) * s
    pitch = first + (last - first) * float(ease(u, -0.15, 0.95)) + 16.0 * size * np.sin(np.pi * min(u / 0.45, 1.0))
    ankle = start.ankle_m + (end.ankle_m - start.ankle_m) * s + [0, 0, lift]
    return FootPose(ankle, turn("z", heading) @ turn("x", pitch), start.toes_deg * (1 - s) ** 2)


def step_along(
    puppet: Puppet, route: Route, gait: Gait, moving_s: tuple[float, float], duration_s: float, fps: float
) -> Motion:
    """Walk (or turn) along ``route``; ``moving_s`` is when the first and the last foot lands."""
    times = np.arange(round(duration_s * fps)) / fps
    tracks = footsteps(route, gait, puppet, *moving_s)
    feet = [{s: foot_at(float(t), tracks[s], s, puppet) for s in SIDES} for t in times]
    places, turns, uppers = [], [], []
    for t, pair in zip(times, feet, strict=True):
        xy, heading = route(float(t))
        pace = float(np.linalg.norm(route(float(t) + 0.05)[0] - xy)) / 0.05 / 1.25
        busy = float(ease(t, moving_s[0] - gait.step_s, moving_s[0]) - ease(t, moving_s[1], moving_s[1] + gait.step_s))
        phase = np.pi * (t - moving_s[0]) / gait.step_s  # 0: a left foot lands, pi: a right one
        left = np.array([-forward(heading)[1], forward(heading)[0]])
        xy = xy + 0.020 * np.sin(phase) * busy * left
        yaw, roll = heading - 5.0 * np.cos(phase) * pace * busy, 3.5 * np.sin(phase + 0.35) * busy
        pelvis = turn("z", yaw) @ turn("y", roll) @ turn("x", 3.0 * pace)
        places.append([*xy, _pelvis_height(puppet, pelvis, xy, pair, puppet.standing_pelvis_m - 0.004)])
        turns.append(pelvis)
        uppers.append(_upper_body(puppet, float(t), phase, pace * busy))
    smooth = np.array(places)
    smooth[:, 2] = gaussian_filter1d(smooth[:, 2], 0.06 * fps, mode="nearest")
    return _play(puppet, smooth, turns, feet, uppers, fps, 4.0)


def _pelvis_height(puppet: Puppet, pelvis: Array, xy: Array, feet: dict[str, FootPose], wanted_m: float) -> float:
    """As high as wanted and as the legs reach."""
    height = wanted_m
    for side, foot in feet.items():
        hip = pelvis @ (puppet.head(f"upperleg01.{side}") - puppet.heads_m[0])
        gap = np.linalg.norm(foot.ankle_m[:2] - xy - hip[:2])
        height = min(height, foot.ankle_m[2] + np.sqrt(max(float((0.992 * puppet.leg_m) ** 2 - gap**2), 0.01)) - hip[2])
    return float(height)


def _upper_body(puppet: Puppet, time_s: float, phase: float, walking: float) -> dict[str, Array]:
    """Spine against pelvis, arms against legs."""
    joints: dict[str, Array] = {}
    counter, breath = 2.6 * np.cos(phase) * walking, np.sin(2 * np.pi * time_s / 3.1)
    for bone, share in (("spine05", 0.7), ("spine04", 1.0), ("spine03", 1.0), ("spine02", 0.8), ("spine01", 0.6)):
        side = -0.9 * share * np.sin(phase + 0.35) * walking
        joints[bone] = turn("z", share * counter) @ turn("y", side) @ turn("x", -0.6 * walking + 0.35 * breath * share)
    for side, sign in SIDES.items():
        swing = -sign * np.cos(phase - 0.25) * walking
        joints |= arm(side, 20.0 * swing + 5.0, 9.0, 12.0, 14.0 + 8.0 * walking + 8.0 * swing, puppet)
        joints |= fingers(side, 15.0)
    return joints


def fingers(side: str, curl_deg: float) -> dict[str, Array]:
    """Four fingers bent evenly."""
    return {
        f"finger{finger}-{segment}.{side}": turn("y", SIDES[side] * curl_deg * (0.7 + 0.12 * finger))
        for finger in range(2, 6)
        for segment in range(1, 4)
    }


def _play(
    puppet: Puppet, places: Array, turns: list[Array], feet: list[dict[str, FootPose]], joints: list[dict[str, Array]],
    fps: float, knee_out_deg: float,
) -> Motion:  # fmt: skip
    frames = [puppet.pose(Posture(places[i], turns[i], feet[i], joints[i]), knee_out_deg) for i in range(len(places))]
    return Motion(np.stack([local for local, _ in frames]), np.stack([root for _, root in frames]), fps)


def walk(puppet: Puppet, rng: Generator, duration_s: float = 3.0, fps: float = 30.0) -> Motion:
    """A walk along a slight bend."""
    speed, bend = rng.uniform(0.95, 1.35) * puppet.leg_m / 0.8, rng.uniform(-12, 12)
    grid = np.arange(-3.0, duration_s + 3.0, 1 / 240)
    heading = bend * (grid / duration_s - 0.5)
    xy = np.cumsum(np.stack([np.sin(np.deg2rad(heading)), -np.cos(np.deg2rad(heading))], 1) * speed / 240, 0)
    xy -= xy[np.searchsorted(grid, duration_s / 2)]

    def route(time_s: float) -> tuple[Array, float]:
        return np.array([np.interp(time_s, grid, xy[:, i]) for i in range(2)]), float(np.interp(time_s, grid, heading))

    step_s = rng.uniform(0.48, 0.58)
    return step_along(puppet, route, Gait(step_s, 0.2 * step_s, 0.085), (-2.0, duration_s + 2.0), duration_s, fps)


def turn_on_the_spot(puppet: Puppet, rng: Generator, duration_s: float = 4.0, fps: float = 30.0) -> Motion:
    """A full turn in small steps."""
    way = float(rng.choice([-1, 1])) * 360.0
    begin, end = 0.35, duration_s - 0.5

    def route(time_s: float) -> tuple[Array, float]:
        return np.zeros(2), way * float(
            ease(time_s, begin, end) * 0.5 + 0.5 * np.clip((time_s - begin) / (end - begin), 0, 1)
        )

    step_s = rng.uniform(0.36, 0.44)
    return step_along(puppet, route, Gait(step_s, 0.2 * step_s, 0.10), (begin + 0.3, end + 0.1), duration_s, fps)


def squat(puppet: Puppet, rng: Generator, duration_s: float = 3.2, fps: float = 30.0) -> Motion:
    """Down and up twice, arms forward."""
    times = np.arange(round(duration_s * fps)) / fps
    depth, lean = rng.uniform(0.38, 0.5) * puppet.leg_m, rng.uniform(28, 38)
    half = duration_s / 2
    low = sum(
        ease(times, start + 0.1, start + 0.45 * half) - ease(times, start + 0.5 * half, start + half - 0.05)
        for start in (0.0, half)
    )
    width = rng.uniform(0.15, 0.2)
    return _in_place(puppet, times, np.asarray(low), depth, 0.30 * depth, lean, width, 60.0 + rng.uniform(0, 25), fps)


def sit_down(puppet: Puppet, rng: Generator, duration_s: float = 3.2, fps: float = 30.0) -> Motion:
    """From standing to sitting on something as high as the knees."""
    times = np.arange(round(duration_s * fps)) / fps
    low = ease(times, 0.7, 0.7 + rng.uniform(1.1, 1.4))
    depth = 0.50 * puppet.leg_m
    return _in_place(puppet, times, low, depth, 0.50 * puppet.leg_m, 10.0, 0.13, 24.0, fps, lean_on_the_way_deg=32.0)


def _in_place(
    puppet: Puppet, times: Array, low: Array, depth_m: float, back_m: float, lean_deg: float, half_width_m: float,
    reach_deg: float, fps: float, lean_on_the_way_deg: float = 0.0,
) -> Motion:  # fmt: skip
    """Feet planted; ``low`` (T,) 0..1 says how far the pelvis has gone ``depth_m`` down and ``back_m`` back."""
    ankle_y = puppet.head("foot.L")[1] - puppet.heads_m[0, 1]
    feet = {s: puppet.planted(s, np.array([sign * half_width_m, ankle_y]), sign * 14.0) for s, sign in SIDES.items()}
    places, turns, uppers = [], [], []
    for t, share in zip(times, low, strict=True):
        lean = lean_deg * share + lean_on_the_way_deg * np.sin(np.pi * share)
        pelvis, xy = turn("x", 0.75 * lean), np.array([0.006 * np.sin(1.7 * t), back_m * share])
        wanted = puppet.standing_pelvis_m - 0.006 - depth_m * share
        places.append([*xy, _pelvis_height(puppet, pelvis, xy, feet, wanted)])
        turns.append(pelvis)
        joints = _upper_body(puppet, float(t), 0.0, 0.0)
        for bone in ("spine05", "spine04", "spine03"):
            joints[bone] = turn("x", lean / 9)
        for bone in ("neck01", "head"):
            joints[bone] = turn("x", -lean / 3)
        for side in SIDES:
            joints |= arm(side, 5.0 + (reach_deg + 0.3 * lean) * share, 8.0, 14.0, 14.0 + 22.0 * share, puppet)
        uppers.append(joints)
    return _play(puppet, np.array(places), turns, [feet] * len(times), uppers, fps, 9.0)
