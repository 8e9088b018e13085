"""The measurement of the feed: it trains for real, and its figures are those of what it did."""

from __future__ import annotations

import time

import numpy as np
import torch

from model.body import AnnyBody
from model.body.landmarks import LandmarkRegressor
from model.paths import WEIGHTS
from model.synth.feed_check import COUNT, SIZE_PX, Trainer, paced, planes
from model.synth.motion.puppet import turn
from model.synth.pictures import PictureMaker
from model.synth.splits import seeds


def standing(rng: np.random.Generator, count: int) -> np.ndarray:
    local = np.tile(np.eye(3), (count, 104, 1, 1))
    local[:, 0] = [turn("z", float(angle)) for angle in rng.uniform(0, 360, count)]
    return local


def test_the_network_learns_where_the_joints_are(body: AnnyBody) -> None:
    batch = PictureMaker(body, standing, seeds("train"), SIZE_PX, seed=1).batch(0, 4)
    assert planes(batch).shape == (4, 3, SIZE_PX, SIZE_PX)
    assert planes(batch).is_contiguous()
    torch.manual_seed(0)
    trainer = Trainer(4, LandmarkRegressor.load(WEIGHTS / "landmark_regressor.npz"))
    losses = [trainer.step(batch) for _ in range(25)]
    assert losses[-1] < 0.4 * losses[0]
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in trainer.network.parameters())


def test_pictures_are_counted() -> None:
    seen: list[int] = []

    def do(number: int) -> None:
        seen.append(number)
        time.sleep(0.02)

    found = paced(do, 0.1)
    assert seen == list(range(len(seen)))
    assert len(seen) * COUNT / found["per_s"] >= 0.1
    assert 0 <= found["processor_ms"] < 20 / COUNT  # a sleep takes no time of the processor
