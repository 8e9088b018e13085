"""Weights on disk: what was saved comes back, and what can't be trusted is refused with a remedy."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from amr_blender.contract.errors import RuntimeSetupError
from model.networks import weights
from model.networks.initial import InitialNet, InitialSettings
from model.networks.weights import read_weights, save_weights
from tests.model.puppets import initial_net

ABOUT = {"settings": {"width": 32}, "names": ["a", "ü"], "mean": [0.25, -1.0]}


@pytest.fixture
def net() -> InitialNet:
    return initial_net(InitialSettings(width=32, depth=1))


def test_what_was_saved_comes_back(net: InitialNet, tmp_path: Path) -> None:
    path = tmp_path / "initial.safetensors"
    save_weights(path, net, ABOUT)
    state, about = read_weights(path)
    assert about == ABOUT
    assert set(state) == set(net.state_dict())
    for name, value in net.state_dict().items():
        assert state[name].dtype == torch.float32, name
        assert torch.equal(state[name], value.half().float()), name
    assert [p.name for p in tmp_path.iterdir()] == ["initial.safetensors"]


def test_a_network_with_read_weights_is_the_one_that_was_saved(net: InitialNet, tmp_path: Path) -> None:
    """To the bit, from the second time on: rounding to half precision happens once."""
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    save_weights(first, net, ABOUT)
    again = InitialNet(net.settings, net.again.puppet)
    again.load_state_dict(read_weights(first)[0])
    save_weights(second, again, ABOUT)
    assert first.read_bytes() == second.read_bytes()
    features, time_s = torch.randn(1, 6, net.embed[0].in_features), torch.arange(6)[None] / 30
    third = InitialNet(net.settings, net.again.puppet)
    third.load_state_dict(read_weights(second)[0])
    with torch.no_grad():
        assert torch.equal(again(features, time_s), third(features, time_s))
        assert torch.allclose(again(features, time_s), net(features, time_s), atol=0.02)


def test_a_failed_write_leaves_the_old_file(net: InitialNet, tmp_path: Path) -> None:
    path = tmp_path / "initial.safetensors"
    save_weights(path, net, ABOUT)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        save_weights(path, net, {"settings": object()})
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["initial.safetensors"]


def _good(path: Path) -> bytes:
    save_weights(path, nn.Linear(3, 2), ABOUT)
    return path.read_bytes()


@pytest.mark.parametrize(
    "damage",
    [
        lambda good: good[:-5],
        lambda good: good[:20],
        lambda good: b"",
        lambda good: struct.pack("<Q", 1 << 60) + good[8:],
        lambda good: b"PK\x03\x04" + good,
        lambda good: good.replace(b"F16", b"F61"),
        lambda good: good.replace(b'\\"settings\\"', b'\\"settings\\ '),
    ],
    ids=["tail cut off", "header cut off", "empty", "endless header", "a zip", "no such type", "no JSON"],
)
def test_a_damaged_file_is_refused(damage, tmp_path: Path) -> None:
    path = tmp_path / "initial.safetensors"
    good = _good(path)
    bad = damage(good)
    assert bad != good
    path.write_bytes(bad)
    with pytest.raises(RuntimeSetupError, match=r"initial\.safetensors can't be read") as caught:
        read_weights(path)
    assert caught.value.remedy


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RuntimeSetupError):
        read_weights(tmp_path / "nowhere.safetensors")


def test_somebody_elses_tensors_are_refused(tmp_path: Path) -> None:
    for name, metadata in (("bare", None), ("other", {"format": "pt"})):
        path = tmp_path / f"{name}.safetensors"
        save_file({"weight": torch.zeros(2)}, path, metadata)
        with pytest.raises(RuntimeSetupError, match="about"):
            read_weights(path)


def test_too_large_a_file_is_not_even_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "initial.safetensors"
    size = len(_good(path))
    monkeypatch.setattr(weights, "MAX_BYTES", size)
    read_weights(path)
    monkeypatch.setattr(weights, "MAX_BYTES", size - 1)
    with pytest.raises(RuntimeSetupError, match="too large"):
        read_weights(path)


def test_the_network_that_is_trained_fits_the_bound(tmp_path: Path) -> None:
    path = tmp_path / "initial.safetensors"
    save_weights(path, initial_net(), ABOUT)
    assert path.stat().st_size < weights.MAX_BYTES
