"""What trained networks are worth on clips that they were not trained on, window by window as the product has them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.body.skinning import Kinematics
from model.estimate.take_builder import JOINT12_LANDMARKS
from model.evaluate.metrics import procrustes
from model.networks.attention import DAN
from model.networks.body_map import BodyMap
from model.networks.evidence_maps import MeshDrawer
from model.networks.looking import PosedBody
from model.networks.refinement import HRN
from model.refine.budget import Budget
from model.refine.inputs import landmark_points, prepare
from model.refine.refiner import WINDOW

from .losses import Judge
from .windows import Windows

Array = NDArray[np.floating]
_HIPS = (2, 3)


@dataclass(frozen=True)
class Measured:
    """N frames with the person, of all clips one after another."""

    clip: NDArray[np.int64]
    """(N,) which."""
    before_mm: Array
    """(N, V_2) error of the estimate about the hips, per vertex of ``WORK_LEVEL``."""
    after_mm: Array
    """(N, V_2) of the refined."""
    sigma_mm: Array
    """(N, V_2) DAN's, not calibrated."""
    attention: Array
    """(N, V_2)."""
    joints_mm: Array
    """(N, 2, 2) before and after: MPJPE and PA-MPJPE of twelve joints."""
    confidence: Array
    """(N,) mean of the detector's."""
    speed_m_s: Array
    """(N,) mean of the true vertices about the hips."""


@torch.no_grad()
def measure(
    dan: DAN, hrn: HRN | None, kinematics: Kinematics, windows: Windows, clips: list[int],
    report: Callable[[], None] = lambda: None,
) -> Measured:  # fmt: skip
    """Refine ``clips`` in standard quality; without HRN they stay as they are."""
    body, budget = dan.body, Budget.of("standard")
    drawer, rows = MeshDrawer(body), list[dict[str, Array]]()
    dan.eval()
    for number in clips:
        frames = windows.frames(number)
        for first in range(0, frames, WINDOW):
            length = min(WINDOW, frames - first)
            start, seen, truth = windows.windows([number], [first], length)
            ready = prepare(body, kinematics, drawer, start, seen)
            output = dan(ready.given)
            attention = ready.attention(output)
            refined = None
            if hrn is not None:
                threshold = budget.threshold(attention, 1.0, hrn.settings.threshold)
                refined = hrn.eval()(ready.look(output), attention, output.sigma_mm, seen.time_s, threshold)
            judge = Judge(body, kinematics, start, seen, truth)
            true, _ = judge.goal()
            joints = [_joints_m(body, posed) for posed in (judge.true(), judge.posed(None), judge.posed(refined))]
            speed = (
                (true.diff(dim=1).norm(dim=-1).mean(-1) / seen.time_s.diff(dim=1)) if length > 1 else true[..., 0, 0]
            )
            there = seen.present[0].numpy()
            rows.append(
                {name: np.asarray(value)[there] for name, value in {
                    "clip": np.full(length, number),
                    "before_mm": 1000 * (judge.refined(None) - true).norm(dim=-1)[0].numpy(),
                    "after_mm": 1000 * (judge.refined(refined) - true).norm(dim=-1)[0].numpy(),
                    "sigma_mm": output.sigma_mm[0].numpy(),
                    "attention": attention[0].numpy(),
                    "joints_mm": np.stack([_joint_errors_mm(joints[0], j) for j in joints[1:]], 1),
                    "confidence": seen.confidence[0].mean(-1).numpy(),
                    "speed_m_s": np.resize(speed[0].numpy(), length),
                }.items()}
            )  # fmt: skip
        report()
    return Measured(**{name: np.concatenate([row[name] for row in rows]) for name in rows[0]})


def _joints_m(body: BodyMap, posed: PosedBody) -> Array:
    """(T, 12, 3) of one window."""
    points: Tensor = landmark_points(body, posed)[:, JOINT12_LANDMARKS]
    return points.double().numpy()


def _joint_errors_mm(true: Array, found: Array) -> Array:
    """(T, 2) MPJPE about the hips, and after the similarity transform that fits best."""
    near, far = (p - p[:, _HIPS].mean(1, keepdims=True) for p in (found, true))
    pairs = ((near, far), (procrustes(found, true), true))
    return 1000 * np.stack([np.linalg.norm(a - b, axis=-1).mean(1) for a, b in pairs], -1)
