"""Parts of the product as methods of their own: the fit alone, the network alone, both, and both without training; the
refinement, and what becomes of it with the same attention everywhere or without training.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from amr_blender.contract.errors import RuntimeSetupError
from amr_blender.contract.take import Take
from model.body import AnnyBody
from model.body.body_points import body_points
from model.body.landmarks import LandmarkRegressor
from model.device import choose_device
from model.estimate import Plan, estimate
from model.estimate.learned import FILE, InitialEstimate
from model.estimate.pose_space import PoseSpace
from model.networks.attention import DAN
from model.networks.body_map import BodyMap
from model.networks.refinement import HRN
from model.paths import WEIGHTS, assets_folder
from model.refine.refiner import Refiner
from model.refine.stage import Refinement
from model.video import Video

from .bodies import motion_of_take
from .context import Context, Run
from .motion import Motion
from .suites import Clip

UNTRAINED_SEED = 7


def part(network: bool, fit: bool, untrained: bool = False, background: bool = True) -> Run:
    """The estimate with these parts alone, on the landmarks of standard quality, with or without what the background
    tells of the camera."""

    def run(clip: Clip, truth: Motion, context: Context) -> Motion:
        landmarks, info = context.landmarks(clip), Video(clip.video).info
        body = AnnyBody.load(assets_folder(context.assets))
        plan = Plan(network, fit, _untrained(body) if untrained else None)
        job, told = context.job(clip.video, Path()), context.background(clip) if background else None
        take = estimate(landmarks, body, info, job, lambda *_: None, plan=plan, background=told)
        return motion_of_take(take, truth.frame_count)

    return run


def amr(quality: str) -> Run:
    """The whole: the pipeline's take."""

    def run(clip: Clip, truth: Motion, context: Context) -> Motion:
        _need_weights()
        return _beside_initial(context.take(clip, quality), clip, truth, context, quality)

    return run


def refined(uniform: bool = False, untrained: bool = False) -> Run:
    """The estimate of standard quality, refined otherwise than usual: with A = 1, or by untrained networks."""

    def run(clip: Clip, truth: Motion, context: Context) -> Motion:
        if not untrained:
            _need_weights()
        landmarks, video, assets = context.landmarks(clip), Video(clip.video), assets_folder(context.assets)
        body = AnnyBody.load(assets)
        made = _untrained_refiner(body) if untrained else None
        device = choose_device(context.device)
        refine = Refinement(assets, video.frames, "standard", device, uniform=uniform, refiner=made)
        job = context.job(clip.video, Path("take"))
        background = context.background(clip)
        take = estimate(landmarks, body, video.info, job, lambda *_: None, refine=refine, background=background)
        return _beside_initial(take, clip, truth, context, "standard")

    return run


def _need_weights() -> None:
    if not Refiner.available(WEIGHTS):
        raise RuntimeSetupError(
            "weights-missing",
            "There are no weights of the refinement.",
            "Train attention and refinement first, or leave these methods out.",
        )


def _beside_initial(take: Take, clip: Clip, truth: Motion, context: Context, quality: str) -> Motion:
    """The motion of a take, and the skin as it was before its bones and its surface were refined."""
    initial = motion_of_take(context.initial(clip, quality), truth.frame_count)
    motion = motion_of_take(take, truth.frame_count)
    return replace(motion, initial_vertices_cam_m=initial.vertices_cam_m)


def _untrained_refiner(body: AnnyBody) -> Callable[[BodyMap], Refiner]:
    """Networks of the usual size as they are before training."""

    def make(body_map: BodyMap) -> Refiner:
        torch.manual_seed(UNTRAINED_SEED)
        return Refiner(DAN(body_map), HRN(body_map), body.kinematics)

    return make


def _untrained(body: AnnyBody) -> InitialEstimate:
    """The shipped network with weights as they are before training."""
    space = PoseSpace(body, LandmarkRegressor.load(WEIGHTS / "landmark_regressor.npz").joined(body_points(body)))
    return InitialEstimate.load(WEIGHTS / FILE, space).untrained(UNTRAINED_SEED)
