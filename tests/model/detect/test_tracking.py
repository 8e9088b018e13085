"""Where a person is looked for, and in which frames they count as seen."""

from __future__ import annotations

import numpy as np
import pytest

from model.detect.people import Person, close_windows, windows
from model.detect.tracking import MARGIN_S, bridged, spans_of
from model.video import Frame


def person_at(times_s: list[float], fps: float = 10.0, cuts: tuple[int, ...] = ()) -> Person:
    count = len(times_s)
    frames = np.round(np.array(times_s) * fps).astype(np.int32)
    return Person(
        index=0,
        share=0.1,
        frames=frames,
        times_s=np.array(times_s),
        shots=np.searchsorted(cuts, frames, side="right").astype(np.int32),
        cuts=cuts,
        scores=np.ones(count),
        crops=np.tile([100.0, 100.0, 80.0, 0.0], (count, 1)),
        boxes_px=np.zeros((count, 4)),
        keypoints_px=np.zeros((count, 4, 2)),
        thumbnail=np.zeros((192, 192, 3), np.uint8),
    )


def looked_for(person: Person, times_s: list[float], fps: float = 10.0) -> list[bool]:
    spans = spans_of(person)
    frames = [Frame(round(t * fps), t, np.zeros((1, 1, 3), np.uint8)) for t in times_s]
    return [any(span.holds(frame) for span in spans) for frame in frames]


def test_short_gaps_are_filled_and_the_ends_reach_a_little_further() -> None:
    person = person_at([1.0, 1.2, 2.0])
    inside = 1.0 - 0.9 * MARGIN_S
    assert looked_for(person, [0.5, inside, 1.6, 2.0 + 0.9 * MARGIN_S, 2.5]) == [False, True, True, True, False]


def test_long_gaps_stay_gaps() -> None:
    assert looked_for(person_at([0.0, 0.1, 3.0, 3.1]), [0.1, 1.5, 3.0]) == [True, False, True]


def test_nothing_is_looked_for_beyond_a_cut() -> None:
    person = person_at([0.0, 0.1, 0.2], cuts=(3,))
    assert looked_for(person, [0.2, 0.3, 0.4]) == [True, False, False]


def test_a_cut_within_a_person_parts_the_crops() -> None:
    spans = spans_of(person_at([0.0, 0.1, 0.2, 0.3, 0.4], cuts=(3,)))
    assert [len(span.times_s) for span in spans] == [3, 2]
    assert [(span.first_frame, span.end_frame) for span in spans][0] == (0, 3)
    assert spans[1].first_frame == 3


def test_short_drops_of_the_score_are_bridged() -> None:
    times = np.arange(8) / 25
    sure = np.array([1, 1, 0, 0, 1, 0, 1, 0], bool)
    possible = np.array([1, 1, 1, 1, 1, 0, 1, 1], bool)
    assert bridged(times, sure, possible).tolist() == [True] * 5 + [False, True, False]


def test_long_drops_are_gaps() -> None:
    times = np.arange(20) / 25
    sure = np.ones(20, bool)
    sure[5:15] = False
    assert bridged(times, sure, np.ones(20, bool)).tolist() == sure.tolist()


def test_nobody_at_all() -> None:
    nothing = np.zeros(5, bool)
    assert not bridged(np.arange(5.0), nothing, nothing).any()


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (1080, 1920), (500, 500), (16, 16), (4000, 300)])
def test_the_windows_cover_the_frame(width: int, height: int) -> None:
    for looks in (windows(width, height), close_windows(width, height)):
        random = np.random.default_rng(0)
        points = random.uniform(0, [width, height], (200, 2))
        inside = (np.abs(points[:, None] - looks[None, :, :2]) <= looks[None, :, 2:3] / 2 + 1e-9).all(-1)
        assert inside.any(1).all()
