"""The fixed test set: who is in it, and one frame of it."""

from __future__ import annotations

import numpy as np
import pytest

from model.body import AnnyBody
from model.synth.clips.test_clips import UNEVEN, make_film, plans
from model.synth.clips.truth import shown_person
from model.synth.motion.mocap import TEST_SUBJECTS, Sequence, default_folder, read_sequences
from model.synth.scene.looks import Wardrobe
from model.synth.splits import seeds


@pytest.fixture(scope="module")
def sequences() -> list[Sequence]:
    if not default_folder().is_dir():
        pytest.skip("needs the motion capture pack beside the checkout (shared/mocap)")
    return read_sequences(split="test")


def test_the_plan_is_fixed_large_and_held_out(sequences: list[Sequence]) -> None:
    clips = plans(sequences)
    assert clips == plans(sequences)
    assert len(clips) >= 120
    captured = [(clip.uid, clip.start_s) for clip in clips if clip.uid]
    assert len(set(captured)) == len(captured)
    assert len({clip.name for clip in clips}) == len(clips)
    subjects = {s.uid: s.subject for s in sequences}
    assert {subjects[clip.uid] for clip in clips if clip.uid} == TEST_SUBJECTS
    first, end = seeds("test")["bodies"]
    assert first + len(clips) < end


def test_a_clip_comes_from_its_number(sequences: list[Sequence], body: AnnyBody, wardrobe: Wardrobe) -> None:
    plan = next(clip for clip in plans(sequences) if clip.action == UNEVEN)
    film, shape, _ = make_film(body, wardrobe, plan, sequences)
    again, shape_again, _ = make_film(body, wardrobe, plan, sequences)
    assert np.array_equal(shape, shape_again)
    assert np.array_equal(film.motion.local, again.motion.local)
    assert np.array_equal(film.camera.camera_to_world, again.camera.camera_to_world)
    assert abs(float(film.mesh_m[..., 2].min())) < 1e-3  # the lowest step of the clip stands on the ground
    shown, hidden = shown_person(film, 10)
    assert shown.sum() > 100
    assert hidden < 0.8
