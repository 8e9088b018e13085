"""The demo clip's motion, authored by hand: walk in along a curve, stop, wave, a shallow squat.

Feet are planted by footsteps and never slide: the pelvis moves over them and the legs follow by inverse kinematics.
World: metres, Z up, ground at 0.  Timings and angles of the walk are those of ordinary gait (stance 60 % of a stride,
arms against legs, pelvis lowest in double support); everything else is taste.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation, Slerp

from .puppet import SIDES, FootPose, Posture, Puppet, arm, turn

Array = NDArray[np.floating]
FPS = 24.0
DURATION_S = 5.5
STEP_S = 0.54
"""From one foot's landing to the other's."""
DOUBLE_SUPPORT_S = 0.11
SPEED_M_S = 1.22
STOP_S = 1.95
"""When the pelvis comes to rest."""
WAVE_S, SQUAT_S = (2.15, 3.85), (3.8, 5.3)
START_HEADING_DEG, END_HEADING_DEG = 48.0, 8.0
"""0 faces -Y, towards the camera; positive turns to the body's left."""
END_PLACE_M = np.array([0.12, 0.0])


@dataclass
class Step:
    """One footstep: the ankle's place when flat, its heading, from landing to leaving."""

    xy_m: Array
    heading_deg: float
    land_s: float
    leave_s: float


def ease(time_s: Array | float, start: float, end: float) -> Array:
    """0 before ``start``, 1 after ``end``, smooth in between (minimum jerk)."""
    u = np.clip((np.asarray(time_s, float) - start) / (end - start), 0.0, 1.0)
    return np.asarray(u**3 * (10 - 15 * u + 6 * u * u))


class Path:
    """Where the pelvis would be on the ground: a curve that ends at rest in ``END_PLACE_M``."""

    def __init__(self) -> None:
        self.times = np.arange(-2.0, DURATION_S + 1.0, 1 / 240)
        speed = SPEED_M_S * (1.0 - ease(self.times, STOP_S - 0.95, STOP_S + 0.1))
        self.heading = END_HEADING_DEG + (START_HEADING_DEG - END_HEADING_DEG) * (
            1 - ease(self.times, 0.2, STOP_S + 0.1)
        )
        forward = np.stack([np.sin(np.deg2rad(self.heading)), -np.cos(np.deg2rad(self.heading))], 1)
        walked = np.cumsum(forward * speed[:, None] / 240, 0)
        self.xy_m = walked - walked[-1] + END_PLACE_M
        self.speed = speed

    def at(self, time_s: float) -> tuple[Array, float, float]:
        """Place (2,), heading in degrees, speed in m/s."""
        xy = np.array([np.interp(time_s, self.times, self.xy_m[:, i]) for i in range(2)])
        return xy, float(np.interp(time_s, self.times, self.heading)), float(np.interp(time_s, self.times, self.speed))


def footsteps(path: Path, puppet: Puppet) -> dict[str, list[Step]]:
    """Alternating steps along the path until both feet stand under the pelvis."""
    steps: dict[str, list[Step]] = {"L": [], "R": []}
    land, side, index = -1.30, "L", 0
    while land < STOP_S + 0.25:
        xy, heading, _ = path.at(land + 0.5 * STEP_S + 0.5 * DOUBLE_SUPPORT_S)
        _, _, speed = path.at(land)
        narrow = 0.085 + 0.035 * (1 - speed / SPEED_M_S)
        left = np.array([np.cos(np.deg2rad(heading)), np.sin(np.deg2rad(heading))])
        behind = puppet.head("foot.L")[1] - puppet.heads_m[0, 1]
        back = -np.array([np.sin(np.deg2rad(heading)), -np.cos(np.deg2rad(heading))])
        place = xy + SIDES[side] * narrow * left + back * behind
        steps[side].append(Step(place, heading + SIDES[side] * 5.0, land, land + STEP_S + DOUBLE_SUPPORT_S))
        land, side, index = land + STEP_S, "R" if side == "L" else "L", index + 1
    for track in steps.values():
        track[-1].leave_s = np.inf
    return steps


def foot_at(time_s: float, track: list[Step], side: str, puppet: Puppet) -> FootPose:
    """A foot at a time: planted and rolling over heel and ball, or swinging to the next step."""
    for current, following in zip(track, [*track[1:], None], strict=True):
        if current.land_s <= time_s <= current.leave_s:
            return puppet.planted(side, current.xy_m, current.heading_deg, _roll_deg(time_s, current, following))
        if following and current.leave_s < time_s < following.land_s:
            return _swing(time_s, current, following, side, puppet)
    raise ValueError(f"no step at {time_s} s")


def _length(current: Step, following: Step | None) -> float:
    return 0.0 if following is None else float(np.linalg.norm(following.xy_m - current.xy_m))


def _roll_deg(time_s: float, step: Step, following: Step | None) -> float:
    """Heel strike (toes up), flat, heel off; smaller for small steps."""
    strike = -17.0 * (1 - ease(time_s, step.land_s, step.land_s + 0.13)) * float(step.leave_s - step.land_s < 5.0)
    off = 46.0 * ease(time_s, step.leave_s - 0.30, step.leave_s + 0.10) if following else 0.0
    return float(strike + off * min(_length(step, following) / 1.1, 1.0))


def _swing(time_s: float, current: Step, following: Step, side: str, puppet: Puppet) -> FootPose:
    span = following.land_s - current.leave_s
    u = (time_s - current.leave_s) / span
    start = puppet.planted(side, current.xy_m, current.heading_deg, _roll_deg(current.leave_s, current, following))
    end = puppet.planted(side, following.xy_m, following.heading_deg, _roll_deg(following.land_s, following, None))
    s = float(ease(u, -0.05, 1.02))
    size = min(_length(current, following) / 1.1, 1.0)
    lift = (0.035 + 0.045 * size) * np.sin(np.pi * u) ** 1.5 * (1.0 - 0.35 * u)
    heading = current.heading_deg + (following.heading_deg - current.heading_deg) * s
    first, last = _roll_deg(current.leave_s, current, following), _roll_deg(following.land_s, following, None)
    pitch = first + (last - first) * float(ease(u, -0.15, 0.95)) + 16.0 * size * np.sin(np.pi * min(u / 0.45, 1.0))
    ankle = start.ankle_m + (end.ankle_m - start.ankle_m) * s + [0, 0, lift]
    return FootPose(ankle, turn("z", heading) @ turn("x", pitch), start.toes_deg * (1 - s) ** 2)


def clip(puppet: Puppet) -> tuple[Array, Array, NDArray[np.bool_]]:
    """The whole motion.

    Returns:
        (T, B, 3, 3) world-aligned local rotations, (T, 3) root positions in metres, (T, 2) bool: left and right
        foot flat on the ground.
    """
    times = np.arange(round(DURATION_S * FPS)) / FPS
    path = Path()
    steps = footsteps(path, puppet)
    feet = [{s: foot_at(t, steps[s], s, puppet) for s in SIDES} for t in times]
    pelvis_m, pelvis = _pelvis(times, path, steps, feet, puppet)
    locals_, roots = [], []
    for i, t in enumerate(times):
        posture = Posture(pelvis_m[i], pelvis[i], feet[i], _upper_body(t, path, steps, puppet))
        local, root = puppet.pose(posture, knee_out_deg=4.0 + 9.0 * _squat(t))
        locals_.append(local)
        roots.append(root)
    flat = np.array(
        [[any(s.land_s + 0.13 <= t <= s.leave_s - 0.30 for s in steps[side]) for side in SIDES] for t in times]
    )
    return np.stack(locals_), np.stack(roots), flat


def _squat(time_s: float) -> float:
    """0 standing, 1 at the lowest point of the squat."""
    down, up = ease(time_s, SQUAT_S[0], SQUAT_S[0] + 0.72), ease(time_s, SQUAT_S[0] + 0.84, SQUAT_S[1])
    return float(down - up)


def _gait(time_s: float, steps: dict[str, list[Step]]) -> tuple[float, float]:
    """Phase of the walk in radians (0: left foot lands, pi: right foot lands) and how much it walks, 0..1."""
    first = steps["L"][0].land_s
    return float(np.pi * (time_s - first) / STEP_S), float(1 - ease(time_s, STOP_S - 0.75, STOP_S + 0.15))


def _pelvis(
    times: Array, path: Path, steps: dict[str, list[Step]], feet: list[dict[str, FootPose]], puppet: Puppet
) -> tuple[Array, Array]:
    """(T, 3) places and (T, 3, 3) orientations: over the feet, as high as the legs allow, swaying with the walk."""
    places, turns = [], []
    for t, pair in zip(times, feet, strict=True):
        (x, y), heading, _ = path.at(t)
        phase, walking = _gait(t, steps)
        squat = _squat(t)
        left = np.array([np.cos(np.deg2rad(heading)), np.sin(np.deg2rad(heading))])
        weight = 0.020 * np.sin(phase) * walking - 0.018 * _wave_weight(t) + 0.004 * np.sin(1.9 * t) * (1 - walking)
        xy = np.array([x, y]) + weight * left
        xy -= 0.13 * squat * np.array([np.sin(np.deg2rad(heading)), -np.cos(np.deg2rad(heading))])
        yaw = heading - 5.0 * np.cos(phase) * walking
        roll = (3.5 * np.sin(phase + 0.35)) * walking + 1.8 * _wave_weight(t)
        orientation = turn("z", yaw) @ turn("y", roll) @ turn("x", 3.0 * walking + 27.0 * squat)
        height = puppet.standing_pelvis_m + 0.02 - 0.25 * squat
        for side, foot in pair.items():
            hip = orientation @ (puppet.head(f"upperleg01.{side}") - puppet.heads_m[0])
            gap = np.linalg.norm(foot.ankle_m[:2] - xy - hip[:2])
            height = min(
                height, foot.ankle_m[2] + np.sqrt(((0.996 - 0.004 * walking) * puppet.leg_m) ** 2 - gap**2) - hip[2]
            )
        places.append([*xy, height])
        turns.append(orientation)
    smooth = np.array(places)
    smooth[:, 2] = gaussian_filter1d(smooth[:, 2], 1.4, mode="nearest")
    return smooth, np.stack(turns)


def _wave_weight(time_s: float) -> float:
    return float(ease(time_s, WAVE_S[0], WAVE_S[0] + 0.68) - ease(time_s, WAVE_S[1] - 0.55, WAVE_S[1] + 0.1))


def _upper_body(time_s: float, path: Path, steps: dict[str, list[Step]], puppet: Puppet) -> dict[str, Array]:
    """Spine, neck, head, arms and fingers."""
    phase, walking = _gait(time_s, steps)
    squat, wave = _squat(time_s), _wave_weight(time_s)
    breath = np.sin(2 * np.pi * time_s / 3.1)
    counter = 2.6 * np.cos(phase) * walking
    joints: dict[str, Array] = {}
    for bone, share in (("spine05", 0.7), ("spine04", 1.0), ("spine03", 1.0), ("spine02", 0.8), ("spine01", 0.6)):
        bend = -0.6 * walking + share * (0.35 * breath + 1.5 * squat)
        side = -share * (0.9 * np.sin(phase + 0.35) * walking + 1.3 * wave)
        joints[bone] = turn("z", share * (counter - 1.2 * wave)) @ turn("y", side) @ turn("x", bend)
    _, heading, _ = path.at(time_s)
    look = (-heading * 0.75 - 2.2 * counter) * float(ease(time_s, 0.35, 1.3))
    nod = -13.0 * squat + 1.0 * breath * 0.3
    joints["neck01"] = turn("z", look * 0.35) @ turn("y", 1.5 * wave) @ turn("x", nod)
    joints["head"] = turn("z", look * 0.65) @ turn("y", 3.0 * wave) @ turn("x", nod - 1.5)
    for side, sign in SIDES.items():
        joints.update(_arm(time_s, side, sign, phase, walking, squat, wave, puppet))
    return joints


def _arm(
    time_s: float, side: str, sign: float, phase: float, walking: float, squat: float, wave: float, puppet: Puppet
) -> dict[str, Array]:
    swing = -sign * np.cos(phase - 0.25) * walking  # 1: fully forwards, with the other side's leg
    idle = 1.5 * np.sin(1.3 * time_s + sign)
    forward = 20.0 * swing + 5.0 * walking + 4.0 + idle * (1 - walking) + 62.0 * squat
    relaxed = arm(
        side, forward, 8.0 + 3.0 * squat, 12.0 + 18.0 * squat, 14.0 + 8.0 * walking + 8.0 * swing + 8.0 * squat, puppet
    )
    joints = relaxed
    if side == "R" and wave > 0:
        beat = np.sin(2 * np.pi * 1.75 * (time_s - WAVE_S[0] - 0.4)) * float(wave > 0)
        raised = arm(side, 22.0, 66.0 + 3.0 * beat, -58.0, 104.0 + 17.0 * beat, puppet)
        joints = {name: _between(relaxed[name], raised[name], wave) for name in relaxed}
        joints["clavicle.R"] = turn("y", 9.0 * wave)
        joints["lowerarm02.R"] = np.eye(3)
    curl = 15.0 * (1 - wave if side == "R" else 1.0)
    for finger in range(2, 6):
        for segment in range(1, 4):
            joints[f"finger{finger}-{segment}.{side}"] = turn("y", sign * curl * (0.7 + 0.12 * finger))
    return joints


def _between(start: Array, end: Array, fraction: float) -> Array:
    return np.asarray(Slerp([0, 1], Rotation.from_matrix([start, end]))(fraction).as_matrix())
