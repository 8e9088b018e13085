"""Windows become one clip: faded where they meet, in the order of time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import numpy as np
import torch
from torch import Tensor

from model.estimate.learned import faded_windows
from model.refine.clip import Clip
from model.refine.collector import Collector, Said, Spent
from model.refine.refiner import OVERLAP, WINDOW

from .conftest import Stage


class Frames:
    """As much of a clip as is asked for here."""

    def __init__(self, count: int) -> None:
        self.present, self.time_s = torch.ones(count) > 0, torch.arange(count) / 25.0

    def __len__(self) -> int:
        return len(self.present)


def windows(stage: Stage, frames: int) -> Iterator[tuple[slice, Tensor, Said]]:
    """Window k says k of everything."""
    sizes = stage.map.hierarchy.sizes
    for number, (part, weight) in enumerate(faded_windows(frames, WINDOW, OVERLAP)):
        length = part.stop - part.start
        shapes = {
            "turn": (length, len(stage.map.bones), 3), "shift_m": (length, 3), "offsets_m": (length, sizes[-1], 3),
            "attention": (length, sizes[2]), "log_mm": (length, sizes[2]), "active": (length,),
        }  # fmt: skip
        scale = {"offsets_m": 0.01, "attention": 0.1}
        values = {name: torch.full(shape, number * scale.get(name, 1.0)) for name, shape in shapes.items()}
        yield part, weight, Said(values, Spent(0.1 * number, 0.25, length, [1.5, 2, 3, 4], [5, 6, 7, 8]))


def test_what_windows_say_goes_over_into_what_the_next_one_says(stage: Stage) -> None:
    frames = 40
    steps: list[tuple[int, int]] = []
    collector = Collector(cast(Clip, Frames(frames)), stage.map.hierarchy)
    found = collector.collect(windows(stage, frames), lambda *step: steps.append(step))
    turn = found.turn[:, 0, 0]
    assert turn[0] == 0 and turn[-1] == 2
    assert turn.diff().min() >= 0 and turn.diff().max() <= 0.5 + 1e-6
    assert int((turn == 1).sum()) >= WINDOW - 2 * OVERLAP
    assert torch.equal(found.turn[:, 7], found.turn[:, 0]) and torch.equal(found.shift_m[:, 1], turn)
    np.testing.assert_allclose(found.attention[:, 5000], 0.1 * turn, atol=1e-3)
    np.testing.assert_allclose(found.uncertainty_mm[:, 100], turn.exp(), rtol=1e-3)
    assert found.basis is not None and found.weights is not None and found.basis.shape[0] == 1
    np.testing.assert_allclose((found.weights @ found.basis[:, 9, 0]), 0.01 * turn, atol=1e-5)
    assert steps == [(16, 40), (28, 40), (40, 40)]


def test_what_was_spent_is_summed(stage: Stage) -> None:
    spent = Collector(cast(Clip, Frames(40)), stage.map.hierarchy).collect(windows(stage, 40)).spent
    assert spent["complexity"] == [0.0, 0.1, 0.2] and spent["threshold"] == [0.25] * 3
    assert spent["vertices_worked_on"] == [4, 6, 9, 12] and spent["vertices_held"] == [15, 18, 21, 24]
    assert spent["vertices_in_all"] == [48 * size for size in stage.map.hierarchy.sizes]
    assert len(spent["active_share"]) == 40
