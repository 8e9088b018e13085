"""Windows of what the real detector saw: the same truth as those of the noise, and sides judged by it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from model.detect.landmarks import OTHER_SIDE, Landmarks
from model.estimate.rotation import matrix_from_rotvec
from model.estimate.sides import GROUPS
from model.synth.landmarks.crowd import Crowd
from model.synth.landmarks.noise import Sighting
from model.synth.landmarks.plays import Plays, Theatre
from model.synth.picture_clips import frame_size
from model.train.initial import data
from model.train.initial.detected import FRAMES, Detected, true_px
from model.train.initial.seen import SeenWindows, _exchanged
from model.train.initial.varied import BIAS, JITTER, varied


def clip_of(play: Plays, crowd: Crowd) -> Detected:
    """A detector that sees what is there, but nobody in three frames."""
    frames = play.angles.shape[1]
    points = play.points_cam_m[0, :, :33]
    ones = np.ones((frames, 33), np.float32)
    present = np.ones(frames, bool)
    present[4:7] = False
    px, world = true_px(play).astype(np.float32), points - points[:, 23:25].mean(1, keepdims=True)
    px[~present], world[~present] = np.nan, np.nan
    landmarks = Landmarks(
        np.arange(frames, dtype=np.int32), np.arange(frames) / float(play.fps[0]), present, px, ones, ones,
        ones[:, 0], world, frame_size(play),
    )  # fmt: skip
    person = int(play.person[0])
    return Detected(landmarks, play, crowd.shape[person].numpy(), float(crowd.stature_m[person]), ones > 0)


@pytest.fixture(scope="module")
def clips(house: tuple[Theatre, Crowd]) -> list[Detected]:
    return [clip_of(house[0].play(40 + number, FRAMES), house[1]) for number in range(3)]


@pytest.fixture
def seen(clips: list[Detected], crowd: Crowd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SeenWindows:
    monkeypatch.setattr(data, "UNKNOWN_LENS", 0.0)
    for number, clip in enumerate(clips):
        clip.save(tmp_path / f"{number:06d}.npz")
    short = replace(clips[0], play=clips[0].play.cut(slice(0, 20)))
    cut = {f: getattr(short.landmarks, f)[:20] for f in vars(short.landmarks) if f != "size_px"}
    replace(short, landmarks=Landmarks(**cut, size_px=short.landmarks.size_px)).save(tmp_path / "000009.npz")
    return SeenWindows([sorted(tmp_path.glob("*.npz"))], crowd)


def test_clips_of_the_right_length_are_windows(seen: SeenWindows, clips: list[Detected]) -> None:
    assert len(seen) == 3
    window = seen.batch(torch.tensor([2, 0]), torch.Generator().manual_seed(0))
    for row, number in enumerate((2, 0)):
        assert np.array_equal(window.angles[row], clips[number].play.angles[0])
        assert np.array_equal(window.present[row], clips[number].landmarks.present)
    assert torch.isfinite(window.features).all()
    assert (window.features[:, 4:7, : 33 * 6] == 0).all()


def test_what_a_perfect_detector_sees_is_the_truth(seen: SeenWindows) -> None:
    """Landmarks in the picture lie where the true points are, in the same axes."""
    window = seen.batch(torch.arange(3), torch.Generator().manual_seed(0))
    depth = window.place[..., 2].exp() / window.per_metre
    across = window.place[..., :2] * (window.per_metre * depth)[..., None]
    points = window.points_m + torch.cat([across, depth[..., None]], -1)[:, :, None]
    flat = points[:, :, :33, :2] / points[:, :, :33, 2:] / window.per_metre[..., None, None]
    told = window.features[..., :66].unflatten(-1, (33, 2))
    assert (told - flat)[window.present].norm(dim=-1).max() < 0.01
    assert not window.exchanged.any()


def test_exchanged_sides_are_flagged_where_somebody_is_seen(clips: list[Detected]) -> None:
    """A group counts when the other side is clearly nearer; groups that lie over each other do not."""
    clip = clips[1]
    crossed = clip.landmarks.px.copy()
    group = np.array(sum(GROUPS["arms"], []))
    crossed[10:20, group] = clip.landmarks.px[10:20][:, OTHER_SIDE[group]]
    flags = _exchanged(replace(clip.landmarks, px=crossed), clip.play)
    number = list(GROUPS).index("arms")
    assert flags[10:20, number].all()
    flags[10:20, number] = False
    assert not flags.any()
    together = np.repeat(clip.landmarks.px[:, [0]], 33, 1)
    assert not _exchanged(replace(clip.landmarks, px=np.nan_to_num(together)), clip.play)[4:7].any()


@pytest.mark.parametrize("seed", range(4))
def test_what_is_made_of_clips_has_its_truth_too(
    seen: SeenWindows, clips: list[Detected], crowd: Crowd, seed: int
) -> None:
    """Angles still lead to the points, points to where they are seen, and up is up."""
    space = data.pose_space()
    plays = Plays.joined([clip.play for clip in clips])
    rays = torch.from_numpy(plays.points_cam_m[:, :, :33, :2] / plays.points_cam_m[:, :, :33, 2:])
    some = torch.ones(rays.shape[:2], dtype=torch.bool)
    none = torch.zeros(*rays.shape[:2], 3, dtype=torch.bool)
    sighting = Sighting(rays, torch.ones(rays.shape[:3]), torch.zeros(*rays.shape[:3], 3), some, none)
    other, shown = varied(plays, sighting, space, torch.Generator().manual_seed(seed))
    angles = torch.from_numpy(other.angles).double()
    moving = matrix_from_rotvec(space.rotvecs(angles.flatten(0, 1))).float().unflatten(0, angles.shape[:2])
    moving[:, :, 0] = torch.from_numpy(other.orientation)
    points = crowd.points(torch.from_numpy(other.person).long(), moving)
    true = torch.from_numpy(other.points_cam_m)
    assert (points + torch.from_numpy(other.root_cam_m)[:, :, None] - true).norm(dim=-1).max() < 0.01
    away = (shown.rays - true[:, :, :33, :2] / true[:, :, :33, 2:]) * true[:, :, :33, 2:]
    assert 0 < away.norm(dim=-1).max() < 6 * (BIAS + JITTER)
    lowest = (other.points_cam_m @ other.up[:, None, :, None])[..., 0].min((1, 2))
    before = (plays.points_cam_m @ plays.up[:, None, :, None])[..., 0].min((1, 2))
    if other.angles.shape[1] == plays.angles.shape[1]:
        assert np.allclose(lowest, before, atol=1e-3)
    assert not np.allclose(other.fps, plays.fps)


def test_nothing_to_see_is_refused(crowd: Crowd) -> None:
    with pytest.raises(ValueError, match="no clips"):
        SeenWindows([[], []], crowd)


def test_parts_are_drawn_alike_often(clips: list[Detected], crowd: Crowd, tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.npz" for number in range(3)]
    for path, clip in zip(paths, clips, strict=True):
        clip.save(path)
    seen = SeenWindows([paths[:1], [], paths[1:]], crowd)
    counts = torch.bincount(seen.rows(4000, torch.Generator().manual_seed(0)), minlength=3) / 4000
    assert torch.allclose(counts, torch.tensor([0.5, 0.25, 0.25]), atol=0.04)
