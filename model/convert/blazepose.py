"""Build step: the BlazePose networks of an unpacked mediapipe wheel become files that numpy and torch alone can run.

``python -m model.convert.blazepose WHEEL ASSETS`` writes ``blazepose_detector.npz`` and ``blazepose_landmarks.npz``.

Each file holds the weights in torch's layout (``w0``, ``b0``, ..., float16 where the source is float16) and ``graph``,
UTF-8 JSON bytes: ``input`` (name and NHWC shape), ``outputs`` (names) and ``steps``, a list of operations in order over
named values in NCHW. What the chosen outputs do not need (the segmentation mask) is left out.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tflite
from numpy.typing import NDArray

from model.convert.tflite_file import Operator, TfliteFile

ACTIVATIONS = {
    tflite.ActivationFunctionType.NONE: "",
    tflite.ActivationFunctionType.RELU: "relu",
    tflite.ActivationFunctionType.RELU6: "relu6",
}
Step = dict[str, Any]


@dataclass(frozen=True)
class Source:
    """Which network becomes which file, and the names of its outputs in the network's order ('' is dropped)."""

    tflite: str
    target: str
    outputs: tuple[str, ...]


SOURCES = (
    Source("mediapipe/modules/pose_detection/pose_detection.tflite", "blazepose_detector.npz", ("boxes", "scores")),
    Source(
        "mediapipe/modules/pose_landmark/pose_landmark_full.tflite",
        "blazepose_landmarks.npz",
        ("landmarks", "presence", "", "heatmaps", "world"),
    ),
)


def convert(wheel: Path, assets: Path) -> list[Path]:
    """Convert the networks.

    Args:
        wheel: folder of the unpacked mediapipe 0.10.21 wheel.
        assets: folder to write to; made if missing.

    Returns:
        The files written; the same input gives the same bytes.

    Raises:
        FileNotFoundError: the wheel lacks a network.
        NotImplementedError: a network uses an operation this converter does not know.
    """
    assets.mkdir(parents=True, exist_ok=True)
    written = []
    for source in SOURCES:
        arrays = convert_network((wheel / source.tflite).read_bytes(), source.outputs)
        target = assets / source.target
        partial = target.with_name(target.stem + ".partial.npz")
        np.savez(partial, **arrays)
        partial.replace(target)
        written.append(target)
    return written


def convert_network(data: bytes, outputs: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """One .tflite file's bytes to the arrays of one target file. ``outputs`` as in :class:`Source`."""
    source = TfliteFile(data)
    names = {tensor: name for tensor, name in zip(source.outputs, outputs, strict=True) if name}
    builder = _Builder(source)
    for operator in source.operators:
        builder.add(operator)
    steps = _needed(builder.steps, [str(tensor) for tensor in names])
    arrays = {step[key]: builder.weights[step[key]] for step in steps for key in ("weight", "bias") if key in step}
    graph = {
        "input": {"name": str(source.inputs[0]), "shape": source.shape(source.inputs[0])},
        "outputs": {name: str(tensor) for tensor, name in names.items()},
        "steps": steps,
    }
    arrays["graph"] = np.frombuffer(json.dumps(graph, sort_keys=True).encode(), np.uint8)
    return arrays


def _needed(steps: list[Step], outputs: list[str]) -> list[Step]:
    wanted, kept = set(outputs), []
    for step in reversed(steps):
        if step["out"] in wanted:
            wanted.update(step["in"])
            kept.append(step)
    return kept[::-1]


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """TensorFlow's SAME padding (before, after) of one axis."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class _Builder:
    """Translates operators one by one; paddings are folded into the convolutions behind them."""

    def __init__(self, source: TfliteFile) -> None:
        self.source = source
        self.steps: list[Step] = []
        self.weights: dict[str, NDArray[Any]] = {}
        self.paddings: dict[int, tuple[int, list[int]]] = {}

    def add(self, operator: Operator) -> None:
        method = getattr(self, f"_{operator.name.lower()}", None)
        if method is None:
            raise NotImplementedError(f"The network uses {operator.name}, which the converter does not know.")
        method(operator)

    def _emit(self, operator: Operator, kind: str, inputs: list[int], **options: Any) -> None:
        step = {"op": kind, "in": [str(i) for i in inputs], "out": str(operator.outputs[0])}
        self.steps.append(step | options)

    def _pad(self, operator: Operator) -> None:
        amounts = self.source.constant(operator.inputs[1]).tolist()
        if amounts[0] != [0, 0] or amounts[3] != [0, 0]:
            raise NotImplementedError("Only the two image axes can be padded.")
        self.paddings[operator.outputs[0]] = (operator.inputs[0], [*amounts[2], *amounts[1]])

    def _conv_2d(self, operator: Operator) -> None:
        self._convolution(operator, operator.options(tflite.Conv2DOptions), depthwise=False)

    def _depthwise_conv_2d(self, operator: Operator) -> None:
        self._convolution(operator, operator.options(tflite.DepthwiseConv2DOptions), depthwise=True)

    def _convolution(self, operator: Operator, options: Any, depthwise: bool) -> None:
        if options.DilationHFactor() != 1 or options.DilationWFactor() != 1:
            raise NotImplementedError("Dilated convolutions are unknown.")
        tensor, weight, bias = operator.inputs
        _, height, width, channels = self.source.shape(tensor)
        kernel = self.source.constant(weight)
        tensor, pad = self.paddings.get(tensor, (tensor, [0, 0, 0, 0]))
        stride = [options.StrideH(), options.StrideW()]
        if options.Padding() == tflite.Padding.SAME:
            rows = same_padding(height, kernel.shape[1], stride[0])
            columns = same_padding(width, kernel.shape[2], stride[1])
            pad = [a + b for a, b in zip(pad, [*columns, *rows], strict=True)]
        number = len(self.weights) // 2
        self.weights[f"w{number}"] = np.ascontiguousarray(kernel.transpose((3, 0, 1, 2) if depthwise else (0, 3, 1, 2)))
        self.weights[f"b{number}"] = self.source.constant(bias)
        self._emit(
            operator,
            "conv",
            [tensor],
            weight=f"w{number}",
            bias=f"b{number}",
            stride=stride,
            pad=pad,
            groups=channels if depthwise else 1,
            activation=ACTIVATIONS[options.FusedActivationFunction()],
        )

    def _add(self, operator: Operator) -> None:
        options = operator.options(tflite.AddOptions)
        self._emit(operator, "add", operator.inputs, activation=ACTIVATIONS[options.FusedActivationFunction()])

    def _max_pool_2d(self, operator: Operator) -> None:
        options = operator.options(tflite.Pool2DOptions)
        _, height, width, _ = self.source.shape(operator.inputs[0])
        kernel = [options.FilterHeight(), options.FilterWidth()]
        stride = [options.StrideH(), options.StrideW()]
        if kernel != stride or height % kernel[0] or width % kernel[1]:
            raise NotImplementedError("Only pooling by whole, separate windows is known.")
        self._emit(operator, "max_pool", operator.inputs, kernel=kernel)

    def _resize_bilinear(self, operator: Operator) -> None:
        options = operator.options(tflite.ResizeBilinearOptions)
        if not (options.HalfPixelCenters() or options.AlignCorners()):
            raise NotImplementedError("Bilinear resizing of the oldest kind is unknown.")
        size = self.source.constant(operator.inputs[1]).tolist()
        self._emit(operator, "resize", operator.inputs[:1], size=size, align_corners=bool(options.AlignCorners()))

    def _depth_to_space(self, operator: Operator) -> None:
        options = operator.options(tflite.DepthToSpaceOptions)
        self._emit(operator, "depth_to_space", operator.inputs, block=options.BlockSize())

    def _reshape(self, operator: Operator) -> None:
        self._emit(operator, "reshape", operator.inputs[:1], shape=self.source.shape(operator.outputs[0])[1:])

    def _concatenation(self, operator: Operator) -> None:
        axis = operator.options(tflite.ConcatenationOptions).Axis()
        rank = len(self.source.shape(operator.outputs[0]))
        if rank == 4:
            raise NotImplementedError("Only lists can be joined, not images.")
        self._emit(operator, "concatenate", operator.inputs, axis=axis % rank)

    def _logistic(self, operator: Operator) -> None:
        self._emit(operator, "sigmoid", operator.inputs)


def main(arguments: list[str]) -> int:
    if len(arguments) != 2:
        print("Usage: python -m model.convert.blazepose WHEEL_FOLDER ASSETS_FOLDER", file=sys.stderr)
        return 2
    for path in convert(Path(arguments[0]), Path(arguments[1])):
        print(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
