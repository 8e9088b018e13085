"""From footage to people and their landmarks, on pictures of real bodies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from amr_blender.contract.errors import PersonError, VideoError
from model.detect import Landmarks, Networks, Person, find_people, track_landmarks
from model.video import Video
from tests.model.clips import grey_frames, write_clip

Picture = NDArray[np.uint8]
WHOLE = (0, None)


def quiet(stage: str, done: int, total: int) -> None:
    """Hears no progress."""


@pytest.fixture(scope="module")
def networks(assets: Path) -> Networks:
    return Networks.load(assets, torch.device("cpu"))


@pytest.fixture(scope="module")
def actor(repo_root: Path) -> list[Picture]:
    """Twelve frames (360, 640, 3) of the project's own clip: one person in motion."""
    frames = Video(repo_root / "tests" / "data" / "demo_clip.mp4").frames(0, 36)
    return [np.asarray(cv2.resize(f.rgb, (640, 360)), np.uint8) for f in frames if f.index % 3 == 0]


@pytest.fixture(scope="module")
def empty_stage(actor: Sequence[Picture]) -> Picture:
    """The place without the person: plain, in its mean colour."""
    return np.full_like(actor[0], np.stack(actor).mean((0, 1, 2)).astype(np.uint8))


@pytest.fixture(scope="module")
def shared_clips(repo_root: Path) -> Path:
    folder = repo_root.parent / "shared" / "clips"
    if not folder.is_dir():
        pytest.skip(f"The real clips are not on this machine ({folder}).")
    return folder


def people_in(path: Path, networks: Networks, frame_range: tuple[int, int | None] = WHOLE) -> list[Person]:
    return find_people(Video(path), frame_range, networks, quiet)


def follow(path: Path, person: Person, networks: Networks, quality: str = "standard") -> Landmarks:
    return track_landmarks(Video(path), person, WHOLE, networks, quiet, quality)


def test_one_person_through_a_clip(actor: list[Picture], networks: Networks, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", actor, fps=8)
    heard: list[tuple[str, int, int]] = []
    (person,) = find_people(Video(path), WHOLE, networks, lambda *report: heard.append(report))
    assert heard[-1] == ("detect", 12, 12)
    assert person.index == 0 and 0.02 < person.share < 0.9
    assert person.frames[0] == 0 and person.frames[-1] == 11
    assert person.thumbnail.shape == (192, 192, 3) and person.thumbnail.std() > 5
    heard.clear()
    found = track_landmarks(Video(path), person, WHOLE, networks, lambda *report: heard.append(report))
    assert [done for _, done, _ in heard] == list(range(1, 13)) and heard[-1][::2] == ("landmarks", 12)
    assert found.present.all() and found.size_px == (640, 360)
    assert found.frames.tolist() == list(range(12)) and found.time_s == pytest.approx(np.arange(12) / 8)
    assert {a.dtype for a in (found.px, found.world_m, found.visibility, found.score)} == {np.dtype(np.float32)}
    assert np.isfinite(found.px).all() and np.isfinite(found.world_m).all()
    body = found.px[:, 11:]
    assert (body > -20).all() and (body < [660, 380]).all()
    height = np.linalg.norm(found.world_m[:, 0] - found.world_m[:, 27:29].mean(1), axis=-1)
    assert (height > 0.8).all() and (height < 2.2).all(), "metres"
    shoulders_above_hips = found.world_m[:, 11:13, 1].mean(1) < found.world_m[:, 23:25, 1].mean(1)
    assert shoulders_above_hips.mean() > 0.8, "y points down"


def test_a_turned_camera_turns_pixels_and_metres(actor: list[Picture], networks: Networks, tmp_path: Path) -> None:
    plain, turned = tmp_path / "a.png", tmp_path / "b.png"
    cv2.imwrite(str(plain), actor[0][..., ::-1])
    cv2.imwrite(str(turned), np.rot90(actor[0], -1)[..., ::-1])
    results = []
    for path in (plain, turned):
        results.append(follow(path, people_in(path, networks)[0], networks))
    upright, lying = results
    body = np.arange(11, 29)
    expected = np.stack([360 - upright.px[0, :, 1], upright.px[0, :, 0]], -1)
    height_px = np.ptp(upright.px[0, :, 1])
    assert np.linalg.norm(lying.px[0] - expected, axis=-1)[body].mean() < 0.04 * height_px
    turned_m = np.stack([-upright.world_m[0, :, 1], upright.world_m[0, :, 0], upright.world_m[0, :, 2]], -1)
    assert np.linalg.norm(lying.world_m[0] - turned_m, axis=-1)[body].mean() < 0.12


def test_a_person_only_in_the_middle_third(
    actor: list[Picture], empty_stage: Picture, networks: Networks, tmp_path: Path
) -> None:
    path = write_clip(tmp_path / "a.mp4", [empty_stage] * 10 + actor[:10] + [empty_stage] * 10, fps=10)
    person = people_in(path, networks)[0]
    assert person.frames[0] >= 10 and person.frames[-1] <= 19
    found = follow(path, person, networks)
    assert np.flatnonzero(found.present).tolist() == list(range(10, 20))
    absent = ~found.present
    assert np.isnan(found.px[absent]).all() and np.isnan(found.world_m[absent]).all()
    assert len(found.frames) == 30 and np.isfinite(found.time_s).all()


def test_a_cut_to_another_person(actor: list[Picture], networks: Networks, tmp_path: Path) -> None:
    """The second shot: the same body, mirrored, in other colours, elsewhere."""
    other = [np.roll(255 - frame[:, ::-1][..., [2, 0, 1]], 60, axis=1) for frame in actor]
    path = write_clip(tmp_path / "a.mp4", actor[:9] + other[:6], fps=10)
    people = people_in(path, networks)
    assert len(people) >= 2
    assert {p.cuts for p in people} == {(9,)}
    for person in people:
        assert (person.frames < 9).all() or (person.frames >= 9).all()
    first = people[0] if people[0].frames[0] == 0 else people[1]
    assert not follow(path, first, networks).present[9:].any()


def test_one_frame(actor: list[Picture], networks: Networks, tmp_path: Path) -> None:
    path = tmp_path / "still.png"
    cv2.imwrite(str(path), actor[0][..., ::-1])
    person = people_in(path, networks)[0]
    assert follow(path, person, networks).present.tolist() == [True]


def test_8k(actor: list[Picture], networks: Networks, tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    cv2.imwrite(str(path), cv2.resize(actor[0], (7680, 4320), interpolation=cv2.INTER_CUBIC)[..., ::-1])
    found = follow(path, people_in(path, networks)[0], networks)
    assert found.present[0] and found.size_px == (7680, 4320)
    assert np.ptp(found.px[0, :, 1]) > 1000


def test_a_part_of_the_clip(actor: list[Picture], networks: Networks, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", actor, fps=8)
    person = people_in(path, networks, (3, 8))[0]
    assert person.frames[0] == 3 and person.frames[-1] == 7
    found = track_landmarks(Video(path), person, (3, 8), networks, quiet, "draft")
    assert found.frames.tolist() == [3, 4, 5, 6, 7]
    assert found.time_s[0] == pytest.approx(3 / 8)


@pytest.mark.parametrize("size", [(64, 48), (16, 16)])
def test_nobody_at_all(size: tuple[int, int], networks: Networks, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", grey_frames(6, *size))
    with pytest.raises(PersonError) as caught:
        people_in(path, networks)
    assert caught.value.code == "no-person" and caught.value.remedy


def test_a_range_behind_the_clip(networks: Networks, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", grey_frames(6))
    with pytest.raises(VideoError) as caught:
        people_in(path, networks, (6, 9))
    assert caught.value.code == "range-outside-clip"


def test_a_person_who_is_not_there(actor: list[Picture], networks: Networks, tmp_path: Path) -> None:
    """A person found in one clip, looked for in another that shows nobody."""
    person = people_in(write_clip(tmp_path / "a.mp4", actor[:4], fps=8), networks)[0]
    empty = write_clip(tmp_path / "b.mp4", grey_frames(4, 640, 360), fps=8)
    with pytest.raises(PersonError) as caught:
        follow(empty, person, networks)
    assert caught.value.code == "person-unclear"


@pytest.mark.slow
def test_two_people_keep_their_identities(shared_clips: Path, networks: Networks) -> None:
    path = shared_clips / "basketball_two_people.mp4"
    people = people_in(path, networks)
    assert len(people) == 2
    hips = []
    for person in people:
        found = follow(path, person, networks, "draft")
        assert found.present.mean() > 0.9
        hips.append(found.px[:, 23:25].mean(1))
        assert np.nanmax(np.linalg.norm(np.diff(hips[-1], axis=0), axis=-1)) < 150, "nobody leaps"
    side = np.sign(hips[0][:, 0] - hips[1][:, 0])
    assert len(np.unique(side[np.isfinite(side)])) == 1, "one stays left of the other all through"


@pytest.mark.slow
@pytest.mark.parametrize(("camera", "number"), [("cam1", 0), ("cam3", 1)])
def test_follows_the_falling_man(camera: str, number: int, shared_clips: Path, networks: Networks) -> None:
    """2D error against the truth, which four cameras measured: the man, not a bystander, and him well."""
    path = shared_clips / f"balance_{camera}.mp4"
    found = follow(path, people_in(path, networks)[0], networks)
    truth = np.load(shared_clips / "balance_truth.npz")
    names = list(truth["joint_names"])
    joints = ["l_shoulder", "r_shoulder", "l_elbow", "r_elbow", "l_wrist", "r_wrist"]
    joints += ["l_hip", "r_hip", "l_knee", "r_knee", "l_ankle", "r_ankle"]
    landmarks = [*range(11, 17), *range(23, 29)]
    rows = [names.index(name) for name in joints]
    rotation, shift = cv2.Rodrigues(truth["R"][number])[0], truth["t"][number]
    points = truth["joints_world_m"].reshape(-1, 3).astype(float)
    px, _ = cv2.projectPoints(points, rotation, shift, truth["K"][number], truth["dist"][number])
    error = np.linalg.norm(found.px[:, landmarks] - px.reshape(100, -1, 2)[:, rows], axis=-1)
    assert found.present.all()
    # He is about 900 pixels tall; the truth itself is good to about 10.
    assert np.nanmean(error[truth["valid"][:, rows]]) < 16
