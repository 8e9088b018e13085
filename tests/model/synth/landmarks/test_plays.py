"""Plays: the truth is one and the same however it is told, and what rests on the ground rests."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch

from model.estimate.pose_space import PoseSpace
from model.synth.landmarks import plays as plays_module
from model.synth.landmarks.crowd import Crowd
from model.synth.landmarks.plays import CONTACTS, RATES, TOUCH_M, TOUCH_M_S, Plays, Theatre
from model.synth.motion import motions

House = tuple[Theatre, Crowd]


def heights_m(plays: Plays, number: int) -> np.ndarray:
    """(T, L) along the vertical, from the camera."""
    return plays.points_cam_m[number].astype(float) @ plays.up[number]


def test_points_are_the_persons_in_the_pose(plays: Plays, house: House, space: PoseSpace) -> None:
    for number in range(0, 24, 5):
        rest = space.body.rest(house[1].shape[int(plays.person[number])].double())
        root, turn, angles = (
            torch.from_numpy(a[number]).double() for a in (plays.root_cam_m, plays.orientation, plays.angles)
        )
        expected, _ = space.landmarks(space.attach(rest), root, turn, angles)
        assert np.abs(expected.numpy() - plays.points_cam_m[number]).max() < 1e-3


def test_people_are_before_the_camera_and_most_of_them_in_the_picture(plays: Plays) -> None:
    assert plays.points_cam_m[..., 2].min() > 0.3
    rays = plays.points_cam_m[..., :2] / plays.points_cam_m[..., 2:]
    place = rays * plays.focal[:, None, None, None] / plays.size[:, None, None] + 0.5
    inside = ((place > 0) & (place < 1)).all(-1).mean((1, 2))
    assert (inside > 0.95).mean() > 0.5
    assert np.median(inside) > 0.95


def test_the_pose_keeps_within_what_joints_do(plays: Plays, space: PoseSpace) -> None:
    assert (plays.angles >= space.lower.numpy() - 1e-5).all()
    assert (plays.angles <= space.upper.numpy() + 1e-5).all()
    turned = np.swapaxes(plays.orientation, -1, -2) @ plays.orientation
    assert np.abs(turned - np.eye(3)).max() < 1e-5


def test_the_vertical_is_the_worlds(plays: Plays) -> None:
    np.testing.assert_allclose(np.linalg.norm(plays.up, axis=-1), 1.0, atol=1e-6)
    assert (plays.up[:, 1] < -0.4).all()  # nobody films upside down
    standing = plays.contacts[:, :, :4].any(-1).mean(1) > 0.9
    nose, ankles = plays.points_cam_m[:, :, 0], plays.points_cam_m[:, :, 27:29].mean(2)
    upright = np.einsum("ntd,nd->nt", nose - ankles, plays.up).mean(1)
    assert np.median(upright[standing]) > 0.7


def test_what_rests_on_the_ground_is_low_and_slow(plays: Plays) -> None:
    """As told from the camera, without the world that the labels were made in."""
    resting = 0
    for number in range(24):
        height, contacts = heights_m(plays, number)[:, CONTACTS], plays.contacts[number]
        speed = np.linalg.norm(
            np.gradient(plays.points_cam_m[number].astype(float), 1 / float(plays.fps[number]), axis=0), axis=-1
        )[:, CONTACTS]
        if not contacts.any():
            continue
        resting += 1
        assert np.ptp(height[contacts]) < 2 * TOUCH_M
        assert speed[contacts].max() < 1.02 * TOUCH_M_S
        ground = height[contacts].min()
        assert contacts[(height < ground - 1e-3) & (speed < 0.98 * TOUCH_M_S)].all()
    assert resting >= 18


def test_someone_who_stands_rests_on_the_feet(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(motions, "KEYED_SHARE", 0.0)
    monkeypatch.setattr(motions, "SWAY", 0.0)
    monkeypatch.setattr(plays_module, "IN_THE_AIR", 0.0)
    play = house[0].play(3, 30)
    assert play.contacts[0, :, :4].any(1).all()
    assert not play.contacts[0, :, 4:].any()


def test_who_stands_on_a_box_stands_as_on_the_ground(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contacts are of what carries, however high that is; only the camera is elsewhere."""
    made = {}
    for share in (0.0, 1.0):
        monkeypatch.setattr(plays_module, "IN_THE_AIR", share)
        made[share] = house[0].play(7, 20)
    assert np.array_equal(made[0.0].contacts, made[1.0].contacts)
    assert np.array_equal(made[0.0].angles, made[1.0].angles)
    assert not np.allclose(made[0.0].points_cam_m, made[1.0].points_cam_m, atol=0.01)


def test_plain_plays_are_on_the_ground(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The camera is at the height of a person, or above, over what is lowest."""
    monkeypatch.setattr(plays_module, "IN_THE_AIR", 1.0)
    monkeypatch.setattr(house[0], "_plain", True)
    low = [float(heights_m(house[0].play(number, 10), 0).min()) for number in range(8)]
    assert min(low) > -4.1 and max(low) < -0.7


def test_a_play_is_a_function_of_its_number(house: House, plays: Plays) -> None:
    again = house[0].play(5, 40)
    for f in fields(Plays):
        assert np.array_equal(getattr(again, f.name)[0], getattr(plays, f.name)[5]), f.name
    assert len(np.unique(plays.root_cam_m[:, 0, 2])) == 24


def test_rates_and_people_vary(plays: Plays, house: House) -> None:
    assert set(plays.fps.tolist()) <= set(RATES) and len(set(plays.fps.tolist())) >= 4
    assert set(plays.person.tolist()) == set(range(len(house[1].stature_m)))


@pytest.mark.parametrize("frames", [1, 2, 7])
def test_short_plays_are_plays(house: House, frames: int) -> None:
    play = house[0].play(11, frames)
    for name in ("angles", "orientation", "points_cam_m", "root_cam_m", "contacts"):
        assert getattr(play, name).shape[:2] == (1, frames), name
        assert np.isfinite(getattr(play, name)).all(), name


def test_what_is_read_back_is_what_was_written(plays: Plays, tmp_path: Path) -> None:
    plays.save(tmp_path / "plays.npz")
    again = Plays.load(tmp_path / "plays.npz")
    for f in fields(Plays):
        values = getattr(again, f.name)
        assert values.dtype == getattr(plays, f.name).dtype
        assert np.array_equal(values, getattr(plays, f.name)), f.name


def test_some_of_them_and_a_stretch_of_all(plays: Plays) -> None:
    some = plays.chosen(np.array([4, 1, 4]))
    for f in fields(Plays):
        assert np.array_equal(getattr(some, f.name), getattr(plays, f.name)[[4, 1, 4]]), f.name
    part = plays.cut(slice(10, 15))
    for name in ("angles", "orientation", "points_cam_m", "root_cam_m", "contacts"):
        assert np.array_equal(getattr(part, name), getattr(plays, name)[:, 10:15]), name
    for name in ("person", "up", "fps", "focal", "size"):
        assert np.array_equal(getattr(part, name), getattr(plays, name)), name
