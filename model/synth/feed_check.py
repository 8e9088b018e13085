"""Does drawing pictures keep up with training on them?  ``python -m model.synth.feed_check --seconds 60``.

Trains a small network that finds twelve joints in the pictures, on one thread, fed by one worker, and prints how many
pictures a second are drawn alone, trained on alone and trained on as they are drawn, and how much of its time the
trainer waits: for a light network, and for one that takes about 10 ms a picture, as an attention network may.
Times of the processor stand beside those of the clock, because a shared machine slows the latter down.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from itertools import count as numbers
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from amr_blender.contract.take import JOINT12_NAMES
from model.body import AnnyBody
from model.body.landmarks import LANDMARK_NAMES, LandmarkRegressor
from model.body.raster import project
from model.estimate.pose_space import PoseSpace
from model.paths import WEIGHTS, assets_folder

from .feed import Feed
from .motion.pose_bank import PoseBank, captured_poses
from .pictures import Batch, PictureMaker
from .splits import seeds

COUNT, SIZE_PX, AHEAD = 16, 128, 4
WIDTHS = {"light": 12, "attention": 40, "attention and refinement": 60}
_POSES, _WARM = 2000, 12
"""Drawn poses in the bank; batches after which most people and places of the pool are there."""


class Residual(nn.Module):
    """Two convolutions around which the input goes as well."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.beside = nn.Conv2d(inside, outside, 1, stride, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(outside), nn.BatchNorm2d(outside)])

    def forward(self, x: Tensor) -> Tensor:
        """(N, I, H, W) to (N, O, H / stride, W / stride)."""
        inner = functional.relu(self.norms[0](self.first(x)))
        return functional.relu(self.norms[1](self.second(inner)) + self.beside(x))


def network(width: int) -> nn.Sequential:
    """(N, 3, S, S) pictures to (N, 24) joints in units of the picture."""
    return nn.Sequential(
        Residual(3, width, 2), Residual(width, width, 1), Residual(width, 2 * width, 2),
        Residual(2 * width, 4 * width, 2), Residual(4 * width, 8 * width, 2), nn.AdaptiveAvgPool2d(4), nn.Flatten(),
        nn.Linear(8 * width * 16, 24),
    )  # fmt: skip


def planes(batch: Batch) -> Tensor:
    """(N, 3, S, S) for the network.

    Laid out anew, because torch 2.13 crashes on the processor where it goes back through convolutions of a picture
    whose channels lie last.
    """
    return batch.images.permute(0, 3, 1, 2).contiguous().float() / 255 - 0.5


class Trainer:
    """One step of training at a time."""

    def __init__(self, width: int, regressor: LandmarkRegressor) -> None:
        self.network = network(width)
        self._regressor = regressor
        self._rows = [LANDMARK_NAMES.index(name) for name in JOINT12_NAMES]
        self._adam = torch.optim.Adam(self.network.parameters(), 1e-3)

    def step(self, batch: Batch) -> float:
        """The loss before the step: mean distance by axis in units of the picture."""
        joints = self._regressor.positions(batch.vertices_cam_m)[:, self._rows]
        wanted = (project(joints, batch.K)[0] / SIZE_PX).clamp(-0.5, 1.5).flatten(1)
        loss = (self.network(planes(batch)) - wanted).abs().mean()
        self._adam.zero_grad()
        loss.backward()
        self._adam.step()
        return float(loss.detach())


def make_maker() -> PictureMaker:
    """Pictures of the training side, of captured, recombined and drawn poses."""
    body = AnnyBody.load(assets_folder())
    space = PoseSpace(body, LandmarkRegressor.load(WEIGHTS / "landmark_regressor.npz"))
    bank = PoseBank(space, captured_poses(space, "train"), _POSES)
    return PictureMaker(body, bank, seeds("train"), SIZE_PX)


def paced(do: Callable[[int], object], seconds: float) -> dict[str, float]:
    """Pictures a second and processor ms per picture of ``do`` called with 0, 1, ... for so many seconds."""
    began, processor = time.perf_counter(), time.process_time()
    for number in numbers():
        do(number)
        if (passed := time.perf_counter() - began) > seconds:
            break
    pictures = (number + 1) * COUNT
    return {"per_s": pictures / passed, "processor_ms": 1000 * (time.process_time() - processor) / pictures}


def alone(trainer: Trainer, cached: Sequence[Batch], seconds: float) -> dict[str, float]:
    """Training on the same few batches, and what the network's forward pass is of it."""
    found = paced(lambda number: trainer.step(cached[number % len(cached)]), seconds)
    pictures = planes(cached[0])
    with torch.no_grad():
        forward = paced(lambda _: trainer.network(pictures), seconds / 10)
    return found | {"forward_ms": forward["processor_ms"]}


def fed(trainer: Trainer, feed: Feed[Batch], seconds: float) -> dict[str, float]:
    """Training on batches as one worker draws them, from when those that lay ready are used up."""
    stream = iter(feed)
    for _ in range(AHEAD + 1):
        trainer.step(next(stream)[1])
    waited, worked = feed.waited_s, feed.worked_s
    found = paced(lambda _: trainer.step(next(stream)[1]), seconds)
    waited, worked = feed.waited_s - waited, feed.worked_s - worked
    return found | {"waited_share": waited / (waited + worked)}


def measure(seconds: float) -> dict[str, dict[str, float]]:
    """All figures; each phase takes ``seconds``."""
    torch.set_num_threads(1)
    maker = make_maker()
    cached = [maker.batch(number, COUNT) for number in range(_WARM)]
    found = {"drawn alone": paced(lambda number: maker.batch(_WARM + number, COUNT), seconds)}
    regressor = LandmarkRegressor.load(WEIGHTS / "landmark_regressor.npz")
    trainers = {name: Trainer(width, regressor) for name, width in WIDTHS.items()}
    for name, trainer in trainers.items():
        found[f"{name}: trained alone"] = alone(trainer, cached, seconds)
    with Feed(make_maker, 0, COUNT, ahead=AHEAD) as feed:
        for _ in islice(feed, _WARM):
            pass
        for name, trainer in trainers.items():
            found[f"{name}: trained as drawn"] = fed(trainer, feed, seconds)
    return found


def main() -> None:
    """Print the table and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each of the five phases")
    parser.add_argument("--out", type=Path, default=Path("build/feed_check.json"))
    arguments = parser.parse_args()
    found = measure(arguments.seconds)
    arguments.out.write_text(json.dumps(found, indent=1))
    print(f"{'':28s} pictures/s  processor ms per picture")
    for name, row in found.items():
        print(f"{name:28s} {row['per_s']:10.1f} {row['processor_ms']:25.1f}", end="")
        print(f"  forward {row['forward_ms']:.1f}" if "forward_ms" in row else "", end="")
        print(f"  waited {100 * row['waited_share']:.1f} %" if "waited_share" in row else "")
    drawn = found["drawn alone"]
    print(f"One worker keeps up with training that takes {drawn['processor_ms']:.1f} ms a picture and more.")


if __name__ == "__main__":
    main()
