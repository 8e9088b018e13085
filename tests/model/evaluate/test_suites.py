"""Suites: what is read is what was written, and damaged or hostile files end in one clear sentence."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from amr_blender.contract.errors import AmrError, SettingsError
from model.body.landmarks import LandmarkRegressor
from model.evaluate import suites
from model.evaluate.suites import find_clips, made_truth
from model.paths import WEIGHTS

DEMO = Path("tests") / "data" / "demo_clip_truth.npz"


@pytest.fixture
def arrays(repo_root: Path) -> dict[str, np.ndarray]:
    """The truth of the project's clip, of a few frames, in the format of made clips."""
    with np.load(repo_root / DEMO) as z:
        found = {name: z[name] for name in z.files if name != "feet_flat"}
        flat = z["feet_flat"][:5]
    for name in ("joints12_cam_m", "landmarks33_cam_m", "rotations", "root_m"):
        found[name] = found[name][:5]
    return found | {"contacts": np.concatenate([flat, flat], 1), "visible12": np.ones((5, 12), bool)}


def write(folder: Path, arrays: dict[str, np.ndarray], **conditions: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "truth.npz", **arrays)
    (folder / "clip.mp4").write_bytes(b"footage")
    if conditions:
        (folder / "conditions.json").write_text(json.dumps(conditions))
    return folder / "truth.npz"


def test_a_made_clip(tmp_path: Path, arrays: dict[str, np.ndarray], assets: Path) -> None:
    write(tmp_path / "walk", arrays, light=0.3, action="walk", list=[1])
    (clip,) = find_clips(f"synthetic={tmp_path}", quick=False)
    assert (clip.suite, clip.dataset, clip.name) == ("synthetic", "synthetic", "walk")
    assert clip.video == tmp_path / "walk" / "clip.mp4"
    truth, given = clip.load()
    assert given == {"light": 0.3, "action": "walk"}
    assert truth.frame_count == 5
    assert truth.camera_to_world.shape == (5, 4, 4)
    assert truth.standing.shape == (5, 2)
    assert truth.standing.tolist() == arrays["contacts"][:, :2].tolist()


def test_the_whole_skin_follows_from_the_parameters(
    tmp_path: Path, arrays: dict[str, np.ndarray], assets: Path
) -> None:
    truth = made_truth(write(tmp_path, arrays))
    regressor = LandmarkRegressor.load(WEIGHTS / "landmark_regressor.npz")
    chosen = truth.vertices_cam_m[:, regressor.vertex_index.numpy()]
    points = (chosen * regressor.weight.numpy()[..., None]).sum(-2)
    assert np.abs(points - arrays["landmarks33_cam_m"]).max() < 1e-5
    assert truth.quads.shape[1] == 4
    assert truth.vertex_index is None
    assert np.linalg.det(truth.orientations_cam) == pytest.approx(1, abs=1e-5)


def test_vertices_in_the_file_are_believed_over_the_parameters(
    tmp_path: Path, arrays: dict[str, np.ndarray], assets: Path
) -> None:
    whole = made_truth(write(tmp_path / "a", arrays)).vertices_cam_m
    kept = np.array([3, 700, 9000])
    agree = arrays | {"vertex_index": kept, "vertices_cam_m": whole[:, kept]}
    assert made_truth(write(tmp_path / "b", agree)).vertex_index is None
    differ = agree | {"vertices_cam_m": whole[:, kept] + 0.01}
    found = made_truth(write(tmp_path / "c", differ))
    assert found.vertex_index.tolist() == kept.tolist()
    assert np.array_equal(found.vertices_cam_m, differ["vertices_cam_m"])
    assert found.quads is None


def test_a_truth_that_knows_less(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    less = {name: arrays[name] for name in ("joints12_cam_m", "K", "camera_to_world", "fps")}
    truth = made_truth(write(tmp_path, less))
    assert truth.vertices_cam_m is truth.orientations_cam is truth.contacts is truth.standing is truth.visible12 is None


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"joints12_cam_m": np.zeros((5, 11, 3))}, "wrong shape"),
        ({"contacts": np.zeros((4, 4), bool)}, "wrong shape"),
        ({"camera_to_world": np.zeros((3, 3))}, "broadcast"),
        ({"fps": None}, "fps"),
        ({"joints12_cam_m": np.array([object()] * 5, dtype=object)}, "pickle"),
    ],
    ids=["joints", "contacts", "camera", "no rate", "pickle"],
)
def test_damaged_truth(tmp_path: Path, arrays: dict[str, np.ndarray], change: dict, why: str, assets: Path) -> None:
    damaged = {name: value for name, value in (arrays | change).items() if value is not None}
    with pytest.raises(AmrError, match="can't be read") as caught:
        made_truth(write(tmp_path, damaged))
    assert why in caught.value.message
    assert caught.value.remedy


def test_no_archive_and_one_that_is_too_large(
    tmp_path: Path, arrays: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "truth.npz").write_bytes(b"no archive")
    with pytest.raises(AmrError, match="can't be read"):
        made_truth(tmp_path / "truth.npz")
    monkeypatch.setattr(suites, "MAX_TRUTH_BYTES", 1000)
    with pytest.raises(AmrError, match="larger"):
        made_truth(write(tmp_path, arrays))


def test_damaged_conditions(tmp_path: Path, arrays: dict[str, np.ndarray], assets: Path) -> None:
    write(tmp_path / "a", arrays)
    (tmp_path / "a" / "conditions.json").write_text("[1")
    (clip,) = find_clips(f"synthetic={tmp_path}", quick=False)
    with pytest.raises(AmrError, match="conditions.json"):
        clip.load()


def test_quick_takes_clips_from_all_over(tmp_path: Path) -> None:
    for number in range(40):
        write(tmp_path / f"clip-{number:02}", {"a": np.zeros(1)})
    clips = find_clips(f"synthetic={tmp_path}", quick=True)
    assert len(clips) == suites.QUICK_CLIPS
    assert (clips[0].name, clips[-1].name) == ("clip-00", "clip-39")
    assert len(find_clips(f"synthetic={tmp_path}", quick=False)) == 40


@pytest.mark.parametrize("suite", ["balance", "synthetic", "demo"])
def test_a_suite_that_is_not_there(tmp_path: Path, suite: str) -> None:
    with pytest.raises(AmrError) as caught:
        find_clips(f"{suite}={tmp_path}", quick=False)
    assert caught.value.code == "suite-missing"
    assert str(tmp_path) in caught.value.message


def test_an_unknown_suite() -> None:
    with pytest.raises(SettingsError, match="no suite 'h36m'.*balance"):
        find_clips("h36m", quick=False)


def test_the_project_s_own_clip(assets: Path) -> None:
    (clip,) = find_clips("demo", quick=True)
    truth, given = clip.load()
    assert truth.frame_count == 132
    assert given["action"]
    assert 0.2 < truth.standing.mean() <= 1
