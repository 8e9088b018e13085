"""The pool of detected plays: landmarks beside the truth, whole, resumable, and of nobody but the person."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from model.detect import Landmarks, Networks
from model.detect.landmarks import OTHER_SIDE
from model.estimate.pose_space import PoseSpace
from model.paths import assets_folder
from model.synth import picture_clips
from model.synth.landmarks.plays import Plays
from model.synth.picture_clips import FRAME_PX, ClipMaker, PictureClip, frame_size
from model.synth.picture_file import load_pictures
from model.synth.splits import seeds
from model.train.initial import detected
from model.train.initial.data import pose_space
from model.train.initial.detected import NOBODY, SOMEBODY_ELSE, Detected, Pictures, Pool, away_m, true_px
from tests.model.made_plays import small_theatre

FRAMES = 14
SEEN = 3
"""A number whose person the detector sees, however the pictures are taken."""


@pytest.fixture(scope="module")
def space() -> PoseSpace:
    return pose_space()


@pytest.fixture(scope="module")
def parts(space: PoseSpace) -> tuple:
    stage, crowd = small_theatre(space)
    networks = Networks.load(assets_folder(), torch.device("cpu"))
    return 0, stage, crowd, ClipMaker(space, seeds("train"), 160), networks, FRAMES


@pytest.fixture(scope="module")
def found(parts: tuple) -> Detected:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(picture_clips, "HIDDEN", 0.0)
        patch.setattr(picture_clips, "HARD", 0.0)
        made = Pool(Path("nowhere"), *parts).made(SEEN)
    assert not isinstance(made, str)
    return made[0]


def landmarks_of(play: Plays, px: np.ndarray) -> Landmarks:
    frames = len(px)
    ones = np.ones((frames, 33), np.float32)
    return Landmarks(
        np.arange(frames, dtype=np.int32), np.arange(frames) / float(play.fps[0]), np.ones(frames, bool),
        px.astype(np.float32), ones, ones, ones[:, 0], np.zeros((frames, 33, 3), np.float32), frame_size(play),
    )  # fmt: skip


def test_pictures_stand_for_a_file() -> None:
    images = np.arange(7, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 6, 3), np.uint8)
    every = Pictures(images, 20.0)
    assert (every.info.width, every.info.height, every.info.frame_count, every.info.fps) == (6, 4, 7, 20.0)
    some = list(Pictures(images, 20.0, 3).frames(1, None))
    assert [f.index for f in some] == [3, 6]
    assert [f.time_s for f in some] == pytest.approx([0.15, 0.3])
    assert [int(f.rgb[0, 0, 0]) for f in some] == [3, 6]
    assert len(list(every.frames(2, 5))) == 3


def test_the_detector_sees_the_person(found: Detected) -> None:
    assert found.landmarks.present.sum() >= FRAMES - 2
    assert max(found.landmarks.size_px) == FRAME_PX
    assert np.median(away_m(found.landmarks, found.play)) < 0.06 * found.stature_m
    assert found.visible.shape == (FRAMES, 33)
    assert 0.5 < found.stature_m < 2.2


def test_what_is_read_back_is_what_was_written(found: Detected, tmp_path: Path) -> None:
    path = tmp_path / "000003.npz"
    found.save(path)
    again, play = Detected.load(path), Plays.load(path)
    for f in fields(Plays):
        assert np.array_equal(getattr(play, f.name), getattr(found.play, f.name))
        assert np.array_equal(getattr(again.play, f.name), getattr(found.play, f.name))
    for f in fields(Landmarks):
        assert np.array_equal(getattr(again.landmarks, f.name), getattr(found.landmarks, f.name), equal_nan=True)
    assert again.stature_m == found.stature_m
    assert np.array_equal(again.shape, found.shape)
    assert np.array_equal(again.visible, found.visible)
    both = Plays.joined([play, play])
    assert both.points_cam_m.shape[:2] == (2, FRAMES)


def test_the_play_is_the_theatres(found: Detected, parts: tuple) -> None:
    play = parts[1].play(SEEN, FRAMES)
    assert np.array_equal(play.points_cam_m, found.play.points_cam_m)
    assert np.array_equal(parts[2].shape[int(play.person[0])].numpy(), found.shape)


def test_distance_from_the_truth(found: Detected) -> None:
    play = found.play
    true = true_px(play)
    assert away_m(landmarks_of(play, true), play) == pytest.approx(0.0, abs=1e-4)
    assert away_m(landmarks_of(play, true[:, OTHER_SIDE]), play) == pytest.approx(0.0, abs=1e-4)
    per_metre = FRAME_PX * float(play.focal[0]) / play.root_cam_m[0, :, 2]
    aside = true + np.array([0.2, 0])[None, None] * per_metre[:, None, None]
    assert away_m(landmarks_of(play, aside), play) == pytest.approx(0.2, abs=0.05)


def test_what_is_of_no_use_leaves_a_marker(
    found: Detected, parts: tuple, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = Pool(tmp_path, *parts)
    frames = np.arange(FRAMES, dtype=np.int32)
    elsewhere = replace(found.landmarks, px=np.full((FRAMES, 33, 2), -500, np.float32), frames=frames)
    for number, (seen, reason) in enumerate(((None, NOBODY), (elsewhere, SOMEBODY_ELSE))):
        monkeypatch.setattr(detected, "detect", lambda *_, seen=seen: seen)
        pool.make(number)
        assert pool.marker(number).read_text() == reason
        assert not pool.file(number).exists()


def test_what_is_there_is_not_made_again(
    found: Detected, parts: tuple, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = Pool(tmp_path, *parts)
    frames = np.random.default_rng(0).integers(0, 256, (2, 1, 1, 3)).repeat(32, 1).repeat(48, 2).astype(np.uint8)
    hit = np.random.default_rng(1).random((2, 32, 48)) < 0.5
    pictures = PictureClip(frames, np.array([3.0, 4.0]), 1.5, np.ones((2, 33), bool), hit)
    monkeypatch.setattr(Pool, "made", lambda self, number: (found, pictures))
    pool.make(SEEN)
    assert Detected.load(pool.file(SEEN)).stature_m == found.stature_m
    kept = load_pictures(pool.pictures(SEEN))
    assert np.abs(kept.images.astype(int) - frames).max() < 4  # in the order red, green, blue, and hardly spoilt
    assert np.array_equal(kept.silhouette, hit) and np.array_equal(kept.visible, pictures.visible)
    assert kept.scale == 1.5 and np.array_equal(kept.corner_px, pictures.corner_px)
    pool.marker(4).touch()

    def never(self: Pool, number: int) -> Detected:
        raise AssertionError(number)

    monkeypatch.setattr(Pool, "made", never)
    pool.make(SEEN)
    pool.make(4)
