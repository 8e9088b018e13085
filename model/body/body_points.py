"""Points on the body beside the landmarks: what can rest on the ground, and what the centre of mass is reckoned from.

Each is the mean of a few vertices, chosen on the average body by where they lie, so that they follow shape and pose as
the skin does (rows of a :class:`~model.body.landmarks.LandmarkRegressor`).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .anny import AnnyBody
from .landmarks import LandmarkRegressor

CONTACT_NAMES = (
    "heel.L", "heel.R", "toe.L", "toe.R", "hand.L", "hand.R", "knee.L", "knee.R", "seat.L", "seat.R",
)  # fmt: skip
"""What can rest on the ground; ``toe`` is the ball of the foot."""
FEET = 4
"""The first of them belong to the feet."""
BULK_NAMES = ("chest", "pelvis", "thigh.L", "thigh.R")
"""Middles of the trunk and the tops of the thighs, inside the body, where landmarks lie on the skin."""
_VERTICES = 8


def body_points(body: AnnyBody) -> LandmarkRegressor:
    """(14, 8) vertices and weights of ``CONTACT_NAMES``, then ``BULK_NAMES``."""
    rest = body.rest(body.default_shape())
    chooser = _Chooser(body, rest.vertices_m.double().cpu(), rest.heads_m.double().cpu())
    rows = [getattr(chooser, name.split(".")[0])(name.partition(".")[2]) for name in (*CONTACT_NAMES, *BULK_NAMES)]
    index = torch.stack(rows)
    return LandmarkRegressor(index, torch.full(index.shape, 1.0 / _VERTICES, dtype=torch.float64))


class _Chooser:
    """Picks vertices of the average body at rest: Z up, facing -Y, left at +X."""

    def __init__(self, body: AnnyBody, vertices: Tensor, heads: Tensor) -> None:
        self._body, self._vertices, self._heads = body, vertices, heads
        self._bone = body.skin_weights_dense.argmax(1).cpu()

    def heel(self, side: str) -> Tensor:
        sole = self._sole(side)
        return sole[self._vertices[sole, 1].argsort(descending=True)[:_VERTICES]]

    def toe(self, side: str) -> Tensor:
        """Under the ball, where the toes begin."""
        sole, ball = self._sole(side), self._head(f"toe2-1.{side}")
        return sole[(self._vertices[sole, :2] - ball[:2]).norm(dim=1).argsort()[:_VERTICES]]

    def hand(self, side: str) -> Tensor:
        """Spread over palm and back of the hand."""
        return self._around(
            (self._head(f"wrist.{side}") + self._head(f"finger3-2.{side}")) / 2,
            self._of(side, "metacarpal", "finger3-1"),
        )

    def knee(self, side: str) -> Tensor:
        return self._extreme(
            self._near(f"lowerleg01.{side}", 0.08, self._of(side, "upperleg", "lowerleg")), (0.0, -1.0, 0.0)
        )

    def seat(self, side: str) -> Tensor:
        near = self._near(f"upperleg01.{side}", 0.17, self._of(side, "upperleg", "pelvis"))
        return self._extreme(near, (0.0, 0.7, -0.7))

    def chest(self, _: str) -> Tensor:
        return self._around(self._head("spine02"), self._of("", "spine", "clavicle", "shoulder"))

    def pelvis(self, _: str) -> Tensor:
        middle = (self._head("upperleg01.L") + self._head("upperleg01.R")) / 2
        middle = middle + (self._head("spine05") - middle) / 2
        return self._around(middle, self._of("", "spine05", "pelvis", "root", "upperleg01"))

    def thigh(self, side: str) -> Tensor:
        hip, knee = self._head(f"upperleg01.{side}"), self._head(f"lowerleg01.{side}")
        return self._around(hip + 0.3 * (knee - hip), self._of(side, "upperleg"))

    def _head(self, bone: str) -> Tensor:
        return self._heads[self._body.bone(bone)]

    def _of(self, side: str, *stems: str) -> Tensor:
        """Vertices that move mostly with bones so called, of one side or (empty) of any."""
        names: Sequence[str] = self._body.bone_names
        bones = [i for i, n in enumerate(names) if n.startswith(stems) and (not side or n.endswith(f".{side}"))]
        return torch.nonzero(torch.isin(self._bone, torch.tensor(bones)))[:, 0]

    def _sole(self, side: str) -> Tensor:
        foot = self._of(side, "foot", "toe")
        z = self._vertices[foot, 2]
        return foot[z < z.min() + 0.012]

    def _near(self, bone: str, reach_m: float, among: Tensor) -> Tensor:
        return among[(self._vertices[among] - self._head(bone)).norm(dim=1) < reach_m]

    def _extreme(self, among: Tensor, direction: tuple[float, float, float]) -> Tensor:
        along = self._vertices[among] @ torch.tensor(direction, dtype=torch.float64)
        return among[along.argsort(descending=True)[:_VERTICES]]

    def _around(self, middle: Tensor, among: Tensor) -> Tensor:
        """Vertices on all sides of a point at its height, whose mean is near it."""
        away = self._vertices[among] - middle
        level = among[away[:, 2].abs() < 0.05]
        away = self._vertices[level] - middle
        angle = torch.atan2(away[:, 1], away[:, 0])
        wanted = (torch.arange(_VERTICES, dtype=torch.float64) + 0.5) * (2 * torch.pi / _VERTICES) - torch.pi
        off = torch.remainder(angle[None] - wanted[:, None] + torch.pi, 2 * torch.pi) - torch.pi
        return level[off.abs().argmin(1)]
