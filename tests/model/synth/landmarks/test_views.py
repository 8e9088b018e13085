"""Cameras: whoever moves stays before the lens, and mostly in the picture."""

from __future__ import annotations

import numpy as np
import pytest

from amr_blender.contract.spaces import camera_tilt_deg, invert_rigid, project_px, transform
from model.synth.landmarks import views
from model.synth.landmarks.views import FOCAL, NEAR_M, View, draw_view

AHEAD = np.array([0.0, -1.0])


def standing() -> np.ndarray:
    """(N, 3) points of somebody 1.7 m tall."""
    rng = np.random.default_rng(0)
    return rng.uniform([-0.3, -0.2, 0.0], [0.3, 0.2, 1.7], (60, 3))


def walking() -> np.ndarray:
    """The same person at places two metres apart."""
    return np.concatenate([standing() + [x, 0.5 * x, 0] for x in np.linspace(-1, 1, 5)])


def drawn(points: np.ndarray, count: int = 150, first: int = 0, plain: bool = False) -> list[View]:
    return [draw_view(np.random.default_rng([first, k]), points, AHEAD, plain) for k in range(count)]


def seen(view: View, points: np.ndarray) -> np.ndarray:
    """(N, 2) shares of the picture's width and height."""
    K = np.array([[view.focal, 0, view.size[0] / 2], [0, view.focal, view.size[1] / 2], [0, 0, 1]])
    return project_px(transform(view.world_to_camera, points), K) / view.size


def wandering() -> np.ndarray:
    """Over a place that a camera would like to stand on."""
    return np.concatenate([standing() + [2 * np.cos(a), 2 * np.sin(a), 0] for a in np.linspace(0, 6, 12)])


@pytest.mark.parametrize("cut", [0.0, 1.0])
@pytest.mark.parametrize("points", [standing(), walking(), wandering()], ids=["standing", "walking", "wandering"])
def test_whoever_moves_stays_before_the_camera(points: np.ndarray, cut: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "CUT_SHARE", cut)
    for view in drawn(points, 60):
        assert transform(view.world_to_camera, points)[:, 2].min() > NEAR_M
        rotation = view.world_to_camera[:3, :3]
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)
        assert np.linalg.det(rotation) == pytest.approx(1.0)
        assert FOCAL[0] <= view.focal <= FOCAL[1]
        assert max(view.size) == 1.0 and min(view.size) >= 0.5


def test_nobody_is_nearer_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "NEAR_M", 2.5)
    assert min(transform(view.world_to_camera, walking())[:, 2].min() for view in drawn(walking(), 60)) > 2.5


def test_most_people_fill_a_good_part_of_the_picture_and_some_are_cut() -> None:
    places = [seen(view, standing()) for view in drawn(standing())]
    inside = np.array([((p > 0) & (p < 1)).all(1).mean() for p in places])
    assert (inside > 0.5).mean() > 0.95
    assert (inside > 0.99).mean() > 0.6
    assert 0.05 < (inside < 0.9).mean() < 0.4
    extent = np.array([np.ptp(p, axis=0).max() for p in places])
    assert extent.min() > 0.2 and 0.3 < np.median(extent) < 0.9


def test_nobody_is_cut_whom_nobody_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "CUT_SHARE", 0.0)
    extent = np.array([np.ptp(seen(view, standing()), axis=0).max() for view in drawn(standing(), 60)])
    assert extent.max() < 1.0


def test_cameras_stand_on_all_sides_at_all_heights() -> None:
    eyes = np.array([invert_rigid(view.world_to_camera)[:3, 3] for view in drawn(standing(), 200)])
    azimuth = np.arctan2(eyes[:, 1], eyes[:, 0])
    counts, _ = np.histogram(azimuth, 4, (-np.pi, np.pi))
    assert counts.min() > 30
    assert (eyes[:, 2] < 0.8).mean() > 0.1 and (eyes[:, 2] > 1.9).mean() > 0.1
    assert eyes[:, 2].min() > 0.0
    tilt = np.array([camera_tilt_deg(invert_rigid(view.world_to_camera)) for view in drawn(standing(), 100)])
    assert np.abs(tilt[:, 1]).max() < 15.0 and np.std(tilt[:, 1]) > 1.0


def test_more_look_at_backs_than_chance_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def behind() -> float:
        eyes = np.array([invert_rigid(view.world_to_camera)[:3, 3] for view in drawn(standing(), 200)])
        return float((eyes[:, 1] > np.abs(eyes[:, 0])).mean())  # the person faces -Y

    monkeypatch.setattr(views, "BEHIND_SHARE", 0.0)
    by_chance = behind()
    monkeypatch.setattr(views, "BEHIND_SHARE", 0.5)
    assert by_chance == pytest.approx(0.25, abs=0.1)
    assert behind() > by_chance + 0.2


def test_plain_views_show_the_whole_person_mostly_from_in_front() -> None:
    plain = drawn(standing(), 120, plain=True)
    eyes = np.array([invert_rigid(view.world_to_camera)[:3, 3] for view in plain])
    assert eyes[:, 2].min() > 0.8 and 0.5 < (eyes[:, 2] < 1.9).mean() < 0.8
    assert 0.5 < (-eyes[:, 1] > np.abs(eyes[:, 0])).mean() < 0.9  # the person faces -Y
    assert (eyes[:, 1] > np.abs(eyes[:, 0])).any()
    assert max(np.ptp(seen(view, standing()), axis=0).max() for view in plain) < 1.0


def test_the_same_numbers_draw_the_same_view() -> None:
    one, again = (draw_view(np.random.default_rng(4), standing(), AHEAD) for _ in range(2))
    assert np.array_equal(one.world_to_camera, again.world_to_camera) and one.focal == again.focal


def test_who_goes_too_far_for_any_view_is_seen_from_behind_as_well_as_may_be() -> None:
    """No camera holds somebody who walks from one horizon to the other."""
    points = np.concatenate([standing() + [x, 0, 0] for x in (-200.0, 200.0)])
    view = draw_view(np.random.default_rng(0), points, AHEAD)
    assert np.isfinite(view.world_to_camera).all()
    assert view.size == (1.0, 0.5625)
    assert transform(view.world_to_camera, standing())[:, 2].min() > NEAR_M
