"""What the networks say of windows, faded into one clip, in memory that hardly grows with it.

What does grow is what a take holds of every frame: turns, attention and uncertainty, and the amounts of the shape keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.body.hierarchy import Hierarchy
from model.estimate.refined import Refined
from model.networks.body_map import WORK_LEVEL

from .basis import OffsetBasis
from .clip import Clip

Half = NDArray[np.float16]


@dataclass(frozen=True)
class Spent:
    """What one window of ``frames`` frames cost, and why."""

    complexity: float
    threshold: float
    frames: int
    active: list[float]
    rows: list[float]
    """Vertices times frames of each level that were worked on, and that were held."""


@dataclass(frozen=True)
class Said:
    """What the networks say of one window of T frames, on the CPU."""

    values: dict[str, Tensor]
    """``turn`` (T, S, 3), ``shift_m`` (T, 3), ``offsets_m`` (T, V, 3), ``attention`` and ``log_mm`` (the logarithm of
    the uncertainty) (T, V_2), ``active`` (T,) share of the vertices of ``WORK_LEVEL`` that were worked on."""
    spent: Spent


class Collector:
    """Fades, stretch by stretch, and keeps what is finished."""

    def __init__(self, clip: Clip, hierarchy: Hierarchy) -> None:
        self._clip, self._tree = clip, hierarchy
        self._basis = OffsetBasis(hierarchy.sizes[-1])
        self._open: dict[str, Tensor] = {}
        """Frames that another window may still say something of, from ``_done`` on."""
        self._done = 0
        self._kept: dict[str, list[Tensor]] = {"turn": [], "shift_m": [], "active": []}
        self._maps: dict[str, list[Half]] = {"attention": [], "uncertainty_mm": []}

    def collect(
        self, said: Iterable[tuple[slice, Tensor, Said]], tell: Callable[[int, int], None] = lambda *_: None
    ) -> Refined:
        """Join windows.

        Args:
            said: frames of a window, their weights, which sum to one over all windows, and what is said of them; in the
                order of time. tell: (done, total) frames.
        """
        frames = len(self._clip)
        told: list[Spent] = []
        for part, weight, window in said:
            self._finish(part.start)
            self._add(part, weight, window.values)
            told.append(window.spent)
            tell(part.stop, frames)
        self._finish(frames)
        turn, shift_m, active = (torch.cat(self._kept[name]) for name in ("turn", "shift_m", "active"))
        basis, weights, error_mm = self._basis.shapes()
        bridged = self._bridged
        return Refined(
            turn=bridged(turn.double()),
            shift_m=bridged(shift_m.double()),
            attention=np.concatenate(self._maps["attention"]) if self._maps["attention"] else None,
            uncertainty_mm=np.concatenate(self._maps["uncertainty_mm"]),
            basis=basis,
            weights=None if basis is None else bridged(torch.from_numpy(weights).double()).float().numpy(),
            error_mm=error_mm,
            spent=_spent(told, active, self._tree.sizes),
        )

    def _add(self, part: slice, weight: Tensor, values: dict[str, Tensor]) -> None:
        length = part.stop - self._done
        for name, value in values.items():
            held = self._open.get(name, value[:0])
            held = torch.cat([held, value.new_zeros(length - len(held), *value.shape[1:])])
            held[part.start - self._done :] += weight.reshape(-1, *[1] * (value.dim() - 1)) * value
            self._open[name] = held

    def _finish(self, end: int) -> None:
        """Nothing more is said of frames before ``end``."""
        count = end - self._done
        if not self._open or not count:
            return
        ready = {name: values[:count] for name, values in self._open.items()}
        self._open = {name: values[count:] for name, values in self._open.items()}
        self._done = end
        for name, kept in self._kept.items():
            kept.append(ready[name])
        self._basis.add(ready["offsets_m"])
        if "attention" in ready:
            self._maps["attention"].append(self._on_skin(ready["attention"]))
        self._maps["uncertainty_mm"].append(self._on_skin(ready["log_mm"].exp()))

    def _on_skin(self, values: Tensor) -> Half:
        """(t, V_2) to (t, V)."""
        device = self._tree.seeds(0).device
        full = self._tree.unpool_from(values.to(device)[..., None], WORK_LEVEL)[..., 0]
        return np.asarray(full.half().cpu().numpy(), np.float16)

    def _bridged(self, values: Tensor) -> Tensor:
        """(T, ...): a frame without the person goes from the one before to the one after; nothing jumps there."""
        present, time_s = self._clip.present.numpy(), self._clip.time_s.numpy()
        flat = values.flatten(1).numpy().copy()
        for column in flat.T:
            column[~present] = np.interp(time_s[~present], time_s[present], column[present])
        return torch.from_numpy(flat).reshape(values.shape)


def _spent(told: list[Spent], active: Tensor, sizes: tuple[int, ...]) -> dict[str, Any]:
    """What was spent where: by window, by frame, and in all by level of the hierarchy."""
    frames = sum(window.frames for window in told)
    levels = {
        name: np.sum([getattr(window, name) for window in told], 0).round().astype(int).tolist()
        for name in ("active", "rows")
    }
    return {
        "complexity": [round(window.complexity, 3) for window in told],
        "threshold": [round(window.threshold, 3) for window in told],
        "active_share": [round(share, 3) for share in active.tolist()],
        "vertices_worked_on": levels["active"],
        "vertices_held": levels["rows"],
        "vertices_in_all": [frames * size for size in sizes],
    }
