"""How bodies move: speeds and accelerations of all unknowns, robust, on uneven frame times."""

from __future__ import annotations

import torch
from torch import Tensor

from .equations import Equations, cauchy, cauchy_cost
from .pose_space import POSITION, Pose
from .rotation import rotvec_from_matrix
from .settings import FitSettings

GRAVITY_M_S2 = 9.81


class MotionTerms:
    """For T frames at ``time_s``; ``sigma`` (Q,) is how far each angle usually is from its mean, radians."""

    def __init__(self, time_s: Tensor, sigma: Tensor, settings: FitSettings) -> None:
        s = settings
        self._step_s = time_s.diff().clamp(min=1e-4)
        self._reach = s.acceleration_reach
        self._speed = _each(s.position_speed, s.angle_speed, s.angle_speed * sigma)
        self._acceleration = _each(s.position_acceleration, s.orientation_acceleration, s.angle_acceleration * sigma)
        self._flight = s.flight_m_s2

    def add(self, equations: Equations, pose: Pose, flight: Tensor | None, up: Tensor | None) -> None:
        """``flight``: (T,) probability that nothing carries the body, which then falls against ``up`` (3,)."""
        step_s = self._step_s
        if len(step_s) < 1:
            return
        turn = rotvec_from_matrix(pose.orientation[1:] @ pose.orientation[:-1].mT)
        velocity = torch.cat([pose.position.diff(dim=0), turn, pose.angles.diff(dim=0)], 1) / step_s[:, None]
        stencil = torch.stack([-1 / step_s, 1 / step_s], 1)
        equations.add_differences(stencil, (self._speed**-2).expand_as(velocity), velocity)
        if len(step_s) < 2:
            return
        middle = (step_s[1:] + step_s[:-1]) / 2
        acceleration = velocity.diff(dim=0) / middle[:, None]
        weight = (cauchy(acceleration / self._acceleration, self._reach) / self._acceleration) ** 2
        cost = cauchy_cost(acceleration / self._acceleration, self._reach)
        if flight is not None and up is not None:
            share = flight[1:-1, None]
            fall = acceleration[:, POSITION] + GRAVITY_M_S2 * up
            off = fall.norm(dim=1, keepdim=True) / self._flight
            reach = GRAVITY_M_S2 / self._flight
            known = share * (cauchy(off, reach) / self._flight) ** 2
            free = (1 - share) * weight[:, POSITION]
            weight, acceleration, cost = weight.clone(), acceleration.clone(), cost.clone()
            weight[:, POSITION] = free + known
            acceleration[:, POSITION] = (free * acceleration[:, POSITION] + known * fall) / (free + known)
            cost[:, POSITION] = (1 - share) * cost[:, POSITION] + share * cauchy_cost(off, reach) / 3
        before, after = 1 / (step_s[:-1] * middle), 1 / (step_s[1:] * middle)
        equations.add_differences(torch.stack([before, -before - after, after], 1), weight, acceleration, cost)


def _each(position: float, orientation: float, angles: Tensor) -> Tensor:
    three = torch.ones(3, dtype=torch.float64)
    return torch.cat([position * three, orientation * three, angles])
