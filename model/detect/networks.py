"""The converted BlazePose networks as torch modules: the detector and the landmark network."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from amr_blender.contract.errors import RuntimeSetupError

DETECTOR_FILE = "blazepose_detector.npz"
LANDMARKS_FILE = "blazepose_landmarks.npz"
BATCH = 16
"""Images that go through a network at once: keeps the memory flat and a graphics card busy."""


class ConvertedNetwork(nn.Module):
    """Runs one file of ``model.convert.blazepose``; always float32, since half precision moves the landmarks."""

    def __init__(self, graph: dict[str, Any], weights: dict[str, np.ndarray[Any, Any]]) -> None:
        super().__init__()
        self.input_name: str = graph["input"]["name"]
        self.input_size: int = graph["input"]["shape"][1]
        self.outputs: dict[str, str] = graph["outputs"]
        self.steps: list[dict[str, Any]] = graph["steps"]
        for name, values in weights.items():
            self.register_buffer(name, torch.from_numpy(values.astype(np.float32)), persistent=False)
        last_use = {name: number for number, step in enumerate(self.steps) for name in step["in"]}
        kept = set(self.outputs.values())
        sums = [step["out"] for before, step in pairwise(self.steps) if before["op"] == "resize"]
        self._features = sums[1] if "heatmaps" in self.outputs else ""
        self._free = [
            [name for name in set(step["in"]) if last_use[name] == number and name not in kept]
            for number, step in enumerate(self.steps)
        ]

    @classmethod
    def load(cls, path: Path) -> ConvertedNetwork:
        """Read a converted network.

        Raises:
            RuntimeSetupError: the file is missing or damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                weights = {name: arrays[name] for name in arrays.files}
            graph = json.loads(weights.pop("graph").tobytes())
            return cls(graph, weights).eval()
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise RuntimeSetupError(
                "assets-broken",
                f"The network {path.name} is missing or damaged ({path.parent}).",
                "Run 'python3.11 build_addon.py setup', or install the add-on's zip again.",
            ) from error

    def features(self, images: Tensor) -> Tensor:
        """(N, 3, S, S) float32 images to the (N, 48, S / 8, S / 8) that the landmark network makes its heatmaps of,
        0 to about 16: the pretrained features of the frame.

        Raises:
            ValueError: the network has none.
        """
        if not self._features:
            raise ValueError("only the landmark network has features")
        return self._values(images, self._features)[self._features]

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """(N, 3, S, S) float32 images to named outputs, laid out as TensorFlow does: (N, ...), channels last."""
        values = self._values(images)
        named = {name: values[value] for name, value in self.outputs.items()}
        return {name: value.permute(0, 2, 3, 1) if value.dim() == 4 else value for name, value in named.items()}

    def _values(self, images: Tensor, last: str | None = None) -> dict[str, Tensor]:
        """What is still held after all steps, or after the one that gives ``last``."""
        values = {self.input_name: images}
        for step, free in zip(self.steps, self._free, strict=True):
            values[step["out"]] = self._run(step, [values[name] for name in step["in"]])
            if step["out"] == last:
                break
            for name in free:
                values.pop(name, None)
        return values

    def _run(self, step: dict[str, Any], inputs: list[Tensor]) -> Tensor:
        x = inputs[0]
        match step["op"]:
            case "conv":
                left, right, top, bottom = step["pad"]
                padding = (top, left)
                if left != right or top != bottom:
                    x, padding = F.pad(x, step["pad"]), (0, 0)
                weight, bias = getattr(self, step["weight"]), getattr(self, step["bias"])
                x = F.conv2d(x, weight, bias, step["stride"], padding, 1, step["groups"])
                return _activate(x, step["activation"])
            case "add":
                return _activate(x + inputs[1], step["activation"])
            case "max_pool":
                return F.max_pool2d(x, step["kernel"])
            case "resize":
                return F.interpolate(x, size=step["size"], mode="bilinear", align_corners=step["align_corners"])
            case "depth_to_space":
                return _depth_to_space(x, step["block"])
            case "reshape":
                return (x.permute(0, 2, 3, 1) if x.dim() == 4 else x).reshape(x.shape[0], *step["shape"])
            case "concatenate":
                return torch.cat(inputs, step["axis"])
            case "sigmoid":
                return torch.sigmoid(x)
        raise ValueError(f"unknown operation {step['op']}")


def _activate(x: Tensor, activation: str) -> Tensor:
    if activation == "relu":
        return F.relu_(x)
    return F.relu6(x, inplace=True) if activation == "relu6" else x


def _depth_to_space(x: Tensor, block: int) -> Tensor:
    """TensorFlow's order: the block's row and column are the slowest channels (pixel_shuffle has them fastest)."""
    n, channels, height, width = x.shape
    inner = channels // (block * block)
    x = x.reshape(n, block, block, inner, height, width).permute(0, 3, 4, 1, 5, 2)
    return x.reshape(n, inner, height * block, width * block)


@dataclass
class Networks:
    """Both networks on one device."""

    detector: ConvertedNetwork
    landmarks: ConvertedNetwork
    device: torch.device

    @classmethod
    def load(cls, assets: Path, device: torch.device) -> Networks:
        """Read both networks from the folder ``assets``.

        Turns TF32 off for the process: with it the world landmarks move by millimetres.

        Raises:
            RuntimeSetupError: a file is missing or damaged.
        """
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        detector = ConvertedNetwork.load(assets / DETECTOR_FILE)
        landmarks = ConvertedNetwork.load(assets / LANDMARKS_FILE)
        return cls(detector.to(device), landmarks.to(device), device)

    def run(self, network: ConvertedNetwork, images: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
        """Run ``network`` over (N, S, S, 3) float32 images in batches; outputs as numpy arrays over N."""
        parts: list[dict[str, np.ndarray[Any, Any]]] = []
        with torch.inference_mode():
            for start in range(0, max(len(images), 1), BATCH):
                batch = torch.from_numpy(images[start : start + BATCH]).to(self.device).permute(0, 3, 1, 2)
                parts.append({name: value.cpu().numpy() for name, value in network(batch).items()})
        return {name: np.concatenate([part[name] for part in parts]) for name in network.outputs}
