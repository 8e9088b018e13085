"""What DAN and HRN are trained by.

Poses are judged on the true person in the refined pose, so that pose and build are learned apart; vertex by vertex the
refined mesh itself is judged.  All about the head of the hips' bone, in camera axes; what the whole is shifted by is
judged in the picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from model.body.raster import project
from model.body.skinning import Kinematics
from model.networks.attention import DanOutput
from model.networks.body_map import HEAD_LEVEL, WORK_LEVEL, BodyMap
from model.networks.looking import People, PosedBody, Posture
from model.networks.refinement import HrnOutput
from model.refine.inputs import Seen, Start

from .windows import Truth

PRICE_MM = 2.0
"""What a vertex's refinement must gain for another look at it to pay."""
_LEAST_ERROR_M, _STEADY = 0.002, 2e-4
"""Errors below it are alike; and the variance (of logarithms) below which a value counts as steady."""
WEIGHTS = {
    "pose": 10.0, "vertices": 5.0, "finest": 5.0, "motion": 2.0, "picture": 4.0, "offsets": 0.5, "sigma": 0.05,
    "within": 0.05, "silhouette": 0.1, "attention": 0.3, "mask": 0.05, "spent": 0.005,
}  # fmt: skip


@dataclass(frozen=True)
class Judge:
    """Measures a batch."""

    body: BodyMap
    kinematics: Kinematics
    start: Start
    seen: Seen
    truth: Truth

    def goal(self) -> tuple[Tensor, Tensor]:
        """True (B, T, V_2, 3) about the hips, and (B, T, V_1, 2) in the crop."""
        posed = self.true()
        hips = posed.heads_m[:, :, :1]
        coarse = posed.level(HEAD_LEVEL)
        return posed.level(WORK_LEVEL) - hips, self._where(coarse, self.truth.crop_K)

    def true(self) -> PosedBody:
        """The truth's body."""
        return self._posed(self.truth.people, self.truth.local, self.truth.root_cam_m, None, None)

    def posed(self, output: HrnOutput | None) -> PosedBody:
        """The estimate's body in the refined pose, without offsets; None is the estimate as it was."""
        return self._moved(output)[0]

    def refined(self, output: HrnOutput | None) -> Tensor:
        """(B, T, V_2, 3) about the hips; None is the estimate as it was."""
        return self._skin(*self._moved(output))

    def _moved(self, output: HrnOutput | None) -> tuple[PosedBody, Tensor | None]:
        """The estimate as refined, and its offsets at ``WORK_LEVEL``."""
        start = self.start
        if output is None:
            return self._posed(start.people, start.local, start.root_cam_m, None, None), None
        posed = self._posed(start.people, start.local, start.root_cam_m, output.turn, output.shift_m)
        return posed, output.offsets_m[WORK_LEVEL]

    def _skin(self, posed: PosedBody, offsets: Tensor | None) -> Tensor:
        return posed.level(WORK_LEVEL, offsets) - posed.heads_m[:, :, :1]

    def terms(self, output: HrnOutput, dan: DanOutput, goal: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """Each a mean."""
        true, where = goal
        mean = self._mean
        own = self._posed(self.truth.people, self.start.local, self.start.root_cam_m, output.turn, output.shift_m)
        coarse = own.level(HEAD_LEVEL) - own.heads_m[:, :, :1]
        off = coarse - true[:, :, : coarse.shape[2]]  # a level's vertices are the first of the next one's
        placed, offsets = self._moved(output)
        error_m = (self._skin(placed, offsets) - true).norm(dim=-1)
        missed = self._where(placed.level(HEAD_LEVEL), self.seen.crop_K) - where
        step = torch.diff(off, dim=1).norm(dim=-1).mean(-1) if off.shape[1] > 1 else off.new_zeros(())
        fine = output.offsets_m[WORK_LEVEL]
        finest = {"finest": mean(self._finest(output, placed))} if len(output.active) == len(output.offsets_m) else {}
        return finest | {
            "pose": mean(off.norm(dim=-1)),
            "vertices": mean(error_m),
            "motion": step.mean(),
            "picture": mean(missed.norm(dim=-1).clamp(max=0.3)),
            "offsets": mean(fine.norm(dim=-1)) + mean((fine - fine.mean(1, keepdim=True)).norm(dim=-1)),
            **self.told_terms(dan, error_m),
        }

    def told_terms(self, dan: DanOutput, error_m: Tensor) -> dict[str, Tensor]:
        """Of what DAN says beside attention; ``error_m`` (B, T, V_2) is the error that it should expect."""
        error_mm = 1000 * error_m.detach()
        return {
            "sigma": self._mean(error_mm / dan.sigma_mm + dan.sigma_mm.log()),
            "silhouette": self._mean(
                functional.binary_cross_entropy_with_logits(dan.silhouette, self.truth.mask, reduction="none")
            ),
        }

    def within_term(self, dan: DanOutput, error_m: Tensor, each: int) -> Tensor:
        """How far, over the frames of a clip, the uncertainty of a vertex is from going with its error: 1 less the
        correlation of their logarithms, the mean over the vertices; ``each`` windows in turn are of one clip."""

        def about_its_mean(values: Tensor) -> Tensor:
            values = values.log().unflatten(0, (-1, each)).flatten(1, 2)
            return (values - (values * weight).sum(1, keepdim=True)) * weight.sqrt()

        weight = self.seen.present.to(error_m).unflatten(0, (-1, each)).flatten(1, 2)[..., None]
        weight = weight / weight.sum(1, keepdim=True).clamp(min=1)
        told, error = about_its_mean(dan.sigma_mm), about_its_mean(1000 * error_m.clamp(min=_LEAST_ERROR_M))
        size = ((told.square().sum(1) + _STEADY) * (error.square().sum(1) + _STEADY)).sqrt()
        return 1 - ((told * error).sum(1) / size).mean()

    def _mean(self, values: Tensor) -> Tensor:
        """Of (B, T, ...); frames without the person count less."""
        weight = torch.where(self.seen.present, 1.0, 0.3)
        return (values.flatten(2).mean(-1) * weight).sum() / weight.sum()

    def _finest(self, output: HrnOutput, placed: PosedBody) -> Tensor:
        """(B, T, V) errors in metres of the full mesh, where it was worked on."""
        last = self.body.hierarchy.last
        true = self.true()
        own = placed.level(last, output.offsets_m[last]) - placed.heads_m[:, :, :1]
        return (own - true.level(last) + true.heads_m[:, :, :1]).norm(dim=-1)

    def attention_terms(self, dan: DanOutput, gain_mm: Tensor, visible: Tensor, where: Tensor) -> dict[str, Tensor]:
        """Of A: does another look pay?

        Args:
            gain_mm: (B, T, V_2) error before less error with A = 1. visible: (B, T, V_2). where: (B, T, V_2, 2).
        """
        pays = torch.sigmoid((gain_mm - PRICE_MM) / 2.0) * self.seen.present[..., None]
        entropy = functional.binary_cross_entropy_with_logits(dan.vertex_logit, pays, reduction="none")
        empty = self._empty_cells(dan, visible, where)
        return {
            "attention": entropy.mean(),
            "mask": (functional.softplus(dan.mask_logit) * empty).sum() / empty.sum().clamp(min=1),
            "spent": dan.attention.mean(),
        }

    def _empty_cells(self, dan: DanOutput, visible: Tensor, where: Tensor) -> Tensor:
        """(B, T, 16, 16) 1 where no seen vertex of the body projects: there is nothing to look at."""
        side = dan.mask_logit.shape[-1]
        cell = (where * side).long().clamp(0, side - 1)
        full = dan.mask_logit.new_zeros(*dan.mask_logit.shape[:2], side * side)
        full = full.scatter_add(2, cell[..., 1] * side + cell[..., 0], visible.to(full))
        return (full == 0).to(full).unflatten(2, (side, side))

    def _posed(
        self, people: People, local: Tensor, root: Tensor, turn: Tensor | None, shift: Tensor | None
    ) -> PosedBody:
        posture = Posture(local, root, self.seen.crop_K)
        turn = root.new_zeros(*root.shape[:2], len(self.body.bones), 3) if turn is None else turn
        return PosedBody(
            self.body, self.kinematics, people, posture, turn, torch.zeros_like(root) if shift is None else shift
        )

    def _where(self, points: Tensor, crop_K: Tensor) -> Tensor:
        px, _ = project(points.flatten(0, 1), crop_K.flatten(0, 1))
        return px.reshape(*points.shape[:3], 2).clamp(-4, 5)


def total(terms: dict[str, Tensor]) -> Tensor:
    """The weighted sum."""
    return torch.stack([WEIGHTS[name] * term for name, term in terms.items()]).sum()
