"""The take's motion on the scene's whole frames, interpolated from presentation times.  numpy only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contract import rotations as rot
from ..contract.errors import SceneError
from ..contract.take import Take
from .timing import StripTiming

Array = NDArray[Any]

HIDE_GAP_S = 0.5
"""An empty stretch that is longer hides the body; through a shorter one it stands still."""


@dataclass(frozen=True)
class Marks:
    """What sets some of N keys apart."""

    filled: Array
    """(N,) bool: nobody was seen there, the pose is bridged from both sides."""
    held: Array
    """(N,) bool: the last key before an empty stretch, which holds until the next one."""


@dataclass(frozen=True)
class Between:
    """Which of the take's frames the S scene frames of the strip lie between."""

    left: Array
    right: Array
    """(S,) indices of the take's frames before and after."""
    fraction: Array
    """(S,) how far towards the one after, 0..1."""

    @property
    def nearest(self) -> Array:
        """(S,) indices of the take's frames that are nearest in time."""
        return np.where(self.fraction < 0.5, self.left, self.right)

    def mix(self, values: Array, part: slice) -> Array:
        """(n, ...) float32: ``values`` (T, ...) on the scene frames of ``part``."""
        left, right = (values[index[part]].astype(np.float32) for index in (self.left, self.right))
        weight = self.fraction[part].astype(np.float32).reshape((-1,) + (1,) * (values.ndim - 1))
        mixed: Array = left + weight * (right - left)
        return mixed


@dataclass(frozen=True)
class Motion:
    """What is keyed, on N scene frames.  Empty frames, where nobody was seen and nothing is filled in, are left out."""

    frames: Array
    """(N,) scene frames, whole, increasing."""
    marks: Marks
    """Of the keys on ``frames``."""
    rotations: Array
    """(N, B, 4) wxyz, continuous in time."""
    translation_m: Array
    """(N, 3) world position of the head of ``hips``."""
    refinement: Array | None
    """(N, K) weights of the corrective shape keys."""
    empty: list[tuple[int, int]]
    """Scene frames, first and last, of each empty stretch."""
    hidden: list[tuple[int, int]]
    """Those of ``empty`` that are long."""
    camera_frames: Array
    """(S,) every scene frame of the strip, gaps included."""
    camera_to_world: Array
    """(S, 4, 4) OpenCV camera to world."""
    between: Between
    """For what else the take tells frame by frame."""


def sample(take: Take, timing: StripTiming, scene_fps: float) -> Motion:
    """Put ``take`` on the whole scene frames of ``timing``.

    Raises:
        SceneError: the person is seen on no frame of the strip.
    """
    scene = timing.scene_frames
    left, right, fraction = _neighbours(take.time_s, timing.source_time_at(scene))
    between = Between(left, right, fraction)
    nearest = between.nearest
    posed = take.posed[nearest]
    if not take.present[nearest].any():
        raise SceneError(
            "person-not-in-strip",
            "The person is seen on no frame of this strip.",
            "Choose another part of the clip, or another person.",
        )
    # At the edge of an empty stretch what it holds has no say: the nearest frame with a pose is taken whole.
    both = take.posed[left] & take.posed[right]
    w = np.where(both, fraction, (fraction >= 0.5).astype(float))[posed]
    a, b = left[posed], right[posed]
    every_bone = np.broadcast_to(w[:, None], (len(w), len(take.bone_names)))
    quaternions = rot.slerp(take.rotations[a], take.rotations[b], every_bone)
    weights, frames, empty = take.refinement_weights, scene[posed], _runs(scene, ~posed)
    return Motion(
        frames=frames,
        marks=Marks(filled=~take.present[nearest][posed], held=np.diff(frames, append=frames[-1] + 1) > 1),
        rotations=rot.continuous(quaternions),
        translation_m=_mix(take.translation_m, a, b, w),
        refinement=None if weights is None else _mix(weights, a, b, w),
        empty=empty,
        hidden=[(first, last) for first, last in empty if last - first + 1 > HIDE_GAP_S * scene_fps],
        camera_frames=scene,
        camera_to_world=_mix_rigid(take.camera_to_world, left, right, fraction),
        between=between,
    )


def _neighbours(time_s: Array, wanted_s: Array) -> tuple[Array, Array, Array]:
    """Indices of the take's frames before and after each moment, and how far (0..1) it lies between them."""
    last = len(time_s) - 1
    right = np.clip(np.searchsorted(time_s, wanted_s, side="right"), min(1, last), last)
    left = np.maximum(right - 1, 0)
    span = time_s[right] - time_s[left]
    fraction = np.clip((wanted_s - time_s[left]) / np.where(span > 0, span, 1.0), 0.0, 1.0)
    # A moment within a thousandth of a frame of a source frame is that frame: 1001/30000 has no exact float.
    fraction = np.where(fraction < 1e-3, 0.0, np.where(fraction > 1 - 1e-3, 1.0, fraction))
    return left, right, fraction


def _mix(values: Array, left: Array, right: Array, fraction: Array) -> Array:
    w = fraction.reshape((-1,) + (1,) * (values.ndim - 1))
    return (1.0 - w) * values[left] + w * values[right]


def _mix_rigid(matrices: Array, left: Array, right: Array, fraction: Array) -> Array:
    """Interpolate (T, 4, 4) rigid transforms: rotation along the arc, translation along the line."""
    if np.ptp(matrices, axis=0).max() == 0.0:
        return np.broadcast_to(matrices[:1], (len(left), 4, 4)).copy()
    quaternions = rot.quaternion_from_matrix(matrices[:, :3, :3])
    mixed = np.tile(np.eye(4), (len(left), 1, 1))
    mixed[:, :3, :3] = rot.matrix_from_quaternion(rot.slerp(quaternions[left], quaternions[right], fraction))
    mixed[:, :3, 3] = _mix(matrices[:, :3, 3], left, right, fraction)
    return mixed


def _runs(scene: Array, where: Array) -> list[tuple[int, int]]:
    """First and last scene frame of each run in which ``where`` (S,) holds."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], where, [False]]).astype(np.int8)))
    return [(int(scene[a]), int(scene[b - 1])) for a, b in zip(edges[::2], edges[1::2], strict=True)]
