"""The pretrained features are the landmark network's own, of each picture alone, and no more pictures are held than go
through it at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from model.detect.networks import BATCH, DETECTOR_FILE, LANDMARKS_FILE, ConvertedNetwork
from model.networks.evidence_maps import FRAME_CHANNELS, FRAME_PX, SIGNS_PX
from model.refine.eye import Eye


@pytest.fixture(scope="module")
def eye(assets: Path) -> Eye:
    return Eye.load(assets)


def pictures(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, FRAME_PX, FRAME_PX, 3), dtype=np.uint8)


def test_features_are_half_as_fine_as_the_heatmaps(assets: Path) -> None:
    network = ConvertedNetwork.load(assets / LANDMARKS_FILE)
    image = torch.rand(1, 3, FRAME_PX, FRAME_PX, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        found = network.features(image)
        whole = network(image)
    assert found.shape == (1, FRAME_CHANNELS, SIGNS_PX, SIGNS_PX)
    assert whole["heatmaps"].shape[1] == 2 * SIGNS_PX
    assert found.min() >= 0 and 0.5 < found.std() < 10


def test_each_picture_is_seen_alone_and_in_order(eye: Eye) -> None:
    shown = pictures(3)
    together = eye.features(shown)
    assert together.dtype == torch.float16
    for k, glimpse in enumerate(eye.glimpses(iter(shown))):
        assert np.array_equal(glimpse.rgb, shown[k])
        assert torch.allclose(glimpse.features.float(), together[k].float(), atol=0.02)
        assert torch.allclose(eye.features(shown[k : k + 1])[0].float(), together[k].float(), atol=0.02)
    assert (together[0] - together[1]).abs().max() > 0.1


def test_no_more_pictures_are_asked_for_than_go_through_at_once(eye: Eye) -> None:
    asked = 0

    def endless() -> Iterator[np.ndarray]:
        nonlocal asked
        while True:
            asked += 1
            yield np.zeros((FRAME_PX, FRAME_PX, 3), np.uint8)

    glimpses = eye.glimpses(endless())
    next(glimpses)
    assert asked == BATCH


def test_the_detector_has_no_features(assets: Path) -> None:
    with pytest.raises(ValueError, match="landmark network"):
        ConvertedNetwork.load(assets / DETECTOR_FILE).features(torch.zeros(1, 3, 224, 224))
