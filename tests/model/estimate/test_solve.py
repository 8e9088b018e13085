"""The fit on a person whose pose, size and ground are known."""

from __future__ import annotations

import numpy as np
import torch

from model.estimate.evidence import gather
from model.estimate.solve import solve

from .conftest import FOCAL_PX, SIZE_PX, make_scene

CENTER = (SIZE_PX[0] / 2, SIZE_PX[1] / 2)


def _solve(scene, space, **kwargs):
    evidence = gather(scene.landmarks, FOCAL_PX, CENTER)
    return solve(space, evidence, kwargs.get("height", scene.height_m), lambda done, total: None)


def _rooted(points):
    return points - (points[:, 23:24] + points[:, 24:25]) / 2


def test_recovers_a_known_motion(scene, space):
    solution = _solve(scene, space)
    error = (_rooted(solution.points_m) - _rooted(scene.points_m)).norm(dim=-1)[:, 11:]
    assert float(error.mean()) < 0.045  # a shin that points at the lens is seen end-on
    moving = space.names.index("knee.L")
    recovered = solution.pose.angles[:, moving]
    assert float(recovered.max() - recovered.min()) > 0.8 * float(
        scene.angles[:, moving].max() - scene.angles[:, moving].min()
    )


def test_finds_up_and_ground_and_contacts(scene, space):
    solution = _solve(scene, space)
    assert float(solution.ground.up @ scene.up) > np.cos(np.radians(6))
    right = solution.contacts[:, [1, 3]]
    assert float(right.mean()) > 0.8
    lifted = scene.points_m[:, 29] @ scene.up > scene.points_m[:, 30] @ scene.up + 0.15
    assert float(solution.contacts[lifted][:, [0, 2]].max()) < 0.3


def test_given_height_is_kept(scene, space):
    solution = _solve(scene, space, height=1.9)
    assert abs(float(solution.rest.height_m) - 1.9) < 0.03


def test_noise_is_removed_without_removing_motion(body, space):
    noisy = make_scene(body, space, noise_px=4.0)
    solution = _solve(noisy, space)
    limbs = [15, 16, 27, 28]
    got, true = _rooted(solution.points_m)[:, limbs], _rooted(noisy.points_m)[:, limbs]
    assert float((got.diff(2, 0) - true.diff(2, 0)).norm(dim=-1).mean()) < 0.006
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
    evidence = gather(broken, FOCAL_PX, CENTER)
    solution = solve(space, evidence, scene.height_m, lambda done, total: None)
    assert torch.isfinite(solution.points_m).all()
    error = (_rooted(solution.points_m)[gap] - _rooted(scene.points_m)[gap]).norm(dim=-1)[:, 11:]
    assert float(error.mean()) < 0.06


def test_one_frame_is_enough(body, space):
    scene = make_scene(body, space, frames=1)
    solution = _solve(scene, space)
    assert solution.points_m.shape == (1, 33, 3)
    assert float((_rooted(solution.points_m) - _rooted(scene.points_m)).norm(dim=-1)[:, 11:].mean()) < 0.03
