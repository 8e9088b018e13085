"""Clips of training pictures: repeatable, and with the truth where the person is drawn."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from amr_blender.contract.spaces import project_px
from model.body import AnnyBody
from model.body.body_points import body_points
from model.body.landmarks import LANDMARK_NAMES, LandmarkRegressor
from model.estimate.pose_space import PoseSpace
from model.paths import WEIGHTS
from model.synth import picture_clips
from model.synth.landmarks.crowd import Crowd
from model.synth.landmarks.plays import Plays, Theatre
from model.synth.picture_clips import FRAME_PX, ClipMaker, PictureClip, frame_K, frame_size
from model.synth.splits import seeds
from tests.model.made_plays import small_theatre

FRAMES, SIZE = 5, 128


@pytest.fixture(scope="module")
def space(body: AnnyBody) -> PoseSpace:
    return PoseSpace(body, LandmarkRegressor.load(WEIGHTS / "landmark_regressor.npz").joined(body_points(body)))


@pytest.fixture(scope="module")
def cast(space: PoseSpace) -> tuple[Theatre, Crowd]:
    return small_theatre(space)


@pytest.fixture(scope="module")
def maker(space: PoseSpace) -> ClipMaker:
    return ClipMaker(space, seeds("train"), SIZE)


def filmed(maker: ClipMaker, cast: tuple[Theatre, Crowd], number: int, seed: int = 0) -> tuple[Plays, PictureClip]:
    play = cast[0].play(number, FRAMES)
    return play, maker.clip(play, cast[1].shape[int(play.person[0])], np.random.default_rng([number, seed]))


def true_px(play: Plays, clip: PictureClip) -> np.ndarray:
    """(T, 33, 2) in pixels of the pictures."""
    px = project_px(play.points_cam_m[0, :, : len(LANDMARK_NAMES)].astype(np.float64), frame_K(play))
    return (px - clip.corner_px) / clip.scale


@pytest.mark.parametrize("number", range(6))
def test_the_truth_lies_on_the_person(maker: ClipMaker, cast: tuple[Theatre, Crowd], number: int) -> None:
    play, clip = filmed(maker, cast, number)
    height, width = clip.images.shape[1:3]
    assert clip.images.dtype == np.uint8
    assert max(height, width) <= SIZE
    assert clip.images.std() > 5
    corners = clip.in_frame(np.array([[0, 0], [width, height]]))
    assert (corners > -1.5 * clip.scale).all()
    assert (corners < np.array(frame_size(play)) + 1.5 * clip.scale).all()
    px = true_px(play, clip)
    assert np.allclose(clip.in_frame(px)[0, 0], px[0, 0] * clip.scale + clip.corner_px)
    assert clip.visible.any()
    assert not clip.visible.all()
    body = np.stack([cv2.dilate(s.astype(np.uint8), np.ones((5, 5))) for s in clip.silhouette]) > 0
    inside = ((px >= 0) & (px < [width, height])).all(-1)
    assert inside[clip.visible].mean() > 0.97
    column, row = px.clip(0, [width - 1, height - 1]).astype(int).transpose(2, 0, 1)
    on_body = body[np.arange(FRAMES)[:, None], row, column]
    assert on_body[inside].mean() > 0.97
    moved = body[np.arange(FRAMES)[:, None], row, (column + width // 2) % width]
    assert moved[inside].mean() < 0.7


def test_a_clip_is_a_function_of_play_and_seed(maker: ClipMaker, cast: tuple[Theatre, Crowd], space: PoseSpace) -> None:
    _, one = filmed(maker, cast, 2)
    _, again = filmed(ClipMaker(space, seeds("train"), SIZE), cast, 2)
    assert np.array_equal(one.images, again.images)
    assert np.array_equal(one.visible, again.visible)
    _, other = filmed(maker, cast, 2, seed=1)
    assert other.images.shape != one.images.shape or not np.array_equal(other.images, one.images)


def test_things_hide_landmarks(maker: ClipMaker, cast: tuple[Theatre, Crowd], monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {}
    for share in (0.0, 1.0):
        monkeypatch.setattr(picture_clips, "HIDDEN", share)
        monkeypatch.setattr(picture_clips, "LARGEST", 0.5)
        seen[share] = np.concatenate([filmed(maker, cast, number)[1].visible for number in range(4)]).mean()
    assert seen[1.0] < 0.9 * seen[0.0]


def test_plain_clips_hide_nothing_and_are_well_lit(
    space: PoseSpace, cast: tuple[Theatre, Crowd], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture_clips, "HIDDEN", 1.0)
    monkeypatch.setattr(picture_clips, "HARD", 2.5)  # all are dark or glaring
    monkeypatch.setattr(picture_clips, "LARGEST", 0.5)
    clips = {
        plain: [filmed(ClipMaker(space, seeds("train"), SIZE, plain=plain), cast, number)[1] for number in range(5)]
        for plain in (False, True)
    }
    seen = {plain: np.mean([clip.visible.mean() for clip in some]) for plain, some in clips.items()}
    assert seen[True] > seen[False] + 0.1
    light = {plain: [abs(clip.images.mean() / 127 - 1) for clip in some] for plain, some in clips.items()}
    assert np.mean(light[True]) < np.mean(light[False])


def test_the_frame_is_the_plays(cast: tuple[Theatre, Crowd]) -> None:
    play = cast[0].play(1, FRAMES)
    size, K = np.array(frame_size(play)), frame_K(play)
    assert size.max() == FRAME_PX
    assert np.allclose(size / FRAME_PX, play.size[0])
    assert np.allclose(K[:2, 2], size / 2)
    assert K[0, 0] == pytest.approx(FRAME_PX * float(play.focal[0]))
