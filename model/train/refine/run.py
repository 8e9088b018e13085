"""``python -m model train refinement`` and ``attention``: seeded, resumable, on a processor or a GPU.

Refinement comes first, with DAN's features under attention drawn at random: HRN learns to use whatever it is given,
DAN to see, and to foresee the error that remains.  Attention then learns where refinement pays, and both go on together
with DAN's own.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from torch import Tensor
from tqdm import tqdm

from model.body.hierarchy import Hierarchy
from model.networks.attention import DAN, DanOutput
from model.networks.body_map import BodyMap
from model.networks.evidence_maps import MeshDrawer
from model.networks.refinement import HRN
from model.networks.weights import save_weights
from model.paths import assets_folder
from model.refine.inputs import Prepared, Seen, Start, prepare

from ..checkpoints import read_checkpoint, save_checkpoint
from ..curves import append_row
from ..initial.data import pose_space
from ..optimisers import muon_and_adamw
from .losses import Judge, total
from .stock import PARTS, footage_of
from .variants import Networks, Variant
from .windows import Truth, Windows, masks

SEED = 2027
LEVELS = (0, 0, 0, 2, 0, 0, 0, 0, 2, 0, 0, 0, 0, None, 0, 0)
"""How much of the mesh steps in turn work on: most is in the pose, the fine levels cost the most."""
HELD_LEVELS = 2
HELD_FRAMES, HELD_STRIDE = 8, 20
T = TypeVar("T")


@dataclass(frozen=True)
class Budget:
    """What a run may cost."""

    refinement: int
    """Steps before attention is trained."""
    attention: int
    """Steps with it."""
    batch: int
    frames: int
    rate: float = 5e-4
    warmup: int = 100
    average: float = 0.995
    look: int = 200


BUDGETS = {
    "small": Budget(6_000, 1_000, 2, 8, rate=7e-4),
    "full": Budget(40_000, 20_000, 16, 16, rate=7e-4, average=0.999),
}
"""For two processor cores and for a GPU; the networks are the same."""


class Run:
    """One training run in a folder: checkpoint, curve, weights.

    Args:
        folder: of the run. stock: folder with the parts. budget: its cost.
        device: where to compute. variant: what is left out. seed: of everything.
    """

    def __init__(
        self, folder: Path, stock: Path, budget: Budget, device: str, variant: Variant | None = None, seed: int = SEED
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._budget, self._device, self._seed = folder, budget, torch.device(device), seed
        self._variant = variant or Variant()
        space = pose_space()
        body = space.body
        torch.manual_seed(seed)
        body_map = BodyMap(body, space.skeleton, Hierarchy.load(assets_folder()))
        self._windows, self._held = (Windows(footage_of(use, stock), body, body_map) for use in PARTS)
        self._map = body_map.to(self._device)
        self._kinematics = body.kinematics.to(self._device)
        self._drawer = MeshDrawer(self._map).to(self._device)
        self._nets = Networks(self._map, self._variant).to(self._device)
        self._optimisers = muon_and_adamw(self._nets, budget.rate, _within, 0.02)
        self._average = {k: v.detach().clone() for k, v in self._nets.state_dict().items()}
        self._step, self._best = 0, math.inf
        self._resume()

    def go(self, minutes: float, until: int) -> bool:
        """Train to step ``until`` or for some ``minutes``; whether the step is reached."""
        end = time.monotonic() + 60 * minutes
        with tqdm(total=until, initial=self._step, desc="training", disable=None) as bar:
            while self._step < until:
                terms = self._train()
                bar.update()
                if self._step % self._budget.look == 0:
                    self._look(terms)
                if time.monotonic() > end:
                    self._save()
                    return False
        self._save()
        return True

    def averaged(self) -> Networks:
        """The networks with the averaged weights; the run doesn't go on from here."""
        self._nets.load_state_dict(self._average)
        return self._nets.eval()

    @property
    def _attends(self) -> bool:
        """Whether DAN's own attention is at work."""
        return self._step >= self._budget.refinement

    def _train(self) -> dict[str, float]:
        b = self._budget
        for optimiser in self._optimisers:
            for group in optimiser.param_groups:
                group["lr"] = self._rate()
        terms = self._terms(torch.Generator().manual_seed(self._seed * 1_000_003 + self._step))
        loss = total(terms)
        self._nets.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._nets.parameters(), 1.0)
        if bool(torch.isfinite(loss)):
            for optimiser in self._optimisers:
                optimiser.step()
        keep = min(b.average, (1 + self._step) / (10 + self._step))
        with torch.no_grad():
            for name, value in self._nets.state_dict().items():
                self._average[name].lerp_(value, 1 - keep)
        self._step += 1
        return {"loss": float(loss.detach())} | {name: float(term.detach()) for name, term in terms.items()}

    def _terms(self, rng: torch.Generator) -> dict[str, Tensor]:
        """The losses of a batch."""
        windows, frames = self._variant.windows(self._budget.frames)
        windows *= self._budget.batch
        prepared, judge = self._ready(*self._windows.batch(windows, frames, rng))
        dan, goal = self._nets(prepared), judge.goal()
        terms: dict[str, Tensor] = {}
        if self._attends or self._variant.attention == "everywhere":
            attention = self._variant.attended(prepared, dan, rng)
        else:
            count = prepared.given.where.shape[2]
            attention = self._placed(masks(self._windows.body_map, windows, frames, count, rng))
        if self._attends:
            terms |= self._pays(judge, prepared, dan, goal[0])
        output = self._nets.refine(prepared, dan, attention, LEVELS[self._step % len(LEVELS)])
        return terms | judge.terms(output, dan, goal)

    def _ready(self, start: Start, seen: Seen, truth: Truth) -> tuple[Prepared, Judge]:
        """A batch on the device, as networks and losses want it."""
        start, seen, truth = self._placed((start, seen, truth))
        prepared = prepare(self._map, self._kinematics, self._drawer, start, seen)
        return prepared, Judge(self._map, self._kinematics, start, seen, truth)

    def _pays(self, judge: Judge, prepared: Prepared, dan: DanOutput, true: Tensor) -> dict[str, Tensor]:
        """Attention against what refinement gains where it may do all that it can."""
        with torch.no_grad():
            everywhere = self._nets.refine(prepared, dan, torch.ones_like(dan.attention), 0)
            before, after = ((judge.refined(output) - true).norm(dim=-1) for output in (None, everywhere))
        given = prepared.given
        return judge.attention_terms(dan, 1000 * (before - after), given.visible, given.where)

    def _rate(self) -> float:
        b, done = self._budget, self._step
        highest, of = b.rate, b.refinement
        if self._attends:  # what attends begins only now
            done, highest, of = done - b.refinement, 0.5 * b.rate, b.attention
        warm = min(1.0, (done + 1) / b.warmup)
        return highest * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(done / max(of, 1), 1.0))))

    def _look(self, terms: dict[str, float]) -> None:
        """Measure the averaged weights on held-out clips, keep the best, and write the curve."""
        now = {k: v.detach().clone() for k, v in self._nets.state_dict().items()}
        self._nets.load_state_dict(self._average)
        self._nets.eval()
        held = self.held_out()
        value = self._value(held)
        attends_now = self._budget.attention > 0 and self._step == self._budget.refinement
        if value < self._best or attends_now:  # what is measured changes then
            self._best = value
            about = {"step": self._step, "held": {name: round(value, 4) for name, value in held.items()}}
            for name, net in self._shipped():
                save_weights(
                    self._folder / f"amr_{name}.safetensors", net, {"settings": net.settings.to_dict(), **about}
                )
        self._nets.load_state_dict(now)
        self._nets.train()
        row = {"step": self._step, "rate": self._rate()} | {f"train {k}": round(v, 5) for k, v in terms.items()}
        append_row(self._folder / "curve.csv", row | {f"held {k}": round(v, 4) for k, v in held.items()})
        self._save()

    def _value(self, held: dict[str, float]) -> float:
        """By which weights are chosen: the lowest is the best."""
        return held["own_mm" if self._attends else "all_mm"]

    def _shipped(self) -> tuple[tuple[str, DAN | HRN], ...]:
        return ("attention", self._nets.dan), ("refinement", self._nets.hrn)

    @torch.no_grad()
    def held_out(self) -> dict[str, float]:
        """Vertex errors about the hips in mm: of the estimate, refined everywhere, and with the network's attention."""
        sums = dict[str, float]()
        batches = self._held.held(HELD_FRAMES, HELD_STRIDE)
        for clips, firsts in batches:
            prepared, judge = self._ready(*self._held.windows(clips, firsts, HELD_FRAMES))
            dan, (true, _) = self._nets(prepared), judge.goal()
            everywhere = self._nets.refine(prepared, dan, torch.ones_like(dan.attention), HELD_LEVELS)
            attention = prepared.attention(dan)
            own = self._nets.refine(prepared, dan, attention, HELD_LEVELS)
            count = true.shape[2]
            values = {
                name: 1000 * (judge.refined(output) - true).norm(dim=-1)
                for name, output in (("before_mm", None), ("all_mm", everywhere), ("own_mm", own))
            }
            values["sigma_ratio"] = values["all_mm"] / dan.sigma_mm
            values["attention"] = attention
            values["active"] = (attention > self._nets.hrn.settings.threshold).float()
            for name, value in values.items():
                sums[name] = sums.get(name, 0.0) + float(value.sum()) / count
            sums["frames"] = sums.get("frames", 0.0) + value[..., 0].numel()
        frames = sums.pop("frames")
        return {name: value / frames for name, value in sums.items()}

    def _placed(self, value: T) -> T:
        """On the device; tuples and dataclasses with all that is in them."""
        if isinstance(value, Tensor):
            return cast(T, value.to(self._device))
        if isinstance(value, tuple):
            return cast(T, tuple(self._placed(part) for part in value))
        if is_dataclass(value):
            parts = {f.name: self._placed(getattr(value, f.name)) for f in fields(value)}
            return cast(Any, type(value))(**parts)
        return value

    def _save(self) -> None:
        state: dict[str, Any] = {
            "nets": self._nets.state_dict(), "average": self._average,
            "optimisers": [optimiser.state_dict() for optimiser in self._optimisers],
            "step": self._step, "best": self._best,
        }  # fmt: skip
        save_checkpoint(self._folder, state)

    def _resume(self) -> None:
        state = read_checkpoint(self._folder, self._device)
        if state is None:
            return
        self._nets.load_state_dict(state["nets"])
        self._average = state["average"]
        for optimiser, kept in zip(self._optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(kept)
        self._step, self._best = state["step"], state["best"]


def _within(name: str) -> bool:
    """The matrices of transformers and of graph convolutions, and what feeds them."""
    return any(part in name for part in (".blocks.", ".embed.", ".touch.", ".of_frame.", ".down."))
