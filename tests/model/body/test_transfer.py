"""A take moves from Anny to a model that can express Anny's people: what is lost on the way is the transfer's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from amr_blender.contract.rotations import quaternion_from_matrix
from amr_blender.contract.take import Take, load, save, validate
from model.body import AnnyBody
from model.body import transfer as transfer_module
from model.body.correspondence import place_of
from model.body.pose_transfer import TakeMotion
from model.body.smpl_family import SmplBody
from model.body.smpl_file import BODY_JOINTS, FAMILIES
from model.body.transfer import fit_shape, transfer
from tests.model.body import tiny_smpl
from tests.model.body.anny_take import a_motion, a_person, make_take

pytest.importorskip("smplx")
Array = np.ndarray[Any, Any]


@pytest.fixture(scope="module")
def anny(assets: Path) -> AnnyBody:
    return AnnyBody.load(assets)


@pytest.fixture(scope="module")
def take(anny: AnnyBody) -> Take:
    return make_take(anny, a_person(anny), a_motion(anny))


def model(name: str, elsewhere: bool = False, correctives: bool = True) -> SmplBody:
    arrays = dict(tiny_smpl.model_arrays(name, elsewhere))
    arrays["posedirs"] = arrays["posedirs"] * correctives
    return SmplBody(arrays, next(f for f in FAMILIES if f.name == name), "neutral")


def heads(take: Take) -> dict[str, Array]:
    return TakeMotion(take).pose(slice(None))[1]


def vertices(take: Take, body: AnnyBody | SmplBody) -> Array:
    """(T, V, 3) in the world, by the body's own forward pass."""
    local = torch.from_numpy(TakeMotion(take).local(slice(None))).float()
    rest = body.rest(torch.from_numpy(take.shape_values).double())
    return body.pose(rest, local, torch.from_numpy(take.translation_m)).numpy()


@pytest.mark.parametrize("name", ["SMPL", "SMPL-H", "SMPL-X"])
def test_joints_come_to_lie_on_annys(take: Take, anny: AnnyBody, name: str) -> None:
    body = model(name)
    moved = transfer(take, anny, body)
    validate(moved)
    before, after = heads(take), heads(moved)
    off = []
    for joint in body.bone_names[1:]:
        place = place_of(joint, before)
        if place is not None:
            off.append(np.linalg.norm(after[joint] - place, axis=-1))
            assert off[-1].max() < 0.012, joint
    assert np.median(off) < 0.006
    assert moved.meta["body"]["joint_error_mm"] < 3
    assert moved.meta["body"]["name"] == name
    assert moved.meta["warnings"] == []
    assert moved.bone_names[1] == "hips"
    for field in ("K", "camera_to_world", "joints12_cam_m", "contacts", "time_s", "present"):
        assert getattr(moved, field) is getattr(take, field)


def test_the_mesh_comes_to_lie_on_annys(take: Take, anny: AnnyBody) -> None:
    """Limbs turned about themselves would show here."""
    body = model("SMPL-X", correctives=False)
    moved = transfer(take, anny, body)
    assert moved.refinement_basis is None
    off = np.linalg.norm(vertices(moved, body) - vertices(take, anny)[:, tiny_smpl.chosen_vertices()], axis=-1)
    assert np.median(off) < 0.004
    assert np.quantile(off, 0.99) < 0.03


def test_the_skinned_take_is_the_model(take: Take, anny: AnnyBody) -> None:
    """Rig, weights and corrective shapes say together what the model's forward pass says."""
    from tests.scene.reference import vertices as skinned

    body = model("SMPL-X")
    moved = transfer(take, anny, body)
    assert moved.refinement_basis is not None and moved.refinement_error_mm is not None
    assert moved.refinement_error_mm <= transfer_module.CORRECTIVE_ERROR_MM
    expected = vertices(moved, body)
    for frame in (0, 17, 59):
        assert np.abs(skinned(moved, frame) - expected[frame]).max() < 4e-4


def test_a_model_whose_joints_lie_elsewhere(take: Take, anny: AnnyBody) -> None:
    """SMPL's hips lie lower and further inside than Anny's: bodies shall coincide, not hips."""
    body = model("SMPL-H", elsewhere=True, correctives=False)
    moved = transfer(take, anny, body)
    before, after = heads(take), heads(moved)
    for joint in ("knee.L", "wrist.R", "elbow.L", "shoulder.R"):
        place = place_of(joint, before)
        assert place is not None
        assert np.linalg.norm(after[joint] - place, axis=-1).max() < 0.03, joint
    off = np.linalg.norm(vertices(moved, body) - vertices(take, anny)[:, tiny_smpl.chosen_vertices()], axis=-1)
    assert np.median(off) < 0.012


def test_soles_stay_on_the_ground(take: Take, anny: AnnyBody) -> None:
    body = model("SMPL", correctives=False)
    moved = transfer(take, anny, body)
    lowest = vertices(moved, body)[..., 2].min(1)
    assert np.median(lowest) == pytest.approx(0, abs=0.002)
    assert np.abs(lowest).max() < 0.02


def test_the_motion_is_as_smooth_as_annys(take: Take, anny: AnnyBody) -> None:
    moved = transfer(take, anny, model("SMPL-X"))
    before, after = heads(take), heads(moved)
    for joint in ("knee.L", "ankle.R", "wrist.L", "head"):
        place = place_of(joint, before)
        assert place is not None
        was, now = (np.linalg.norm(np.diff(p, 2, axis=0), axis=-1) for p in (place, after[joint]))
        assert now.mean() == pytest.approx(was.mean(), rel=0.05)
        assert now.max() < 1.1 * was.max()
    steps = (moved.rotations[1:] * moved.rotations[:-1]).sum(-1)
    assert steps.min() > 0.97, "no bone flips from frame to frame"


def test_fingers_point_where_annys_point(take: Take, anny: AnnyBody) -> None:
    before, after = heads(take), heads(transfer(take, anny, model("SMPL-X")))
    for finger in ("index", "middle", "ring", "pinky", "thumb"):
        for side in "LR":
            start, end = (place_of(f"{finger}{part}.{side}", before) for part in (1, 2))
            assert start is not None and end is not None
            was, now = end - start, after[f"{finger}2.{side}"] - after[f"{finger}1.{side}"]
            cosine = (was * now).sum(-1) / np.linalg.norm(was, axis=-1) / np.linalg.norm(now, axis=-1)
            assert cosine.min() > np.cos(np.radians(5)), finger


@pytest.mark.parametrize(("height", "legs"), [(0.3, 0.4), (0.5, 0.0), (0.8, -0.3)])
def test_the_person_is_as_tall_with_limbs_as_long(anny: AnnyBody, height: float, legs: float) -> None:
    take = make_take(anny, a_person(anny, height, 0.2, legs), np.tile(np.eye(3), (1, len(anny.bone_names), 1, 1)))
    body = model("SMPL")
    rest = body.rest(fit_shape(take, anny, body))
    assert float(rest.height_m) == pytest.approx(np.ptp(take.vertices_m[:, 2]), abs=0.005)
    at, ours = TakeMotion(take).rest_heads, dict(zip(body.bone_names, rest.heads_m.numpy(), strict=True))
    for start, end in (("hip.L", "knee.L"), ("knee.R", "ankle.R"), ("shoulder.L", "elbow.L"), ("elbow.R", "wrist.R")):
        a, b = place_of(start, at), place_of(end, at)
        assert a is not None and b is not None
        assert np.linalg.norm(ours[end] - ours[start]) == pytest.approx(np.linalg.norm(b - a), abs=0.01), start


def test_somebody_whom_the_model_has_not(anny: AnnyBody) -> None:
    """A small child: betas stay within what the model knows, and the take says so."""
    shape = anny.default_shape()
    shape[anny.shape_names.index("age")] = 0.0
    take = make_take(anny, shape, a_motion(anny, 10))
    moved = transfer(take, anny, model("SMPL"))
    assert np.abs(moved.shape_values).max() <= 5
    assert "body-other-size" in [w["code"] for w in moved.meta["warnings"]]
    assert all(w["message"].endswith(".") for w in moved.meta["warnings"])


def test_where_somebody_stands_and_looks_is_no_matter(take: Take, anny: AnnyBody) -> None:
    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    local = TakeMotion(take).local(slice(None)).copy()
    local[:, 0] = turn @ local[:, 0]
    root = take.translation_m @ turn.T + (3.0, -2.0, 0.5)
    other = replace(make_take(anny, a_person(anny), local, root), contacts=take.contacts)
    body = model("SMPL-H")
    one, two = (transfer(t, anny, body) for t in (take, other))
    np.testing.assert_allclose(two.translation_m, one.translation_m @ turn.T + (3.0, -2.0, 0.5), atol=1e-4)
    assert np.abs((one.rotations[:, 2:] * two.rotations[:, 2:]).sum(-1)).min() > 1 - 1e-6


def test_frames_are_on_their_own(take: Take, anny: AnnyBody, monkeypatch: pytest.MonkeyPatch) -> None:
    body = model("SMPL")
    whole = transfer(take, anny, body)
    monkeypatch.setattr(transfer_module, "_BLOCK", 7)
    parts = transfer(take, anny, body)
    np.testing.assert_allclose(parts.rotations, whole.rotations, atol=1e-6)
    np.testing.assert_allclose(parts.translation_m, whole.translation_m, atol=1e-6)


def test_one_frame_and_frames_without_the_person(take: Take, anny: AnnyBody, tmp_path: Path) -> None:
    one = transfer(make_take(anny, a_person(anny), a_motion(anny, 1)), anny, model("SMPL-X"))
    save(one, tmp_path / "take.npz")
    assert load(tmp_path / "take.npz").frame_count == 1
    present = np.arange(take.frame_count) % 3 > 0
    some = transfer(replace(take, present=present, contacts=0 * take.contacts), anny, model("SMPL-X"))
    assert np.isfinite(some.rotations).all()
    assert quaternion_from_matrix(TakeMotion(some).local(slice(0, 1))).shape == (1, 55, 4)


def test_what_lies_on_the_vertices_comes_along(take: Take, anny: AnnyBody) -> None:
    heights = vertices(make_take(anny, a_person(anny), np.tile(np.eye(3), (1, 104, 1, 1))), anny)[0, :, 2]
    attention = np.tile(heights / heights.max(), (take.frame_count, 1)).clip(0, 1).astype(np.float16)
    moved = transfer(replace(take, attention=attention, uncertainty_mm=attention), anny, model("SMPL"))
    validate(moved)
    assert moved.attention is not None
    chosen = attention[0, tiny_smpl.chosen_vertices()]
    assert np.abs(moved.attention[0] - chosen).max() < 0.04
    np.testing.assert_array_equal(moved.attention, moved.uncertainty_mm)


def test_the_first_joints_are_the_same_in_all_families() -> None:
    assert len({family.joints[:BODY_JOINTS] for family in FAMILIES}) == 1
