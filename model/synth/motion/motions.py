"""Motions to train on: captured ones, mirrored, retimed and recombined, and drawn poses played one after the other.

Everything is on the pose space's angles, so that any build can play it.  ``stand`` puts a person's feet (or whatever is
lowest) on the ground.  World: metres, Z up, ground at 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import lfilter

from amr_blender.contract.rotations import (
    continuous,
    matrix_from_quaternion,
    multiply,
    quaternion_from_matrix,
    slerp,
)
from model.body.retarget import retarget
from model.estimate.pose_angles import angles_from_local, mirrored
from model.estimate.pose_space import PoseSpace

from .choreography import ease
from .enrich import Poses
from .mocap import Sequence, read_sequences

Array = NDArray[np.floating]
Generator = np.random.Generator
KEYED_SHARE = 0.45
"""Of the motions: played from drawn poses."""
MIXED_SHARE, HELD_SHARE, ACROSS_SHARE = 0.3, 0.3, 0.25
"""Of the captured ones: arms of another motion.  Of the keyed ones: one pose held; keys of any category."""
SPEED = (0.6, 1.7)
"""Of captured motion, against life."""
SWAY = 0.06
"""Standard deviation of what is added to every angle, in its prior's sigmas; changes within a second."""
SWAY_S = 0.5
HOLD_M = 0.012
"""How fast, with its height, a point's hold on the ground fades."""


@dataclass(frozen=True)
class Motion:
    """T frames, float64 arrays."""

    angles: Array
    """(T, Q) of the pose space, radians."""
    orientation: Array
    """(T, 4) wxyz of the hips in the world, continuous."""
    root_m: Array | None
    """(T, 3) head of the hips' bone on the average body; None where nobody has measured it."""

    def matrices(self) -> Array:
        """(T, 3, 3) of the orientation."""
        return np.asarray(matrix_from_quaternion(self.orientation))


class MotionBank:
    """Draws motions of a split.

    Args:
        space: degrees of freedom. poses: drawn poses (``PoseBank.drawn``). sequences: captured ones; by default all
            that may be trained on.
    """

    def __init__(self, space: PoseSpace, poses: Poses, sequences: Iterable[Sequence] | None = None) -> None:
        self._space, self._poses = space, poses
        self._keys = quaternion_from_matrix(poses.orientation.numpy())
        self._of = {c: np.flatnonzero(poses.category == c) for c in np.unique(poses.category).tolist()}
        rest = space.body.rest(space.body.default_shape())
        self._captured: list[tuple[Motion, float]] = []
        weight = []
        for sequence in read_sequences(split="train") if sequences is None else sequences:
            moved = retarget(space.body, rest, sequence)
            orientation = continuous(quaternion_from_matrix(moved.local[:, 0].numpy()))
            motion = Motion(angles_from_local(space, moved.local).numpy(), orientation, moved.position_m.numpy())
            self._captured.append((motion, sequence.fps))
            weight.append(np.sqrt(len(orientation)))
        self._chance = np.cumsum(weight) / np.sum(weight)

    def draw(self, rng: Generator, frames: int, fps: float) -> Motion:
        """``frames`` of a motion, with a heading of its own."""
        keyed = rng.random() < KEYED_SHARE
        motion = self._keyed(rng, frames, fps) if keyed else self._recorded(rng, frames, fps)
        if rng.random() < 0.5:
            motion = self._mirror(motion)
        angles = motion.angles + SWAY * self._space.sigma.numpy() * smooth_noise(
            rng, frames, fps, SWAY_S, len(self._space.names)
        )
        angles = np.clip(angles, self._space.lower.numpy(), self._space.upper.numpy())
        turn = rng.uniform(-np.pi, np.pi)
        heading = np.array([np.cos(turn / 2), 0, 0, np.sin(turn / 2)])
        root = None
        if motion.root_m is not None:
            c, s = np.cos(turn), np.sin(turn)
            root = motion.root_m @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]]).T
        return Motion(angles, multiply(np.broadcast_to(heading, motion.orientation.shape), motion.orientation), root)

    def _recorded(self, rng: Generator, frames: int, fps: float) -> Motion:
        """A stretch of a captured motion, retimed; or its legs under the arms of another."""
        speed = float(np.exp(rng.uniform(*np.log(SPEED))))
        motion = self._stretch(rng, frames, fps, speed)
        if rng.random() < MIXED_SHARE:
            other = self._stretch(rng, frames, fps, speed)
            joint = [name.split(".")[0] for name in self._space.names]
            arm = np.isin(joint, ["collar", "shoulder", "elbow", "forearm", "wrist"])
            if rng.random() < 0.4:  # one arm alone
                arm &= np.array([f".{rng.choice(['L', 'R'])}" in name for name in self._space.names])
            motion = Motion(np.where(arm, other.angles, motion.angles), motion.orientation, motion.root_m)
        return motion

    def _stretch(self, rng: Generator, frames: int, fps: float, speed: float) -> Motion:
        motion, rate = self._captured[int(np.searchsorted(self._chance, rng.random()))]
        length, step = len(motion.angles), speed * rate / fps
        step = min(step, max((length - 1) / max(frames - 1, 1), 0.25 * rate / fps))
        start = rng.uniform(0, max(length - 1 - step * (frames - 1), 0))
        at = np.clip(start + step * np.arange(frames), 0, length - 1)
        assert motion.root_m is not None
        root = interpolated(motion.root_m, at)
        return Motion(interpolated(motion.angles, at), interpolated(motion.orientation, at), root)

    def _keyed(self, rng: Generator, frames: int, fps: float) -> Motion:
        """Drawn poses of one kind, or of any, held and blended; nobody has measured where they take place."""
        times = np.arange(frames) / fps
        rows = self._of[str(rng.choice(list(self._of)))]
        everywhere = np.arange(len(self._poses.category))
        keys, moments = [int(rng.choice(rows))], [0.0]
        if rng.random() >= HELD_SHARE:
            across = rng.random() < ACROSS_SHARE
            while moments[-1] < times[-1]:
                keys.append(int(rng.choice(everywhere if across else rows)))
                moments.append(moments[-1] + float(rng.uniform(0.4, 2.5)))
        angles, orientation = self._poses.angles.numpy(), self._keys
        a, q = np.tile(angles[keys[0]], (frames, 1)), np.tile(orientation[keys[0]], (frames, 1))
        for k in range(1, len(keys)):
            held = rng.uniform(0, 0.5) * (moments[k] - moments[k - 1])
            share = ease(times, moments[k - 1] + held, moments[k])[:, None]
            a = a + share * (angles[keys[k]] - angles[keys[k - 1]])
            q = slerp(q, np.broadcast_to(orientation[keys[k]], q.shape), share[:, 0])
        return Motion(a, continuous(q), None)

    def _mirror(self, motion: Motion) -> Motion:
        angles, orientation = mirrored(
            self._space, torch.from_numpy(motion.angles), torch.from_numpy(motion.matrices())
        )
        root = None if motion.root_m is None else motion.root_m * [-1.0, 1.0, 1.0]
        return Motion(angles.numpy(), continuous(quaternion_from_matrix(orientation.numpy())), root)


def stand(points_m: Array, root_m: Array | None, scale: float) -> Array:
    """Where the hips have to be for a person to stand, sit or lie on the ground.

    Args:
        points_m: (T, N, 3) points of the person's skin, with the head of the hips' bone at the origin.
        root_m: (T, 3) as it was measured on the average body; None holds to the ground what is lowest.
        scale: of the person's legs against the average body's.

    Returns:
        (T, 3) metres.
    """
    low = points_m[..., 2].min(1)
    if root_m is not None:
        root = root_m * scale
        return root - [*root[:, :2].mean(0), float(np.quantile(root[:, 2] + low, 0.02))]
    root = np.zeros((len(points_m), 3))
    root[:, 2] = -low
    hold = np.exp(-(points_m[..., 2] + root[:, 2:]) / HOLD_M)
    both = hold[1:] * hold[:-1]
    slide = np.einsum("tn,tnd->td", both, np.diff(points_m[..., :2], axis=0)) / both.sum(1, keepdims=True)
    root[1:, :2] = -np.cumsum(slide, 0)
    return np.asarray(root - [*root[:, :2].mean(0), 0.0])


def smooth_noise(rng: Generator, frames: int, fps: float, lasting_s: float, *shape: int) -> Array:
    """(frames, *shape) unit normal noise whose neighbours agree for about ``lasting_s`` (a first-order process)."""
    keep = float(np.exp(-1.0 / (fps * lasting_s)))
    white = rng.normal(size=(frames, *shape))
    white[1:] *= np.sqrt(1 - keep * keep)
    return np.asarray(lfilter([1.0], [1.0, -keep], white, axis=0))


def interpolated(values: Array, at: Array) -> Array:
    """(T, D) values at fractional frames."""
    first = np.minimum(at.astype(int), len(values) - 2) if len(values) > 1 else np.zeros(len(at), int)
    share = (at - first)[:, None]
    return np.asarray((1 - share) * values[first] + share * values[np.minimum(first + 1, len(values) - 1)])
