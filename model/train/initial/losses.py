"""What the initial network is trained by: rotations, positions, projection, motion, contacts, and its own doubt."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from model.body.landmarks import LANDMARK_NAMES
from model.estimate.evidence import LEFT_HIP, RIGHT_HIP, STATURE_M
from model.estimate.pose_layout import PoseLayout
from model.networks.initial import InitialOutput
from model.networks.straight_view import FLAT
from model.synth.landmarks.crowd import Crowd

from .data import Window

WEIGHTS = {
    "balls": 1.0, "orientation": 1.0, "hinges": 0.5, "points": 6.0, "landmarks": 6.0, "landmark_motion": 1.0,
    "place": 1.0, "projection": 1.0, "motion": 1.0, "drift": 0.5, "up": 0.5, "contacts": 0.1, "exchanged": 0.05,
    "angle_sigma": 0.02, "orientation_sigma": 0.03, "landmark_sigma": 0.05, "place_sigma": 0.03, "seen_sigma": 0.05,
    "shape": 0.03, "stature": 0.5, "stature_sigma": 0.02,
}  # fmt: skip
ABSENT = 0.5
"""Weight of a frame in which nobody is seen: it can only be guessed from its neighbours."""
LANDMARKS = slice(0, len(LANDMARK_NAMES))


def losses(
    output: InitialOutput, window: Window, crowd: Crowd, layout: PoseLayout
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """(terms, what is worth watching): each a mean over the windows.

    Positions are those of the true person in the pose of the network, so that pose and shape are learned apart.
    """
    weight = torch.where(window.present, 1.0, ABSENT)
    weight = weight / weight.sum()

    def mean(values: Tensor) -> Tensor:
        """Of (B, T, ...)."""
        return (values.flatten(2).mean(-1) * weight).sum() if values.dim() > 2 else (values * weight).sum()

    balls, hinges = layout.targets(window.angles)
    points = crowd.points(window.person, layout.local(output.balls, output.hinges, output.orientation))
    off = points - window.points_m
    scale = STATURE_M / crowd.stature_m[window.person][:, None, None]
    rate = 1.0 / torch.diff(window.time_s, dim=1).clamp(min=1e-3)
    both = torch.minimum(weight[:, 1:], weight[:, :-1])

    def motion(error: Tensor) -> Tensor:
        """Of an error (B, T, ...) that jumps from frame to frame, per thirtieth of a second."""
        step = (
            torch.diff(error, dim=1).norm(dim=-1).flatten(2).mean(-1)
            if error.dim() > 3
            else torch.diff(error, dim=1).norm(dim=-1)
        )
        return (step * (rate / 30.0).clamp(max=1.5) * both).sum() / both.sum().clamp(min=1e-6)

    place_off = output.place - window.place
    depth = (output.place[..., 2].clamp(-3, 3)).exp() / window.per_metre
    root = torch.cat([output.place[..., :2] * (window.per_metre * depth)[..., None], depth[..., None]], -1)
    seen, true = (
        _flat(points + root[:, :, None], window.per_metre),
        _flat(window.points_m + _root(window)[:, :, None], window.per_metre),
    )
    told = window.features[..., FLAT].unflatten(-1, (-1, 2))
    missed = (told - true[:, :, LANDMARKS]).norm(dim=-1)
    hips = (off[:, :, LEFT_HIP] + off[:, :, RIGHT_HIP])[:, :, None] / 2
    about = (off - hips)[:, :, LANDMARKS].norm(dim=-1) * scale
    middle = (window.points_m[:, :, LEFT_HIP] + window.points_m[:, :, RIGHT_HIP])[:, :, None] / 2
    goal = (window.points_m[:, :, LANDMARKS] - middle) * scale[..., None]
    corrected = output.landmarks_m - goal
    turn = output.orientation.mT @ window.orientation
    vee = (
        torch.stack(
            [turn[..., 2, 1] - turn[..., 1, 2], turn[..., 0, 2] - turn[..., 2, 0], turn[..., 1, 0] - turn[..., 0, 1]],
            -1,
        )
        / 2
    )
    say = torch.softmax(output.say, 1)[..., None]
    shape, stature = (output.shape * say).sum(1), (output.stature * say).sum(1)
    true_shape = (crowd.shape[window.person] - shape_mean(crowd)) / shape_sigma(crowd)
    taller = stature[:, 0] - (crowd.stature_m[window.person] / STATURE_M).log()
    terms = {
        "balls": mean((output.balls - balls).square().sum((-2, -1)).add(1e-6).sqrt()),
        "orientation": mean((output.orientation - window.orientation).square().sum((-2, -1)).add(1e-6).sqrt()),
        "hinges": mean((output.hinges - hinges).norm(dim=-1)),
        "points": mean(off.norm(dim=-1) * scale),
        "landmarks": mean(corrected.norm(dim=-1)),
        "landmark_motion": motion(corrected),
        "place": mean(place_off.abs().clamp(max=2)),
        "projection": mean((seen - true).norm(dim=-1).clamp(max=2)),
        "motion": motion(off),
        "drift": motion(place_off),
        "up": mean((output.up - window.up).norm(dim=-1)),
        "contacts": mean(
            functional.binary_cross_entropy_with_logits(output.contacts, window.contacts, reduction="none")
        ),
        "exchanged": mean(
            functional.binary_cross_entropy_with_logits(output.exchanged, window.exchanged, reduction="none")
        ),
        "angle_sigma": mean(doubt(layout.angle_errors(output, window.angles).abs(), output.angle_sigma)),
        "orientation_sigma": mean(doubt(vee.abs(), output.orientation_sigma)),
        "landmark_sigma": mean(doubt(corrected.norm(dim=-1), output.landmark_sigma_m)),
        "place_sigma": mean(
            doubt(torch.stack([place_off[..., :2].norm(dim=-1), place_off[..., 2].abs()], -1), output.place_sigma)
        ),
        "seen_sigma": (outliers(missed, output.seen_sigma_m).mean(-1) * window.present).sum()
        / window.present.sum().clamp(min=1),
        "shape": (shape - true_shape).square().mean(),
        "stature": taller.abs().mean(),
        "stature_sigma": doubt(taller.abs(), stature[:, 1]).mean(),
    }
    watched = {
        "points_mm": 1000 * mean(about),
        "landmarks_mm": 1000 * mean(corrected.norm(dim=-1)),
        "depth_percent": 100 * mean(place_off[..., 2].abs()),
        "up_deg": torch.rad2deg(mean((output.up * window.up).sum(-1).clamp(-1, 1).acos())),
        "stature_percent": 100 * taller.abs().mean(),
    }
    return terms, watched


def total(terms: dict[str, Tensor]) -> Tensor:
    """The weighted sum."""
    return torch.stack([WEIGHTS[name] * term for name, term in terms.items()]).sum()


def doubt(error: Tensor, sigma: Tensor) -> Tensor:
    """Negative log likelihood of a Laplace distribution; what errs does not learn to err so that it can be foreseen."""
    return error.detach() / sigma + sigma.log()


def outliers(error: Tensor, sigma: Tensor) -> Tensor:
    """The same of a Cauchy distribution in the plane: a few large errors do not make the usual one look large."""
    return 1.5 * (error.detach().square() + sigma.square()).log() - sigma.log()


def shape_mean(crowd: Crowd) -> Tensor:
    return crowd.shape.mean(0)


def shape_sigma(crowd: Crowd) -> Tensor:
    return crowd.shape.std(0).clamp(min=0.05)


def _root(window: Window) -> Tensor:
    depth = window.place[..., 2].exp() / window.per_metre
    return torch.cat([window.place[..., :2] * (window.per_metre * depth)[..., None], depth[..., None]], -1)


def _flat(points: Tensor, per_metre: Tensor) -> Tensor:
    """Where points are seen, in metres of BlazePose's 3D."""
    return (points[..., :2] / points[..., 2:].clamp(min=0.3) / per_metre[..., None, None]).clamp(-6, 6)
