"""What trained networks are worth on clips that they were not trained on, window by window as the product has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.body.skinning import Kinematics
from model.estimate.take_builder import JOINT12_LANDMARKS
from model.evaluate.metrics import procrustes
from model.networks.body_map import BodyMap
from model.networks.evidence_maps import MeshDrawer
from model.networks.looking import PosedBody
from model.refine.budget import Budget
from model.refine.inputs import landmark_points, prepare
from model.refine.refiner import WINDOW

from .losses import Judge
from .variants import Networks
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
    nets: Networks, kinematics: Kinematics, windows: Windows, clips: list[int],
    report: Callable[[], None] = lambda: None, refines: bool = True,
) -> Measured:  # fmt: skip
    """Refine ``clips`` in standard quality; unless HRN ``refines`` they stay as they are."""
    body, rows, rng = nets.dan.body, list[dict[str, Array]](), torch.Generator().manual_seed(0)
    drawer = MeshDrawer(body)
    nets.eval()
    for number in clips:
        frames = windows.frames(number)
        for first in range(0, frames, WINDOW):
            length = min(WINDOW, frames - first)
            count, each = nets.variant.windows(length)
            start, seen, truth = windows.windows([number] * count, [first + k * each for k in range(count)], each)
            ready = prepare(body, kinematics, drawer, start, seen)
            output = nets(ready)
            attention = nets.variant.attended(ready, output, rng)
            refined = None
            if refines:
                refined = nets.refine(ready, output, attention, threshold=_threshold(nets, attention))
            judge = Judge(body, kinematics, start, seen, truth)
            true = judge.goal()[0].flatten(0, 1)
            joints = [_joints_m(body, posed) for posed in (judge.true(), judge.posed(None), judge.posed(refined))]
            time_s = windows.times_s(number)[first : first + length]
            speed = true.diff(dim=0).norm(dim=-1).mean(-1) / time_s.diff() if length > 1 else true[:, 0, 0]
            there = seen.present.flatten().numpy()
            rows.append(
                {name: np.asarray(value)[there] for name, value in {
                    "clip": np.full(length, number),
                    "before_mm": 1000 * (judge.refined(None).flatten(0, 1) - true).norm(dim=-1).numpy(),
                    "after_mm": 1000 * (judge.refined(refined).flatten(0, 1) - true).norm(dim=-1).numpy(),
                    "sigma_mm": output.sigma_mm.flatten(0, 1).numpy(),
                    "attention": attention.flatten(0, 1).numpy(),
                    "joints_mm": np.stack([_joint_errors_mm(joints[0], j) for j in joints[1:]], 1),
                    "confidence": seen.confidence.flatten(0, 1).mean(-1).numpy(),
                    "speed_m_s": np.resize(speed.numpy(), length),
                }.items()}
            )  # fmt: skip
        report()
    return Measured(**{name: np.concatenate([row[name] for row in rows]) for name in rows[0]})


def thirds(frames: Mapping[str, Array]) -> dict[str, NDArray[np.bool_]]:
    """Which frames of what was ``Measured``: all, and the third that is hidden most or moves fastest."""
    confidence, speed = frames["confidence"], frames["speed_m_s"]
    return {
        "all": np.ones(len(confidence), bool),
        "least seen third": confidence <= np.quantile(confidence, 1 / 3),
        "fastest third": speed >= np.quantile(speed, 2 / 3),
    }


def _threshold(nets: Networks, attention: Tensor) -> float:
    """The budget's, where the network's own attention spends it; everything is worked on where A = 1 everywhere."""
    if nets.variant.attention == "everywhere":
        return -1.0
    return Budget.of("standard").threshold(attention, 1.0, nets.hrn.settings.threshold)


def _joints_m(body: BodyMap, posed: PosedBody) -> Array:
    """(T, 12, 3) of one window."""
    points: Tensor = landmark_points(body, posed)[:, JOINT12_LANDMARKS]
    return points.double().numpy()


def _joint_errors_mm(true: Array, found: Array) -> Array:
    """(T, 2) MPJPE about the hips, and after the similarity transform that fits best."""
    near, far = (p - p[:, _HIPS].mean(1, keepdims=True) for p in (found, true))
    pairs = ((near, far), (procrustes(found, true), true))
    return 1000 * np.stack([np.linalg.norm(a - b, axis=-1).mean(1) for a, b in pairs], -1)
