"""Every conversion between spaces and camera models, in one place.

Spaces, named in variable suffixes:
    ``_world_m``  Blender's world: metres, Z up, ground at Z = 0.
    ``_cam_m``    OpenCV camera: metres, x right, y down, z forward.
    ``_px``       pixels of the decoded, upright frame; (0, 0) is the top-left corner of the top-left pixel.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

BLENDER_FROM_OPENCV_CAMERA = np.diag([1.0, -1.0, -1.0, 1.0])
"""A Blender camera looks along its -Z with Y up, an OpenCV camera along +Z with Y down."""


def intrinsics(focal_px: float, width_px: int, height_px: int) -> Array:
    """(3, 3) pinhole matrix with square pixels and the principal point in the middle of the frame."""
    return np.array([[focal_px, 0.0, width_px / 2], [0.0, focal_px, height_px / 2], [0.0, 0.0, 1.0]])


def focal_px_from_lens(lens_mm: float, width_px: int, height_px: int, sensor_mm: float = 36.0) -> float:
    """Focal length in pixels of a lens whose ``sensor_mm`` spans the longer side of the frame."""
    return lens_mm / sensor_mm * max(width_px, height_px)


def focal_px_from_35mm_equivalent(focal_mm: float, width_px: int, height_px: int) -> float:
    """Focal length in pixels of a lens given as equivalent on 36x24 mm film, which compares diagonals."""
    return float(focal_mm / np.hypot(36.0, 24.0) * np.hypot(width_px, height_px))


def lens_from_focal_px(focal_px: float, width_px: int, height_px: int, sensor_mm: float = 36.0) -> float:
    """Inverse of :func:`focal_px_from_lens`."""
    return focal_px * sensor_mm / max(width_px, height_px)


def project_px(points_cam_m: Array, K: Array) -> Array:
    """(..., 3) camera-space points to (..., 2) pixels with the pinhole matrix ``K`` (3, 3)."""
    homogeneous = points_cam_m @ K.T
    return homogeneous[..., :2] / homogeneous[..., 2:3]


def transform(matrix: Array, points: Array) -> Array:
    """Apply a (4, 4) affine matrix to (..., 3) points."""
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def invert_rigid(matrix: Array) -> Array:
    """Inverse of (..., 4, 4) rigid transforms."""
    rotation_t = np.swapaxes(matrix[..., :3, :3], -1, -2)
    inverse = np.zeros_like(matrix)
    inverse[..., :3, :3] = rotation_t
    inverse[..., :3, 3] = -(rotation_t @ matrix[..., :3, 3:])[..., 0]
    inverse[..., 3, 3] = 1.0
    return inverse


def blender_camera_matrix(camera_to_world: Array) -> Array:
    """(..., 4, 4) OpenCV camera-to-world to the ``matrix_world`` of a Blender camera object."""
    return camera_to_world @ BLENDER_FROM_OPENCV_CAMERA


def camera_tilt_deg(camera_to_world: Array) -> tuple[float, float]:
    """How far an OpenCV camera (4, 4) in Blender's world looks down, and how far it is turned clockwise."""
    right, down, forward = camera_to_world[2, :3]
    return float(np.degrees(np.arcsin(np.clip(-forward, -1, 1)))), float(np.degrees(np.arctan2(-right, -down)))


def blender_lens(
    K: Array, width_px: int, height_px: int, horizontal: bool, sensor_mm: float = 36.0
) -> tuple[float, float, float]:
    """Lens and shift of a Blender camera that equals the pinhole matrix ``K`` (3, 3); pixels are taken as square.

    Args:
        horizontal: the camera's sensor fit: ``sensor_mm`` spans the frame's width, else its height.

    Returns:
        Focal length in mm, shift_x and shift_y in spans of the sensor.
    """
    span = width_px if horizontal else height_px
    focal = K[0, 0] if horizontal else K[1, 1]
    return (
        float(focal * sensor_mm / span),
        float((width_px / 2 - K[0, 2]) / span),
        float((K[1, 2] - height_px / 2) / span),
    )
