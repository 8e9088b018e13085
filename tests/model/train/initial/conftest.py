"""A few plays of a small theatre, and windows of them."""

from __future__ import annotations

import pytest

from model.estimate.pose_layout import PoseLayout
from model.estimate.pose_space import PoseSpace
from model.synth.landmarks.crowd import Crowd
from model.synth.landmarks.noise import NoiseSettings
from model.synth.landmarks.plays import Plays, Theatre
from model.train.initial.data import FRAMES, Windows, average_landmarks, layout, pose_space
from tests.model.made_plays import small_theatre


@pytest.fixture(scope="session")
def space() -> PoseSpace:
    return pose_space()


@pytest.fixture(scope="session")
def pose_layout() -> PoseLayout:
    return layout()


@pytest.fixture(scope="session")
def house(space: PoseSpace) -> tuple[Theatre, Crowd]:
    return small_theatre(space)


@pytest.fixture(scope="session")
def crowd(house: tuple[Theatre, Crowd]) -> Crowd:
    return house[1]


@pytest.fixture(scope="session")
def plays(house: tuple[Theatre, Crowd]) -> Plays:
    """Eight, as long as those that are trained on."""
    return Plays.joined([house[0].play(number, FRAMES) for number in range(8)])


@pytest.fixture(scope="session")
def windows(plays: Plays, crowd: Crowd, space: PoseSpace) -> Windows:
    return Windows(plays, crowd, NoiseSettings(), average_landmarks(space))
