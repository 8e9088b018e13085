"""The weights that are shipped, on people, poses and noise that no training has seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from amr_blender.contract.job import Job
from model.detect import Landmarks
from model.estimate import Plan, estimate
from model.estimate.learned import FILE, InitialEstimate
from model.estimate.take_builder import JOINT12_LANDMARKS
from model.evaluate.metrics import mpjpe_mm
from model.evaluate.motion import Motion
from model.networks.initial import InitialNet
from model.networks.weights import read_weights
from model.paths import WEIGHTS
from model.synth.landmarks.crowd import Crowd
from model.synth.landmarks.noise import Detector, NoiseSettings
from model.synth.landmarks.plays import Plays, Theatre
from model.synth.motion.enrich import sample
from model.synth.motion.motions import MotionBank
from model.synth.picture_clips import FRAME_PX, frame_K, frame_size
from model.synth.splits import seeds
from model.train.initial.data import average_landmarks, pose_space
from model.video import VideoInfo
from tests.model.made_capture import sequence, turned

CLIPS, FRAMES = 10, 40
HARD = NoiseSettings(quality=(0.2, 0.3), thing_share=0.9, gap_share=0.4)
"""People half hidden, seen by a bad detector, lost for a while: what the network is for."""


@pytest.fixture(scope="module")
def clips() -> list[tuple[Landmarks, Plays]]:
    """Drawn poses, played and seen; the only captured motion is made here and stands still."""
    space = pose_space()
    crowd = Crowd.draw(space, seeds("test")["bodies"], 8)
    standing = sequence(turned(90, l_shoulder=("z", -60.0), r_shoulder=("z", 70.0), r_knee=("x", 20.0)))
    stage = Theatre(space, MotionBank(space, sample(space, 300, seed=seeds("test")["poses"][0]), [standing]), crowd)
    detector = Detector(HARD, average_landmarks(space))
    return [_seen(stage.play(2_000_000_000 + number, FRAMES), detector, crowd, number) for number in range(CLIPS)]


def _seen(play: Plays, detector: Detector, crowd: Crowd, seed: int) -> tuple[Landmarks, Plays]:
    points = torch.from_numpy(play.points_cam_m[:, :, :33])
    stature = crowd.stature_m[torch.from_numpy(play.person).long()]
    fps, focal, size = (torch.from_numpy(a) for a in (play.fps, play.focal, play.size))
    rng = torch.Generator().manual_seed(seed)
    seen = detector.look(points, stature, fps, focal, size, rng)
    K = frame_K(play)
    px = seen.rays[0].numpy() * K[0, 0] + K[:2, 2]
    visibility, present = seen.visibility[0].numpy(), seen.present[0].numpy()
    return Landmarks(
        np.arange(FRAMES, dtype=np.int32), np.arange(FRAMES) / float(play.fps[0]), present, px.astype(np.float32),
        visibility, visibility, present.astype(np.float32), seen.world_m[0].numpy(), frame_size(play),
    ), play  # fmt: skip


def errors_mm(clips: list[tuple[Landmarks, Plays]], plan: Plan) -> NDArray[np.floating]:
    found = []
    for landmarks, play in clips:
        width, height = landmarks.size_px
        assert max(width, height) == FRAME_PX
        fps = float(play.fps[0])
        info = VideoInfo("clip", width, height, fps, FRAMES, 0, "", None)
        take = estimate(landmarks, pose_space().body, info, Job("clip", "take"), lambda *_: None, plan=plan)
        truth = Motion(fps, play.points_cam_m[0][:, JOINT12_LANDMARKS].astype(float))
        found.append(mpjpe_mm(truth, Motion(fps, take.joints12_cam_m.astype(float))).value())
    return np.array(found)


def test_they_beat_the_untrained_network_and_help_the_fit(clips: list[tuple[Landmarks, Plays]]) -> None:
    trained = InitialEstimate.load(WEIGHTS / FILE, pose_space())
    untrained = trained.untrained(3)
    alone = errors_mm(clips, Plan(True, False, trained)).mean()
    assert alone < 0.6 * errors_mm(clips, Plan(True, False, untrained)).mean()
    fit = errors_mm(clips, Plan(False, True)).mean()
    assert errors_mm(clips, Plan(True, True, trained)).mean() < 0.97 * fit
    assert errors_mm(clips, Plan(True, True, untrained)).mean() > fit


def test_looking_at_what_is_missed_pays(clips: list[tuple[Landmarks, Plays]]) -> None:
    """Against what the same network says at first."""
    trained = InitialEstimate.load(WEIGHTS / FILE, pose_space())
    state, _ = read_weights(WEIGHTS / FILE)
    first = InitialNet(replace(trained.settings, passes=0))
    first.load_state_dict({name: value for name, value in state.items() if not name.startswith("again.")})
    at_first = InitialEstimate(first, trained.layout, trained.shape_mean, trained.shape_sigma)
    alone, before = (errors_mm(clips, Plan(True, False, estimate)).mean() for estimate in (trained, at_first))
    assert alone < 0.97 * before
