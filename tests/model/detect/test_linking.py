"""Made-up detections become people."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from model.detect.linking import Detection, Linker, Track, same_person, stitch, unlikeness, without_doubles

RED, BLUE, PURPLE = np.array([1.0, 0, 0]), np.array([0, 0, 1.0]), np.array([0.5, 0, 0.5])
SIDE = 500.0
STEP_S = 0.1
Path = Callable[[float], tuple[float, float]]


def person(x: float, y: float, colour: NDArray[np.float64], side: float = SIDE, score: float = 0.9) -> Detection:
    points = np.array([[x, y], [x, y - side / 2.5], [x, y - side / 5], [x, y - side / 3]])
    return Detection(np.array([x, y, side, 0.0]), points, score, colour)


def link(samples: list[list[Detection]], shots: list[int] | None = None) -> list[Track]:
    linker = Linker()
    for number, detections in enumerate(samples):
        linker.add(shots[number] if shots else 0, 3 * number, STEP_S * number, detections)
    return sorted(stitch(linker.tracks), key=lambda track: track.frames[0])


def xs(track: Track) -> list[float]:
    return [float(d.crop[0]) for d in track.detections]


def test_one_walking_person_is_one_track() -> None:
    (track,) = link([[person(300 + 20 * n, 500, RED)] for n in range(30)])
    assert track.frames == [3 * n for n in range(30)]
    assert track.times_s == pytest.approx(STEP_S * np.arange(30))


def test_two_who_pass_each_other_keep_their_identity() -> None:
    samples = [[person(300 + 25 * n, 500, RED), person(1300 - 25 * n, 510, BLUE)] for n in range(40)]
    for number in range(0, 40, 3):
        samples[number].reverse()
    tracks = link(samples)
    assert len(tracks) == 2
    for track in tracks:
        colours = {tuple(d.appearance) for d in track.detections}
        assert len(colours) == 1 and len(track.frames) == 40
        assert np.abs(np.diff(xs(track))).max() == pytest.approx(25)


def test_two_dressed_alike_who_stand_apart_do_not_swap() -> None:
    samples = [[person(400, 500, RED), person(800, 500, RED)] for _ in range(20)]
    for number in range(5, 15):
        del samples[number][number % 2]
    tracks = link(samples)
    assert sorted({x for t in tracks for x in xs(t)}) == [400, 800]
    assert [len(set(xs(t))) for t in tracks] == [1, 1]


def test_a_missed_detection_leaves_a_gap_in_one_track() -> None:
    samples = [[person(400 + 10 * n, 500, RED)] if n not in (4, 5, 11) else [] for n in range(20)]
    (track,) = link(samples)
    assert track.frames == [3 * n for n in range(20) if n not in (4, 5, 11)]


def test_who_leaves_and_returns_is_the_same_person() -> None:
    samples: list[list[Detection]] = [[person(900 + 40 * n, 500, RED)] for n in range(8)]
    samples += [[] for _ in range(25)]
    samples += [[person(1180 - 40 * n, 500, RED)] for n in range(8)]
    (track,) = link(samples)
    assert len(track.frames) == 16


def test_another_who_enters_at_the_same_place_is_another_person() -> None:
    samples: list[list[Detection]] = [[person(900, 500, RED)] for _ in range(8)]
    samples += [[] for _ in range(25)]
    samples += [[person(900, 500, BLUE)] for _ in range(8)]
    assert [len(t.frames) for t in link(samples)] == [8, 8]


def test_nobody_leaps_across_the_picture() -> None:
    samples = [[person(300, 500, RED)] for _ in range(8)] + [[person(1700, 500, RED)] for _ in range(8)]
    assert [len(t.frames) for t in link(samples)] == [8, 8]


def test_nobody_shrinks_to_a_third_at_once() -> None:
    samples = [[person(600, 500, RED)] for _ in range(8)] + [[person(600, 500, RED, SIDE / 3)] for _ in range(8)]
    assert [len(t.frames) for t in link(samples)] == [8, 8]


@pytest.mark.parametrize(("colour", "x", "tracks"), [(RED, 610, 1), (BLUE, 610, 2), (PURPLE, 610, 2), (RED, 900, 2)])
def test_over_a_cut_only_the_same_look_at_the_same_place_is_linked(
    colour: NDArray[np.float64], x: float, tracks: int
) -> None:
    samples = [[person(600, 500, RED)] for _ in range(8)] + [[person(x, 500, colour)] for _ in range(8)]
    assert len(link(samples, [0] * 8 + [1] * 8)) == tracks


def test_a_false_double_is_dropped() -> None:
    linker = Linker()
    for number in range(10):
        people = [person(600, 500, RED)]
        if number in (3, 4):
            people.append(person(630, 520, RED, SIDE * 0.8))
        linker.add(0, number, STEP_S * number, people)
    assert [len(t.frames) for t in without_doubles(stitch(linker.tracks))] == [10]


def test_the_best_detection_keeps_its_pictures() -> None:
    linker = Linker()
    for number, score in enumerate((0.6, 0.95, 0.7)):
        seen = person(600, 500, RED, score=score)
        picture = (np.full((2, 2, 3), number, np.uint8),)
        pictured = Detection(seen.crop, seen.keypoints_px, seen.score, seen.appearance, picture)
        linker.add(0, number, STEP_S * number, [pictured])
    (track,) = linker.tracks
    assert track.best is not None and track.best.pictures[0][0, 0, 0] == 1
    assert all(not d.pictures for d in track.detections), "only one picture a track is held"


def test_unlikeness() -> None:
    assert unlikeness(RED, RED) == pytest.approx(0)
    assert unlikeness(RED, BLUE) == pytest.approx(1)
    assert 0 < unlikeness(RED, PURPLE) < 0.5


def test_same_person() -> None:
    crop = np.array([100.0, 100, 250, 0])
    assert same_person(crop, np.array([120.0, 100, 200, 0.4]))
    assert not same_person(crop, np.array([180.0, 100, 250, 0]))
    assert not same_person(crop, np.array([100.0, 100, 500, 0]))
