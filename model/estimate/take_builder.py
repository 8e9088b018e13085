"""From a solution in the camera's space to the arrays of a take in Blender's world."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from amr_blender.contract.take import JOINT12_NAMES, Take
from model.body.anny import AnnyBody
from model.body.landmarks import LANDMARK_NAMES
from model.body.rig import build_rig, rig_arrays
from model.body.skinning import skin
from model.detect.landmarks import Landmarks

from .evidence import Evidence
from .pose_space import PoseSpace
from .solve import Solution
from .world import camera_to_world

JOINT12_LANDMARKS = tuple(LANDMARK_NAMES.index(name) for name in JOINT12_NAMES)
CONTACT_NAMES = ("heel.L", "heel.R", "toe.L", "toe.R")
_SOLE_M = 0.025
"""Vertices within this height over the lowest one, in the rest pose, are soles."""
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
    matrix = camera_to_world(solution.ground, pose.position[first], -pose.orientation[first, :, 1])
    matrix[2, 3] -= _sole_height(body, space, solution, matrix)
    to_world = matrix[:3, :3]
    orientation = to_world @ pose.orientation
    rotations = np.concatenate(
        [
            rig.rotations(space.local_rotations(orientation[s], pose.angles[s]).numpy())
            for s in _blocks(len(pose.angles))
        ]
    )
    frames = len(landmarks.frames)
    hidden = ~landmarks.present
    joints = solution.points_m[:, JOINT12_LANDMARKS].numpy().astype(np.float32)
    joints[hidden] = np.nan
    certain = (evidence.confidence / (1 + (solution.residual / 0.03) ** 2))[:, JOINT12_LANDMARKS].numpy()
    pixels = landmarks.px.astype(np.float32)
    pixels[hidden] = np.nan
    center = evidence.center_px.tolist()
    return Take(
        meta=meta,
        frames=landmarks.frames.astype(np.int32),
        time_s=landmarks.time_s.astype(np.float64),
        present=landmarks.present.astype(bool),
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
        contacts=solution.contacts.numpy().astype(np.float32),
    )


def _blocks(frames: int) -> list[slice]:
    return [slice(start, min(start + _BLOCK, frames)) for start in range(0, frames, _BLOCK)]


def _continuous_blocks(rotations: np.ndarray) -> np.ndarray:
    """Undo the changes of sign between blocks that were made continuous on their own."""
    for start in range(_BLOCK, len(rotations), _BLOCK):
        flipped = (rotations[start] * rotations[start - 1]).sum(-1) < 0
        rotations[start:, flipped] *= -1
    return rotations


def _sole_height(body: AnnyBody, space: PoseSpace, solution: Solution, camera_matrix: Tensor) -> float:
    """Median height (m) of the lowest sole vertex in the frames in which a foot rests."""
    vertices = solution.rest.vertices_m.double().cpu()
    soles = torch.nonzero(vertices[:, 2] < vertices[:, 2].min() + _SOLE_M)[:, 0]
    weights = body.skin_weights_dense.double().cpu()[soles]
    heads = solution.rest.heads_m.double().cpu()
    up, pose = camera_matrix[2], solution.pose
    lowest = []
    for s in _blocks(len(pose.angles)):
        local = space.local_rotations(pose.orientation[s], pose.angles[s])
        rotations, posed = body.kinematics.double()(local, heads, pose.position[s])
        lowest.append((skin(vertices[soles], heads, weights, rotations, posed) @ up[:3] + up[3]).amin(1))
    heights = torch.cat(lowest)
    resting = solution.contacts.amax(1) > 0.5
    return float(heights[resting].median() if bool(resting.any()) else heights.quantile(0.05))
