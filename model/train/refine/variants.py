"""The refinement with a part taken out, to see what that part is worth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from model.networks.attention import DAN, DanInput, DanOutput
from model.networks.body_map import BodyMap
from model.networks.looking import BoneSight
from model.networks.refinement import HRN, HrnOutput, HrnSettings, Look
from model.refine.inputs import Prepared


@dataclass(frozen=True)
class Variant:
    """What is there; as it stands, everything.

    ``attention``: DAN's own; 1 everywhere; or DAN's dealt out again among the vertices by chance, so that there is as
    much of it. ``one_frame``: no temporal window. ``fresh``: evidence is looked up where the estimate is now, not where
    it was at first. ``hierarchy``: levels of the mesh build on the ones above. ``blind``: to what of ``DanInput``.
    """

    attention: Literal["own", "everywhere", "shuffled"] = "own"
    one_frame: bool = False
    fresh: bool = True
    hierarchy: bool = True
    blind: tuple[str, ...] = ()

    def shown(self, given: DanInput) -> DanInput:
        """What DAN gets to see."""
        return replace(given, **{name: torch.zeros_like(getattr(given, name)) for name in self.blind})

    def attended(self, prepared: Prepared, dan: DanOutput, rng: torch.Generator) -> Tensor:
        """(B, T, V_2) A that the refinement gets."""
        own = prepared.attention(dan)
        if self.attention == "everywhere":
            return (own > 0).to(own)
        if self.attention == "shuffled":
            return own[..., torch.randperm(own.shape[-1], generator=rng).to(own.device)]
        return own

    def windows(self, frames: int) -> tuple[int, int]:
        """Into how many windows of how many frames so many frames go."""
        return (frames, 1) if self.one_frame else (1, frames)


class Networks(nn.Module):
    """Both, as one thing to train.

    Args:
        body: what is fixed. variant: what is left out.
    """

    def __init__(self, body: BodyMap, variant: Variant | None = None) -> None:
        super().__init__()
        self.variant = variant or Variant()
        self.dan = DAN(body)
        self.hrn = HRN(body) if self.variant.hierarchy else _flat(body)

    def forward(self, prepared: Prepared) -> DanOutput:
        """DAN, in training in half precision, its answer in single."""
        with torch.autocast(prepared.given.features.device.type, torch.bfloat16, enabled=self.training):
            output: DanOutput = self.dan(self.variant.shown(prepared.given))
        return DanOutput(**{name: value.float() for name, value in vars(output).items()})

    def refine(
        self, prepared: Prepared, dan: DanOutput, attention: Tensor, levels: int | None = None,
        threshold: float | None = None,
    ) -> HrnOutput:  # fmt: skip
        """As ``HRN.forward``."""
        look: Look = prepared.look(dan)
        look = look if self.variant.fresh else Stale(look)
        output: HrnOutput = self.hrn(look, attention, dan.sigma_mm, prepared.given.time_s, threshold, levels)
        return output


class Stale:
    """Evidence as it was where the estimate began, wherever it is now."""

    def __init__(self, look: Look) -> None:
        self._look = look

    def bones(self, turn: Tensor, shift: Tensor) -> BoneSight:
        return self._look.bones(torch.zeros_like(turn), torch.zeros_like(shift))

    def vertices(self, level: int, picture: Tensor, vertex: Tensor, offset_m: Tensor | None) -> Tensor:
        del offset_m
        return self._look.vertices(level, picture, vertex, None)


class _Nothing(nn.Module):
    """(R, C') to (R, C) zeros."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self._width = width

    def forward(self, values: Tensor) -> Tensor:
        return values.new_zeros(len(values), self._width)


def _flat(body: BodyMap) -> HRN:
    """No level gets features from above, and the finest one moves the mesh alone."""
    usual = HrnSettings()
    net = HRN(body, HrnSettings(shares=(*(0.0 for _ in usual.shares[1:]), 1.0)))
    for level, width in enumerate(usual.widths):
        if level:
            net.levels[level].down = _Nothing(width)
    return net
