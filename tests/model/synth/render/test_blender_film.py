"""Both renderers draw the same scene."""

from __future__ import annotations

import numpy as np
import pytest

from model.synth.clips.truth import shown_person
from model.synth.render.film import Film


def test_cycles_and_torch_agree_on_a_frame(film: Film) -> None:
    blender = pytest.importorskip("model.synth.render.blender", reason="needs bpy")
    ours, theirs = film.light(20), blender.light(film, 20, samples=8)
    assert theirs.shape == ours.shape
    shown, _ = shown_person(film, 20)
    assert np.corrcoef(ours[shown].ravel(), theirs[shown].ravel())[0, 1] > 0.8
    assert 0.6 < theirs[shown].mean() / ours[shown].mean() < 1.5
    empty = film.empty_light()
    differs = np.abs(theirs - empty).max(-1) > 0.02
    assert differs[shown].mean() > 0.9
    assert np.median(np.abs(theirs - ours)[~shown]) < 0.02
