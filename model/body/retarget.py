"""Captured motion on the Anny body: the same limb directions and twists on other proportions, feet on the ground.

The capture's skeleton is CMU's (mocap.cs.cmu.edu): 32 joints, Y up, at rest a T-pose that faces +Z with the left at +X
and legs spread 20 degrees.  Each segment of the body follows one segment of the capture.  A constant rotation per
segment takes the body's rest direction and hinge axis to the capture's, so that a limb points where the captured limb
points and bends about the axis about which it bends.  World here: metres, Z up, facing -Y at rest, left at +X.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from amr_blender.contract.rotations import matrix_from_quaternion, multiply, quaternion_from_matrix, slerp

from .anny import AnnyBody, RestBody

Array = NDArray[np.floating]
_ARM = ("clavicle", "shoulder", "elbow", "forearm", "wrist", "hand", "thumb")
_LEG = ("hip", "knee", "ankle", "toe", "toe_end")
CAPTURE_JOINTS: tuple[str, ...] = (
    "root", *(f"{s}_{n}" for s in "lr" for n in _LEG), "spine_low", "spine_mid", "chest", "neck_low", "neck_up",
    "head", "head_end", *(f"{s}_{n}" for s in "lr" for n in _ARM),
)  # fmt: skip
CAPTURE_PARENTS: tuple[int, ...] = (
    -1, 0, 1, 2, 3, 4, 0, 6, 7, 8, 9, 0, 11, 12, 13, 14, 15, 16, 13, 18, 19, 20, 21, 22, 22, 13, 25, 26, 27, 28, 29, 29,
)  # fmt: skip
Z_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""Capture axes to the body's: +Z forwards becomes -Y, +Y up becomes +Z."""
_SPREAD = np.deg2rad(20.0)
KNEE_AXIS = np.array([np.cos(_SPREAD), np.sin(_SPREAD), 0.0])
"""Capture axes, left leg at rest: what its knee bends about, and the foot's left (CMU's ASF files)."""
ELBOW_AXIS = np.array([0.0, -np.cos(np.pi / 6), np.sin(np.pi / 6)])
"""Capture axes, left arm at rest: what its elbow bends about."""
HEAD_UP_DEG = 8.0
"""The capture's head leans forwards by this much when people look ahead (median over walks, runs, jumps, dances)."""
FOREARM_ROLL, HAND_ROLL, HAND_BEND, FOOT_ROLL, FOOT_BEND = 1.5, 0.5, 1.4, 0.6, 1.1
"""rad; beyond this the capture's hands and feet are flipping over.  A roll is about the part's own length."""
CONTACT_SPEED_M_S = 0.4
CONTACT_HEIGHT_M = 0.035
"""A foot's joint this little above its lowest of the motion, and slow, stands on the floor."""
LOWEST_QUANTILE = 0.02
SETTLE_S = 0.1
"""Standard deviation in time of the smoothing of the vertical shift."""


class Capture(Protocol):
    """What is needed of a captured motion of T frames; see ``model.synth.motion.mocap.Sequence``."""

    @property
    def fps(self) -> float: ...
    @property
    def offsets_m(self) -> Array:
        """(32, 3) parent to joint at rest."""

    @property
    def quaternions(self) -> Array:
        """(T, 32, 4) wxyz, local; the first joint's in the world."""

    @property
    def joints_m(self) -> Array:
        """(T, 32, 3) world."""

    @property
    def floor_known(self) -> bool: ...


@dataclass(frozen=True)
class Retargeted:
    """A motion of the body over T frames, world with Z up, float64."""

    position_m: Tensor
    """(T, 3) head of the root bone."""
    local: Tensor
    """(T, B, 3, 3) world-aligned local rotations of all bones; the first is the hips' orientation in the world."""
    contacts: NDArray[np.bool_]
    """(T, 4) whether left heel, left ball, right heel, right ball of the foot stand on the floor."""


def retarget(body: AnnyBody, rest: RestBody, capture: Capture) -> Retargeted:
    """Move a person as the capture moves.

    Args:
        body: the body model. rest: one person's body. capture: a motion; where its floor is known, the soles of
            standing feet touch Z = 0, else heights are the capture's, scaled.
    """
    world = _segments(body, rest, capture)
    local = np.tile(np.eye(3), (len(capture.quaternions), len(body.bone_names), 1, 1))
    for bone, rotation in _spread(world).items():
        local[:, body.bone(bone)] = rotation
    heads = rest.heads_m.double().cpu().numpy()
    scale = _leg_m(heads, body) / _capture_leg_m(capture.offsets_m)
    hips = [CAPTURE_JOINTS.index(name) for name in ("l_hip", "r_hip")]
    middle = capture.joints_m[:, hips].mean(1) @ Z_UP.T * scale
    hip_offset = (heads[body.bone("upperleg01.L")] + heads[body.bone("upperleg01.R")]) / 2 - heads[0]
    position = middle - local[:, 0] @ hip_offset
    contacts = _contacts(capture)
    if capture.floor_known:
        position[:, 2] += _settle(_sole_heights(body, rest, world, position), contacts, capture.fps)
    return Retargeted(torch.from_numpy(position), torch.from_numpy(local), contacts)


def capture_rotations(capture: Capture) -> Array:
    """(T, 32, 3, 3) world rotations of the capture's joints against its rest pose, capture axes."""
    local = matrix_from_quaternion(capture.quaternions)
    world = np.empty_like(local)
    for joint, parent in enumerate(CAPTURE_PARENTS):
        world[:, joint] = local[:, joint] if parent < 0 else world[:, parent] @ local[:, joint]
    return world


def _segments(body: AnnyBody, rest: RestBody, capture: Capture) -> dict[str, Array]:
    """(T, 3, 3) world rotations of the body's segments against its rest pose, by the bone that carries each."""
    source = {
        n: Z_UP @ r @ Z_UP.T for n, r in zip(CAPTURE_JOINTS, capture_rotations(capture).swapaxes(0, 1), strict=True)
    }
    offsets = dict(zip(CAPTURE_JOINTS, capture.offsets_m @ Z_UP.T, strict=True))
    heads = rest.heads_m.double().cpu().numpy()

    def between(start: str, end: str) -> Array:
        return heads[body.bone(end)] - heads[body.bone(start)]

    tilt = np.deg2rad(HEAD_UP_DEG)
    nod = np.array([[1, 0, 0], [0, np.cos(tilt), np.sin(tilt)], [0, -np.sin(tilt), np.cos(tilt)]])
    left = np.array([1.0, 0.0, 0.0])
    trunk = between("upperleg01.L", "neck01") + between("upperleg01.R", "neck01")
    erect = _align(trunk, left, _capture_trunk(offsets), left)
    world = {
        "root": source["root"],
        "spine03": _halfway(source["spine_low"], source["spine_mid"]) @ erect,
        "spine01": source["chest"] @ erect,
        "neck03": _halfway(source["neck_low"], source["neck_up"]),
        "head": source["head"] @ nod,
    }
    for side, s, sign in (("L", "l", 1.0), ("R", "r", -1.0)):
        mirror = np.array([1.0, sign, sign])  # of an axis, which turns the other way in a mirror
        knee, elbow = Z_UP @ (KNEE_AXIS * mirror), Z_UP @ (ELBOW_AXIS * mirror)
        thigh, shin = between(f"upperleg01.{side}", f"lowerleg01.{side}"), between(f"lowerleg01.{side}", f"foot.{side}")
        upper, fore = (
            between(f"upperarm01.{side}", f"lowerarm01.{side}"),
            between(f"lowerarm01.{side}", f"wrist.{side}"),
        )
        bend = np.cross(thigh, shin)
        world[f"upperleg01.{side}"] = source[f"{s}_hip"] @ _align(thigh, bend, offsets[f"{s}_knee"], knee)
        world[f"lowerleg01.{side}"] = source[f"{s}_knee"] @ _align(shin, bend, offsets[f"{s}_ankle"], knee)
        foot = between(f"foot.{side}", f"toe2-1.{side}")
        sole = source[f"{s}_ankle"] @ _align(foot, left, offsets[f"{s}_toe"], knee)
        world[f"foot.{side}"] = _held(world[f"lowerleg01.{side}"], sole, foot, FOOT_ROLL, FOOT_BEND)
        bend = np.cross(upper, fore)
        world[f"upperarm01.{side}"] = source[f"{s}_shoulder"] @ _align(upper, bend, offsets[f"{s}_elbow"], elbow)
        world[f"lowerarm01.{side}"] = source[f"{s}_elbow"] @ _align(fore, bend, offsets[f"{s}_forearm"], elbow)
        # The hand's roll: from the little finger's knuckle to the forefinger's, forwards in the capture's rest pose.
        across = between(f"finger5-1.{side}", f"finger2-1.{side}")
        hand = between(f"wrist.{side}", f"finger3-1.{side}")
        forwards = np.array([0.0, -1.0, 0.0])
        rolled = source[f"{s}_forearm"] @ _align(fore, across, offsets[f"{s}_wrist"], forwards)
        rolled = _held(world[f"lowerarm01.{side}"], rolled, fore, FOREARM_ROLL, np.pi)
        palm = source[f"{s}_wrist"] @ _align(hand, across, offsets[f"{s}_hand"], forwards)
        world[f"lowerarm02.{side}"] = rolled
        world[f"wrist.{side}"] = _held(rolled, palm, hand, HAND_ROLL, HAND_BEND)
    return world


def _spread(world: dict[str, Array]) -> dict[str, Array]:
    """Local rotations of the moving bones: each of the trunk's balls bends its bones alike."""
    local = {"root": world["root"]}
    parent = "root"
    for last, bones in (
        ("spine03", ("spine05", "spine04", "spine03")),
        ("spine01", ("spine02", "spine01")),
        ("neck03", ("neck01", "neck02", "neck03")),
        ("head", ("head",)),
    ):
        turn = quaternion_from_matrix(world[parent].swapaxes(-1, -2) @ world[last])
        none = np.broadcast_to(np.array([1.0, 0.0, 0.0, 0.0]), turn.shape)
        share = slerp(none, turn, np.full(len(turn), 1.0 / len(bones)))
        local |= dict.fromkeys(bones, matrix_from_quaternion(share))
        parent = last
    for side in "LR":
        for chain in (
            ("root", "upperleg01", "lowerleg01", "foot"),
            ("spine01", "upperarm01", "lowerarm01", "lowerarm02", "wrist"),
        ):
            parent = chain[0]
            for stem in chain[1:]:
                bone = f"{stem}.{side}"
                local[bone] = world[parent].swapaxes(-1, -2) @ world[bone]
                parent = bone
    return local


def _halfway(a: Array, b: Array) -> Array:
    """(T, 3, 3) rotation in the middle between two."""
    return matrix_from_quaternion(slerp(quaternion_from_matrix(a), quaternion_from_matrix(b), np.full(len(a), 0.5)))


def _held(parent: Array, child: Array, along: Array, most_roll: float, most_bend: float) -> Array:
    """(T, 3, 3) ``child`` with its rotation against ``parent`` held within a roll about ``along`` (3,) and a bend.

    A roll beyond the most goes back to none at half a turn, where the part is upside down: nothing jumps.
    """
    q = quaternion_from_matrix(parent.swapaxes(-1, -2) @ child)
    axis = along / np.linalg.norm(along)
    roll: Array = 2.0 * np.arctan2(q[:, 1:] @ axis, q[:, 0])
    roll = np.arctan2(np.sin(roll), np.cos(roll))
    back = most_roll * (np.pi - np.abs(roll)) / (np.pi - most_roll)
    bend = multiply(q, _about(axis, -roll))
    angle = 2 * np.arccos(np.abs(bend[:, 0]).clip(0, 1))
    none = np.broadcast_to(np.array([1.0, 0.0, 0.0, 0.0]), q.shape)
    bend = slerp(none, bend, np.minimum(1.0, most_bend / angle.clip(1e-9)))
    return parent @ matrix_from_quaternion(multiply(bend, _about(axis, np.sign(roll) * np.minimum(np.abs(roll), back))))


def _about(axis: Array, angle: Array) -> Array:
    """(T, 4) wxyz of (T,) turns about a unit axis (3,)."""
    return np.concatenate([np.cos(angle / 2)[:, None], np.sin(angle / 2)[:, None] * axis], 1)


def _frame(along: Array, beside: Array) -> Array:
    """(3, 3) right-handed frame: first axis ``along``, second ``beside`` made perpendicular."""
    first = along / np.linalg.norm(along)
    second = beside - first * (first @ beside)
    second = second / np.linalg.norm(second)
    return np.stack([first, second, np.cross(first, second)], 1)


def _align(along: Array, beside: Array, to_along: Array, to_beside: Array) -> Array:
    """(3, 3) rotation that takes one pair of directions to another; the first exactly."""
    return np.asarray(_frame(to_along, to_beside) @ _frame(along, beside).T)


def _leg_m(heads: Array, body: AnnyBody) -> float:
    chain = heads[[body.bone(f"{b}.L") for b in ("upperleg01", "lowerleg01", "foot")]]
    return float(np.linalg.norm(np.diff(chain, axis=0), axis=1).sum())


def _capture_leg_m(offsets_m: Array) -> float:
    return float(sum(np.linalg.norm(offsets_m[CAPTURE_JOINTS.index(n)]) for n in ("l_knee", "l_ankle")))


def _capture_trunk(offsets: dict[str, Array]) -> Array:
    """(3,) from the middle of the hips to the base of the neck at rest."""
    spine = offsets["spine_low"] + offsets["spine_mid"] + offsets["chest"] + offsets["neck_low"]
    return np.asarray(spine - (offsets["l_hip"] + offsets["r_hip"]) / 2)


def _contacts(capture: Capture) -> NDArray[np.bool_]:
    """(T, 4) which heel or ball of the foot is low and still; the ankle stands for the heel."""
    points = capture.joints_m[:, [CAPTURE_JOINTS.index(n) for n in ("l_ankle", "l_toe", "r_ankle", "r_toe")]]
    if len(points) < 2:
        return np.zeros(points.shape[:2], bool)
    speed = np.linalg.norm(np.gradient(points, axis=0), axis=-1) * capture.fps
    height = points[..., 1]
    lowest = np.quantile(height, LOWEST_QUANTILE, axis=0)
    return np.asarray((speed < CONTACT_SPEED_M_S) & (height < lowest + CONTACT_HEIGHT_M))


def _sole_heights(body: AnnyBody, rest: RestBody, world: dict[str, Array], position: Array) -> Array:
    """(T, 4) heights of left heel, left ball, right heel and right ball, all on the sole."""
    vertices, heads = rest.vertices_m.double().cpu().numpy(), rest.heads_m.double().cpu().numpy()
    weights = body.skin_weights_dense.cpu().numpy()
    sole = vertices[:, 2].min()
    heights = []
    for side in "LR":
        chain = [0, *(body.bone(f"{b}.{side}") for b in ("upperleg01", "lowerleg01", "foot"))]
        ankle = position[:, 2].copy()
        for start, end in pairwise(chain):
            ankle += world[body.bone_names[start] if start else "root"][:, 2] @ (heads[end] - heads[start])
        foot, ball = heads[chain[-1]], heads[body.bone(f"toe2-1.{side}")]
        back = vertices[(weights[:, chain[-1]] > 0.5) & (vertices[:, 2] < sole + 0.02), 1].max()
        for point in (np.array([foot[0], back, sole]), np.array([ball[0], ball[1], sole])):
            heights.append(ankle + world[f"foot.{side}"][:, 2] @ (point - foot))
    return np.stack(heights, 1)


def _settle(heights_m: Array, contacts: NDArray[np.bool_], fps: float) -> Array:
    """(T,) vertical shift that puts the standing feet on the floor, and passes smoothly over flights.

    Each standing foot counts with its lower end; of two feet the mean counts.
    """
    standing = np.where(contacts, heights_m, np.inf).reshape(len(heights_m), 2, 2).min(-1)
    count = np.isfinite(standing).sum(1)
    known = np.flatnonzero(count)
    if not len(known):
        return np.full(len(heights_m), -heights_m.min())  # nobody stands: nothing may sink into the floor
    lowest = np.where(np.isfinite(standing), standing, 0.0).sum(1)[known] / count[known]
    shift = np.interp(np.arange(len(heights_m)), known, -lowest)
    reach = int(np.ceil(3 * SETTLE_S * fps))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / (SETTLE_S * fps)) ** 2)
    padded = np.pad(shift, reach, mode="edge")
    return np.convolve(padded, kernel / kernel.sum(), mode="valid")
