"""What the network says, as evidence beside the picture: each angle by as much as the network is sure of it."""

from __future__ import annotations

import torch
from torch import Tensor

from .equations import Equations, cauchy, cauchy_cost
from .evidence import LEFT_HIP, RIGHT_HIP
from .learned import Learned
from .pose_space import FIRST_ANGLE, Pose
from .rotation import rotvec_from_matrix
from .settings import FitSettings


def add_learned(equations: Equations, learned: Learned, settings: FitSettings, pose: Pose) -> None:
    """Angles and the hips' orientation as the network has them, robustly.

    Neighbouring frames of a network err alike, so that each counts for a share of a frame.
    """
    s = settings
    turn = rotvec_from_matrix(learned.pose.orientation @ pose.orientation.mT)
    off = torch.cat([turn, learned.pose.angles - pose.angles], 1)
    sigma = torch.cat([learned.orientation_sigma.mean(1, keepdim=True).expand(-1, 3), learned.angle_sigma], 1)
    share = sigma.new_full((sigma.shape[1],), s.learned_strength)
    share[:3] = s.learned_heading_strength
    sigma = sigma / share.sqrt()
    error = off.abs() / sigma
    weight = (cauchy(error, s.learned_reach) / sigma) ** 2
    equations.add_diagonal(FIRST_ANGLE - 3, weight, weight * off, cauchy_cost(error, s.learned_reach))


def add_corrected(
    equations: Equations, learned: Learned, settings: FitSettings, points: Tensor, derivative: Tensor, scale: float
) -> None:
    """The landmarks about the hips as the network has corrected them.

    Args:
        points: (T, L, 3) camera space. derivative: (T, L, 3, P + G) by the frame's unknowns and the shared ones.
        scale: size of the body against one of 1.7 m.
    """
    s, (frames, size) = settings, equations.right.shape[:2]
    hips = (derivative[:, LEFT_HIP] + derivative[:, RIGHT_HIP])[:, None] / 2
    middle = (points[:, LEFT_HIP] + points[:, RIGHT_HIP])[:, None] / 2
    error = scale * learned.landmarks_m - (points - middle)
    sigma = scale * learned.landmark_sigma_m / s.corrected_strength**0.5
    away = error.norm(dim=-1) / sigma
    weight = cauchy(away, s.learned_reach) / sigma
    rows = (weight[..., None, None] * (derivative - hips)).reshape(frames, -1, derivative.shape[-1])
    cost = cauchy_cost(away, s.learned_reach)
    equations.add([rows[..., :size]], (weight[..., None] * error).flatten(1), rows[..., size:], cost=cost)
