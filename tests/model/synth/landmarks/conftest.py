"""A small theatre: three people, made motion, no capture."""

from __future__ import annotations

import pytest

from model.body import AnnyBody
from model.body.body_points import body_points
from model.body.landmarks import LandmarkRegressor
from model.estimate.pose_space import PoseSpace
from model.paths import WEIGHTS
from model.synth.landmarks.crowd import Crowd
from model.synth.landmarks.plays import Plays, Theatre
from tests.model.made_plays import small_theatre


@pytest.fixture(scope="session")
def space(body: AnnyBody) -> PoseSpace:
    return PoseSpace(body, LandmarkRegressor.load(WEIGHTS / "landmark_regressor.npz").joined(body_points(body)))


@pytest.fixture(scope="session")
def house(space: PoseSpace) -> tuple[Theatre, Crowd]:
    return small_theatre(space)


@pytest.fixture(scope="session")
def plays(house: tuple[Theatre, Crowd]) -> Plays:
    """Twenty-four of forty frames."""
    return Plays.joined([house[0].play(number, 40) for number in range(24)])
