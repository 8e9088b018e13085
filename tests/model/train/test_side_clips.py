"""A clip for the side model: whole, repeatable in its truth, and never drawn twice."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model.body import AnnyBody
from model.body.landmarks import LandmarkRegressor
from model.detect import Networks
from model.detect.landmarks import OTHER_SIDE
from model.paths import WEIGHTS, assets_folder
from model.synth.clips.clip_folder import CLIP, TRUTH, read_landmarks
from model.synth.motion.mocap import FILES, default_folder, read_sequences
from model.synth.scene.outfit import Tailor
from model.train import side_clips
from model.train.side_model import example

pytestmark = pytest.mark.skipif(
    not all((default_folder() / name).is_file() for name in FILES),
    reason="the motion-capture pack (../shared/mocap) is not here",
)


def test_a_clip_and_what_the_detector_sees_in_it(tmp_path, monkeypatch):
    monkeypatch.setattr(side_clips, "FRAMES", 8)
    monkeypatch.setattr(side_clips, "HARD", 0.0)
    torch.set_num_threads(1)
    body = AnnyBody.load(assets_folder())
    given = (
        body,
        Tailor.of(body).dress(),
        [s for s in read_sequences(split="train") if s.group.startswith("walk")][:2],
        LandmarkRegressor.load(WEIGHTS / "landmark_regressor.npz"),
        Networks.load(assets_folder(), torch.device("cpu")),
    )
    side_clips.make_clip(tmp_path, 1, *given)
    landmarks = read_landmarks(tmp_path)
    with np.load(tmp_path / TRUTH, allow_pickle=False) as truth:
        true_px = truth["landmarks_px"]
    assert true_px.shape == landmarks.px.shape == (8, 33, 2)
    assert np.median(np.linalg.norm(landmarks.px - true_px, axis=-1)) < 12
    learnt = example(landmarks, true_px)
    assert (learnt.mistaken[:, 2] <= 0).all()
    turned = example(landmarks, true_px[:, OTHER_SIDE])
    assert (turned.mistaken[learnt.mistaken == 0] == 1).all()
    drawn_ns = (tmp_path / CLIP).stat().st_mtime_ns
    side_clips.make_clip(tmp_path, 1, *given)
    assert (tmp_path / CLIP).stat().st_mtime_ns == drawn_ns
