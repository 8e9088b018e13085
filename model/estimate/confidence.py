"""How far each landmark of the fit is to be trusted: from the posterior of the fit itself.

Where a landmark is hidden, doubted or missing, where depth is ambiguous, where a gap is bridged, the equations hold the
pose loosely, and their inverse says how loosely (Laplace approximation).
"""

from __future__ import annotations

from torch import Tensor

from .evidence import LEFT_HIP, RIGHT_HIP
from .fit import LANDMARKS, Shared, TemporalFit
from .pose_space import Pose

ERROR_PER_SIGMA = 4.5
"""Mean error for a standard deviation: frames count as independent in the fit, but their errors are alike."""
TYPICAL_M = 0.1
"""Expected error at which the confidence has fallen to one half."""


def landmark_sigma_m(fit: TemporalFit, pose: Pose, shared: Shared) -> Tensor:
    """(T, L) standard deviations (m) of the landmarks about the mid-hip, from the fit's equations at its solution."""
    points, derivative = fit.points(pose, shared)
    system = fit.equations(pose, shared, free=False).system
    system.diagonal.diagonal(dim1=1, dim2=2).add_(1e-3)  # where nobody is seen nothing holds the body's place
    covariance = system.marginals()
    moves = derivative[:, LANDMARKS]
    moves = moves - (moves[:, LEFT_HIP] + moves[:, RIGHT_HIP])[:, None] / 2
    frames, count = moves.shape[:2]
    flat = moves.reshape(frames, count * 3, -1)
    variance = ((flat @ covariance) * flat).sum(-1).reshape(frames, count, 3).sum(-1)
    return variance.clamp(min=0).sqrt()


def confidence(sigma_m: Tensor) -> Tensor:
    """Standard deviations (m) of any shape to confidences in 0..1."""
    return 1.0 / (1.0 + (ERROR_PER_SIGMA * sigma_m / TYPICAL_M).square())
