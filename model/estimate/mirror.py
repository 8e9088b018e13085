"""A clip seen in a mirror: what the network says of it, turned back, is a second opinion.

The mean of both errs less than either (as for lifting networks: Pavllo et al., CVPR 2019, section 5).
"""

from __future__ import annotations

from dataclasses import fields, replace

import torch
from torch import Tensor
from torch.nn import functional

from model.body.body_points import CONTACT_NAMES
from model.detect.landmarks import OTHER_SIDE
from model.networks.initial import InitialOutput
from model.networks.straight_view import parted

from .pose_angles import mirror_signs, partners
from .pose_layout import PoseLayout
from .rotation import nearest_rotation

_FLIP = torch.tensor([-1.0, 1.0, 1.0])
_SIDE = torch.from_numpy(OTHER_SIDE)
_ROTATIONS, _DIRECTIONS = ("balls", "orientation"), ("hinges", "up")


def mirrored_features(features: Tensor) -> Tensor:
    """(..., FEATURES) of ``straight_view``, left for right."""
    flat, confidence, world, centre, own, rest = parted(features)
    return torch.cat(
        [
            (flat.unflatten(-1, (-1, 2))[..., _SIDE, :] * _FLIP[:2]).flatten(-2),
            confidence[..., _SIDE],
            (world.unflatten(-1, (-1, 3))[..., _SIDE, :] * _FLIP).flatten(-2),
            centre * _FLIP[:2],
            own * _FLIP[:2],
            rest,
        ],
        -1,
    )


def mirrored_output(output: InitialOutput, layout: PoseLayout) -> InitialOutput:
    """What the network says, left for right."""
    mirror, hinges = torch.diag(_FLIP), partners(layout.hinges)
    sign = mirror_signs(layout.hinge_axes, hinges)
    return replace(
        output,
        balls=(mirror @ output.balls @ mirror)[..., partners(layout.balls), :, :],
        hinges=torch.stack([output.hinges[..., 0], output.hinges[..., 1] * sign.to(output.hinges)], -1)[..., hinges, :],
        orientation=mirror @ output.orientation @ mirror,
        place=output.place * _FLIP,
        up=output.up * _FLIP,
        contacts=output.contacts[..., partners(CONTACT_NAMES)],
        angle_sigma=output.angle_sigma[..., partners(layout.names)],
        landmarks_m=output.landmarks_m[..., _SIDE, :] * _FLIP,
        landmark_sigma_m=output.landmark_sigma_m[..., _SIDE],
        seen_sigma_m=output.seen_sigma_m[..., _SIDE],
    )


def mean_output(one: InitialOutput, other: InitialOutput) -> InitialOutput:
    """The mean of two opinions."""

    def mean(name: str) -> Tensor:
        total: Tensor = getattr(one, name) + getattr(other, name)
        if name in _ROTATIONS:
            return nearest_rotation(total / 2)
        return functional.normalize(total, dim=-1) if name in _DIRECTIONS else total / 2

    return InitialOutput(**{f.name: mean(f.name) for f in fields(InitialOutput)})
