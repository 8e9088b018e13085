"""A body, dressed people and a tiny clip for the tests of the made footage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model.body import AnnyBody, RestBody
from model.synth.clips.made_clips import puppet_of
from model.synth.motion import acts
from model.synth.motion.acts import Motion
from model.synth.render.film import Camera, Film
from model.synth.scene.looks import Wardrobe, random_look
from model.synth.scene.room import random_place
from model.synth.scene.scenes import camera_towards, framing_distance, random_lights, random_shape


@pytest.fixture(scope="session")
def body(assets: Path) -> AnnyBody:
    return AnnyBody.load(assets)


@pytest.fixture(scope="session")
def wardrobe(body: AnnyBody) -> Wardrobe:
    return Wardrobe(body)


@pytest.fixture(scope="session")
def rest(body: AnnyBody) -> RestBody:
    return body.rest(random_shape(body, np.random.default_rng(5), age=(0.6, 0.7)))


@pytest.fixture(scope="session")
def walk(body: AnnyBody, rest: RestBody) -> Motion:
    """One and a half seconds."""
    return acts.walk(puppet_of(body, rest), np.random.default_rng(1), duration_s=1.5)


@pytest.fixture(scope="session")
def film(body: AnnyBody, rest: RestBody, wardrobe: Wardrobe, walk: Motion) -> Film:
    """The walk from the side, 160 x 96 pixels."""
    rng = np.random.default_rng(2)
    person = wardrobe.sewn(rest.vertices_m.double().numpy(), random_look(rng))
    lights = random_lights(rng, 1.0)
    size, K = (160, 96), np.array([[170.0, 0, 80], [0, 170, 48], [0, 0, 1]])
    made = Film(body, rest, person, walk, random_place(rng), lights, Camera(K, np.eye(4), size), seed=3)
    points = made.mesh_m[:, ::31].reshape(-1, 3).numpy().astype(float)
    distance = framing_distance(points, 90.0, 1.0, K, size, (2.0, 8.0), np.zeros(3))
    assert distance is not None
    made.camera = Camera(K, camera_towards(points, 90.0, 1.0, distance, np.zeros(3)), size)
    return made
