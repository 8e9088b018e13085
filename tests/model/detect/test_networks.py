"""The converted networks against the reference runtime, and the files they come from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from amr_blender.contract.errors import RuntimeSetupError
from model.convert.blazepose import SOURCES, convert
from model.detect.networks import BATCH, DETECTOR_FILE, ConvertedNetwork, Networks

litert = pytest.importorskip("ai_edge_litert.interpreter")
Outputs = dict[str, NDArray[np.float32]]


@pytest.fixture(scope="module")
def wheel(repo_root: Path) -> Path:
    folder = repo_root / "build" / "downloads" / "mediapipe-0.10.21"
    if not folder.is_dir():
        pytest.fail("The mediapipe wheel is missing: run 'python3.11 build_addon.py setup' first.", pytrace=False)
    return folder


@pytest.fixture(scope="module")
def networks(assets: Path) -> Networks:
    return Networks.load(assets, torch.device("cpu"))


def pictures(count: int, size: int, low: float) -> NDArray[np.float32]:
    """(N, S, S, 3) smooth colourful pictures from ``low`` to 1, each another."""
    random = np.random.default_rng(5)
    coarse = torch.from_numpy(random.random((count, 3, 9, 9)))
    smooth = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bicubic").clamp(0, 1)
    noisy = 0.9 * smooth.permute(0, 2, 3, 1).numpy() + 0.1 * random.random((count, size, size, 3))
    return (low + (1 - low) * noisy).astype(np.float32)


def reference(path: Path, names: tuple[str, ...], images: NDArray[np.float32]) -> Outputs:
    interpreter = litert.Interpreter(str(path))
    interpreter.allocate_tensors()
    (entry,), exits = interpreter.get_input_details(), interpreter.get_output_details()
    results: dict[str, list[NDArray[np.float32]]] = {name: [] for name in names if name}
    for image in images:
        interpreter.set_tensor(entry["index"], image[None])
        interpreter.invoke()
        for name, details in zip(names, exits, strict=True):
            if name:
                results[name].append(interpreter.get_tensor(details["index"])[0])
    return {name: np.stack(values) for name, values in results.items()}


@pytest.mark.parametrize("number", [0, 1], ids=["detector", "landmarks"])
def test_equals_the_reference(number: int, networks: Networks, wheel: Path) -> None:
    source = SOURCES[number]
    network = (networks.detector, networks.landmarks)[number]
    images = pictures(5, network.input_size, low=(-1.0, 0.0)[number])
    expected = reference(wheel / source.tflite, source.outputs, images)
    found = networks.run(network, images)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name].shape == values.shape
        # Presence is a probability, whose range is 1 whatever these pictures hold.
        span = 1.0 if name == "presence" else np.ptp(values)
        assert np.abs(found[name] - values).max() < 1e-3 * span, name


@pytest.mark.parametrize("number", [0, 1], ids=["detector", "landmarks"])
def test_a_batch_equals_single_images(number: int, networks: Networks) -> None:
    network = (networks.detector, networks.landmarks)[number]
    images = pictures(BATCH, network.input_size, low=0.0)
    together = networks.run(network, images)
    for position in (0, BATCH - 1):
        alone = networks.run(network, images[position : position + 1])
        for name, values in alone.items():
            span = max(float(np.ptp(values)), 1.0)
            assert np.abs(together[name][position] - values[0]).max() < 1e-4 * span, name


def test_more_than_a_batch_and_none(networks: Networks) -> None:
    images = pictures(BATCH + 3, networks.landmarks.input_size, low=0.0)
    assert len(networks.run(networks.landmarks, images)["world"]) == BATCH + 3
    assert networks.run(networks.landmarks, images[:0])["world"].shape == (0, 117)


def test_runs_in_float32_with_tf32_off(networks: Networks) -> None:
    assert {values.dtype for values in networks.landmarks.buffers()} == {torch.float32}
    assert not torch.backends.cuda.matmul.allow_tf32 and not torch.backends.cudnn.allow_tf32


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")
def test_cuda_equals_cpu(assets: Path, networks: Networks) -> None:
    images = pictures(4, networks.landmarks.input_size, low=0.0)
    cpu = networks.run(networks.landmarks, images)
    other = Networks.load(assets, torch.device("cuda"))
    for name, values in other.run(other.landmarks, images).items():
        assert np.abs(values - cpu[name]).max() < 1e-3 * max(float(np.ptp(cpu[name])), 1.0), name


def test_conversion_keeps_half_precision_and_repeats_itself(wheel: Path, tmp_path: Path) -> None:
    first, second = convert(wheel, tmp_path / "a"), convert(wheel, tmp_path / "b")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    for path in first:
        with np.load(path) as arrays:
            large = [arrays[name] for name in arrays.files if name.startswith("w")]
        assert {values.dtype for values in large} == {np.dtype(np.float16)}
        assert path.stat().st_size < 7e6


def test_a_wheel_without_the_networks(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        convert(tmp_path, tmp_path / "out")
    assert not list((tmp_path / "out").glob("*"))


@pytest.mark.parametrize("damage", ["missing", "text", "cut off", "another archive"])
def test_damaged_assets(damage: str, assets: Path, tmp_path: Path) -> None:
    path = tmp_path / DETECTOR_FILE
    whole = (assets / DETECTOR_FILE).read_bytes()
    if damage == "text":
        path.write_text("no network")
    elif damage == "cut off":
        path.write_bytes(whole[: len(whole) // 2])
    elif damage == "another archive":
        np.savez(path, something=np.zeros(3))
    with pytest.raises(RuntimeSetupError) as caught:
        ConvertedNetwork.load(path)
    assert caught.value.code == "assets-broken"
