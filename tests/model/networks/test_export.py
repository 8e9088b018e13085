"""The exported network: run by ONNX Runtime, by name, at sizes that it was not traced at, it says the same."""

from __future__ import annotations

import warnings
from pathlib import Path

import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor

from model.networks.export import OUTPUTS, export_onnx
from model.networks.initial import InitialNet, InitialOutput, InitialSettings
from model.networks.straight_view import FEATURES
from tests.model.puppets import initial_net


@pytest.fixture(scope="module")
def net() -> InitialNet:
    return initial_net(InitialSettings(width=32, depth=2))


@pytest.fixture(scope="module")
def file(net: InitialNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "initial.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # what the exporter complains of is either dealt with or a fault
        export_onnx(net, path)
    return path


def inputs(batch: int, frames: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(batch * 1000 + frames)
    features = torch.randn(batch, frames, FEATURES, generator=generator)
    rate = 20.0 + 40.0 * torch.rand(batch, 1, generator=generator)
    return features, 3.0 + torch.arange(frames) / rate


@pytest.mark.parametrize(("batch", "frames"), [(1, 1), (3, 17), (1, 130)])
def test_runs_elsewhere_and_says_the_same(net: InitialNet, file: Path, batch: int, frames: int) -> None:
    features, time_s = inputs(batch, frames)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    found = session.run(list(OUTPUTS), {"features": features.numpy(), "time_s": time_s.numpy()})
    with torch.no_grad():
        expected = net.read(net(features, time_s))
    for name, values in zip(OUTPUTS, found, strict=True):
        wanted = getattr(expected, name)
        assert values.shape == wanted.shape, name
        assert torch.allclose(torch.from_numpy(values), wanted, atol=1e-4), name


def test_is_a_valid_file_that_names_what_it_takes_and_gives(file: Path) -> None:
    model = onnx.load(str(file))
    onnx.checker.check_model(model, full_check=True)
    assert [value.name for value in model.graph.input] == ["features", "time_s"]
    assert [value.name for value in model.graph.output] == list(InitialOutput.__dataclass_fields__)
    for value in (*model.graph.input, *model.graph.output):
        assert [size.dim_param for size in value.type.tensor_type.shape.dim[:2]] == ["batch", "frames"], value.name


def test_leaves_the_network_and_the_folder_as_they_were(net: InitialNet, file: Path) -> None:
    net.train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    export_onnx(net, file)
    assert net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert [path.name for path in file.parent.iterdir()] == ["initial.onnx"]
