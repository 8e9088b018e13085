"""The fit on a person whose pose, size and ground are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model.estimate.evidence import gather
from model.estimate.lens import LensPrior
from model.estimate.solve import solve

from .conftest import FOCAL_PX, SIZE_PX, make_problem, make_scene

CENTER = (SIZE_PX[0] / 2, SIZE_PX[1] / 2)


def _solve(scene, space, height=None, lens=None, landmarks=None):
    problem = make_problem(space, height or scene.height_m, lens)
    return solve(problem, gather(landmarks or scene.landmarks, FOCAL_PX, CENTER), lambda done, total: None)


def _rooted(points):
    points = points[:, :33]
    return points - (points[:, 23:24] + points[:, 24:25]) / 2


def test_recovers_a_known_motion(scene, space):
    solution = _solve(scene, space)
    error = (_rooted(solution.points_m) - _rooted(scene.points_m)).norm(dim=-1)[:, 11:]
    assert float(error.mean()) < 0.05  # a shin that points at the lens is seen end-on
    moving = space.names.index("knee.L")
    recovered = solution.pose.angles[:, moving]
    assert float(recovered.max() - recovered.min()) > 0.7 * float(
        scene.angles[:, moving].max() - scene.angles[:, moving].min()
    )


def test_finds_up_and_ground_and_contacts(scene, space):
    solution = _solve(scene, space)
    assert float(solution.footing.up @ scene.up) > np.cos(np.radians(6))
    right = solution.footing.contacts[:, [1, 3]]
    assert float(right.mean()) > 0.8
    lifted = scene.points_m[:, 29] @ scene.up > scene.points_m[:, 30] @ scene.up + 0.15
    assert float(solution.footing.contacts[lifted][:, [0, 2]].mean()) < 0.2


def test_given_height_is_kept(scene, space):
    solution = _solve(scene, space, height=1.9)
    assert abs(float(solution.rest.height_m) - 1.9) < 0.03


def test_noise_is_removed_without_removing_motion(body, space):
    noisy = make_scene(body, space, noise_px=4.0)
    solution = _solve(noisy, space)
    limbs = [15, 16, 27, 28]
    got, true = _rooted(solution.points_m)[:, limbs], _rooted(noisy.points_m)[:, limbs]
    assert float((got.diff(2, 0) - true.diff(2, 0)).norm(dim=-1).mean()) < 0.0075
    ratio = float(got.diff(dim=0).norm(dim=-1).mean() / true.diff(dim=0).norm(dim=-1).mean())
    assert 0.85 < ratio < 1.3


def test_a_gap_is_bridged(scene, space):
    landmarks = scene.landmarks
    gap = slice(20, 26)
    present = landmarks.present.copy()
    present[gap] = False
    px, world = landmarks.px.copy(), landmarks.world_m.copy()
    px[gap], world[gap] = np.nan, np.nan
    broken = type(landmarks)(**{**vars(landmarks), "present": present, "px": px, "world_m": world})
    solution = _solve(scene, space, landmarks=broken)
    assert solution.filled.tolist() == [20 <= frame < 26 for frame in range(45)]
    assert torch.isfinite(solution.points_m).all()
    error = (_rooted(solution.points_m)[gap] - _rooted(scene.points_m)[gap]).norm(dim=-1)[:, 11:]
    assert float(error.mean()) < 0.07


def test_one_frame_is_enough(body, space):
    scene = make_scene(body, space, frames=1)
    solution = _solve(scene, space)
    assert solution.points_m.shape[0] == 1
    assert float((_rooted(solution.points_m) - _rooted(scene.points_m)).norm(dim=-1)[:, 11:].mean()) < 0.03


def test_a_long_gap_is_left_empty(scene, space):
    landmarks = scene.landmarks
    present = landmarks.present.copy()
    present[10:30] = False  # two thirds of a second
    broken = type(landmarks)(**{**vars(landmarks), "present": present})
    solution = _solve(scene, space, landmarks=broken)
    assert not bool(solution.filled.any())
    assert torch.allclose(solution.points_m[11], solution.points_m[9], atol=3e-3)  # but for what sank


@pytest.mark.parametrize("start", [0.8, 1.25])
def test_an_unknown_lens_is_found_from_either_side(body, space, start):
    scene = make_scene(body, space, noise_px=2.0)
    solution = _solve(scene, space, lens=LensPrior(start * FOCAL_PX, 0.3))
    got = solution.shared
    assert abs(np.log(got.focal_px / FOCAL_PX)) < 0.9 * abs(np.log(start))
    assert 0.01 < got.focal_sigma < 0.3


def test_what_is_hidden_is_less_sure(scene, space):
    landmarks = scene.landmarks
    visibility = landmarks.visibility.copy()
    visibility[:, [14, 16]] = 0.02  # the right elbow and wrist
    hidden = _solve(scene, space, landmarks=type(landmarks)(**{**vars(landmarks), "visibility": visibility}))
    seen = _solve(scene, space)
    assert float(hidden.sigma_m[:, 16].mean()) > 1.1 * float(seen.sigma_m[:, 16].mean())
