"""The detector that draws its mistakes: each kind alone, of the size that it was set to, and said truly."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from model.detect.landmarks import OTHER_SIDE
from model.estimate.evidence import STATURE_M, ray_rotation
from model.estimate.pose_space import PoseSpace
from model.estimate.sides import GROUPS
from model.synth.landmarks.noise import CHAINS, Detector, NoiseSettings, Sighting

QUIET = NoiseSettings(
    bias=0.0, slow=0.0, white=0.0, hidden=1.0, quality=(0.0, 0.0), blur_s=0.0, peak_rate=0.0, guess_share=0.0,
    depth_scale=(1.0, 1.0), depth=0.0, depth_bias=0.0, flat=0.0, flat_bias=0.0, tilt_deg=0.0, flip_share=0.0,
    exchanged_share=0.0, gap_share=0.0, thing_share=0.0,
)  # fmt: skip
"""A detector without mistakes, but for a few millimetres of depth and of size."""
CLIPS, FRAMES, FPS = 64, 30, 30.0
TRUNK, WRISTS = [11, 12, 23, 24], [15, 16]


@pytest.fixture(scope="module")
def rest(space: PoseSpace) -> Tensor:
    """(33, 3) of the average body."""
    vertices = space.body.rest(space.body.default_shape()).vertices_m.double()
    return space.skeleton.regressor.positions(vertices)[:33].float()


@pytest.fixture(scope="module")
def points(rest: Tensor) -> Tensor:
    """(B, T, 33, 3) somebody who stands before the camera, facing it, and sways, arms spread."""
    facing = torch.stack([rest[:, 0], -rest[:, 2], rest[:, 1]], -1)
    facing = facing - facing[23:25].mean(0)
    sway = 0.1 * torch.sin(torch.arange(FRAMES) / FPS * 3.0)
    place = torch.stack([sway, torch.zeros(FRAMES), torch.full((FRAMES,), 5.0)], -1)
    return (facing + place[:, None]).expand(CLIPS, FRAMES, 33, 3).contiguous()


def look(rest: Tensor, points: Tensor, seed: int = 0, focal: float = 1.0, **changes: Any) -> Sighting:
    count = len(points)
    given = (torch.full((count,), STATURE_M), torch.full((count,), FPS), torch.full((count,), focal))
    size = torch.tensor([[1.0, 1.0]]).expand(count, 2)
    rng = torch.Generator().manual_seed(seed)
    return Detector(replace(QUIET, **changes), rest).look(points, *given, size, rng)


def errors(seen: Sighting, points: Tensor) -> Tensor:
    """(B, T, 33, 2) in the picture, in statures."""
    return (seen.rays - points[..., :2] / points[..., 2:]) * points[..., 2:] / STATURE_M


def truth(points: Tensor) -> Tensor:
    """(B, T, 33, 3) what a perfect detector's 3D would be."""
    hips = (points[:, :, 23] + points[:, :, 24]) / 2
    return (points - hips[:, :, None]) @ ray_rotation(hips[..., :2] / hips[..., 2:])


def test_without_mistakes_the_truth_is_seen(rest: Tensor, points: Tensor) -> None:
    seen = look(rest, points)
    assert errors(seen, points).abs().max() < 1e-6
    assert seen.present.all() and not seen.exchanged.any()
    size = (seen.world_m[..., :2] * truth(points)[..., :2]).sum((1, 2, 3)) / truth(points)[..., :2].square().sum(
        (1, 2, 3)
    )
    assert float(size.std()) == pytest.approx(0.05, rel=0.3) and float(size.mean()) == pytest.approx(1.0, abs=0.03)
    off = seen.world_m / size[:, None, None, None] - truth(points)
    assert off[..., :2].abs().max() < 1e-4
    assert float(off[..., 2].std()) < 0.02
    assert seen.visibility.min() > 0.15 and seen.visibility.median() > 0.95


def test_the_3d_is_about_the_hips_and_as_if_looked_straight_at(rest: Tensor, points: Tensor) -> None:
    aside = points + torch.tensor([2.0, -1.0, 0.0])
    hips = (aside[:, :, 23] + aside[:, :, 24]) / 2
    turn = ray_rotation(hips[..., :2] / hips[..., 2:])
    turned = (points - points[:, :, 23:25].mean(2, keepdim=True)) @ turn.mT + hips[:, :, None]
    assert (look(rest, turned).world_m - look(rest, points).world_m).abs().max() < 0.02
    noisy = look(rest, points, depth=0.05, flat=0.02, tilt_deg=8.0, exchanged_share=1.0).world_m
    assert (noisy[:, :, 23] + noisy[:, :, 24]).abs().max() < 1e-5


@pytest.mark.parametrize("kind", ["bias", "slow", "white"])
def test_errors_have_the_size_that_was_set(rest: Tensor, points: Tensor, kind: str) -> None:
    off = errors(look(rest, points, **{kind: 0.01}), points)
    assert float(off[:, :, TRUNK].std()) == pytest.approx(0.01, rel=0.15)
    assert float(off[:, :, WRISTS].std()) == pytest.approx(QUIET.extremity * 0.01, rel=0.2)
    assert float(off.mean((0, 1)).abs().max()) < 0.005


def test_errors_last_as_long_as_their_kind_does(rest: Tensor, points: Tensor) -> None:
    def alike(**changes: Any) -> float:
        """Correlation of a frame's errors with those of the next frame."""
        off = errors(look(rest, points, **changes), points)
        return float((off[:, 1:] * off[:, :-1]).mean() / off.square().mean())

    assert alike(bias=0.01) == pytest.approx(1.0, abs=1e-3)
    assert alike(white=0.01) == pytest.approx(0.0, abs=0.05)
    assert 0.7 < alike(slow=0.01, slow_s=(0.15, 0.3)) < alike(slow=0.01, slow_s=(0.8, 0.9)) < 0.9999


def test_neighbours_on_the_body_err_alike(rest: Tensor, points: Tensor) -> None:
    off = errors(look(rest, points, slow=0.01, slow_s=(0.05, 0.06)), points)

    def together(a: int, b: int) -> float:
        return float((off[:, :, a] * off[:, :, b]).mean() / (off[:, :, a].std() * off[:, :, b].std()))

    assert together(15, 19) > 0.4  # wrist and finger
    assert abs(together(15, 28)) < 0.15  # wrist and the other side's ankle
    alone = errors(look(rest, points, slow=0.01, slow_s=(0.05, 0.06), shared=0.0), points)
    assert abs(float((alone[:, :, 15] * alone[:, :, 19]).mean())) < 0.2 * float(alone.square().mean())


def test_a_bad_clip_is_bad_altogether(rest: Tensor, points: Tensor) -> None:
    size = errors(look(rest, points, white=0.01, quality=(0.0, 0.5)), points)[:, :, TRUNK].std((1, 2, 3)).log()
    assert float(size.std()) == pytest.approx(0.5, rel=0.3)


def test_what_moves_is_blurred_along_its_way(rest: Tensor, points: Tensor) -> None:
    """By a time, so that what stands still is not."""
    off = errors(look(rest, points, blur_s=0.05), points)
    assert off[..., 1].abs().max() < 1e-5
    speed = (points[:, 2:] - points[:, :-2])[..., 0] * FPS / 2 / STATURE_M
    assert float((off[:, 1:-1, :, 0] / speed).std()) == pytest.approx(0.05, rel=0.1)


def test_peaks_are_rare_large_and_grow_outwards(rest: Tensor, points: Tensor) -> None:
    off = errors(look(rest, points, peak_rate=0.5, peak=0.1), points).norm(dim=-1)
    for chain in CHAINS:
        struck = off[:, :, chain[2]] > 1e-4
        assert 0.2 < struck.any(1).float().mean() < 0.6  # 1 - exp(-0.5) of the clips, which last a second
        assert struck.float().mean() < 0.5 * struck.any(1).float().mean()  # and not all the time
        size = [off[:, :, landmark][struck].mean() for landmark in chain[:3]]
        assert size[0] < size[1] < size[2]
        assert 0.05 < size[2] < 0.4
    assert off[:, :, [0, 7, 8]].max() < 1e-6


def test_landmarks_beyond_the_edge_are_worse_and_less_visible(rest: Tensor, points: Tensor) -> None:
    """Seen from so near that the feet are below the picture."""
    near = points + torch.tensor([0.0, 0.3, -3.7])
    seen = look(rest, near, white=0.01, hidden=6.0)
    place = near[..., :2] / near[..., 2:]
    assert (place[:, :, 27:, 1] > 0.52).all() and (place[:, :, 11:15].abs() < 0.48).all()
    off = errors(seen, near)
    assert float(off[:, :, 27:].std()) > 4 * float(off[:, :, TRUNK[:2]].std())
    assert seen.visibility[:, :, 27:].median() < 0.5 < seen.visibility[:, :, TRUNK[:2]].median()


def test_an_arm_behind_the_body_is_hidden(rest: Tensor, points: Tensor) -> None:
    behind = points.clone()
    middle = behind[:, :, TRUNK].mean(2)
    for landmark in CHAINS[0][2:]:
        behind[:, :, landmark] = middle + torch.tensor([0.0, 0.0, 0.4])
    seen = look(rest, behind, white=0.01, hidden=6.0)
    assert seen.visibility[:, :, 15].median() < 0.5 < seen.visibility[:, :, 16].median()
    assert errors(seen, behind)[:, :, 15].std() > 3 * errors(seen, behind)[:, :, 16].std()


def test_a_hidden_limb_is_guessed_where_the_other_one_is(rest: Tensor, points: Tensor) -> None:
    behind = points.clone()
    behind[:, :, list(CHAINS[0][2:])] = behind[:, :, TRUNK].mean(2, keepdim=True) + torch.tensor([0.0, 0.0, 0.4])
    for share, expected in ((0.0, 0.0), (1.0, 0.5)):
        seen = look(rest, behind, guess_share=share)
        rays = behind[..., :2] / behind[..., 2:]
        way = rays[:, :, 16] - rays[:, :, 15]
        gone = ((seen.rays - rays)[:, :, 15] * way).sum(-1) / way.square().sum(-1)
        assert float(gone.mean()) == pytest.approx(expected, abs=0.12)
        assert (seen.rays - rays)[:, :, 16].abs().max() < 0.02


def test_a_thing_hides_some_landmarks_for_a_while(rest: Tensor, points: Tensor) -> None:
    seen, clear = (look(rest, points, thing_share=share, white=0.01, hidden=6.0) for share in (1.0, 0.0))
    worse = errors(seen, points).abs() > 3.5 * 0.01 * QUIET.extremity
    assert worse.any(-1).flatten(1).any(1).float().mean() > 0.5
    assert worse.float().mean() < 0.3
    assert seen.visibility.mean() < clear.visibility.mean() - 0.02


def test_exchanged_sides_are_flagged_and_can_be_put_back(rest: Tensor, points: Tensor) -> None:
    seen = look(rest, points, exchanged_share=1.0, white=0.002)
    clean = look(rest, points, exchanged_share=0.0, white=0.002)
    true = points[..., :2] / points[..., 2:]
    for number, (left, right) in enumerate(GROUPS.values()):
        group, flag = torch.tensor([*left, *right]), seen.exchanged[..., number]
        assert 0.1 < flag.float().mean() < 0.9
        other = torch.from_numpy(OTHER_SIDE)[group]
        straight = (seen.rays[:, :, group] - true[:, :, group]).norm(dim=-1).mean(-1)
        crossed = (seen.rays[:, :, other] - true[:, :, group]).norm(dim=-1).mean(-1)
        assert (crossed[flag] < straight[flag]).all()
        assert (straight[~flag] < crossed[~flag]).all()
        assert torch.equal(seen.rays[:, :, group][~flag], clean.rays[:, :, group][~flag])
    still = [landmark for landmark in range(33) if not any(landmark in [*a, *b] for a, b in GROUPS.values())]
    assert torch.equal(seen.rays[:, :, still], clean.rays[:, :, still])


def test_exchanged_sides_are_exchanged_in_the_3d_and_in_visibility(rest: Tensor, points: Tensor) -> None:
    seen, clean = (look(rest, points, exchanged_share=share) for share in (1.0, 0.0))
    arms = seen.exchanged[..., 1] & ~seen.exchanged[..., 2]
    assert arms.any()
    assert torch.equal(seen.world_m[:, :, 15][arms], clean.world_m[:, :, 16][arms])
    assert torch.equal(seen.visibility[:, :, 15][arms], clean.visibility[:, :, 16][arms])


def test_nobody_present_leaves_nothing(rest: Tensor, points: Tensor) -> None:
    seen = look(rest, points, gap_share=1.0, bias=0.01, exchanged_share=0.3)
    gone = ~seen.present
    assert 0.05 < gone.float().mean() < 0.8
    for values in (seen.rays, seen.visibility, seen.world_m):
        assert (values[gone] == 0).all()
        assert (values[seen.present].abs().flatten(1).amax(1) > 0).all()
    assert seen.present.any(1).all()  # no clip is without anybody
    steps = torch.diff(gone.int(), dim=1).abs().sum(1)
    assert steps.max() <= 2  # one gap


def test_who_is_out_of_the_picture_is_not_found(rest: Tensor, points: Tensor) -> None:
    leaving = points.clone()
    leaving[:, FRAMES // 2 :, :, 0] += 20.0
    seen = look(rest, leaving)
    assert seen.present[:, : FRAMES // 2].all() and not seen.present[:, FRAMES // 2 :].any()


def test_depth_is_flattened(rest: Tensor, points: Tensor) -> None:
    turned = points @ torch.tensor([[0.0, 0, -1], [0, 1, 0], [1, 0, 0]]) + torch.tensor([-5.0, 0, 5.0])  # side on
    flat, true = look(rest, turned, depth_scale=(0.5, 0.5)).world_m, truth(turned)
    share = (flat[..., 2] * true[..., 2]).sum() / true[..., 2].square().sum()
    assert float(share) == pytest.approx(0.5, abs=0.05)


def test_3d_errors_have_the_size_that_was_set(rest: Tensor, points: Tensor) -> None:
    true = truth(points)
    for kind, axes in (("depth", [2]), ("depth_bias", [2]), ("flat", [0, 1]), ("flat_bias", [0, 1])):
        off = (look(rest, points, **{kind: 0.05}).world_m - look(rest, points).world_m)[..., axes] / STATURE_M
        assert float(off[:, :, [11, 12]].std()) == pytest.approx(0.05, rel=0.4), kind
    tilted = look(rest, points, tilt_deg=10.0).world_m
    assert float((tilted - true).norm(dim=-1)[:, :, 27].mean()) > 0.04


def test_a_limb_sometimes_points_the_wrong_way_in_depth(rest: Tensor, points: Tensor) -> None:
    reaching = points.clone()
    reaching[:, :, list(CHAINS[0][2:]), 2] -= 0.3  # the left hand towards the camera
    for share in (0.0, 0.25):
        z = look(rest, reaching, flip_share=share).world_m[..., 2]
        away = (z[:, :, 15] - z[:, :, 13] > 0.0).float().mean()
        assert away == 0.0 if share == 0.0 else 0.1 < away < 0.8


def test_the_same_seed_sees_the_same(rest: Tensor, points: Tensor) -> None:
    usual = {f.name: getattr(NoiseSettings(), f.name) for f in fields(NoiseSettings)}
    one, again, other = (look(rest, points, seed, **usual) for seed in (1, 1, 2))
    for f in fields(Sighting):
        assert torch.equal(getattr(one, f.name), getattr(again, f.name)), f.name
    assert not torch.equal(one.rays, other.rays)


def test_the_usual_noise_is_finite_and_bearable(rest: Tensor, points: Tensor) -> None:
    usual = {f.name: getattr(NoiseSettings(), f.name) for f in fields(NoiseSettings)}
    seen = look(rest, points, **usual)
    for f in fields(Sighting):
        assert torch.isfinite(getattr(seen, f.name).float()).all(), f.name
    assert ((seen.visibility >= 0) & (seen.visibility <= 1)).all()
    off = errors(seen, points).norm(dim=-1)[seen.present]
    assert 0.004 < off.median() < 0.03
    one = look(rest, points[:, :1], **usual)
    assert one.rays.shape == (CLIPS, 1, 33, 2) and torch.isfinite(one.world_m).all()
