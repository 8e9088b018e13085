"""The smallest take that is whole: four frames, three bones, a cube in quads."""

from __future__ import annotations

from typing import Any

import numpy as np

from amr_blender.contract.take import Take

T, B, V, F = 4, 3, 8, 6


def tiny_take(**changes: Any) -> Take:
    """A valid take, with ``changes`` to its fields."""
    corners = [[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (0.0, 1.0)]
    identity = np.zeros((T, B, 4), np.float32)
    identity[..., 0] = 1.0
    fields: dict[str, Any] = {
        "meta": {
            "source": {"name": "clip.mp4", "width": 64, "height": 48, "fps": 25.0, "frame_count": T},
            "settings": {"quality": "standard"},
            "warnings": [{"code": "x", "message": "Something to know."}],
        },
        "frames": np.arange(T, dtype=np.int32),
        "time_s": np.arange(T) / 25.0,
        "present": np.array([True, True, False, True]),
        "bone_names": np.array(["root", "hips", "spine"]),
        "bone_parents": np.array([-1, 0, 1], np.int16),
        "bone_rest": np.tile(np.eye(4, dtype=np.float32), (B, 1, 1)),
        "bone_length_m": np.full(B, 0.1, np.float32),
        "bone_groups": np.array(["Root", "Torso", "Torso"]),
        "vertices_m": np.array(corners, np.float32),
        "quads": np.array(
            [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]], np.int32
        ),
        "uvs": np.zeros((F, 4, 2), np.float32),
        "skin_bones": np.ones((V, 2), np.int16),
        "skin_weights": np.tile(np.array([1, 0], np.float32), (V, 1)),
        "shape_names": np.array(["age", "weight"]),
        "shape_values": np.zeros(2, np.float32),
        "rotations": identity,
        "translation_m": np.zeros((T, 3), np.float32),
        "K": np.array([[80.0, 0, 32], [0, 80.0, 24], [0, 0, 1]]),
        "camera_to_world": np.tile(np.eye(4), (T, 1, 1)),
        "landmarks_px": np.zeros((T, 33, 2), np.float32),
        "landmark_confidence": np.ones((T, 33), np.float32),
        "joints12_cam_m": np.zeros((T, 12, 3), np.float32),
        "joint_confidence": np.ones((T, 12), np.float32),
        "contact_names": np.array(["foot.L", "foot.R"]),
        "contacts": np.zeros((T, 2), np.float32),
    }
    fields["landmarks_px"][2] = np.nan
    fields["joints12_cam_m"][2] = np.nan
    return Take(**(fields | changes))


def refined_take() -> Take:
    """A valid take with every optional field: the frame that is not seen is filled in."""
    return tiny_take(
        filled=np.array([False, False, True, False]),
        joints12_cam_m=np.zeros((T, 12, 3), np.float32),
        refinement_basis=np.zeros((2, V, 3), np.float32),
        refinement_weights=np.zeros((T, 2), np.float32),
        refinement_error_mm=np.array(0.5, np.float32),
        attention=np.zeros((T, V), np.float16),
        uncertainty_mm=np.ones((T, V), np.float16),
    )
