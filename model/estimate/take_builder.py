"""From a solution in the camera's space to the arrays of a take in Blender's world."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from amr_blender.contract.take import JOINT12_NAMES, Take
from model.body.anny import AnnyBody
from model.body.body_points import CONTACT_NAMES
from model.body.hands import relaxed_fingers
from model.body.landmarks import LANDMARK_NAMES
from model.body.rig import build_rig, rig_arrays
from model.detect.landmarks import Landmarks

from .camera_turns import CameraTurns
from .confidence import confidence
from .evidence import Evidence
from .pose_space import PoseSpace
from .refined import Refined, all_rotations
from .solve import Solution
from .world import Ground, camera_to_world

JOINT12_LANDMARKS = tuple(LANDMARK_NAMES.index(name) for name in JOINT12_NAMES)
_BLOCK = 256
"""Frames at a time where all bones are posed; bounds the memory."""


def build_take(
    body: AnnyBody, space: PoseSpace, evidence: Evidence, solution: Solution, landmarks: Landmarks,
    meta: dict[str, Any], refined: Refined | None = None, turns: CameraTurns | None = None,
) -> Take:  # fmt: skip
    """Assemble the take.

    Args:
        body, space, evidence, solution: of the estimate, T frames each.
        landmarks: as they were detected.
        meta: the take's ``meta``. refined: what was refined of it. turns: of the camera, which is a still one so far.
    """
    rig, pose, present = build_rig(body, solution.rest), solution.pose, evidence.present
    first = int(torch.nonzero(present)[0, 0])
    ground = Ground(solution.footing.up, solution.footing.height_m)
    matrix = camera_to_world(ground, pose.position[first], -pose.orientation[first, :, 1])
    to_world = matrix[:3, :3]
    fingers, joints = relaxed_fingers(body), solution.points_m[:, JOINT12_LANDMARKS]
    place = pose.position if refined is None else pose.position + refined.shift_m
    rotations = []
    for s in _blocks(len(pose.angles)):
        local = all_rotations(space, pose.part(s), fingers)
        if refined is not None:
            local = refined.turned(local, s, space.skeleton.bones)
            points = refined.landmarks(body, space.skeleton.regressor, solution.rest, local, place[s], s)
            joints[s] = points[:, JOINT12_LANDMARKS]
        local[:, 0] = to_world @ local[:, 0]
        rotations.append(rig.rotations(local.numpy()))
    frames = len(landmarks.frames)
    filled = solution.filled.numpy()
    cameras = np.repeat(matrix.numpy()[None], frames, 0)
    joints12 = joints.numpy().astype(np.float32)
    if turns is not None:
        own = turns.matrices(evidence.focal_px / max(landmarks.size_px))
        cameras[:, :3, :3] = cameras[:, :3, :3] @ np.swapaxes(own, 1, 2)
        joints12 = (joints12 @ np.swapaxes(own, 1, 2)).astype(np.float32)
    joints12[~landmarks.present & ~filled] = np.nan
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
        rotations=_continuous_blocks(np.concatenate(rotations)).astype(np.float32),
        translation_m=(place @ to_world.T + matrix[:3, 3]).numpy().astype(np.float32),
        K=np.array([[evidence.focal_px, 0, center[0]], [0, evidence.focal_px, center[1]], [0, 0, 1]], np.float64),
        camera_to_world=cameras,
        landmarks_px=pixels,
        landmark_confidence=evidence.confidence.numpy().astype(np.float32),
        joints12_cam_m=joints12,
        joint_confidence=certain.astype(np.float32),
        contact_names=np.array(CONTACT_NAMES),
        contacts=solution.footing.contacts.numpy().astype(np.float32),
        **({} if refined is None else _refinement(refined)),
    )


def _refinement(refined: Refined) -> dict[str, Any]:
    """The take's arrays of it, by name."""
    found: dict[str, Any] = {"uncertainty_mm": refined.uncertainty_mm}
    if refined.attention is not None:
        found["attention"] = refined.attention
    if refined.basis is None:
        return found
    error_mm = np.array(refined.error_mm, np.float32)
    shapes = {"refinement_basis": refined.basis, "refinement_weights": refined.weights}
    return {**found, **shapes, "refinement_error_mm": error_mm}


def _blocks(frames: int) -> list[slice]:
    return [slice(start, min(start + _BLOCK, frames)) for start in range(0, frames, _BLOCK)]


def _continuous_blocks(rotations: np.ndarray) -> np.ndarray:
    """Undo the changes of sign between blocks that were made continuous on their own."""
    for start in range(_BLOCK, len(rotations), _BLOCK):
        flipped = (rotations[start] * rotations[start - 1]).sum(-1) < 0
        rotations[start:, flipped] *= -1
    return rotations
