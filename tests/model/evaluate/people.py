"""Simple people with known joints, for metrics whose values can be computed by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from model.evaluate.motion import Motion

K = np.array([[1000.0, 0, 320], [0, 1000.0, 240], [0, 0, 1]])
R_ANKLE, R_WRIST, R_ELBOW = 0, 6, 7
# right ankle, knee, hip; left hip, knee, ankle; right wrist, elbow, shoulder; left shoulder, elbow, wrist
STANDING = np.array(
    [
        [-0.1, 0.9, 0], [-0.1, 0.45, 0], [-0.1, 0, 0],
        [0.1, 0, 0], [0.1, 0.45, 0], [0.1, 0.9, 0],
        [-0.7, -0.5, 0], [-0.45, -0.5, 0], [-0.2, -0.5, 0],
        [0.2, -0.5, 0], [0.45, -0.5, 0], [0.7, -0.5, 0],
    ]
) + [0.0, 0.0, 2.0]  # fmt: skip
"""(12, 3) arms stretched out, facing the camera at 2 m."""


def still(frames: int = 8, fps: float = 10.0) -> Motion:
    """Somebody who stands still for ``frames`` frames."""
    return Motion(fps, np.repeat(STANDING[None], frames, 0), K)


def moved(motion: Motion, joint: int, offsets_mm: NDArray[np.floating]) -> Motion:
    """``motion`` with one joint moved by (T, 3) or (3,) millimetres."""
    joints = motion.joints12_cam_m.copy()
    joints[:, joint] += np.asarray(offsets_mm) / 1000
    return replace(motion, joints12_cam_m=joints)


def along_x(values_mm: NDArray[np.floating]) -> NDArray[np.floating]:
    """(T,) to (T, 3) along x."""
    return np.asarray(values_mm, float)[:, None] * [1.0, 0.0, 0.0]
