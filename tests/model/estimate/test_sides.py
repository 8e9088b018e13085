from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from model.estimate.sides import GROUPS, repair_sides

from .conftest import make_scene


@pytest.fixture(scope="module")
def landmarks(body, space):
    return make_scene(body, space, frames=80).landmarks


def _exchange(landmarks, group, frames):
    left, right = (list(side) for side in GROUPS[group])
    px, world_m = landmarks.px.copy(), landmarks.world_m.copy()
    rows = np.asarray(frames)[:, None]
    for array in (px, world_m):
        array[rows, left], array[rows, right] = array[rows, right], array[rows, left]
    return replace(landmarks, px=px, world_m=world_m)


def test_what_is_right_is_left_alone(landmarks):
    repaired, swapped = repair_sides(landmarks)
    assert not swapped.any()
    assert np.array_equal(repaired.px, landmarks.px)


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("frames", [[30], [10, 11, 12], range(50, 70), range(5), range(76, 80)])
def test_an_exchange_is_found_and_undone(landmarks, group, frames):
    repaired, swapped = repair_sides(_exchange(landmarks, group, list(frames)))
    expected = np.zeros(80, bool)
    expected[list(frames)] = True
    assert np.array_equal(swapped[:, list(GROUPS).index(group)], expected)
    assert np.array_equal(repaired.px, landmarks.px)
    assert np.array_equal(repaired.world_m, landmarks.world_m)


def test_limbs_that_pass_each_other_go_on(landmarks):
    """Feet that swing through one another, as in a walk seen from the side."""
    left, right = GROUPS["legs"]
    world_m = landmarks.world_m.copy()
    swing = 0.4 * np.sin(0.3 * np.arange(80))[:, None]
    world_m[:, left, 2], world_m[:, right, 2] = swing, -swing
    world_m[:, left, 0], world_m[:, right, 0] = 0.05, -0.05
    assert not repair_sides(replace(landmarks, world_m=world_m))[1].any()


def test_gaps_and_short_stretches(landmarks):
    present = np.ones(80, bool)
    present[[1, 4]] = False
    present[40:50] = False
    world_m = np.where(present[:, None, None], landmarks.world_m, np.nan)
    repaired, swapped = repair_sides(replace(landmarks, present=present, world_m=world_m))
    assert not swapped.any()
    assert repaired.px.shape == landmarks.px.shape
