"""The parts of the detector's errors: what was put in is found again."""

from __future__ import annotations

import numpy as np
import pytest

from model.synth.clips.detector_noise import bias, runs, split, white_and_slow


def slow(rng: np.random.Generator, frames: int, sigma: float, time_s: float, fps: float) -> np.ndarray:
    """(T,) with a correlation that falls by e in ``time_s``."""
    kept, values = np.exp(-1 / (fps * time_s)), np.zeros(frames)
    values[0] = rng.normal(0, sigma)
    for frame in range(1, frames):
        values[frame] = kept * values[frame - 1] + rng.normal(0, sigma * np.sqrt(1 - kept**2))
    return values


def turning(rng: np.random.Generator, frames: int) -> np.ndarray:
    """(T, 3, 2) axes of somebody who turns on the spot."""
    angle = np.linspace(0, rng.uniform(2, 6), frames) + rng.uniform(0, 6)
    zero = np.zeros(frames)
    return np.stack(
        [np.stack([np.cos(angle), zero], -1), np.stack([zero, zero - 1], -1), np.stack([np.sin(angle), zero], -1)], 1
    )


def test_white_and_slow_parts_are_told_apart() -> None:
    rng = np.random.default_rng(0)
    series = [slow(rng, 400, 1.0, 0.25, 30.0) + rng.normal(0, 0.4, 400) + rng.normal(0, 5) for _ in range(60)]
    series[0][100:140] = np.nan
    white, slow_sigma, time_s = white_and_slow(series, [30.0] * len(series))
    assert white == pytest.approx(0.4, rel=0.1)
    assert slow_sigma == pytest.approx(1.0, rel=0.1)
    assert time_s == pytest.approx(0.25, rel=0.25)


def test_a_bias_of_the_persons_own_survives_outliers() -> None:
    rng = np.random.default_rng(1)
    axes = np.concatenate([turning(rng, 100) for _ in range(5)])
    errors = np.einsum("k,tkd->td", [0.5, -1.0, 2.0], axes) + rng.normal(0, 0.3, (500, 2))
    errors[:60] += [4.0, 4.0]
    assert np.allclose(bias(errors, axes), [0.5, -1.0, 2.0], atol=0.12)


def test_lengths_of_runs() -> None:
    assert runs(np.array([1, 1, 0, 1, 0, 0, 1, 1, 1], bool)).tolist() == [2, 1, 3]
    assert runs(np.zeros(4, bool)).tolist() == []


def test_all_parts_of_a_landmark() -> None:
    rng = np.random.default_rng(2)
    errors, axes = [], []
    for _ in range(120):
        axes.append(turning(rng, 100))
        offset = rng.normal(0, 0.5, 2)
        noise = np.stack([slow(rng, 100, 0.6, 0.2, 25.0) for _ in range(2)], 1) + rng.normal(0, 0.2, (100, 2))
        one = np.einsum("k,tkd->td", [0.4, 0.0, -0.6], axes[-1]) + offset + noise
        one[50:54] = [12.0, 0.0]
        errors.append(one)
    errors[3][:20] = np.nan
    row = split(errors, axes, [25.0] * 120, 5.0)
    assert row["frames"] == 11980
    assert np.allclose(row["bias_person"], [0.4, 0.0, -0.6], atol=0.2)
    assert np.allclose(row["clip_sigma"], 0.5, atol=0.12)
    assert np.allclose(row["jitter_sigma"], 0.2, atol=0.08)
    assert np.allclose(row["slow_sigma"], 0.6, atol=0.12)
    assert row["outlier_share"] == pytest.approx(480 / 11980, abs=0.002)
    assert row["outlier_frames_median"] == 4.0
    assert row["outlier_size"] == pytest.approx([12.0, 12.0])
    assert min(row["step_sigma"]) > 0.2


def test_nothing_is_said_of_few_frames() -> None:
    assert split([np.zeros((10, 2))], [np.zeros((10, 3, 2))], [25.0], 5.0) == {"frames": 10}
