"""Adaptation to the clip itself, in best quality: a few steps that bring the refined pose nearer to what is seen.

Nothing is learned: small corrections of each frame's turns and shift are sought by L-BFGS with a line search, so that
no step makes it worse (Nocedal and Wright, "Numerical Optimization", 2006, algorithm 7.5), against

- the landmarks, robustly (Geman and McClure, 1987), each as far as its detector trusts it;
- the silhouette that DAN sees: a vertex that is seen lies within it;
- the optical flow between neighbouring frames (DIS; Kroeger et al., ECCV 2016): what is seen moves as the pixels do;

and against the corrections themselves and their changes from frame to frame.  No bone and no place may leave what a
part of the uncertainty spans, so that it can't run away; where nobody is seen nothing changes.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from model.body.raster import project
from model.body.skinning import Kinematics
from model.networks.body_map import HEAD_LEVEL, WORK_LEVEL, BodyMap
from model.networks.looking import PosedBody, Posture

from .inputs import Seen, Start, landmark_points

STEPS = 8
_FLOW_PX = 128
"""Side of the crops for optical flow."""
REACH = 0.5
"""Bound of the corrections, in uncertainties."""
LANDMARK, FLOW = 0.015, 0.01
"""Residuals, in sides of the crop, of which more is hardly believed."""
INSIDE_WEIGHT, FLOW_WEIGHT, SIZE_WEIGHT, CHANGE_WEIGHT = 0.1, 0.5, 0.02, 0.05
"""Of silhouette, flow, each number of the corrections and its change, beside 1 for the landmarks."""


def adapt(
    body: BodyMap, kinematics: Kinematics, start: Start, seen: Seen, visible: Tensor, silhouette: Tensor,
    sigma_mm: Tensor, turn: Tensor, shift_m: Tensor,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Correct turns and shifts of B windows of T frames.

    Args:
        body, kinematics, start, seen: as of ``inputs.prepare``. visible: (B, T, V_2) bool. silhouette: (B, T, 32, 32)
            logits. sigma_mm: (B, T, V_2). turn: (B, T, S, 3) and shift_m: (B, T, 3) of the refinement.

    Returns:
        The same, corrected.
    """
    there = seen.present.to(turn)
    doubt, _ = body.on_bones(body.hierarchy.pool(sigma_mm[..., None], WORK_LEVEL))
    limit_m = REACH * doubt / 1000.0 * there[..., None, None]
    limits = limit_m / body.lever_m[:, None], limit_m[:, :, 0]
    evidence = _Evidence(body, kinematics, start, seen, visible, silhouette)
    with torch.enable_grad():
        raw = [torch.zeros_like(values).requires_grad_() for values in (turn, shift_m)]
        optimiser = torch.optim.LBFGS(raw, max_iter=STEPS, tolerance_grad=1e-8, line_search_fn="strong_wolfe")

        def misfit() -> Tensor:
            optimiser.zero_grad()
            moves = [limit * values.tanh() for limit, values in zip(limits, raw, strict=True)]
            loss = evidence.misfit(turn + moves[0], shift_m + moves[1])
            for values in raw:
                sizes = SIZE_WEIGHT * values.square().sum() + CHANGE_WEIGHT * values.diff(dim=1).square().sum()
                loss = loss + sizes / there.numel()
            loss.backward()
            return loss

        optimiser.step(misfit)
        moves = [(limit * values.tanh()).detach() for limit, values in zip(limits, raw, strict=True)]
    return turn + moves[0], shift_m + moves[1]


class _Evidence:
    """What is seen, and how far a pose is from it."""

    def __init__(
        self, body: BodyMap, kinematics: Kinematics, start: Start, seen: Seen, visible: Tensor, silhouette: Tensor
    ) -> None:
        self._body, self._kinematics, self._start, self._seen = body, kinematics, start, seen
        coarse = body.hierarchy.sizes[HEAD_LEVEL]  # its vertices are the first of WORK_LEVEL's
        self._visible = (visible[:, :, :coarse] & seen.present[..., None]).float()
        self._confidence = seen.confidence * seen.present[..., None]
        # Blurred, so that what lies outside knows where to go.
        person = silhouette.sigmoid().flatten(0, 1)[:, None]
        self._person = functional.avg_pool2d(person, 5, 1, 2, count_include_pad=False)
        self._both = seen.present[:, 1:] & seen.present[:, :-1]
        assert seen.rgb is not None, "adaptation looks at the pixels themselves"
        flow = np.stack([_flow(window) for window in seen.rgb.permute(0, 1, 3, 4, 2).cpu().numpy()])
        self._flow = torch.from_numpy(flow).to(silhouette).flatten(0, 1)

    def misfit(self, turn: Tensor, shift_m: Tensor) -> Tensor:
        """A number without unit; 0 is perfect."""
        seen, start = self._seen, self._start
        posture, crop_K = Posture(start.local, start.root_cam_m, seen.crop_K), seen.crop_K.flatten(0, 1)
        posed = PosedBody(self._body, self._kinematics, start.people, posture, turn, shift_m)
        where = project(landmark_points(self._body, posed), crop_K)[0].reshape(seen.landmarks.shape)
        missed = ((where - seen.landmarks) / LANDMARK).square().sum(-1)
        total = _mean(missed / (1 + missed), self._confidence)
        places = project(posed.level(HEAD_LEVEL).flatten(0, 1), crop_K)[0]
        visible = self._visible.flatten(0, 1)
        inside = _sampled(self._person, places)[:, 0]
        total = total + INSIDE_WEIGHT * _mean(1 - inside, visible)
        if not len(self._flow):
            return total
        track = places.unflatten(0, seen.present.shape)
        moved = (track[:, 1:] - track[:, :-1]).flatten(0, 1)
        flow = _sampled(self._flow, track[:, :-1].flatten(0, 1).detach()).transpose(1, 2)
        weight = self._visible[:, 1:] * self._visible[:, :-1] * self._both[..., None]
        off = ((moved - flow) / FLOW).square().sum(-1)
        return total + FLOW_WEIGHT * _mean(off / (1 + off), weight.flatten(0, 1))


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    return (values * weight).sum() / weight.sum().clamp(min=1.0)


def _sampled(maps: Tensor, where: Tensor) -> Tensor:
    """(N, C, P) of (N, C, H, W) at (N, P, 2) crop units; the border's value outside."""
    grid = (2 * where - 1).clamp(-2, 2)[:, :, None]
    return functional.grid_sample(maps, grid, padding_mode="border", align_corners=False)[..., 0]


def _flow(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(T - 1, 2, H, W) from (T, H, W, 3): where each pixel of a frame is in the next, in crop units, less where it was.

    Each in its own crop: as the crops move, so does what stands still.
    """
    finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    small = [cv2.resize(picture, (_FLOW_PX, _FLOW_PX), interpolation=cv2.INTER_AREA) for picture in rgb]
    grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in small]
    flows = [finder.calc(a, b, np.zeros((*a.shape, 2), np.float32)) for a, b in zip(grey, grey[1:], strict=False)]
    stacked = np.stack(flows) if flows else np.zeros((0, _FLOW_PX, _FLOW_PX, 2), np.float32)
    return np.asarray(stacked.transpose(0, 3, 1, 2) / _FLOW_PX, np.float32)
