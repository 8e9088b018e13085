"""A motion of the capture's skeleton, made here: what retargeting can be tested on without the motion capture."""

from __future__ import annotations

import numpy as np

from amr_blender.contract.rotations import matrix_from_quaternion
from model.body.retarget import CAPTURE_JOINTS, CAPTURE_PARENTS
from model.synth.motion.mocap import Sequence

FPS = 60.0


def offsets_m() -> np.ndarray:
    """(32, 3) a skeleton of round numbers in the capture's rest pose."""
    spread = np.deg2rad(20.0)
    thigh = np.array([np.sin(spread), -np.cos(spread), 0.0])
    middle = {
        "spine_mid": (0, 0.11, 0), "chest": (0, 0.11, 0), "neck_low": (0, 0.11, 0), "neck_up": (0, 0.1, 0),
        "head": (0, 0.1, 0), "head_end": (0, 0.1, 0),
    }  # fmt: skip
    left = {
        "hip": (0.09, -0.1, 0.03), "knee": 0.4 * thigh, "ankle": 0.42 * thigh,
        "toe": 0.035 * thigh + [0, 0, 0.12], "toe_end": (0, 0, 0.06), "shoulder": (0.17, 0.06, 0),
        "elbow": (0.3, 0, 0), "forearm": (0.17, 0, 0), "wrist": (0.09, 0, 0), "hand": (0.06, 0, 0),
        "thumb": (0.03, 0, 0.03),
    }  # fmt: skip
    out = np.zeros((len(CAPTURE_JOINTS), 3))
    for i, name in enumerate(CAPTURE_JOINTS):
        if name in middle:
            out[i] = middle[name]
        elif name[2:] in left:
            out[i] = np.asarray(left[name[2:]]) * (1 if name.startswith("l_") else [-1, 1, 1])
    return out


def turned(frames: int, **joints: tuple[str, float]) -> np.ndarray:
    """(T, 32, 4) the rest pose with some joints turned: ``l_hip=("x", degrees)``, capture axes."""
    quaternions = np.zeros((frames, len(CAPTURE_JOINTS), 4))
    quaternions[..., 0] = 1.0
    for name, (axis, degrees) in joints.items():
        half = np.deg2rad(degrees) / 2
        quaternions[:, CAPTURE_JOINTS.index(name)] = 0.0
        quaternions[:, CAPTURE_JOINTS.index(name), 0] = np.cos(half)
        quaternions[:, CAPTURE_JOINTS.index(name), 1 + "xyz".index(axis)] = np.sin(half)
    return quaternions


def sequence(quaternions: np.ndarray, floor_known: bool = True) -> Sequence:
    """A motion on the spot, the lower ankle 8 cm above the floor."""
    offsets, local = offsets_m(), matrix_from_quaternion(quaternions)
    joints = np.zeros((len(local), len(CAPTURE_JOINTS), 3))
    world = local.copy()
    for joint, parent in enumerate(CAPTURE_PARENTS):
        if parent >= 0:
            world[:, joint] = world[:, parent] @ local[:, joint]
            joints[:, joint] = joints[:, parent] + world[:, parent] @ offsets[joint]
    ankles = joints[:, [CAPTURE_JOINTS.index(n) for n in ("l_ankle", "r_ankle")], 1]
    joints[..., 1] += 0.08 - ankles.min(1)[:, None]
    return Sequence("made", "", "made", "made", FPS, offsets, quaternions, joints, floor_known, True)
