"""Attention packed for geometry nodes: exact to half a step, thinned within a bound that is measured; worst moments."""

from __future__ import annotations

import numpy as np
import pytest

from amr_blender.scene.attention_film import MOST_MOMENTS, Film, make_film, mean_and_max, scores_of, worst_moments
from amr_blender.scene.sampling import Between

FRAMES, VERTICES = 150, 20
RANDOM = np.random.default_rng(0)


def _between(scene_at: np.ndarray) -> Between:
    """Scene frames that show the take at these positions, in take frames."""
    left = np.minimum(np.floor(scene_at).astype(int), FRAMES - 1)
    return Between(left, np.minimum(left + 1, FRAMES - 1), scene_at - left)


STRAIGHT = _between(np.arange(FRAMES, dtype=float))


def _smooth() -> np.ndarray:
    phase = np.arange(FRAMES)[:, None] / 8 + np.arange(VERTICES) / 3
    return (0.5 + 0.5 * np.sin(phase)).astype(np.float16)


def _play(film: Film, index: float) -> np.ndarray:
    """What the nodes read on a scene frame of the strip, counted from 0."""
    rows = film.pixels().reshape(*film.rows.shape[:2], 4)[..., :3].reshape(len(film.rows), -1)[:, :VERTICES]
    at = np.clip(index / film.step, 0, len(rows) - 1)
    low = int(at)
    return rows[low] + (at - low) * (rows[min(low + 1, len(rows) - 1)] - rows[low])


def test_every_frame_is_there_to_half_a_step() -> None:
    attention = _smooth()
    film = make_film(attention, STRAIGHT)
    assert film.rows.shape == (FRAMES, 7, 3) and film.step == 1.0
    errors = [np.abs(_play(film, i) - attention[i]).max() for i in range(FRAMES)]
    assert max(errors) == pytest.approx(film.error, abs=1e-6)
    assert film.error <= 0.5 / 255 + 1e-6


def test_the_scenes_rate_is_another() -> None:
    attention, at = _smooth(), np.arange(0, FRAMES - 1, 1.25)
    film = make_film(attention, _between(at))
    for index in (0, 3, 50, len(at) - 1):
        low = int(at[index])
        between = attention[low] + (at[index] - low) * (attention[low + 1].astype(float) - attention[low])
        np.testing.assert_allclose(_play(film, index), between, atol=0.5 / 255 + 1e-3)


def test_a_long_clip_is_thinned_and_its_error_measured() -> None:
    attention = _smooth()
    film = make_film(attention, STRAIGHT, max_values=VERTICES * 60)
    assert len(film.rows) == 60
    assert film.step == pytest.approx(149 / 59)
    errors = [np.abs(_play(film, i) - attention[i]).max() for i in range(FRAMES)]
    assert max(errors) == pytest.approx(film.error, abs=1e-5)
    assert 0.5 / 255 < film.error < 0.03
    jumpy = RANDOM.random((FRAMES, VERTICES)).astype(np.float16)
    assert make_film(jumpy, STRAIGHT, max_values=VERTICES * 60).error > 0.2, "what can't be thinned is told"


@pytest.mark.parametrize("frames", [1, 2])
def test_very_short_clips(frames: int) -> None:
    attention = _smooth()[:frames]
    index = np.arange(frames)
    film = make_film(attention, Between(index, np.minimum(index + 1, frames - 1), np.zeros(frames)), max_values=1)
    assert len(film.rows) == frames
    assert film.error <= 0.5 / 255 + 1e-6


def test_values_outside_the_range_are_clipped() -> None:
    film = make_film(np.full((FRAMES, VERTICES), 1.5, np.float16), STRAIGHT)
    assert (film.rows.reshape(FRAMES, -1)[:, :VERTICES] == 255).all()


def test_mean_and_max_over_the_frames_on_which_somebody_was_seen() -> None:
    values, seen = RANDOM.random((FRAMES, VERTICES)).astype(np.float16), RANDOM.random(FRAMES) < 0.5
    mean, largest = mean_and_max(values, seen)
    np.testing.assert_allclose(mean, values[seen].astype(float).mean(0), atol=1e-6)
    np.testing.assert_array_equal(largest, values[seen].max(0))
    assert not mean_and_max(values, np.zeros(FRAMES, bool))[0].any()
    np.testing.assert_allclose(scores_of(values), values.astype(float).mean(1), atol=1e-6)


def test_worst_moments_are_peaks_apart() -> None:
    frames = np.arange(1, 301)
    scores = np.full(300, 10.0)
    for frame, score in ((40, 30.0), (45, 29.0), (120, 50.0), (290, 12.0)):
        scores += (score - 10) * np.exp(-(((frames - frame) / 3.0) ** 2))
    # Frame 45 lies within half a second of the higher 40.
    assert [frame for frame, _ in worst_moments(frames, scores, 30.0)] == [120, 40, 290]
    assert worst_moments(frames, scores, 30.0)[0][1] == pytest.approx(scores[119])
    assert worst_moments(frames, np.full(300, 7.0), 30.0) == [], "nothing stands out"
    many = 10 + 5 * np.maximum(np.sin(frames / 4), 0) ** 4 + frames / 1000
    assert len(worst_moments(frames, many, 20.0)) == MOST_MOMENTS
