"""Posing the body as an animator would: pelvis, spine, arms by angles, legs by inverse kinematics from planted feet.

World: metres, Z up; the body faces -Y and its left is +X at rest.  All rotations returned are world-aligned local
rotations for ``model.body`` (every joint frame parallel to the rest axes).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

Array = NDArray[np.floating]
SIDES = {"L": 1.0, "R": -1.0}


def turn(axis: str, degrees: float) -> Array:
    """(3, 3) rotation about a rest axis: ``x`` to the body's left, ``y`` backwards, ``z`` up.

    About x, positive angles bend the trunk forwards and swing hanging limbs backwards.
    """
    return np.asarray(Rotation.from_euler(axis, degrees, degrees=True).as_matrix())


@dataclass
class FootPose:
    """Where a foot is: its ankle and its orientation in the world, and how far the toes bend up against it."""

    ankle_m: Array
    rotation: Array
    toes_deg: float = 0.0


@dataclass
class Posture:
    """One frame, in an animator's terms."""

    pelvis_m: Array
    """(3,) of the root bone's head."""
    pelvis: Array
    """(3, 3) orientation."""
    feet: dict[str, FootPose]
    joints: dict[str, Array] = field(default_factory=dict)
    """Local rotations of other bones, by name."""


class Puppet:
    """A body of one build, to be posed.

    Args:
        heads_m: (B, 3) rest bone heads; parents and bone_names describe the tree.
        sole_z_m: height of the soles at rest.
    """

    def __init__(self, heads_m: Array, parents: list[int], bone_names: list[str], sole_z_m: float) -> None:
        self.heads_m, self.parents, self.names = np.asarray(heads_m, float), parents, bone_names
        self.index = {n: i for i, n in enumerate(bone_names)}
        self.sole_z_m = float(sole_z_m)
        self.leg_m = float(self._bone_m("upperleg01.L", "lowerleg01.L") + self._bone_m("lowerleg01.L", "foot.L"))
        self.standing_pelvis_m = float(self.heads_m[0, 2] - self.sole_z_m)

    def head(self, bone: str) -> Array:
        return np.asarray(self.heads_m[self.index[bone]])

    def _bone_m(self, start: str, end: str) -> float:
        return float(np.linalg.norm(self.head(end) - self.head(start)))

    def planted(self, side: str, xy_m: Array, heading_deg: float, pitch_deg: float = 0.0) -> FootPose:
        """A foot on the ground: rolled about its ball (pitch > 0: heel up, toes stay flat) or its heel (pitch < 0).

        ``xy_m`` is where the ankle stands when the foot is flat.
        """
        ankle, toe = self.head(f"foot.{side}"), self.head(f"toe2-1.{side}")
        pivot = (
            np.array([toe[0], toe[1], self.sole_z_m])
            if pitch_deg > 0
            else np.array([ankle[0], ankle[1] + 0.062, self.sole_z_m])
        )
        heading = turn("z", heading_deg)
        rotation = heading @ turn("x", pitch_deg)
        flat = np.array([xy_m[0], xy_m[1], ankle[2] - self.sole_z_m])
        ankle_m = flat + heading @ (pivot - ankle) + rotation @ (ankle - pivot)
        return FootPose(ankle_m, rotation, max(pitch_deg, 0.0))

    def hip_m(self, posture: Posture, side: str) -> Array:
        return np.asarray(posture.pelvis_m + posture.pelvis @ (self.head(f"upperleg01.{side}") - self.heads_m[0]))

    def pose(self, posture: Posture, knee_out_deg: float = 4.0) -> tuple[Array, Array]:
        """(B, 3, 3) local rotations and (3,) root position; feet out of reach are pulled in along the leg."""
        local = np.tile(np.eye(3), (len(self.names), 1, 1))
        local[0] = posture.pelvis
        for name, rotation in posture.joints.items():
            local[self.index[name]] = rotation
        for side, sign in SIDES.items():
            self._leg(local, posture, side, sign * knee_out_deg)
        return local, np.asarray(posture.pelvis_m, float)

    def _leg(self, local: Array, posture: Posture, side: str, out_deg: float) -> None:
        foot, hip = posture.feet[side], self.hip_m(posture, side)
        thigh = self.head(f"lowerleg01.{side}") - self.head(f"upperleg01.{side}")
        shin = self.head(f"foot.{side}") - self.head(f"lowerleg01.{side}")
        a, b = np.linalg.norm(thigh), np.linalg.norm(shin)
        reach = foot.ankle_m - hip
        distance = float(np.clip(np.linalg.norm(reach), abs(a - b) + 0.02, 0.9985 * (a + b)))
        along = reach / np.linalg.norm(reach)
        # The knee points between the pelvis' and the foot's forward directions.
        forward = turn("z", out_deg) @ (posture.pelvis @ [0, -1, 0] + foot.rotation @ [0, -1, 0])
        forward = forward - along * (forward @ along)
        forward /= np.linalg.norm(forward)
        cosine = float((a * a + distance * distance - b * b) / (2 * a * distance))
        knee = hip + a * (cosine * along + np.sqrt(max(1 - cosine * cosine, 0.0)) * forward)
        hinge = np.cross(forward, along)  # to the body's left, like +X at rest
        upper = _frame(knee - hip, hinge) @ _frame(thigh, np.array([1.0, 0, 0])).T
        lower = _frame(hip + distance * along - knee, hinge) @ _frame(shin, np.array([1.0, 0, 0])).T
        pelvis = posture.pelvis @ local[self.index[f"pelvis.{side}"]]
        local[self.index[f"upperleg01.{side}"]] = pelvis.T @ upper
        local[self.index[f"lowerleg01.{side}"]] = upper.T @ lower
        local[self.index[f"foot.{side}"]] = lower.T @ foot.rotation
        for toe in range(1, 6):
            local[self.index[f"toe{toe}-1.{side}"]] = turn("x", -foot.toes_deg)


def _frame(along: Array, hinge: Array) -> Array:
    """(3, 3) right-handed frame whose first axis is ``along`` and whose second is ``hinge`` made perpendicular."""
    first = along / np.linalg.norm(along)
    second = hinge - first * (first @ hinge)
    second /= np.linalg.norm(second)
    return np.stack([first, second, np.cross(first, second)], 1)


def arm(
    side: str, forward_deg: float, out_deg: float, twist_deg: float, elbow_deg: float, puppet: Puppet
) -> dict[str, Array]:
    """Shoulder and elbow of one arm as local rotations.

    Angles count from an arm hanging straight down: ``forward_deg`` swings it forwards, ``out_deg`` away from the body,
    ``twist_deg`` turns it inwards about its own length, ``elbow_deg`` bends the elbow.
    """
    sign = SIDES[side]
    upper = puppet.head(f"lowerarm01.{side}") - puppet.head(f"upperarm01.{side}")
    lower = puppet.head(f"wrist.{side}") - puppet.head(f"lowerarm01.{side}")
    hinge_rest = np.cross(lower, upper)  # the axis about which the rest pose's elbow is already bent
    down = np.array([0.0, 0.0, -1.0])
    hang = turn("y", -sign * out_deg) @ turn("x", -forward_deg)
    direction = hang @ down
    # Hanging, the elbow bends the forearm forwards: about the axis to the body's right.
    hinge = Rotation.from_rotvec(np.deg2rad(sign * twist_deg) * direction).as_matrix() @ (hang @ np.array([-1.0, 0, 0]))
    shoulder = _frame(direction, hinge) @ _frame(upper, -hinge_rest).T
    forearm = Rotation.from_rotvec(np.deg2rad(elbow_deg) * hinge).as_matrix() @ direction
    elbow = _frame(forearm, hinge) @ _frame(lower, -hinge_rest).T
    return {f"upperarm01.{side}": shoulder, f"lowerarm01.{side}": shoulder.T @ elbow}
