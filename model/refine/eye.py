"""The pretrained features of the crops: BlazePose's trunk, which the refinement looks through."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.detect.networks import BATCH, LANDMARKS_FILE, ConvertedNetwork


@dataclass(frozen=True)
class Glimpse:
    """One frame's crop."""

    rgb: NDArray[np.uint8]
    """(256, 256, 3)."""
    features: Tensor
    """(FRAME_CHANNELS, 32, 32) float16."""


class Eye:
    """Looks at crops.

    Args:
        network: the landmark network. device: where to compute.
    """

    def __init__(self, network: ConvertedNetwork, device: torch.device | str = "cpu") -> None:
        self._network, self._device = network.to(device), torch.device(device)

    @classmethod
    def load(cls, assets: Path, device: torch.device | str = "cpu") -> Eye:
        """Read the network in the folder ``assets``.

        Raises:
            RuntimeSetupError: it is missing or damaged.
        """
        return cls(ConvertedNetwork.load(assets / LANDMARKS_FILE), device)

    @torch.inference_mode()
    def features(self, rgb: NDArray[np.uint8]) -> Tensor:
        """(N, 256, 256, 3) to (N, FRAME_CHANNELS, 32, 32) float16, on the processor."""
        images = torch.from_numpy(rgb).to(self._device).permute(0, 3, 1, 2).float() / 255.0
        parts = [self._network.features(part).half().cpu() for part in images.split(BATCH)]
        return torch.cat(parts).clone()

    def glimpses(self, pictures: Iterable[NDArray[np.uint8]]) -> Iterator[Glimpse]:
        """One for each picture, in order; a batch of pictures is asked for at a time."""
        waiting = iter(pictures)
        while batch := list(islice(waiting, BATCH)):
            yield from map(Glimpse, batch, self.features(np.stack(batch)))
