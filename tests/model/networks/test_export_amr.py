"""DAN and HRN as ONNX: run by ONNX Runtime at sizes that they were not traced at, they say the same."""

from __future__ import annotations

import warnings
from pathlib import Path

import onnxruntime
import pytest
import torch
from torch import Tensor

from model.networks.export_amr import (
    DAN_INPUTS,
    DAN_OUTPUTS,
    LEVEL_INPUTS,
    POSE_INPUTS,
    export_attention,
    export_refinement,
)

from .conftest import Stage
from .test_attention import network as dan
from .test_attention import windows
from .test_refinement import TINY, answer, looking, maps
from .test_refinement import network as hrn


def run(path: Path, names: tuple[str, ...], given: tuple[Tensor, ...]) -> list[Tensor]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert [value.name for value in session.get_inputs()] == list(names)
    found = session.run(None, {name: value.numpy() for name, value in zip(names, given, strict=True)})
    return [torch.from_numpy(value) for value in found]


@pytest.fixture(scope="module")
def attention_file(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "attention.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # what the exporter complains of is either dealt with or a fault
        export_attention(dan(stage), path)
    return path


@pytest.mark.parametrize(("count", "frames"), [(1, 1), (2, 5)])
def test_attention_runs_elsewhere_and_says_the_same(
    stage: Stage, attention_file: Path, count: int, frames: int
) -> None:
    given = windows(stage, count, frames, seed=3)
    with torch.no_grad():
        expected = dan(stage)(given)
    found = run(attention_file, DAN_INPUTS, tuple(vars(given).values()))
    for name, values in zip(DAN_OUTPUTS, found, strict=True):
        assert values.shape == getattr(expected, name).shape, name
        assert torch.allclose(values, getattr(expected, name), rtol=1e-4, atol=1e-4), name


def test_every_stage_of_the_refinement_runs_elsewhere_and_says_the_same(stage: Stage, tmp_path: Path) -> None:
    net = hrn(stage)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        paths = export_refinement(net, tmp_path)
    assert [path.name for path in paths] == ["refinement_pose.onnx", *(f"refinement_level_{k}.onnx" for k in range(4))]
    calls: list[tuple[tuple[Tensor, ...], tuple[Tensor, ...]]] = []
    for part in (net.pose, *net.levels):
        part.register_forward_hook(lambda _, given, output: calls.append((given, output)))
    answer(net, looking(stage, 1, 2), *maps(stage, 1, 2))
    assert len(calls) == TINY.pose_steps + 4
    for number, (given, expected) in enumerate(calls):
        stage_of_call = max(number - TINY.pose_steps + 1, 0)
        names = LEVEL_INPUTS if stage_of_call else POSE_INPUTS
        for values, wanted in zip(run(paths[stage_of_call], names, given), expected, strict=True):
            assert torch.allclose(values, wanted, rtol=1e-4, atol=1e-4)
