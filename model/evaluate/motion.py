"""One person's motion over a clip, as truth or as a method's claim: the same record, so that both are judged alike."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from amr_blender.contract.take import JOINT12_NAMES

Array = NDArray[np.floating]
Mask = NDArray[np.bool_]

SEGMENTS = (
    "root", "head", "upperarm02.L", "upperarm02.R", "lowerarm02.L", "lowerarm02.R", "wrist.L", "wrist.R",
    "upperleg02.L", "upperleg02.R", "lowerleg02.L", "lowerleg02.R", "foot.L", "foot.R",
)  # fmt: skip
"""Bones of the body whose directions are compared.  Of a limb in two bones the second, which carries all the twist."""

CONTACTS = ("heel.L", "heel.R", "toe.L", "toe.R")

R_HIP, L_HIP = JOINT12_NAMES.index("r_hip"), JOINT12_NAMES.index("l_hip")


@dataclass(frozen=True)
class Motion:
    """T frames of one clip, frame t being the clip's frame t.  What is not known is None, never made up.

    Camera space: OpenCV axes, metres.  Frames, joints or vertices without a value are NaN.
    """

    fps: float
    joints12_cam_m: Array
    """(T, 12, 3) in the order of ``JOINT12_NAMES``."""
    K: Array | None = None
    """(3, 3) pinhole matrix, pixels of the upright frame."""
    distortion: Array | None = None
    """(5,) of the lens, in OpenCV's order; None is none."""
    camera_to_world: Array | None = None
    """(T, 4, 4) to a world with Z up and the ground at Z = 0."""
    vertices_cam_m: Array | None = None
    """(T, V, 3) of the skin."""
    vertex_index: NDArray[np.integer] | None = None
    """(V,) which of the body's vertices these are; None is all, in the body's order."""
    quads: NDArray[np.integer] | None = None
    """(F, 4) faces, where the skin is whole; a triangle repeats its last corner."""
    orientations_cam: Array | None = None
    """(T, S, 3, 3) rotation of each of ``SEGMENTS`` from the body's rest axes to the camera's."""
    contacts: Array | None = None
    """(T, 4) probability that each of ``CONTACTS`` rests on the ground; the truth's are 0 or 1."""
    standing: Mask | None = None
    """(T, 2) the left and the right foot stands still on heel and toe; known of the truth alone."""
    visible12: Mask | None = None
    """(T, 12) the joint is in the picture and nothing hides it; known of the truth alone."""
    confidence12: Array | None = None
    """(T, 12) 0..1, a method's own."""
    detector_confidence12: Array | None = None
    """(T, 12) 0..1 of the 2D landmarks that the method started from."""
    uncertainty_mm: Array | None = None
    """(T, V) expected error of each vertex."""
    attention: Array | None = None
    """(T, V) 0..1: where the method computed more."""
    initial_vertices_cam_m: Array | None = None
    """(T, V, 3) the skin before refinement, of a method that refines."""

    @property
    def frame_count(self) -> int:
        return len(self.joints12_cam_m)

    @property
    def root_cam_m(self) -> Array:
        """(T, 3) middle of the hips."""
        return (self.joints12_cam_m[:, R_HIP] + self.joints12_cam_m[:, L_HIP]) / 2

    @property
    def rooted_joints_m(self) -> Array:
        """(T, 12, 3) joints from the middle of the hips."""
        return self.joints12_cam_m - self.root_cam_m[:, None]

    @property
    def seen(self) -> Mask:
        """(T,) frames in which all twelve joints have a value."""
        return np.asarray(np.isfinite(self.joints12_cam_m).all((1, 2)))


def nothing(truth: Motion) -> Motion:
    """The motion of a method that found nobody."""
    return Motion(truth.fps, np.full(truth.joints12_cam_m.shape, np.nan))


def without_frames(motion: Motion, dropped: Mask) -> Motion:
    """``motion`` with no joints in the frames where ``dropped`` (T,)."""
    joints = motion.joints12_cam_m.copy()
    joints[dropped] = np.nan
    return replace(motion, joints12_cam_m=joints)


def in_world(points_cam_m: Array, truth: Motion, claim: Motion | None = None) -> Array:
    """(T, ..., 3) points to axes that do not move with the camera, by the truth's camera.

    Where the truth knows no camera it is taken as standing still: the camera's own axes.  A ``claim`` that has a camera
    is held to it: it begins where the truth's does, and goes its own way.
    """
    if truth.camera_to_world is None:
        return points_cam_m
    cameras = truth.camera_to_world
    if claim is not None and claim.camera_to_world is not None:
        cameras = cameras[:1] @ np.linalg.inv(claim.camera_to_world[:1]) @ claim.camera_to_world
    turn, move = cameras[:, :3, :3], cameras[:, :3, 3]
    spread = (len(points_cam_m), *[1] * (points_cam_m.ndim - 2), 3)
    return np.asarray(np.einsum("tij,t...j->t...i", turn, points_cam_m) + move.reshape(spread))
