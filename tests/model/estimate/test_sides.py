"""Left and right put back: on perfect landmarks exchanged on purpose, and on what the real detector sees."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

from amr_blender.contract.errors import RuntimeSetupError
from model.detect import Networks, find_people, track_landmarks
from model.detect.landmarks import OTHER_SIDE
from model.estimate import sides
from model.estimate.sides import GROUPS, repair_sides
from model.estimate.sides.anatomy import PATTERNS, SIGNS, facing, relations_m
from model.estimate.sides.chain import best_path, posterior
from model.estimate.sides.groups import exchange
from model.estimate.sides.motion import joined, steps
from model.estimate.sides.weights import SideWeights
from model.paths import WEIGHTS, assets_folder
from model.video import Video

from .conftest import make_scene

FRAMES = 80
DEMO = Path(__file__).resolve().parents[2] / "data" / "demo_clip.mp4"
EXCHANGES = {"legs": (0,), "arms": (1,), "torso": (2,), "body": (0, 1, 2), "body and face": (0, 1, 2, 3), "face": (3,)}
STRETCHES = {
    "one frame": [30], "three frames": [10, 11, 12], "long": list(range(40, 70)), "first": list(range(5)),
    "last": list(range(76, 80)), "every third": list(range(0, 80, 3)), "all": list(range(80)),
}  # fmt: skip


@pytest.fixture(scope="module")
def landmarks(body, space):
    return make_scene(body, space, FRAMES).landmarks


@pytest.fixture(scope="module")
def demo():
    """The real detector's landmarks of somebody who walks in."""
    torch.set_num_threads(1)
    networks = Networks.load(assets_folder(), torch.device("cpu"))
    video = Video(DEMO)
    person = find_people(video, (0, 48), networks, lambda *_: None)[0]
    return track_landmarks(video, person, (0, 48), networks, lambda *_: None)


def _exchanged(landmarks, columns, rows):
    pattern = np.zeros((len(landmarks.frames), 4), bool)
    pattern[np.ix_(rows, columns)] = True
    return exchange(landmarks, pattern), pattern[:, :3]


def _taken_for_front(landmarks, rows):
    """As a detector sees a back that it takes for a front: sides exchanged, depth turned, but for the legs'."""
    px, world_m = landmarks.px.copy(), landmarks.world_m.copy()
    px[rows], world_m[rows] = px[rows][:, OTHER_SIDE], world_m[rows][:, OTHER_SIDE]
    world_m[np.ix_(rows, range(25), [2])] *= -1
    return replace(landmarks, px=px, world_m=world_m)


def _rows(landmarks, rows):
    return replace(
        landmarks,
        **{
            n: getattr(landmarks, n)[rows]
            for n in ("frames", "time_s", "present", "px", "visibility", "presence", "score", "world_m")
        },
    )


def test_what_is_right_is_left_alone(landmarks):
    repair = repair_sides(landmarks)
    assert not repair.exchanged.any()
    assert np.array_equal(repair.landmarks.px, landmarks.px)
    assert np.array_equal(repair.landmarks.world_m, landmarks.world_m)
    assert repair.sure.shape == (FRAMES, 3)
    assert repair.sure.min() > 0.8


@pytest.mark.parametrize("columns", EXCHANGES.values(), ids=EXCHANGES)
@pytest.mark.parametrize("rows", STRETCHES.values(), ids=STRETCHES)
def test_an_exchange_on_purpose_is_undone(landmarks, columns, rows):
    spoilt, expected = _exchanged(landmarks, columns, rows)
    repair = repair_sides(spoilt)
    assert np.array_equal(repair.exchanged, expected)
    assert np.array_equal(repair.landmarks.px, landmarks.px)
    assert np.array_equal(repair.landmarks.world_m, landmarks.world_m)


@pytest.mark.parametrize("columns", EXCHANGES.values(), ids=EXCHANGES)
def test_one_frame_is_enough(landmarks, columns):
    one = _rows(landmarks, [20])
    assert not repair_sides(one).exchanged.any()
    spoilt, expected = _exchanged(one, columns, [0])
    repair = repair_sides(spoilt)
    assert np.array_equal(repair.exchanged, expected)
    assert np.array_equal(repair.landmarks.px, one.px)


@pytest.mark.parametrize("rows", [list(range(20)), list(range(30, 50)), [5, 6, 40, 60, 61, 62]])
def test_a_back_taken_for_a_front_is_found_by_motion(landmarks, rows):
    """Nothing in the frame alone tells: the detector's 3D agrees with its mistake."""
    spoilt = _taken_for_front(landmarks, rows)
    assert (facing(spoilt.world_m[rows]) > 0).all()
    assert (facing(landmarks.world_m) < 0).all()
    repair = repair_sides(spoilt)
    expected = np.zeros(FRAMES, bool)
    expected[rows] = True
    assert (repair.exchanged == expected[:, None]).all()
    assert np.array_equal(repair.landmarks.px, landmarks.px)
    assert np.allclose(repair.landmarks.world_m, landmarks.world_m, atol=1e-6)


def test_limbs_that_pass_each_other_go_on(landmarks):
    """Legs and arms that swing through one another, as in a walk seen from the side."""
    world_m = landmarks.world_m[:, :, [2, 1, 0]] * np.float32([1, 1, -1])
    swing = 0.2 * np.sin(0.2 * np.arange(FRAMES) + 0.3)[:, None]
    for group, reach in (("legs", [0.5, 1, 1, 1]), ("arms", [0.5, 1, 1, 1, 1])):
        left, right = GROUPS[group]
        world_m[:, left, 0] += swing * reach
        world_m[:, right, 0] -= swing * reach
    px = 640 + 250 * world_m[..., :2]
    walk = replace(landmarks, px=px, world_m=world_m)
    assert not repair_sides(walk).exchanged.any()
    spoilt, expected = _exchanged(walk, (0,), list(range(10, 30)))
    assert np.array_equal(repair_sides(spoilt).exchanged, expected)


@pytest.mark.parametrize("fps", [12, 60, 120])
@pytest.mark.parametrize("columns", [(0,), (0, 1, 2, 3)], ids=["legs", "body and face"])
def test_any_frame_rate(body, space, fps, columns):
    scene = make_scene(body, space, 60).landmarks
    scene = replace(scene, time_s=np.arange(60) / fps)
    rows = [3, 4, 20, *range(30, 42)]
    spoilt, expected = _exchanged(scene, columns, rows)
    assert np.array_equal(repair_sides(spoilt).exchanged, expected)
    assert repair_sides(_taken_for_front(scene, rows)).exchanged[rows].all()


def test_gaps_and_short_stretches(landmarks):
    present = np.ones(FRAMES, bool)
    present[[1, 4]] = False
    present[40:50] = False
    spoilt, expected = _exchanged(landmarks, (0, 1, 2), [0, 20, 21, 22, 70])
    arrays = {
        name: np.where(present.reshape(-1, *[1] * (getattr(spoilt, name).ndim - 1)), getattr(spoilt, name), np.nan)
        for name in ("px", "visibility", "presence", "world_m")
    }
    repair = repair_sides(replace(spoilt, present=present, **arrays))
    assert np.array_equal(repair.exchanged, expected)
    assert (repair.sure[~present] == 1).all()
    assert np.array_equal(repair.landmarks.px[present], landmarks.px[present])
    nobody = repair_sides(replace(spoilt, present=np.zeros(FRAMES, bool)))
    assert not nobody.exchanged.any()
    assert nobody.meta()["sides_sure"]["legs"] == {"mean": None, "unsure_frames": []}


def test_across_a_cut_a_body_may_face_another_way(landmarks):
    """Behind a cut the person is seen from behind: that is no mistake."""
    px, world_m = landmarks.px.copy(), landmarks.world_m.copy()
    world_m[40:] *= [-1, 1, -1]
    px[40:, :, 0] = 0.5 * (px[40:, :, :1].mean() - px[40:, :, 0])
    px[40:, :, 1] *= 0.5
    turned = replace(landmarks, px=px, world_m=world_m)
    assert joined(px, world_m, landmarks.time_s).tolist() == [k != 39 for k in range(FRAMES - 1)]
    assert not repair_sides(turned).exchanged.any()


def test_how_sure_is_told(landmarks, monkeypatch):
    spoilt, _ = _exchanged(landmarks, (0,), [7])
    repair = repair_sides(spoilt)
    meta = repair.meta()
    assert meta["sides_exchanged"] == {"legs": [7], "arms": [], "torso": []}
    assert set(meta["sides_sure"]) == set(GROUPS)
    for k, group in enumerate(GROUPS):
        assert meta["sides_sure"][group]["mean"] == pytest.approx(repair.sure[:, k].mean(), abs=1e-4)
        assert meta["sides_sure"][group]["unsure_frames"] == np.flatnonzero(repair.sure[:, k] < 0.8).tolist()
    limit = float(np.median(repair.sure))
    monkeypatch.setattr(sides, "UNSURE", limit)
    told = [repair.meta()["sides_sure"][group]["unsure_frames"] for group in GROUPS]
    assert told == [np.flatnonzero(repair.sure[:, k] < limit).tolist() for k in range(len(GROUPS))]
    assert any(told)


@pytest.mark.parametrize("columns", EXCHANGES.values(), ids=EXCHANGES)
def test_what_the_real_detector_sees(demo, columns):
    """A quarter of the frames, scattered and in stretches, and then all of them."""
    assert repair_sides(demo).exchanged.mean() < 0.01
    rng = np.random.default_rng(5)
    for rows in (rng.choice(48, 12, replace=False), np.arange(18, 30), np.arange(48)):
        spoilt, expected = _exchanged(demo, columns, rows)
        assert (repair_sides(spoilt).exchanged == expected).mean() > 0.97


def test_the_real_detectors_mistakes_are_found(demo):
    rows = [3, 4, 5, 20, *range(30, 38)]
    repair = repair_sides(_taken_for_front(demo, rows))
    assert repair.exchanged[rows].all()
    assert repair.exchanged.sum() == 3 * len(rows)


def test_relations_are_positive_for_a_body_and_turn_with_an_exchange(landmarks):
    straight = relations_m(landmarks.world_m)
    assert (np.median(straight, 0) > 0).all()
    for pattern, sign in zip(PATTERNS, SIGNS, strict=True):
        turned = relations_m(exchange(landmarks, np.tile(pattern, (FRAMES, 1))).world_m)
        assert np.allclose(turned, straight * sign, atol=1e-6)


def test_path_and_posterior_are_those_of_all_sequences():
    rng = np.random.default_rng(0)
    frames, links = rng.normal(0, 2, (4, 8)), rng.normal(0, 2, (3, 8))
    total, best, share = -np.inf, (-np.inf, ()), np.zeros((4, 8))
    for path in product(range(8), repeat=4):
        value = frames[range(4), path].sum() + sum(links[t, path[t] ^ path[t + 1]] for t in range(3))
        total, best = np.logaddexp(total, value), max(best, (value, path))
        share[range(4), path] += np.exp(value)
    assert best_path(frames, links).tolist() == list(best[1])
    assert np.allclose(posterior(frames, links), share / np.exp(total))


def test_steps_say_nothing_where_sides_are_together(landmarks):
    weights = SideWeights.load(WEIGHTS / "sides.npz")
    px, world_m = landmarks.px.astype(float), landmarks.world_m.astype(float)
    left, right = GROUPS["legs"]
    px[40, left], world_m[40, left] = px[40, right], world_m[40, right]
    links = weights.of_steps(steps(px, world_m, landmarks.visibility), np.diff(landmarks.time_s), np.ones(79, bool))
    assert links[[39, 40], 1] == pytest.approx(-weights.change[1])
    assert (links[:39, 1] < -weights.change[1] - 1).all()


def test_damaged_weights_are_refused(tmp_path):
    with pytest.raises(RuntimeSetupError):
        SideWeights.load(tmp_path / "missing.npz")
    (tmp_path / "wrong.npz").write_bytes(b"no archive")
    with pytest.raises(RuntimeSetupError):
        SideWeights.load(tmp_path / "wrong.npz")
    with np.load(WEIGHTS / "sides.npz") as archive:
        arrays = dict(archive)
    np.savez(tmp_path / "short.npz", **{**arrays, "change": arrays["change"][:7]})
    with pytest.raises(RuntimeSetupError):
        SideWeights.load(tmp_path / "short.npz")
