"""What the network says, as evidence beside the picture: each angle by as much as the network is sure of it."""

from __future__ import annotations

import torch

from .equations import Equations, cauchy, cauchy_cost
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
    share = torch.full_like(sigma, s.learned_strength)
    share[:, :3] = s.learned_heading_strength
    share = share * learned.need(s.reprojection)[:, None]
    sigma = sigma / share.sqrt()
    error = off.abs() / sigma
    weight = (cauchy(error, s.learned_reach) / sigma) ** 2
    equations.add_diagonal(FIRST_ANGLE - 3, weight, weight * off, cauchy_cost(error, s.learned_reach))
