"""What is compared: controls, the detector alone, and the estimate.  A network joins by adding an entry to ``METHODS``.

A method gives a :class:`Motion` with what it really has; a metric that needs more is absent for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from amr_blender.contract.errors import PersonError, SettingsError
from amr_blender.contract.job import default_focal_px
from amr_blender.contract.spaces import intrinsics
from model.estimate.take_builder import JOINT12_LANDMARKS
from model.paths import WEIGHTS
from model.refine.refiner import Refiner

from .bodies import motion_of_take
from .context import Context, Run
from .motion import Array, Motion, nothing
from .parts import amr, part, refined
from .suites import Clip


@dataclass(frozen=True)
class Method:
    """One line of the tables.  ``run`` takes clip, truth and context; only controls may look into the truth."""

    name: str
    about: str
    run: Run
    control: bool = False
    """It is there to be beaten, or to show what a figure is worth."""
    usual: bool = True
    """It runs where no methods are named."""


def chosen(names: list[str] | None) -> list[Method]:
    """The methods of these names, in the order of ``METHODS``; without names the usual ones.

    Raises:
        SettingsError: there is no such method.
    """
    for name in names or ():
        if name not in METHODS:
            message = f"There is no method '{name}'."
            raise SettingsError("method-unknown", message, f"Choose from {', '.join(METHODS)}.")
    return [method for method in METHODS.values() if (method.name in names if names else method.usual)]


def _truth(clip: Clip, truth: Motion, context: Context) -> Motion:
    return truth


def _initial(quality: str) -> Run:
    def run(clip: Clip, truth: Motion, context: Context) -> Motion:
        return motion_of_take(context.initial(clip, quality), truth.frame_count)

    return run


def _with_true_lens(clip: Clip, truth: Motion, context: Context) -> Motion:
    if truth.K is None:
        raise PersonError("lens-unknown", f"The true lens of {clip.name} is not known.", "Leave this method out.")
    return motion_of_take(context.initial(clip, focal_px=float(truth.K[0, 0])), truth.frame_count)


def _frozen(clip: Clip, truth: Motion, context: Context) -> Motion:
    return frozen(motion_of_take(context.initial(clip), truth.frame_count))


def frozen(motion: Motion) -> Motion:
    """One pose in one place for the whole clip: the mean of ``motion``, joints and skin about the hips, and its path's.

    It is what anybody can claim who has an estimate and takes all motion out of it.  Its figures show which metrics
    reward that: whatever it wins says nothing about another method's motion.
    """
    seen, frames = motion.seen, motion.frame_count
    if not seen.any():
        return nothing(motion)
    place = motion.root_cam_m[seen].mean(0)

    def still(points: Array) -> Array:
        mean = (points[seen] - motion.root_cam_m[seen, None]).mean(0) + place
        return np.repeat(mean[None].astype(points.dtype), frames, 0)

    return Motion(
        fps=motion.fps,
        joints12_cam_m=still(motion.joints12_cam_m),
        K=motion.K,
        camera_to_world=motion.camera_to_world,
        vertices_cam_m=None if motion.vertices_cam_m is None else still(motion.vertices_cam_m),
        quads=motion.quads,
    )


def _blazepose(clip: Clip, truth: Motion, context: Context) -> Motion:
    landmarks = context.landmarks(clip)
    width, height = landmarks.size_px
    K = intrinsics(default_focal_px(width, height), width, height)
    points = placed(landmarks.world_m.astype(np.float64), landmarks.px, landmarks.visibility, K)
    joints = np.full(truth.joints12_cam_m.shape, np.nan)
    confidence = np.full(joints.shape[:2], np.nan)
    use = landmarks.present & (landmarks.frames < truth.frame_count)
    joints[landmarks.frames[use]] = points[use][:, JOINT12_LANDMARKS]
    confidence[landmarks.frames[use]] = landmarks.visibility[use][:, JOINT12_LANDMARKS]
    return Motion(truth.fps, joints, K, confidence12=confidence, detector_confidence12=confidence)


def placed(points_m: Array, px: Array, weight: Array, K: Array) -> Array:
    """(T, L, 3) points shifted as a whole, frame by frame, to where they project onto (T, L, 2) ``px`` best.

    Linear least squares in the three numbers of the shift: x + tx - u (z + tz) = 0 for every ray (u, 1).
    """
    rays = (px - K[:2, 2]) / K[[0, 1], [0, 1]]
    rows = np.zeros((*rays.shape, 3))
    rows[..., 0, 0] = rows[..., 1, 1] = 1.0
    rows[..., 2] = -rays
    goal = rays * points_m[..., 2:] - points_m[..., :2]
    root = np.sqrt(weight)[..., None]
    a = np.nan_to_num((rows * root[..., None]).reshape(len(rows), -1, 3))
    b = np.nan_to_num((goal * root).reshape(len(rows), -1))
    normal, right = np.swapaxes(a, 1, 2) @ a, (np.swapaxes(a, 1, 2) @ b[..., None])[..., 0]
    shift = np.linalg.solve(normal + 1e-9 * np.eye(3), right[..., None])[..., 0]
    return points_m + shift[:, None]


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("truth", "the truth judged as if it were a method: what each figure can reach", _truth, control=True),
        Method(
            "frozen", "control: the mean pose of 'initial', standing still at its mean place", _frozen, control=True
        ),
        Method("blazepose", "the detector's own 3D landmarks, put where they project best, frame by frame", _blazepose),
        Method("initial", "the estimate of standard quality, before it is refined", _initial("standard")),
        Method(
            "amr",
            "the whole, as the add-on gives it in standard quality",
            amr("standard"),
            usual=Refiner.available(WEIGHTS),
        ),
        Method("amr-best", "the whole in best quality", amr("best"), usual=False),
        Method("amr-uniform", "the refinement with the same attention everywhere", refined(uniform=True), usual=False),
        Method(
            "amr-untrained",
            "control: the refinement before its training",
            refined(untrained=True),
            control=True,
            usual=False,
        ),
        Method("fit", "the estimate's fit alone, without the network", part(network=False, fit=True), usual=False),
        Method("network", "the initial network alone, as in draft quality", part(network=True, fit=False), usual=False),
        Method("network+fit", "the fit that begins with the network", part(network=True, fit=True), usual=False),
        Method(
            "network-untrained",
            "control: the network before its training",
            part(network=True, fit=False, untrained=True),
            control=True,
            usual=False,
        ),
        Method(
            "network+fit-untrained",
            "control: the fit that begins with an untrained network",
            part(network=True, fit=True, untrained=True),
            control=True,
            usual=False,
        ),
        Method("initial-draft", "the estimate in draft quality", _initial("draft"), usual=False),
        Method("initial-best", "the estimate in best quality", _initial("best"), usual=False),
        Method(
            "initial-no-background",
            "the estimate, not told what the background says of the camera",
            part(network=True, fit=True, background=False),
            usual=False,
        ),
        Method("initial-true-lens", "the estimate, told the true focal length", _with_true_lens, usual=False),
    )
}
