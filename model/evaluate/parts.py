"""Parts of the estimate as methods of their own: the fit alone, the network alone, both, and both without training."""

from __future__ import annotations

from pathlib import Path

import torch

from model.body import AnnyBody
from model.body.body_points import body_points
from model.body.landmarks import LandmarkRegressor
from model.estimate import Plan, estimate
from model.estimate.learned import FILE, InitialEstimate
from model.estimate.pose_space import PoseSpace
from model.networks.initial import InitialNet
from model.paths import WEIGHTS, assets_folder
from model.video import Video

from .bodies import motion_of_take
from .context import Context, Run
from .motion import Motion
from .suites import Clip

UNTRAINED_SEED = 7


def part(network: bool, fit: bool, untrained: bool = False) -> Run:
    """The estimate with these parts alone, on the landmarks of standard quality."""

    def run(clip: Clip, truth: Motion, context: Context) -> Motion:
        landmarks, info = context.landmarks(clip), Video(clip.video).info
        body = AnnyBody.load(assets_folder(context.assets))
        plan = Plan(network, fit, _untrained(body) if untrained else None)
        take = estimate(landmarks, body, info, context.job(clip.video, Path()), lambda *_: None, plan=plan)
        return motion_of_take(take, truth.frame_count)

    return run


def _untrained(body: AnnyBody) -> InitialEstimate:
    """The shipped network with weights as they are before training."""
    space = PoseSpace(body, LandmarkRegressor.load(WEIGHTS / "landmark_regressor.npz").joined(body_points(body)))
    trained = InitialEstimate.load(WEIGHTS / FILE, space)
    torch.manual_seed(UNTRAINED_SEED)
    net = InitialNet(trained.settings)
    return InitialEstimate(net, trained.layout, trained.shape_mean, trained.shape_sigma)
