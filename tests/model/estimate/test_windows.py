from __future__ import annotations

import numpy as np
import pytest
import torch

from model.estimate import windows as module
from model.estimate.evidence import gather
from model.estimate.solve import solve
from model.estimate.windows import windows

from .conftest import FOCAL_PX, SIZE_PX, make_problem, make_scene

CENTER = (SIZE_PX[0] / 2, SIZE_PX[1] / 2)


@pytest.mark.parametrize("frames", [1, 600, 660, 661, 1000, 3000, 10_001])
def test_windows_cover_every_frame_and_overlap(frames):
    parts = windows(frames)
    assert parts[0].start == 0
    assert parts[-1].stop == frames
    for before, after in zip(parts[:-1], parts[1:], strict=True):
        assert before.stop - after.start >= module.OVERLAP
    assert max(part.stop - part.start for part in parts) <= module.WINDOW + module.OVERLAP


def _solve(landmarks, space):
    return solve(make_problem(space, 1.75), gather(landmarks, FOCAL_PX, CENTER), lambda done, total: None)


def test_no_seam(body, space, monkeypatch):
    landmarks = make_scene(body, space, frames=90, noise_px=2.0).landmarks
    whole = _solve(landmarks, space).points_m
    monkeypatch.setattr(module, "WINDOW", 40)
    monkeypatch.setattr(module, "OVERLAP", 16)
    assert len(windows(90)) > 2
    parts = _solve(landmarks, space).points_m
    bend = (parts.diff(2, 0) - whole.diff(2, 0)).norm(dim=-1)[:, :25]  # a contact of the feet may be judged otherwise
    assert bend.max() < 0.008  # a hand waves with 0.02
    assert (parts - whole).norm(dim=-1).median() < 0.03


def test_a_person_only_in_the_middle_third(body, space, monkeypatch):
    monkeypatch.setattr(module, "WINDOW", 30)
    monkeypatch.setattr(module, "OVERLAP", 8)
    landmarks = make_scene(body, space, frames=120).landmarks
    landmarks.present[:45] = False
    landmarks.present[75:] = False
    landmarks.px[~landmarks.present] = np.nan
    landmarks.world_m[~landmarks.present] = np.nan
    solution = _solve(landmarks, space)
    assert torch.isfinite(solution.points_m).all()
    assert torch.allclose(solution.points_m[0], solution.points_m[45])
    assert torch.allclose(solution.points_m[119], solution.points_m[74])
    assert float(solution.points_m[..., 2].min()) > 1.0
