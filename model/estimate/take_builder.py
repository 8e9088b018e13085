"""From a solution in the camera's space to the arrays of a take in Blender's world."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from amr_blender.contract.take import JOINT12_NAMES, Take
from model.body.anny import AnnyBody
from model.body.body_points import CONTACT_NAMES
from model.body.hands import relaxed_fingers
from model.body.landmarks import LANDMARK_NAMES
from model.body.rig import build_rig, rig_arrays
from model.detect.landmarks import Landmarks

from .confidence import confidence
from .evidence import Evidence
from .pose_space import PoseSpace
from .solve import Solution
from .world import Ground, camera_to_world

JOINT12_LANDMARKS = tuple(LANDMARK_NAMES.index(name) for name in JOINT12_NAMES)
_BLOCK = 256
"""Frames at a time where all bones are posed; bounds the memory."""


def build_take(
    body: AnnyBody, space: PoseSpace, evidence: Evidence, solution: Solution, landmarks: Landmarks, meta: dict[str, Any]
) -> Take:
    """Assemble the take.

    Args:
        body, space, evidence, solution: of the estimate, T frames each.
        landmarks: as they were detected.
        meta: the take's ``meta``.
    """
    rig, pose, present = build_rig(body, solution.rest), solution.pose, evidence.present
    first = int(torch.nonzero(present)[0, 0])
    ground = Ground(solution.footing.up, solution.footing.height_m)
    matrix = camera_to_world(ground, pose.position[first], -pose.orientation[first, :, 1])
    to_world = matrix[:3, :3]
    orientation, fingers = to_world @ pose.orientation, relaxed_fingers(body)
    rotations = np.concatenate(
        [
            rig.rotations(_with_hands(space.local_rotations(orientation[s], pose.angles[s]), fingers).numpy())
            for s in _blocks(len(pose.angles))
        ]
    )
    frames = len(landmarks.frames)
    filled = solution.filled.numpy()
    joints = solution.points_m[:, JOINT12_LANDMARKS].numpy().astype(np.float32)
    joints[~landmarks.present & ~filled] = np.nan
    certain = confidence(solution.sigma_m[:, JOINT12_LANDMARKS]).numpy()
    pixels = landmarks.px.astype(np.float32)
    pixels[~landmarks.present] = np.nan
    center = evidence.center_px.tolist()
    return Take(
        meta=meta,
        frames=landmarks.frames.astype(np.int32),
        time_s=landmarks.time_s.astype(np.float64),
        present=landmarks.present.astype(bool),
        filled=filled,
        **rig_arrays(body, rig),
        shape_names=np.array(body.shape_names),
        shape_values=solution.shape.numpy().astype(np.float32),
        rotations=_continuous_blocks(rotations).astype(np.float32),
        translation_m=(pose.position @ to_world.T + matrix[:3, 3]).numpy().astype(np.float32),
        K=np.array([[evidence.focal_px, 0, center[0]], [0, evidence.focal_px, center[1]], [0, 0, 1]], np.float64),
        camera_to_world=np.repeat(matrix.numpy()[None], frames, 0),
        landmarks_px=pixels,
        landmark_confidence=evidence.confidence.numpy().astype(np.float32),
        joints12_cam_m=joints,
        joint_confidence=certain.astype(np.float32),
        contact_names=np.array(CONTACT_NAMES),
        contacts=solution.footing.contacts.numpy().astype(np.float32),
    )


def _with_hands(local: Tensor, fingers: tuple[list[int], Tensor]) -> Tensor:
    bones, turns = fingers
    local[:, bones] = turns
    return local


def _blocks(frames: int) -> list[slice]:
    return [slice(start, min(start + _BLOCK, frames)) for start in range(0, frames, _BLOCK)]


def _continuous_blocks(rotations: np.ndarray) -> np.ndarray:
    """Undo the changes of sign between blocks that were made continuous on their own."""
    for start in range(_BLOCK, len(rotations), _BLOCK):
        flipped = (rotations[start] * rotations[start - 1]).sum(-1) < 0
        rotations[start:, flipped] *= -1
    return rotations
