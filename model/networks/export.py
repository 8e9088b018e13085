"""Networks as ONNX: files that other runtimes and programs can read without our code.  The initial one's is here."""

from __future__ import annotations

import tempfile
import warnings
from dataclasses import fields
from pathlib import Path

import torch
from torch import Tensor, nn

from amr_blender.contract.files import written_whole

from .initial import InitialNet, InitialOutput
from .straight_view import FEATURES

OPSET = 20
OUTPUTS = tuple(f.name for f in fields(InitialOutput))
"""Names of the outputs, in their order."""


class _Named(nn.Module):
    """The network with its outputs by name, since nobody else can cut the raw numbers into pieces."""

    def __init__(self, net: InitialNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, features: Tensor, time_s: Tensor) -> tuple[Tensor, ...]:
        output = self.net.read(self.net(features, time_s))
        return tuple(getattr(output, name) for name in OUTPUTS)


def export_onnx(net: InitialNet, path: Path) -> None:
    """Write the network, whole or not at all.

    Inputs are ``features`` (batch, frames, FEATURES) and ``time_s`` (batch, frames), float32, as
    ``straight_view`` makes them; outputs are those of ``InitialOutput``, by name, with its shapes and units.  Batch
    and frames may be of any size.

    Raises:
        torch.onnx.OnnxExporterError: the package ``onnx``, which is no part of the runtime, is not installed.
    """
    device = next(net.parameters()).device
    example = (torch.zeros(2, 3, FEATURES, device=device), torch.zeros(2, 3, device=device))
    sizes = {name: {0: "batch", 1: "frames"} for name in ("features", "time_s", *OUTPUTS)}
    write_onnx(_Named(net), example, ("features", "time_s"), OUTPUTS, sizes, path)


def write_onnx(
    module: nn.Module,
    example: tuple[Tensor, ...],
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    sizes: dict[str, dict[int, str]],
    path: Path,
) -> None:
    """Write any module of tensors, whole or not at all; ``sizes`` names the dimensions that may be of any size.

    Raises:
        torch.onnx.OnnxExporterError: the package ``onnx``, which is no part of the runtime, is not installed.
    """
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # The exporter that traces needs one package, its successor three and half a minute; torch is pinned.
        warnings.simplefilter("ignore", DeprecationWarning)
        # Query, key and value are three however many frames there are.
        warnings.filterwarnings("ignore", "Iterating over a tensor")
        # That a group to be normalised is more than one number is asked once, and is no matter of the sizes.
        warnings.filterwarnings("ignore", "Converting a tensor to a Python boolean")
        # No row is active twice.
        warnings.filterwarnings("ignore", "Warning: ONNX export does not support duplicated values")
        made = Path(folder) / "network.onnx"
        torch.onnx.export(
            module,
            example,
            made,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes=sizes,
            opset_version=OPSET,
            dynamo=False,
        )
        with written_whole(path) as stream:
            stream.write(made.read_bytes())
