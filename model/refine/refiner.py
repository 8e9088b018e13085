"""DAN and HRN over a whole clip, in overlapping windows; what is seen is asked for frame by frame, as it is needed."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from amr_blender.contract.errors import RuntimeSetupError
from model.body.skinning import Kinematics
from model.estimate.learned import faded_windows
from model.estimate.refined import Refined
from model.networks.attention import DAN, DanOutput, DanSettings
from model.networks.body_map import BodyMap
from model.networks.evidence_maps import MeshDrawer
from model.networks.refinement import HRN, HrnSettings
from model.networks.weights import read_weights

from .adapt import adapt
from .budget import Budget
from .clip import Clip
from .collector import Collector, Said, Spent
from .eye import Glimpse
from .inputs import prepare

ATTENTION_FILE, REFINEMENT_FILE = "amr_attention.safetensors", "amr_refinement.safetensors"
WINDOW, OVERLAP = 16, 4
"""Frames; the window is what the networks were trained on."""
_AT_ONCE = 8
"""Windows that a graphics card works on together; a processor gains nothing from it."""
Glimpses = Iterator[Glimpse]
"""Of all frames in order."""
_Net = TypeVar("_Net", DAN, HRN)


@dataclass(frozen=True)
class Calibration:
    """From DAN's sigma to an expected error: ``scale * sigma ** power``, in mm; found on held-out clips."""

    scale: float = 1.0
    power: float = 1.0

    def __call__(self, sigma_mm: Tensor) -> Tensor:
        return self.scale * sigma_mm**self.power


class Refiner:
    """The trained networks beside the body.

    Args:
        dan, hrn: the networks, of the same body map; without HRN the body stays as it is, and nothing but the
            uncertainty is said of it. kinematics: of the body's tree. calibration: of the uncertainty.
        uniform: A = 1 everywhere, as a control: what attention saves and costs.
    """

    def __init__(
        self,
        dan: DAN,
        hrn: HRN | None,
        kinematics: Kinematics,
        calibration: Calibration | None = None,
        device: torch.device | str = "cpu",
        uniform: bool = False,
    ) -> None:
        self._device = torch.device(device)
        self._dan = dan.to(self._device).eval()
        self._hrn = None if hrn is None else hrn.to(self._device).eval()
        self._body, self._kinematics = self._dan.body, copy.deepcopy(kinematics).to(self._device)
        self._drawer = MeshDrawer(self._body).to(self._device)
        self._calibration, self._uniform = calibration or Calibration(), uniform
        self._at_once = 1 if self._device.type == "cpu" else _AT_ONCE

    @staticmethod
    def available(folder: Path) -> bool:
        """Whether DAN's weights are in ``folder``; HRN's need not be."""
        return (folder / ATTENTION_FILE).is_file()

    @classmethod
    def load(
        cls,
        folder: Path,
        body: BodyMap,
        kinematics: Kinematics,
        device: torch.device | str = "cpu",
        uniform: bool = False,
    ) -> Refiner:
        """Read the weights in ``folder``.

        Raises:
            RuntimeSetupError: a file is missing, damaged, or about another body.
        """
        dan, about = read_dan(folder, body)
        hrn = read_hrn(folder, body)[0] if (folder / REFINEMENT_FILE).is_file() else None
        try:
            calibration = Calibration(float(about["sigma_scale"]), float(about["sigma_power"]))
        except (KeyError, TypeError, ValueError) as error:
            raise _unusable(ATTENTION_FILE, error) from error
        return cls(dan, hrn, kinematics, calibration, device, uniform)

    def __call__(self, clip: Clip, glimpses: Glimpses, budget: Budget, tell: Callable[[int, int], None]) -> Refined:
        """Refine a clip; ``tell`` receives (done, total) frames."""
        return Collector(clip, self._body.hierarchy).collect(self._said(clip, glimpses, budget), tell)

    def _said(self, clip: Clip, glimpses: Glimpses, budget: Budget) -> Iterator[tuple[slice, Tensor, Said]]:
        """Window by window: its frames, their weights, and what is said of them."""
        waiting: list[tuple[slice, Tensor, list[Glimpse]]] = []
        shown: list[Glimpse] = []
        first = 0
        windows = list(faded_windows(len(clip), WINDOW, OVERLAP))
        for number, (part, weight) in enumerate(windows):
            del shown[: part.start - first]
            first = part.start
            while first + len(shown) < part.stop:
                shown.append(next(glimpses))
            waiting.append((part, weight, shown[: part.stop - part.start]))
            if len(waiting) == self._at_once or number + 1 == len(windows):
                parts, weights, seen = (list(column) for column in zip(*waiting, strict=True))
                yield from zip(parts, weights, self.windows(clip, parts, seen, budget), strict=True)
                waiting = []

    @torch.no_grad()
    def windows(self, clip: Clip, parts: list[slice], glimpses: list[list[Glimpse]], budget: Budget) -> list[Said]:
        """Refine windows of equal length with what is seen in each of their frames."""
        start, seen = clip.windows(parts, glimpses, self._body, self._device)
        ready = prepare(self._body, self._kinematics, self._drawer, start, seen)
        output = self._dan(ready.given)
        if self._hrn is None:
            return self._unmoved(clip, parts, output)
        attention, complexity = ready.attention(output), [clip.complexity(part) for part in parts]
        if self._uniform:
            attention = seen.present[..., None].expand_as(attention).to(attention)
            thresholds = [-1.0] * len(parts)
        else:
            own = self._hrn.settings.threshold
            thresholds = [budget.threshold(a, c, own) for a, c in zip(attention, complexity, strict=True)]
        limits = attention.new_tensor(thresholds)
        refined = self._hrn(ready.look(output), attention, output.sigma_mm, seen.time_s, limits)
        turn, shift_m = refined.turn, refined.shift_m
        if budget.adapts:
            turn, shift_m = adapt(
                self._body, self._kinematics, start, seen, ready.given.visible, output.silhouette, output.sigma_mm,
                turn, shift_m,
            )  # fmt: skip
        values = {
            "turn": turn,
            "shift_m": shift_m,
            "offsets_m": refined.offsets_m[-1],
            "attention": attention,
            "log_mm": self._calibration(output.sigma_mm).log(),
            "active": (attention > limits[:, None, None]).float().mean(-1),
        }
        values = {name: value.cpu() for name, value in values.items()}
        share = 1.0 / len(parts)
        return [
            Said(
                {name: value[k] for name, value in values.items()},
                Spent(
                    complexity[k],
                    thresholds[k],
                    parts[k].stop - parts[k].start,
                    [share * n for n in refined.active],
                    [share * n for n in refined.rows],
                ),
            )
            for k in range(len(parts))
        ]

    def _unmoved(self, clip: Clip, parts: list[slice], output: DanOutput) -> list[Said]:
        """The uncertainty alone."""
        log_mm = self._calibration(output.sigma_mm).log().cpu()
        (windows, frames, _), sizes = log_mm.shape, self._body.hierarchy.sizes
        still = {
            "turn": torch.zeros(windows, frames, len(self._body.bones), 3),
            "shift_m": torch.zeros(windows, frames, 3),
            "offsets_m": torch.zeros(windows, 1, 1, 3).expand(-1, frames, sizes[-1], -1),
            "log_mm": log_mm,
            "active": torch.zeros(windows, frames),
        }
        nothing = [0.0] * len(sizes)
        return [
            Said(
                {name: value[k] for name, value in still.items()},
                Spent(clip.complexity(part), 1.0, part.stop - part.start, nothing, nothing),
            )
            for k, part in enumerate(parts)
        ]


def read_dan(folder: Path, body: BodyMap) -> tuple[DAN, dict[str, Any]]:
    """DAN, and what its file says beside the weights.

    Raises:
        RuntimeSetupError: as of :meth:`Refiner.load`.
    """
    return _network(folder / ATTENTION_FILE, lambda settings: DAN(body, DanSettings(**settings)))


def read_hrn(folder: Path, body: BodyMap) -> tuple[HRN, dict[str, Any]]:
    """HRN, likewise."""
    return _network(folder / REFINEMENT_FILE, lambda settings: HRN(body, HrnSettings(**_tuples(settings))))


def _network(path: Path, make: Callable[[dict[str, Any]], _Net]) -> tuple[_Net, dict[str, Any]]:
    state, about = read_weights(path)
    try:
        net = make(about["settings"])
        net.load_state_dict(state)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise _unusable(path.name, error) from error
    return net, about


def _tuples(settings: dict[str, Any]) -> dict[str, Any]:
    """JSON has no tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}


def _unusable(name: str, error: Exception) -> RuntimeSetupError:
    return RuntimeSetupError("weights-mismatched", f"{name} can't be used ({error}).", "Install the add-on again.")
