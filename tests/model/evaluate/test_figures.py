"""Pictures of the report: what is shown of a frame, and Figure 2."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model.evaluate import figure as figures_of_readme
from model.evaluate.context import Context
from model.evaluate.figures import HEAT_MM, strips, telling_frames
from model.evaluate.motion import Motion
from model.evaluate.suites import Clip, find_clips

FRAME = figures_of_readme.FRAMES[0]


@pytest.fixture(scope="module")
def demo() -> tuple[Clip, Motion]:
    (clip,) = find_clips("demo", False)
    return clip, clip.load()[0]


def uncertain(truth: Motion, mm: float) -> Motion:
    assert truth.vertices_cam_m is not None
    return replace(truth, uncertainty_mm=np.full(truth.vertices_cam_m.shape[:2], mm, np.float32))


def test_the_expected_error_is_shown_in_the_colours_of_the_true_one(demo: tuple[Clip, Motion]) -> None:
    clip, truth = demo
    errors = np.zeros(truth.frame_count)
    (strip,) = strips(clip, truth, uncertain(truth, HEAT_MM), "amr", errors, [(FRAME, "")])
    panels = dict(strip.panels)
    assert list(panels)[:4] == list(figures_of_readme.SHOWN)
    body = (panels["expected error"] != panels["frame"]).any(-1)
    redness = {name: float((panels[name][body].astype(float) @ [1, 0, -1]).mean()) for name in panels}
    assert redness["expected error"] > redness["error of the skin"] + 40
    (without,) = strips(clip, truth, truth, "fit", errors, [(FRAME, "")])
    assert "expected error" not in dict(without.panels)


def test_the_figure_has_a_row_for_each_frame(
    demo: tuple[Clip, Motion], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _, truth = demo
    method = replace(figures_of_readme.METHODS[figures_of_readme.METHOD], run=lambda *_: uncertain(truth, 50.0))
    monkeypatch.setitem(figures_of_readme.METHODS, figures_of_readme.METHOD, method)
    monkeypatch.setattr(figures_of_readme, "FRAMES", (FRAME, FRAME + 1))
    two = figures_of_readme.figure(Context(tmp_path, ""))
    monkeypatch.setattr(figures_of_readme, "FRAMES", (FRAME,))
    one = figures_of_readme.figure(Context(tmp_path, ""))
    assert two.shape[1] == one.shape[1]
    assert 1.5 < two.shape[0] / one.shape[0] < 2


def test_the_telling_frames_are_the_middle_and_the_worst() -> None:
    errors = np.array([3.0, np.nan, 1.0, 9.0])
    assert telling_frames(errors) == [(0, "a typical frame"), (3, "the worst frame")]
    assert telling_frames(np.full(3, np.nan)) == []
