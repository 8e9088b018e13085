"""Where the joints of poses are, so that poses can be compared: on the average body, whichever way they face."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from model.estimate.pose_space import PoseSpace

Array = NDArray[np.floating]
LEGS = ("upperleg01", "lowerleg01", "foot", "toe2-1")
ARMS = ("upperarm01", "lowerarm01", "wrist", "finger3-1")
"""Both sides of these, and the middle line, are compared."""
MIDDLE = ("spine03", "spine01", "neck01", "head")
LEG_COLUMNS = slice(0, 3 * 2 * len(LEGS))
MIDDLE_COLUMNS = slice(-3 * len(MIDDLE), None)
"""Of what ``places_m`` gives."""


def places_m(space: PoseSpace, local: Array) -> Array:
    """(N, J * 3) joints of (N, B, 3, 3) poses on the average body, hips at the origin, facing -Y."""
    body = space.body
    ahead = -local[:, 0, :, 1]
    steep = np.hypot(ahead[:, 0], ahead[:, 1]) < 0.5  # lying: the way the head points tells the heading
    ahead[steep] = local[steep, 0, :, 2] * np.sign(-ahead[steep, 2:] + 1e-9) * -1
    angle = np.arctan2(ahead[:, 0], -ahead[:, 1])
    c, s, zero, one = np.cos(angle), np.sin(angle), np.zeros_like(angle), np.ones_like(angle)
    back = np.stack([c, s, zero, -s, c, zero, zero, zero, one], 1).reshape(-1, 3, 3)
    turned = local.copy()
    turned[:, 0] = back @ local[:, 0]
    heads = body.rest(body.default_shape()).heads_m.double()
    posed = body.kinematics(torch.from_numpy(turned), heads, torch.zeros(len(local), 3, dtype=torch.float64))[1].numpy()
    chosen = [body.bone(f"{name}.{side}") for name in (*LEGS, *ARMS) for side in "LR"]
    chosen += [body.bone(name) for name in MIDDLE]
    return np.asarray(posed[:, chosen].reshape(len(local), -1))
