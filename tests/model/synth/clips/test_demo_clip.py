"""The project's own clip: small, true, natural enough to be followed, made by the script that says it makes it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from amr_blender.contract.spaces import invert_rigid, project_px, transform
from amr_blender.contract.take import JOINT12_NAMES
from model.body import AnnyBody
from model.paths import assets_folder
from model.synth.clips import demo_clip
from model.synth.clips.demo_clip import Performance
from model.synth.scene.scenes import look_at


@pytest.fixture(scope="module")
def body() -> AnnyBody:
    return AnnyBody.load(assets_folder())


@pytest.fixture(scope="module")
def play(body: AnnyBody) -> Performance:
    return demo_clip.perform(body)


@pytest.fixture(scope="module")
def stored() -> dict[str, np.ndarray]:
    with np.load(demo_clip.DATA / "demo_clip_truth.npz", allow_pickle=False) as data:
        return dict(data)


def frames() -> list[np.ndarray]:
    capture, found = cv2.VideoCapture(str(demo_clip.DATA / "demo_clip.mp4")), []
    while True:
        ok, picture = capture.read()
        if not ok:
            return found
        found.append(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))


def test_data_stay_small() -> None:
    assert sum(f.stat().st_size for f in demo_clip.DATA.rglob("*") if f.is_file()) < 2_000_000
    assert (demo_clip.DATA / "demo_clip.mp4").stat().st_size < 1_000_000


def test_clip_and_truth_are_of_one_length(stored: dict[str, np.ndarray]) -> None:
    pictures = frames()
    assert len(pictures) == len(stored["joints12_cam_m"]) == len(stored["rotations"])
    assert pictures[0].shape == (demo_clip.HEIGHT, demo_clip.WIDTH, 3)
    assert tuple(stored["joint_names"]) == JOINT12_NAMES


def test_truth_is_what_the_script_makes(body: AnnyBody, play: Performance, stored: dict[str, np.ndarray]) -> None:
    made = demo_clip.truth(body, play, look_at(demo_clip.CAMERA_M, demo_clip.LOOK_AT_M))
    assert made.keys() == stored.keys()
    for name, values in made.items():
        if values.dtype.kind == "f":
            np.testing.assert_allclose(values, stored[name], atol=1e-4, err_msg=name)
        else:
            np.testing.assert_array_equal(values, stored[name], err_msg=name)


def test_planted_feet_do_not_slide(body: AnnyBody, play: Performance) -> None:
    for column, side in enumerate("LR"):
        ankle = play.heads_m[:, body.bone(f"foot.{side}")]
        planted = play.flat[1:, column] & play.flat[:-1, column]
        assert planted.sum() > 60
        assert np.linalg.norm(np.diff(ankle, axis=0), axis=1)[planted].max() < 1e-4


def test_motion_is_smooth_and_on_the_ground(body: AnnyBody, play: Performance) -> None:
    acceleration = np.linalg.norm(np.diff(play.heads_m, 2, axis=0), axis=-1)
    assert acceleration.mean() < 0.010  # metres per frame squared: people walk at 5 to 7 mm
    assert acceleration.max() < 0.12
    soles = [(rest, weights) for g, rest, weights in play.garments if g.name == "sole"]
    for frame in range(0, len(play.local), 5):
        lowest = min(demo_clip.skinned(rest, weights, play.affine[frame])[:, 2].min() for rest, weights in soles)
        assert -0.012 < lowest < 0.02


def test_blazepose_follows_the_body(stored: dict[str, np.ndarray]) -> None:
    from model.train.blazepose_eye import blazepose_eye

    see, pictures = blazepose_eye(assets_folder()), frames()
    wrong = []
    for frame in range(0, len(pictures), 22):
        seen = see(pictures[frame])
        assert seen is not None, f"nobody found in frame {frame}"
        truth_px = project_px(stored["landmarks33_cam_m"][frame], stored["K"])
        height_px = stored["K"][0, 0] * stored["height_m"] / stored["landmarks33_cam_m"][frame, 23:25, 2].mean()
        wrong.append(np.linalg.norm(seen[0] - truth_px, axis=1)[11:] / height_px)
    assert np.mean(wrong) < 0.025


def test_the_script_draws_what_the_truth_says(
    body: AnnyBody, play: Performance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blender: object
) -> None:
    """One small frame: the shirt covers the chest's pixels, the wall stays a wall."""
    scale = 4
    for name, value in (("WIDTH", 160), ("HEIGHT", 90), ("FOCAL_PX", demo_clip.FOCAL_PX / scale), ("SAMPLES", 2)):
        monkeypatch.setattr(demo_clip, name, value)
    camera = look_at(demo_clip.CAMERA_M, demo_clip.LOOK_AT_M)
    demo_clip.film(body, play, camera, tmp_path, tmp_path / "clip.mp4", every=len(play.local))
    picture = cv2.imread(str(tmp_path / "0000.png"))
    chest = transform(invert_rigid(camera), play.heads_m[0, body.bone("spine02")])
    K = np.array([[demo_clip.FOCAL_PX, 0, 80], [0, demo_clip.FOCAL_PX, 45], [0, 0, 1]])
    column, row = project_px(chest, K).round().astype(int)
    blue, green, red = picture[row, column].astype(int)
    assert min(blue, green) > red + 30  # the shirt is teal
    wall = picture[5:20, 5:40].reshape(-1, 3).astype(int)
    assert np.ptp(wall.mean(0)) < 25
    assert not (tmp_path / "clip.mp4").exists()  # only whole clips are encoded
