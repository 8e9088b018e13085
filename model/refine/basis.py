"""Vertex offsets of a whole clip as few shape keys, found while the clip goes by.

The offsets of a frame are 13,718 vectors, those of a minute half a gigabyte and more; but they are much alike.  Every
block of frames is written in the directions found so far; what these leave of it gives new ones, the strongest first
(an incremental singular value decomposition; Brand, "Incremental singular value decomposition of uncertain data",
ECCV 2002).  At the end as many shape keys are made of them as the largest vertex error asks for.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.body.correctives import fewest_shapes

MOST_KEYS = 48
"""Shape keys that an animator still can look through."""
TOLERANCE_MM = 0.5
_KEPT_MM = 0.1
"""What the directions may leave of a vertex before new ones are added."""
_MOST_DIRECTIONS, _FEWER = 160, 96
"""Where the directions are counted anew, and how many are then kept: bounds memory and time."""


class OffsetBasis:
    """Collects (t, V, 3) offsets block by block."""

    def __init__(self, vertices: int) -> None:
        self._directions = torch.zeros(0, 3 * vertices)  # orthonormal rows
        self._amounts: list[Tensor] = []
        self._dropped_mm = 0.0
        """The most that any vertex has lost so far."""

    def add(self, offsets_m: Tensor) -> None:
        """The next frames, float32 on the CPU."""
        flat = offsets_m.flatten(1)
        amounts = flat @ self._directions.T
        left = flat - amounts @ self._directions
        before = len(self._directions)
        self._directions = torch.cat([self._directions, _directions(left, _KEPT_MM)])
        self._amounts.append(flat @ self._directions.T)
        if len(self._directions) > before:
            left = flat - self._amounts[-1] @ self._directions
        self._lost(_largest_mm(left))
        if len(self._directions) > _MOST_DIRECTIONS:
            self._fewer()

    def shapes(self) -> tuple[NDArray[np.float32] | None, NDArray[np.float32], float]:
        """(K, V, 3) shapes in metres, (T, K) amounts, and a bound of the largest vertex error in mm; no shapes, and
        nothing for an error that is not worth one, where hardly anything moved."""
        amounts = self._all_amounts()
        few = None
        if len(self._directions):
            few = fewest_shapes(amounts, self._directions.unflatten(1, (-1, 3)), TOLERANCE_MM, MOST_KEYS)
        if few is None:
            largest = max((_largest_mm(part @ self._directions) for part in amounts.split(64)), default=0.0)
            return None, np.zeros((len(amounts), 0), np.float32), largest + self._dropped_mm
        basis, weights, error_mm = few
        return basis, weights, float(error_mm) + self._dropped_mm

    def _all_amounts(self) -> Tensor:
        """(T, r): frames that came before a direction was known have nothing of it."""
        width = len(self._directions)
        return torch.cat([torch.nn.functional.pad(a, (0, width - a.shape[1])) for a in self._amounts])

    def _lost(self, largest_mm: float) -> None:
        self._dropped_mm = max(self._dropped_mm, largest_mm)

    def _fewer(self) -> None:
        """Turn the directions so that the strongest come first and keep those."""
        amounts = self._all_amounts()
        _, _, turn = torch.linalg.svd(amounts.double(), full_matrices=False)
        kept, gone = (rows.float() for rows in (turn[:_FEWER], turn[_FEWER:]))
        lost = max(_largest_mm((part @ gone.T) @ (gone @ self._directions)) for part in amounts.split(64))
        self._dropped_mm += lost
        self._amounts = [amounts @ kept.T]
        self._directions = kept @ self._directions


def _directions(left: Tensor, tolerance_mm: float) -> Tensor:
    """(k, 3 V) as few orthonormal directions as leave no vertex of (t, 3 V) ``left`` off by more than that."""
    if not len(left) or _largest_mm(left) <= tolerance_mm:
        return left[:0]
    strength, vectors = torch.linalg.eigh((left @ left.T).double())
    order = strength.argsort(descending=True)
    strength, vectors = strength[order], vectors[:, order]
    rows = ((vectors / strength.clamp(min=1e-30).sqrt()).T.float() @ left)[strength > 1e-9 * strength[0]]
    count = 1
    while count < len(rows) and _largest_mm(left - (left @ rows[:count].T) @ rows[:count]) > tolerance_mm:
        count += 1
    return rows[:count]


def _largest_mm(flat: Tensor) -> float:
    """Length of the longest vector of (t, 3 V), in mm."""
    return 1000 * float(flat.unflatten(1, (-1, 3)).norm(dim=-1).max()) if flat.numel() else 0.0
