"""``python -m model train initial``: seeded, resumable, on a processor or a GPU."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from model.networks.initial import InitialNet, InitialSettings
from model.networks.weights import read_weights, save_weights
from model.synth.landmarks.crowd import Crowd
from model.synth.landmarks.noise import NoiseSettings

from ..checkpoints import read_checkpoint, save_checkpoint
from ..curves import append_row
from ..optimisers import muon_and_adamw
from .data import FRAMES, Window, Windows, average_landmarks, crowd_of, layout, pose_space, read_plays
from .detected import clips_of
from .losses import losses, shape_mean, shape_sigma, total
from .seen import SeenWindows

SEED = 2026
SHORTER = (4, 1, 2, 4, 2)
"""Steps take windows of a quarter, the whole, a half ... of the frames, and so many times as many of them: neighbours
look alike, so that more people in shorter stretches teach more of poses, and the whole ones how to cross gaps."""
SEEN = 1.0
"""Weight of the detected clips beside the noise's."""


@dataclass(frozen=True)
class Budget:
    """What a run may cost."""

    steps: int
    batch: int
    chunks: int
    """Of plays to train on."""
    seen: int = 32
    """Detected clips in a step."""
    rate: float = 7e-4
    warmup: int = 300
    average: float = 0.998
    """Of the weights over the steps."""
    look: int = 250
    """Steps between looks at the validation plays."""
    patience: int = 24
    """Looks without a better one after which training stops."""


BUDGETS = {"small": Budget(3_600, 16, 24), "full": Budget(120_000, 128, 200, rate=1e-3)}
"""For two processor cores and for a GPU; the network is the same."""
VALIDATION_CHUNKS = 1
HELD = {"seen": "validation", "plain": "validation_plain"}
"""Detected clips that are held out; the mean of their losses decides which weights are kept."""
REMAINS = {"seen": 1.0, "plain": 0.65}
"""Share of the detector's errors in the picture that remains, so that plain clips are seen as real ones are."""


@dataclass(frozen=True)
class Stock:
    """What is trained on, and what is held out: windows and their people."""

    windows: Windows
    crowd: Crowd
    held: Windows
    held_crowd: Crowd
    seen: SeenWindows | None
    """Of the real detector; None where there are none."""
    held_seen: dict[str, SeenWindows]
    """Of the real detector, by what the curve calls them."""

    @classmethod
    def gather(cls, chunks: int, data: Path, workers: int, pools: Path) -> Stock:
        """Read plays, made where they are missing, and detected clips, as many as there are.

        Args:
            chunks: of plays to train on. data: where they are kept. workers: that make them.
            pools: where the detected clips' folders are (see ``detected``).
        """
        with tqdm(total=chunks + VALIDATION_CHUNKS, desc="plays", disable=None) as bar:
            plays = read_plays("train", chunks, data, workers, lambda n: bar.update(n) and None)
            held = read_plays("validation", VALIDATION_CHUNKS, data, workers, lambda n: bar.update(n) and None)
        crowd, held_crowd = (crowd_of(pose_space(), part) for part in ("train", "validation"))
        rest = average_landmarks(pose_space())
        return cls(
            Windows(plays, crowd, NoiseSettings(), rest),
            crowd,
            Windows(held, held_crowd, NoiseSettings(), rest),
            held_crowd,
            _seen(("train", "train_plain"), pools, crowd),
            {name: clips for name, part in HELD.items() if (clips := _seen((part,), pools, held_crowd, REMAINS[name]))},
        )


class Run:
    """One training run in a folder: checkpoint, curve, weights.

    Args:
        folder: of the run. budget: its cost. device: where to compute. stock: what is trained on.
        settings: of the network. start: weights to begin with, not with random ones.
    """

    def __init__(
        self, folder: Path, budget: Budget, device: str, stock: Stock, settings: InitialSettings | None = None,
        start: Path | None = None,
    ) -> None:  # fmt: skip
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._budget, self._device, self._stock = folder, budget, torch.device(device), stock
        self._layout = layout()
        torch.manual_seed(SEED)
        puppet = self._layout.puppet(shape_mean(stock.crowd), shape_sigma(stock.crowd))
        self._net = InitialNet(settings, puppet).to(self._device)
        if start is not None:
            self._net.load_state_dict(read_weights(start)[0])
        self._optimisers = muon_and_adamw(self._net, budget.rate, _within, 0.05)
        self._average = {k: v.detach().clone() for k, v in self._net.state_dict().items()}
        self._step, self._best, self._waited = 0, math.inf, 0
        self._resume()

    def go(self, minutes: float) -> bool:
        """Train until the end or for some ``minutes``; whether the end is reached."""
        end = time.monotonic() + 60 * minutes
        with tqdm(total=self._budget.steps, initial=self._step, desc="training", disable=None) as bar:
            while self._step < self._budget.steps and self._waited < self._budget.patience:
                terms = self._train()
                bar.update()
                if self._step % self._budget.look == 0:
                    self._look(terms)
                if time.monotonic() > end:
                    self._save()
                    return False
        self._save()
        return True

    def _train(self) -> dict[str, float]:
        for optimiser in self._optimisers:
            for group in optimiser.param_groups:
                group["lr"] = self._rate()
        rng = torch.Generator().manual_seed(SEED * 1_000_003 + self._step)
        share = SHORTER[self._step % len(SHORTER)]
        rows = torch.randint(len(self._stock.windows), (share * self._budget.batch,), generator=rng)
        window = self._stock.windows.batch(rows, rng, FRAMES // share)
        terms, _ = self._measure(window, self._stock.crowd)
        loss = total(terms)
        if self._stock.seen:
            rows = self._stock.seen.rows(self._budget.seen, rng)
            loss = loss + SEEN * total(self._measure(self._stock.seen.varied(rows, rng), self._stock.crowd)[0])
        self._net.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._net.parameters(), 1.0)
        if bool(torch.isfinite(loss)):
            for optimiser in self._optimisers:
                optimiser.step()
        keep = min(self._budget.average, (1 + self._step) / (10 + self._step))
        with torch.no_grad():
            for name, value in self._net.state_dict().items():
                self._average[name].lerp_(value, 1 - keep)
        self._step += 1
        return {"loss": float(loss.detach())} | {name: float(term.detach()) for name, term in terms.items()}

    def _measure(self, window: Window, crowd: Crowd) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The losses of a batch, and what is worth watching."""
        with torch.autocast(self._device.type, torch.bfloat16):
            raw = self._net(window.features.to(self._device), window.time_s.to(self._device))
        return losses(self._net.read(raw.float().cpu()), window, crowd, self._layout)

    def _rate(self) -> float:
        b = self._budget
        warm = min(1.0, (self._step + 1) / b.warmup)
        return b.rate * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(self._step / b.steps, 1.0))))

    def _look(self, terms: dict[str, float]) -> None:
        """Measure the averaged weights on validation plays, keep them if they are the best, and write the curve."""
        now = {k: v.detach().clone() for k, v in self._net.state_dict().items()}
        self._net.load_state_dict(self._average)
        self._net.eval()
        sums = self._held_out(self._stock.held)
        parts = {name: self._held_out(clips) for name, clips in self._stock.held_seen.items()}
        for name, of_part in parts.items():
            sums |= {f"{name} {key}": value for key, value in of_part.items()}
        # Real detections if there are any: they are what counts.
        value = float(np.mean([part["loss"] for part in parts.values()])) if parts else sums["loss"]
        if value < self._best:
            self._best, self._waited = value, 0
            save_weights(self._folder / "initial.safetensors", self._net, self._about(sums))
        else:
            self._waited += 1
        self._net.load_state_dict(now)
        self._net.train()
        row = {"step": self._step, "rate": self._rate()}
        row |= {f"train {k}": round(v, 5) for k, v in terms.items()} | {
            f"held {k}": round(v, 5) for k, v in sums.items()
        }
        append_row(self._folder / "curve.csv", row)
        self._save()

    @torch.no_grad()
    def _held_out(self, windows: Windows | SeenWindows) -> dict[str, float]:
        """Means over validation windows, with the same noise at every look."""
        rng, sums = torch.Generator().manual_seed(SEED), dict[str, float]()
        for rows in torch.arange(len(windows)).split(50):
            terms, watched = self._measure(windows.batch(rows, rng), self._stock.held_crowd)
            for name, value in {"loss": total(terms), **terms, **watched}.items():
                sums[name] = sums.get(name, 0.0) + float(value) * len(rows) / len(windows)
        return sums

    def _about(self, held: dict[str, float]) -> dict[str, Any]:
        """What the weights' file tells beside the weights."""
        crowd = self._stock.crowd
        return {
            "settings": self._net.settings.to_dict(),
            "shape_names": pose_space().body.shape_names,
            "shape_mean": [round(float(v), 6) for v in shape_mean(crowd)],
            "shape_sigma": [round(float(v), 6) for v in shape_sigma(crowd)],
            "angles": self._layout.names,
            "step": self._step,
            "held_points_mm": round(held["points_mm"], 2),
        }

    def _save(self) -> None:
        state = {
            "net": self._net.state_dict(),
            "average": self._average,
            "optimisers": [optimiser.state_dict() for optimiser in self._optimisers],
            "step": self._step,
            "best": self._best,
            "waited": self._waited,
        }
        save_checkpoint(self._folder, state)

    def _resume(self) -> None:
        state = read_checkpoint(self._folder, self._device)
        if state is None:
            return
        self._net.load_state_dict(state["net"])
        self._average = state["average"]
        for optimiser, kept in zip(self._optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(kept)
        self._step, self._best, self._waited = state["step"], state["best"], state["waited"]


def _within(name: str) -> bool:
    return name.startswith(("embed", "blocks", "solve", "again"))


def _seen(parts: tuple[str, ...], pools: Path, crowd: Crowd, remains: float = 1.0) -> SeenWindows | None:
    """The clips of those parts, if there are any."""
    paths = [clips_of(part, pools) for part in parts]
    return SeenWindows(paths, crowd, remains) if any(paths) else None
