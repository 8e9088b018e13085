"""A camera that turns where it stands, in a hand or on a tripod: its turns are taken out of the landmarks, and given to
the take's camera.

A turn moves the picture alike at all distances, so that landmarks can be put where a camera that had not turned would
have them: x' = K R^T K^-1 x (Hartley and Zisserman, Multiple View Geometry, 8.4.2).  What follows sees a still camera.
A camera that is carried along is taken for one that turns, too: its picture of the background tells no difference.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from model.detect.camera_motion import CameraMotion
from model.detect.landmarks import Landmarks

Array = NDArray[np.floating]
LARGEST_SHIFT = 0.6
"""Of the picture's middle from where the still camera looks, in longer sides: beyond it a flat picture can't hold what
the still camera would have to see."""
LARGEST_ZOOM = 1.1
LEAST_KNOWN = 0.6
"""Share of the frames in which the motion must be known; between them it is taken to be even."""


@dataclass(frozen=True)
class CameraTurns:
    """Of T frames, against a still camera: ``shift`` (T, 2) of the picture's middle, right and down, in longer sides,
    and ``roll_rad`` (T,) of the picture about it, clockwise as seen."""

    shift: Array
    roll_rad: Array

    def matrices(self, focal: float) -> Array:
        """(T, 3, 3) from the still camera's axes to those of each frame's; ``focal`` in longer sides."""
        ahead = np.column_stack([self.shift, np.full(len(self.shift), focal)])
        ahead /= np.linalg.norm(ahead, axis=1, keepdims=True)
        cosine, sine, zero = np.cos(self.roll_rad), np.sin(self.roll_rad), np.zeros(len(self.shift))
        one = np.ones_like(zero)
        roll = np.stack([cosine, -sine, zero, sine, cosine, zero, zero, zero, one], -1).reshape(-1, 3, 3)
        x, y, z = ahead.T
        # The smallest turn that brings the optical axis to ``ahead``.
        share = 1 / (1 + z)
        pan = np.stack([1 - x * x * share, -x * y * share, x, -x * y * share, 1 - y * y * share, y, -x, -y, z], -1)
        return np.asarray(pan.reshape(-1, 3, 3) @ roll)

    def steadied(self, landmarks: Landmarks, focal_px: float) -> Landmarks:
        """The landmarks as the still camera would have seen them."""
        back = np.swapaxes(self.matrices(focal_px / max(landmarks.size_px)), 1, 2)
        px = _seen_through(back, landmarks.px, focal_px, landmarks.size_px)
        cosine, sine = np.cos(self.roll_rad)[:, None], np.sin(self.roll_rad)[:, None]
        x, y, z = np.moveaxis(landmarks.world_m, -1, 0)
        world_m = np.stack([cosine * x + sine * y, cosine * y - sine * x, z], -1)
        return replace(landmarks, px=px.astype(np.float32), world_m=world_m.astype(np.float32))

    def shift_px(self, points_px: Array, focal_px: float, size_px: tuple[int, int]) -> Array:
        """(T, 2) by how much pixels of the still camera, one (T, 2) a frame, are elsewhere in the frame."""
        turns = self.matrices(focal_px / max(size_px))
        return np.asarray(_seen_through(turns, points_px[:, None], focal_px, size_px)[:, 0] - points_px)


def _seen_through(turns: Array, points_px: Array, focal_px: float, size_px: tuple[int, int]) -> Array:
    """(T, N, 2) pixels to those of cameras that are turned by (T, 3, 3)."""
    middle = np.array(size_px) / 2
    rays = np.concatenate([(points_px - middle) / focal_px, np.ones_like(points_px[..., :1])], -1)
    seen = rays @ np.swapaxes(turns, 1, 2)
    return np.asarray(seen[..., :2] / np.maximum(seen[..., 2:], 0.05) * focal_px + middle)


def camera_turns(motion: CameraMotion, frames: NDArray[np.integer]) -> CameraTurns | None:
    """How the camera turns in ``frames`` (T,) source frames; None where it stands still, or does what can't be undone:
    zooms, turns far, or is lost from view."""
    if motion.verdict != "moves" or motion.kind == "zoom" or len(np.unique(motion.stretches)) > 1:
        return None
    matrices = motion.matrices_px(frames)
    known = np.isfinite(matrices).all((1, 2))
    if known.mean() < LEAST_KNOWN:
        return None
    flat = matrices.reshape(len(frames), 6)
    for column in flat.T:
        column[~known] = np.interp(frames[~known], frames[known], column[known])
    matrices = flat.reshape(-1, 2, 3)
    zoom = np.hypot(matrices[:, 0, 0], matrices[:, 1, 0])
    roll = np.unwrap(np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0]))
    middle = np.array(motion.size_px) / 2
    shift = (matrices[..., :2] @ middle + matrices[..., 2] - middle) / max(motion.size_px)
    shift = shift - (shift.max(0) + shift.min(0)) / 2  # the still camera looks where most can be seen
    if max(zoom.max(), 1 / zoom.min()) > LARGEST_ZOOM or np.linalg.norm(shift, axis=1).max() > LARGEST_SHIFT:
        return None
    return CameraTurns(shift, roll)
