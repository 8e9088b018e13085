"""What a watch on every frame says of a camera: still, or moving in a given way."""

from __future__ import annotations

from typing import Any

import numpy as np

from model.detect.camera_motion import CameraMotion


def still_camera(frames: int, size_px: tuple[int, int]) -> CameraMotion:
    """Of as many frames."""
    return moving_camera(np.zeros((frames, 2)), size_px, kind="")


def moving_camera(
    shift: np.ndarray, size_px: tuple[int, int], roll_rad: np.ndarray | None = None, kind: str = "pan", **other: Any
) -> CameraMotion:
    """Of a camera whose picture's middle moves by ``shift`` (T, 2) longer sides, and rolls by (T,); of no ``kind`` it
    stands still."""
    count = len(shift)
    facts: dict[str, Any] = {
        "verdict": "moves" if kind else "still", "kind": kind, "largest_shift": float(np.abs(shift).max()),
        "known_share": 1.0, "worst_frames": (0, count - 1), "size_px": size_px,
        "frames": np.arange(count, dtype=np.int32), "stretches": np.zeros(count, np.int32),
        "known": np.ones(count, bool), "shift": shift, "zoom": np.ones(count),
        "roll_rad": np.zeros(count) if roll_rad is None else roll_rad,
    }  # fmt: skip
    return CameraMotion(**facts | other)
