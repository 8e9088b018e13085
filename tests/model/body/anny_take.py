"""Takes made with Anny whose motion is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from amr_blender.contract.take import Take, validate
from model.body import AnnyBody
from model.body.rig import build_rig, rig_arrays
from tests.contract.tiny_take import tiny_take

Array = np.ndarray[Any, Any]
FPS = 30.0


def a_person(anny: AnnyBody, height: float = 0.6, arms: float = 0.3, legs: float = -0.2) -> torch.Tensor:
    """Shape values of somebody who is not the average."""
    shape = anny.default_shape()
    for name, value in (
        ("height", height), ("measure-upperarm-length-incr", arms), ("measure-lowerarm-length-incr", arms),
        ("measure-upperleg-height-incr", legs), ("measure-lowerleg-height-incr", legs),
    ):  # fmt: skip
        shape[anny.shape_names.index(name)] = value
    return shape


def a_motion(anny: AnnyBody, frames: int = 60) -> Array:
    """(T, B, 3, 3) world-aligned local rotations of somebody who waves, squats a little, steps, bends and turns."""
    time_s = np.arange(frames) / FPS
    rotvecs = np.zeros((frames, len(anny.bone_names), 3))

    def swing(bone: str, axis: tuple[float, float, float], amount: float, rate: float, about: float = 0.0) -> None:
        wave = about + amount * np.sin(rate * time_s + len(bone))
        rotvecs[:, anny.bone(bone)] += np.outer(wave, axis)

    swing("root", (0, 0, 1), 0.8, 1.0)
    swing("root", (1, 0, 0), 0.1, 2.0)
    for spine in ("spine05", "spine03", "spine02", "neck02"):
        swing(spine, (1, 0, 0), 0.08, 2.0, 0.05)
        swing(spine, (0, 0, 1), 0.08, 3.0)
    swing("head", (0, 0.5, 1), 0.3, 2.5)
    for side, sign in (("L", 1.0), ("R", -1.0)):
        swing(f"clavicle.{side}", (0, -sign, 0), 0.1, 2.0, 0.05)
        swing(f"upperarm01.{side}", (0, -sign, 0), 0.7, 2.0, 0.5)
        swing(f"upperarm01.{side}", (1, 0, 0), 0.6, 3.0)
        swing(f"lowerarm01.{side}", (-0.8, 0, 0.6 * sign), 0.5, 4.0, 0.5)
        swing(f"lowerarm02.{side}", (0.6 * sign, -0.6, -0.5), 0.5, 3.0)
        swing(f"wrist.{side}", (1, 0.5, 0), 0.3, 5.0)
        for finger in range(1, 6):
            swing(f"finger{finger}-2.{side}", (0.5, 0.7 * sign, 0), 0.3, 4.0, 0.2)
        swing(f"upperleg01.{side}", (-1, 0, 0.1), 0.5, 2.0, 0.5)
        swing(f"lowerleg01.{side}", (1, 0, 0), 0.5, 2.0, 0.6)
        swing(f"foot.{side}", (1, 0, 0.3), 0.2, 2.0, -0.1)
    angle = np.linalg.norm(rotvecs, axis=-1, keepdims=True)
    k = np.cross(np.eye(3)[None, None], rotvecs[..., None, :] / np.maximum(angle, 1e-12)[..., None])
    k = -np.swapaxes(k, -1, -2)
    turns: Array = np.eye(3) + np.sin(angle)[..., None] * k + (1 - np.cos(angle))[..., None] * (k @ k)
    return turns


def make_take(anny: AnnyBody, shape: torch.Tensor, local: Array, root: Array | None = None) -> Take:
    """A take of that motion; without ``root`` (T, 3) the lowest point of the body stands on the ground."""
    rest = anny.rest(shape)
    rig, frames = build_rig(anny, rest), len(local)
    if root is None:
        posed = anny.pose(rest, torch.from_numpy(local).float(), torch.zeros((frames, 3)))
        root = np.zeros((frames, 3))
        root[:, 0] = 0.5 * np.sin(np.arange(frames) / FPS)
        root[:, 2] = -posed[..., 2].amin(1).numpy()
    nobody = tiny_take()
    take = replace(
        nobody,
        frames=np.arange(frames, dtype=np.int32),
        time_s=np.arange(frames) / FPS,
        present=np.ones(frames, bool),
        **rig_arrays(anny, rig),
        shape_names=np.array(anny.shape_names),
        shape_values=shape.numpy().astype(np.float32),
        rotations=rig.rotations(local).astype(np.float32),
        translation_m=root.astype(np.float32),
        camera_to_world=np.tile(np.eye(4), (frames, 1, 1)),
        landmarks_px=np.zeros((frames, 33, 2), np.float32),
        landmark_confidence=np.ones((frames, 33), np.float32),
        joints12_cam_m=np.zeros((frames, 12, 3), np.float32),
        joint_confidence=np.ones((frames, 12), np.float32),
        contacts=np.ones((frames, 2), np.float32),
        meta=nobody.meta | {"body": {"name": "Anny", "licence": "Apache-2.0, CC0-1.0"}, "warnings": []},
    )
    validate(take)
    return take
