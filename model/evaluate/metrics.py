"""Metrics of joints, angles, feet and path.  Each function is one metric; its docstring is what the report prints.

A metric is a :class:`Series`: sums and weights by frame, so that its value is known for every selection of frames
(one condition, one stretch of time) and not only for the whole clip.  None: truth or method lack what it needs.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from amr_blender.contract.spaces import project_px

from .motion import Array, Mask, Motion, in_world, without_frames

WRISTS_AND_ANKLES = (0, 5, 6, 11)
ANKLES = (5, 0)
"""Left, right."""
BONES = ((0, 1), (1, 2), (4, 3), (5, 4), (6, 7), (7, 8), (10, 9), (11, 10), (2, 3), (8, 9), (2, 8), (3, 9))
"""Limbs, hips, shoulders and the sides of the trunk, as pairs of the twelve joints."""
ANGLES = ((0, 1, 2), (5, 4, 3), (6, 7, 8), (11, 10, 9), (1, 2, 8), (4, 3, 9), (7, 8, 2), (10, 9, 3))
"""Knees, elbows, hips against the trunk, shoulders against the trunk: end, joint, end."""


class Series(NamedTuple):
    """A metric by frame: its value over a selection of frames is the sum of ``total`` by the sum of ``weight``."""

    total: Array
    """(T,)"""
    weight: Array
    """(T,) not negative; 0 where the frame says nothing."""

    def value(self, frames: Mask | slice = slice(None)) -> float:
        """Over the chosen frames; NaN where they say nothing."""
        weight = self.weight[frames].sum()
        return float(self.total[frames].sum() / weight) if weight > 0 else float("nan")


def series(values: Array) -> Series:
    """The mean of all finite numbers of (T, ...) ``values``."""
    flat = values.reshape(len(values), -1)
    known = np.isfinite(flat)
    return Series(np.where(known, flat, 0.0).sum(1), known.sum(1).astype(float))


def _lengths(vectors: Array) -> Array:
    return np.asarray(np.linalg.norm(vectors, axis=-1), np.float64)


def _differences(points: Array, order: int, first: int) -> Array:
    """(T, ...) differences in time of that order, put at frame ``first`` and on; NaN where there are none."""
    out = np.full(points.shape, np.nan)
    if len(points) > order:
        out[first : first + len(points) - order] = np.diff(points, order, axis=0)
    return out


def _speed(points: Array) -> Array:
    """(T, ...) central differences in length by frame; NaN where a neighbour is missing."""
    if len(points) < 2:
        return np.full(points.shape[:-1], np.nan)
    return _lengths(np.gradient(points, axis=0))


def _both(truth: Motion, estimate: Motion) -> tuple[Motion, Motion]:
    """Truth and estimate with the frames taken out that either lacks."""
    missing = ~(truth.seen & estimate.seen)
    return without_frames(truth, missing), without_frames(estimate, missing)


def mpjpe_mm(truth: Motion, estimate: Motion) -> Series:
    """Mean distance of the twelve joints from the true ones, after the middles of the hips were laid on each other.

    Unit: mm.  Source: MPJPE, Ionescu et al., "Human3.6M", PAMI 2014.
    """
    return series(1000 * _lengths(estimate.rooted_joints_m - truth.rooted_joints_m))


def procrustes(points: Array, target: Array) -> Array:
    """(N, J, 3) ``points``, each set moved by the similarity transform (turn, scale, shift) that fits ``target`` best.

    Source: Schönemann 1966; reflections excluded as by Umeyama, PAMI 1991.
    """
    middle, goal = points.mean(1, keepdims=True), target.mean(1, keepdims=True)
    a, b = points - middle, target - goal
    u, s, vt = np.linalg.svd(np.swapaxes(a, 1, 2) @ b)
    s, u = s.copy(), u.copy()
    mirrored = np.linalg.det(u @ vt) < 0
    s[mirrored, 2] *= -1
    u[mirrored, :, 2] *= -1
    scale = s.sum(1) / np.maximum((a * a).sum((1, 2)), 1e-12)
    return np.asarray(scale[:, None, None] * (a @ (u @ vt)) + goal)


def pa_mpjpe_mm(truth: Motion, estimate: Motion) -> Series:
    """Mean distance of the joints after turning, scaling and shifting each frame's twelve joints as fits best.

    What is left is the error of the pose alone, without size and heading.  Unit: mm.  Source: Procrustes-aligned MPJPE,
    e.g. Kanazawa et al., "HMR", CVPR 2018.
    """
    use = truth.seen & estimate.seen
    errors: Array = np.full(truth.joints12_cam_m.shape[:2], np.nan)
    goal = truth.joints12_cam_m[use]
    errors[use] = _lengths(procrustes(estimate.joints12_cam_m[use], goal) - goal)
    return series(1000 * errors)


def n_mpjpe_mm(truth: Motion, estimate: Motion) -> Series:
    """As MPJPE, after each frame's joints were scaled about the middle of the hips as fits best.

    It forgives a wrong size, not a wrong heading.  Unit: mm.  Source: Rhodin et al., CVPR 2018.
    """
    truth, estimate = _both(truth, estimate)
    points, goal = estimate.rooted_joints_m, truth.rooted_joints_m
    scale = (points * goal).sum((1, 2)) / np.maximum((points * points).sum((1, 2)), 1e-12)
    return series(1000 * _lengths(scale[:, None, None] * points - goal))


def accel_mm_per_frame2(truth: Motion, estimate: Motion) -> Series:
    """Mean length of the difference between the joints' second differences in time and the true ones, hips at rest.

    Low for what is smooth as well as for what does not move at all: read it beside the limb speed ratio.
    Unit: mm/frame^2.  Source: Kanazawa et al., "HMMR", CVPR 2019.
    """
    truth, estimate = _both(truth, estimate)
    difference = estimate.rooted_joints_m - truth.rooted_joints_m
    return series(1000 * _lengths(_differences(difference, 2, 1)))


def jitter(truth: Motion, estimate: Motion) -> Series:
    """Mean length of the joints' third derivative in time: how much the motion trembles, be it right or wrong.

    It needs no truth beyond the camera's own motion; compare with the truth's own value.  Unit: 10 m/s^3.
    Source: Flash and Hogan 1985; in this unit as in WHAM, Shin et al., CVPR 2024.
    """
    points = in_world(_both(truth, estimate)[1].joints12_cam_m, truth, estimate)
    return series(_lengths(_differences(points, 3, 1)) * truth.fps**3 / 10)


def limb_speed_ratio(truth: Motion, estimate: Motion) -> Series:
    """Mean speed of wrists and ankles against the hips, by the true one.  1 is right; below, motion was smoothed away.

    Unit: none.  Source: this project's control of smoothing, as the scorer of the balance clips has it.
    """
    truth, estimate = _both(truth, estimate)
    limbs = list(WRISTS_AND_ANKLES)
    claimed = series(_lengths(_differences(estimate.rooted_joints_m[:, limbs], 1, 1)))
    true = series(_lengths(_differences(truth.rooted_joints_m[:, limbs], 1, 1)))
    return Series(claimed.total, true.total)


def _paths(truth: Motion, estimate: Motion) -> tuple[Array, Array]:
    """(T, 3) paths of the hips in the world, from the first frame that both know."""
    both = truth.seen & estimate.seen
    first = int(np.argmax(both))
    paths = in_world(truth.root_cam_m, truth), in_world(estimate.root_cam_m, truth, estimate)
    true, claimed = (np.where(both[:, None], path - path[first], np.nan) for path in paths)
    return true, claimed


def root_mm(truth: Motion, estimate: Motion) -> Series:
    """Mean distance of the hips' path from the true one, after both were laid on each other in the first frame.

    Unit: mm.  Source: as W-MPJPE's alignment of the first frame, e.g. WHAM, Shin et al., CVPR 2024.
    """
    true, claimed = _paths(truth, estimate)
    return series(1000 * _lengths(claimed - true))


def root_scaled_mm(truth: Motion, estimate: Motion) -> Series:
    """As the root path, with the one scale for the whole path that fits best: forgives an unknown height or lens.

    Unit: mm.  Source: as above.
    """
    true, claimed = _paths(truth, estimate)
    scale = np.nansum(true * claimed) / max(np.nansum(claimed * claimed), 1e-9)
    return series(1000 * _lengths(scale * claimed - true))


def foot_speed_mm_s(truth: Motion, estimate: Motion) -> Series | None:
    """Mean speed of an ankle while, in truth, that foot stands on the ground with heel and toe.

    Ankles roll a little over standing feet: the truth's own value is not 0.  A frozen pose scores low.
    Unit: mm/s.  Source: foot sliding, e.g. GVHMR, Shen et al., SIGGRAPH Asia 2024; as the balance clips' scorer has it.
    """
    if truth.standing is None:
        return None
    ankles = in_world(_both(truth, estimate)[1].joints12_cam_m[:, list(ANKLES)], truth, estimate)
    return series(np.where(truth.standing, 1000 * truth.fps * _speed(ankles), np.nan))


def contact_recall(truth: Motion, estimate: Motion) -> Series | None:
    """Share of the true contacts of heels and toes with the ground that the method names (probability over 0.5).

    Unit: none.  Source: recall, van Rijsbergen 1979.
    """
    if truth.contacts is None or estimate.contacts is None:
        return None
    true, claimed = truth.contacts > 0.5, estimate.contacts > 0.5
    return Series((true & claimed).sum(1).astype(float), true.sum(1).astype(float))


def contact_precision(truth: Motion, estimate: Motion) -> Series | None:
    """Share of the contacts that the method names that are true.

    Unit: none.  Source: precision, van Rijsbergen 1979.
    """
    if truth.contacts is None or estimate.contacts is None:
        return None
    true, claimed = truth.contacts > 0.5, estimate.contacts > 0.5
    return Series((true & claimed).sum(1).astype(float), claimed.sum(1).astype(float))


def bone_length_mm(truth: Motion, estimate: Motion) -> Series:
    """Mean departure of the lengths between neighbouring joints from their own means over the clip.  0: constant bones.

    Unit: mm.  Source: bone-length consistency, e.g. Pavllo et al., "VideoPose3D", CVPR 2019 (bone-length term).
    """
    joints = _both(truth, estimate)[1].joints12_cam_m
    ends = np.array(BONES)
    lengths = _lengths(joints[:, ends[:, 0]] - joints[:, ends[:, 1]])
    known = np.isfinite(lengths)
    means = np.where(known, lengths, 0.0).sum(0) / np.maximum(known.sum(0), 1)
    return series(1000 * np.abs(lengths - means))


def joint_angle_deg(truth: Motion, estimate: Motion) -> Series:
    """Mean error of the angles at knees and elbows, and of thighs and upper arms against the trunk.

    From joint positions, so every method has it.  Unit: degrees.  Source: Pagnon et al., "Pose2Sim", Sensors 2022.
    """

    def angles(joints: Array) -> Array:
        corners = joints[:, np.array(ANGLES)]  # (T, 8, 3, 3)
        one, other = corners[:, :, 0] - corners[:, :, 1], corners[:, :, 2] - corners[:, :, 1]
        return np.asarray(np.arctan2(_lengths(np.cross(one, other)), (one * other).sum(-1)))

    return series(np.degrees(np.abs(angles(estimate.joints12_cam_m) - angles(truth.joints12_cam_m))))


def _turns(truth: Motion, estimate: Motion, segments: slice) -> Series | None:
    if truth.orientations_cam is None or estimate.orientations_cam is None:
        return None
    known = truth.seen & estimate.seen
    a, b = truth.orientations_cam[:, segments], estimate.orientations_cam[:, segments]
    # |A - B|_F = 2 sqrt(2) sin(angle / 2): exact for small angles too, where the trace is not
    half = np.linalg.norm(a - b, axis=(-2, -1)) / (2 * np.sqrt(2))
    return series(np.where(known[:, None], np.degrees(2 * np.arcsin(np.clip(half, 0, 1))), np.nan))


def orientation_deg(truth: Motion, estimate: Motion) -> Series | None:
    """Mean angle by which hips, head, upper and lower arms, hands, thighs, shins and feet are turned wrongly.

    The whole rotation, twist included, in the camera's axes.  Unit: degrees.  Source: MPJAE, von Marcard et al.,
    "3DPW", ECCV 2018.
    """
    return _turns(truth, estimate, slice(None))


def head_deg(truth: Motion, estimate: Motion) -> Series | None:
    """Of the orientation error, the head alone.

    Unit: degrees.  Source: as above.
    """
    return _turns(truth, estimate, slice(1, 2))


def feet_deg(truth: Motion, estimate: Motion) -> Series | None:
    """Of the orientation error, the feet alone.

    Unit: degrees.  Source: as above.
    """
    return _turns(truth, estimate, slice(12, 14))


def project(motion: Motion) -> Array | None:
    """(T, 12, 2) pixels of the joints through the motion's own camera and lens; None where it names no camera."""
    if motion.K is None:
        return None
    joints = motion.joints12_cam_m
    if motion.distortion is None:
        return project_px(joints, motion.K)
    flat = joints.reshape(-1, 3).astype(np.float64)
    known = np.isfinite(flat).all(1)
    pixels = np.full((len(flat), 2), np.nan)
    if known.any():
        projected, _ = cv2.projectPoints(flat[known], np.zeros(3), np.zeros(3), motion.K, motion.distortion)
        pixels[known] = projected[:, 0]
    return pixels.reshape(*joints.shape[:2], 2)


def reprojection_px(truth: Motion, estimate: Motion) -> Series | None:
    """Mean distance in the picture of the joints, through the method's own camera, from where they really are.

    Does the result lie over the footage?  Unit: pixels of the clip.  Source: Hartley and Zisserman 2004, 4.2.3.
    """
    true, claimed = project(truth), project(estimate)
    return None if true is None or claimed is None else series(_lengths(claimed - true))


def missing_percent(truth: Motion, estimate: Motion) -> Series:
    """Share of the frames with truth for which the method gives nothing.  The other metrics leave these frames out.

    Unit: percent.  Source: as the scorer of the balance clips counts them.
    """
    return Series(np.where(truth.seen & ~estimate.seen, 100.0, 0.0), truth.seen.astype(float))
