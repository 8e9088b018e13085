"""Which part of Anny a joint of the SMPL family goes with, and how the two rest poses face each other.

Anny rests with lowered, bent arms, the SMPL family in a T-pose with its palms down; and they call different points
joints: SMPL's hips lie some 5 cm lower and further inside.  So a joint of SMPL does not go to Anny's joint.  Both
people are laid over each other in Anny's rest pose, soles on the ground, limbs on limbs, and what a joint is off there,
it stays off: as a constant lever carried by the part of Anny that it belongs to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from amr_blender.contract.rotations import matrix_from_quaternion, quaternion_from_matrix

from .interface import Array

_FINGERS = ("thumb", "index", "middle", "ring", "pinky")  # Anny counts them from 1


@dataclass(frozen=True)
class Link:
    """What one joint of SMPL goes with.  Names without a side; see :func:`link_of`."""

    turns: tuple[str, ...]
    """Anny's bones whose rotations it follows, on average."""
    place: tuple[str, ...] = ()
    """Anny's bones whose heads, on average, are nearest to the joint; empty where there is none."""
    carrier: str = ""
    """Anny's bone that the joint is a fixed point of."""
    reach_m: float = np.inf
    """How far (sigma) it may stay off; infinite where the place says nothing."""
    swing: float = 0.1
    """How far (sigma, radians) its bone may point elsewhere than Anny's ..."""
    twist: float = 0.05
    """... and turn about itself."""


_LINKS = {
    "pelvis": Link(("hips",), swing=0.05),
    "spine1": Link(("spine05", "spine04")),
    "spine2": Link(("spine03",)),
    "spine3": Link(("spine02", "spine01")),
    "neck": Link(("neck01", "neck02", "neck03"), ("neck01",), "spine01", 0.02),
    "head": Link(("head",), ("head",), "neck03", 0.01),
    "jaw": Link(("head",)),
    "eye": Link(("eye",)),
    "hip": Link(("upperleg01", "upperleg02"), ("upperleg01",), "hips", 0.01, 0.2),
    "knee": Link(("lowerleg01", "lowerleg02"), ("lowerleg01",), "upperleg02", 0.005, 0.2),
    "ankle": Link(("foot",), ("foot",), "foot", 0.003),
    "foot": Link(("foot",), ("toe2-1", "toe3-1"), "foot", 0.02),
    "collar": Link(("shoulder01",), swing=0.2, twist=0.1),
    "shoulder": Link(("upperarm01", "upperarm02"), ("upperarm01",), "shoulder01", 0.01, 0.2),
    "elbow": Link(("lowerarm01", "lowerarm02"), ("lowerarm01",), "upperarm02", 0.005, 0.2),
    "wrist": Link(("wrist",), ("wrist",), "lowerarm02", 0.005),
    "hand": Link(("wrist",)),
}


def link_of(joint: str) -> Link:
    """The link of a joint like ``knee.L`` or ``index2.R``, its bones named as in an Anny take."""
    stem, dot, side = joint.partition(".")
    link = _LINKS.get(stem)
    if link is None:
        bone = f"finger{_FINGERS.index(stem[:-1]) + 1}-{stem[-1]}"
        link = Link((bone,), (bone,))
    end = f"{dot}{side}"
    carrier = link.carrier + end if link.carrier not in ("", "hips") else link.carrier
    turns, place = (tuple(bone + end for bone in bones) for bones in (link.turns, link.place))
    return Link(turns, place, carrier, link.reach_m, link.swing, link.twist)


def place_of(joint: str, anny: Mapping[str, Array]) -> Array | None:
    """(..., 3) where the joint would be on Anny, from the heads (..., 3) of Anny's bones; None where nothing says."""
    place = link_of(joint).place
    return sum((anny[bone] for bone in place), start=np.zeros(3)) / len(place) if place else None


def rest_turns(smpl: Mapping[str, Array], anny: Mapping[str, Array], shift: Array) -> dict[str, Array]:
    """(3, 3) rotations that take the parts of an SMPL body from its rest pose to Anny's.

    Args:
        smpl: (3,) joints of the SMPL person at rest, by name. anny: (3,) heads of Anny's bones at rest, by name.
        shift: (3,) what takes SMPL's trunk onto Anny's.
    """
    turns = {joint: np.eye(3) for joint in smpl}
    for side in "LR":
        turns |= {f"{stem}.{side}": turn for stem, turn in _limb_turns(smpl, anny, shift, side).items()}
    return {joint: turns[joint] for joint in smpl}


def _limb_turns(smpl: Mapping[str, Array], anny: Mapping[str, Array], shift: Array, side: str) -> dict[str, Array]:
    def between(start: str, end: str) -> Array:
        return smpl[f"{end}.{side}"] - smpl[f"{start}.{side}"]

    def place(joint: str) -> Array:
        found = place_of(f"{joint}.{side}", anny)
        assert found is not None
        return found

    # A limb reaches from its own root, which hips and shoulders of SMPL have elsewhere, to Anny's middle and end.
    turns = {}
    hip = smpl[f"hip.{side}"] + shift
    turns["hip"] = smallest_turn(between("hip", "knee"), place("knee") - hip)
    knee = hip + turns["hip"] @ between("hip", "knee")
    turns["knee"] = smallest_turn(between("knee", "ankle"), place("ankle") - knee)
    # A foot stands flat in both rest poses: only its heading differs.
    level = np.array([1.0, 1.0, 0.0])
    turns["ankle"] = smallest_turn(between("ankle", "foot") * level, (place("foot") - place("ankle")) * level)
    turns["foot"] = turns["ankle"]

    # In a T-pose with palms down the forearm bends to the front: the elbow's axis stands upright.
    up = np.array([0.0, 0.0, 1.0 if side == "R" else -1.0])
    bend = np.cross(place("elbow") - place("shoulder"), place("wrist") - place("elbow"))
    shoulder = smpl[f"shoulder.{side}"] + shift
    turns["shoulder"] = frame(place("elbow") - shoulder, bend) @ frame(between("shoulder", "elbow"), up).T
    elbow = shoulder + turns["shoulder"] @ between("shoulder", "elbow")
    turns["elbow"] = frame(place("wrist") - elbow, bend) @ frame(between("elbow", "wrist"), up).T
    # Index and little finger span the palm, whose normal is the elbow's axis in a T-pose, or against it.
    wrist, index, middle, pinky = (anny[f"{bone}.{side}"] for bone in ("wrist", "finger2-1", "finger3-1", "finger5-1"))
    along = between("wrist", "middle1" if f"middle1.{side}" in smpl else "hand")
    palm = np.cross(index - wrist, pinky - wrist)
    turns["wrist"] = turns["hand"] = frame(middle - wrist, palm) @ frame(along, -up).T
    turns["elbow"] = _half_twist(turns["elbow"], turns["wrist"], place("wrist") - elbow) @ turns["elbow"]
    for finger in _FINGERS if f"index1.{side}" in smpl else ():
        for part in (1, 2):
            start, end = f"{finger}{part}", f"{finger}{part + 1}"
            along = turns["wrist"] @ between(start, end)
            turns[start] = smallest_turn(along, place(end) - place(start)) @ turns["wrist"]
        turns[f"{finger}3"] = turns[f"{finger}2"]
    return turns


def _half_twist(upper: Array, lower: Array, axis: Array) -> Array:
    """Half of what ``lower`` is turned against ``upper`` about ``axis``: the forearm twists along its length."""
    w, *v = quaternion_from_matrix(lower @ upper.T)
    axis = axis / np.linalg.norm(axis)
    half = np.arctan2(v @ axis, w) / 2  # a quaternion holds half the angle
    turn: Array = matrix_from_quaternion(np.array([np.cos(half), *(np.sin(half) * axis)]))
    return turn


def smallest_turn(start: Array, end: Array) -> Array:
    """(3, 3) the smallest rotation that takes the direction of ``start`` (3,) to that of ``end`` (3,)."""
    a, b = start / np.linalg.norm(start), end / np.linalg.norm(end)
    x, y, z = np.cross(a, b)
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    turn: Array = np.eye(3) + k + k @ k / max(1 + a @ b, 1e-6)
    return turn


def frame(x: Array, z: Array) -> Array:
    """(3, 3) right-handed axes in columns: X along ``x`` (3,), Z as near to ``z`` (3,) as that leaves."""
    x = x / np.linalg.norm(x)
    z = z - x * (x @ z)
    z = z / np.linalg.norm(z)
    return np.stack([x, np.cross(z, x), z], -1)
