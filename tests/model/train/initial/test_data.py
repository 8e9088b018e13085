"""Windows: what is true of them is what the estimate makes of it, and nobody held out is trained on."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from model.detect.landmarks import Landmarks
from model.estimate.evidence import gather, ray_rotation
from model.estimate.learned import InitialEstimate, Learned
from model.estimate.pose_angles import mirrored
from model.estimate.pose_layout import PoseLayout
from model.estimate.pose_space import PoseSpace
from model.networks.initial import InitialNet, InitialOutput, InitialSettings
from model.synth.landmarks.crowd import Crowd
from model.synth.landmarks.noise import Sighting
from model.synth.landmarks.plays import Plays, Theatre
from model.synth.motion.enrich import Poses, joined, sample
from model.synth.splits import seeds
from model.train.initial import data
from model.train.initial.data import Window, Windows, window_of
from tests.model.made_capture import sequence, turned

PARTS = ("train", "validation")
FOCAL_PX, CENTRE = 1000.0, (500.0, 400.0)


def perfect(plays: Plays) -> Sighting:
    """What a detector without mistakes sees."""
    points = torch.from_numpy(plays.points_cam_m[:, :, :33])
    hips = (points[:, :, 23] + points[:, :, 24]) / 2
    world = (points - hips[:, :, None]) @ ray_rotation(hips[..., :2] / hips[..., 2:])
    count, frames = points.shape[:2]
    everywhere = torch.ones(count, frames, dtype=torch.bool)
    return Sighting(
        points[..., :2] / points[..., 2:], torch.ones(count, frames, 33), world, everywhere,
        torch.zeros(count, frames, 3, dtype=torch.bool),
    )  # fmt: skip


class Knowing(InitialNet):
    """A network that says the truth of one window."""

    def __init__(self, output: InitialOutput) -> None:
        super().__init__(InitialSettings(width=16, depth=1, passes=0))
        self._output = output

    def read(self, raw: Tensor) -> InitialOutput:
        return self._output


def truth_of(window: Window, layout: PoseLayout, row: int) -> InitialOutput:
    net = InitialNet(InitialSettings(width=16, depth=1, passes=0))
    said = net.read(torch.zeros(1, window.time_s.shape[1], net.outputs))
    balls, hinges = layout.targets(window.angles[row : row + 1])
    told = {name: getattr(window, name)[row : row + 1] for name in ("orientation", "place", "up")}
    points = window.points_m[row : row + 1, :, :33]
    about = points - points[:, :, 23:25].mean(2, keepdim=True)
    return replace(said, balls=balls, hinges=hinges, landmarks_m=about, **told)


def estimated(window: Window, seen: Sighting, layout: PoseLayout, row: int, lens: float = 1.0) -> Learned:
    """What the estimate makes of the truth of a window, through a lens taken for ``lens`` times as long."""
    px = (seen.rays[row] * FOCAL_PX).numpy() + CENTRE
    ones = seen.visibility[row].numpy()
    landmarks = Landmarks(
        np.arange(len(px), dtype=np.int32), window.time_s[row].double().numpy(), seen.present[row].numpy(),
        px.astype(np.float32), ones, ones, ones[:, 0], seen.world_m[row].numpy(), (1000, 800),
    )  # fmt: skip
    zeros = torch.zeros(13, dtype=torch.float64)
    return InitialEstimate(Knowing(truth_of(window, layout, row)), layout, zeros, zeros)(
        gather(landmarks, lens * FOCAL_PX, CENTRE)
    )


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lenses and heights are known."""
    monkeypatch.setattr(data, "UNKNOWN_LENS", 0.0)
    monkeypatch.setattr(data, "KNOWN_HEIGHT", 0.0)


def test_a_network_that_says_the_truth_gives_the_truth(plays: Plays, pose_layout: PoseLayout, known: None) -> None:
    """Training and use agree about the straight view: place, orientation, angles, landmarks, vertical come back."""
    seen = perfect(plays)
    window = window_of(plays, seen, torch.full((8,), 1.7), torch.Generator().manual_seed(0))
    for row in range(8):
        learned = estimated(window, seen, pose_layout, row)
        root = torch.from_numpy(plays.root_cam_m[row]).double()
        assert (learned.pose.position - root).norm(dim=-1).max() < 5e-3
        assert (learned.pose.orientation - torch.from_numpy(plays.orientation[row])).abs().max() < 1e-3
        assert (learned.pose.angles - torch.from_numpy(plays.angles[row])).abs().max() < 2e-3
        assert (learned.up - torch.from_numpy(plays.up[row])).abs().max() < 1e-3
        points = torch.from_numpy(plays.points_cam_m[row, :, :33])
        assert (learned.landmarks_m - (points - points[:, 23:25].mean(1, keepdim=True))).abs().max() < 1e-3


def test_through_a_guessed_lens_everything_is_farther_by_as_much(
    plays: Plays, pose_layout: PoseLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A longer lens makes the same picture of a person who is farther away; the pose is told all the same."""
    monkeypatch.setattr(data, "UNKNOWN_LENS", 1.0)
    monkeypatch.setattr(data, "LENS_SIGMA", 0.2)
    seen = perfect(plays)
    guess = torch.exp(0.2 * torch.randn(8, generator=torch.Generator().manual_seed(3)))
    window = window_of(plays, seen, torch.full((8,), 1.7), torch.Generator().manual_seed(3))
    assert guess.log().abs().max() > 0.2
    for row in range(8):
        lens = float(guess[row])
        learned = estimated(window, seen, pose_layout, row, lens)
        root = torch.from_numpy(plays.root_cam_m[row]).double()
        assert learned.pose.position[:, 2] / root[:, 2] == pytest.approx(torch.full((96,), lens).double(), rel=0.06)
        across = learned.pose.position[:, :2] / learned.pose.position[:, 2:]
        assert (lens * across - root[:, :2] / root[:, 2:]).norm(dim=-1).max() < 0.05
        assert (learned.pose.angles - torch.from_numpy(plays.angles[row])).abs().max() < 2e-3


def test_the_truth_is_told_in_the_axes_of_the_true_lens(plays: Plays, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the lens is taken for: only what the network reads goes through the guessed one."""
    told: list[Tensor] = []
    monkeypatch.setattr(data, "UNKNOWN_LENS", 1.0)
    seen, stature = perfect(plays), torch.full((8,), 1.7)
    guessed = window_of(plays, seen, stature, torch.Generator().manual_seed(3))
    monkeypatch.setattr(data, "UNKNOWN_LENS", 0.0)
    known = window_of(plays, seen, stature, torch.Generator().manual_seed(3))
    for name in ("orientation", "points_m", "up"):
        assert torch.allclose(getattr(guessed, name), getattr(known, name), atol=2e-4), name
    # A metre's size is taken along the viewing ray, which leans a little less through a longer lens: it differs by up
    # to a hundredth, and the place, told in it, as much; what both say together doesn't.
    for window in (guessed, known):
        across, depth = window.place[..., :2] * window.per_metre[..., None], window.place[..., 2].exp()
        told.append(torch.cat([across, (depth / window.per_metre)[..., None]], -1))
    assert torch.allclose(*told, rtol=2e-4, atol=2e-4)
    assert torch.allclose(guessed.per_metre, known.per_metre, rtol=0.02)
    assert (guessed.features - known.features).abs().max() > 0.01


def test_points_are_about_the_hips_in_the_straight_view(
    plays: Plays, crowd: Crowd, pose_layout: PoseLayout, known: None
) -> None:
    """Posed by the truth's rotations, the true person has the truth's points."""
    window = window_of(plays, perfect(plays), torch.full((8,), 1.7), torch.Generator().manual_seed(0))
    local = pose_layout.local(*pose_layout.targets(window.angles), window.orientation)
    posed = crowd.points(window.person, local)
    assert (posed - window.points_m).norm(dim=-1).max() < 2e-3


def test_stretches_begin_anywhere(windows: Windows, plays: Plays) -> None:
    begun = set()
    for seed in range(12):
        window = windows.batch(torch.tensor([1]), torch.Generator().manual_seed(seed), 24)
        begun |= {k for k in range(73) if np.array_equal(plays.angles[1, k : k + 24], window.angles[0])}
    assert len(begun) >= 8 and max(begun) > 36


def test_what_is_told_of_a_person_may_be_known(plays: Plays, monkeypatch: pytest.MonkeyPatch) -> None:
    stature = torch.linspace(1.0, 1.9, 8)
    for share in (0.0, 1.0):
        monkeypatch.setattr(data, "KNOWN_HEIGHT", share)
        window = window_of(plays, perfect(plays), stature, torch.Generator().manual_seed(0))
        assert (window.features[..., -3] == share).all()
        assert torch.allclose(window.features[:, 0, -2], share * stature.log(), atol=1e-6)


def test_a_batch_is_a_function_of_its_rows_and_its_seed(windows: Windows) -> None:
    rows = torch.tensor([3, 1, 3])
    one, again, other = (windows.batch(rows, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    for f in fields(Window):
        assert torch.equal(getattr(one, f.name), getattr(again, f.name)), f.name
        assert len(getattr(one, f.name)) == 3
    assert torch.equal(one.angles, other.angles) and not torch.equal(one.features, other.features)
    assert torch.equal(one.angles[0], one.angles[2]) and not torch.equal(one.features[0], one.features[2])


@pytest.mark.parametrize("frames", [24, 48, 96])
def test_a_stretch_is_one_of_the_plays(windows: Windows, plays: Plays, frames: int) -> None:
    window = windows.batch(torch.tensor([5, 2]), torch.Generator().manual_seed(4), frames)
    starts = [k for k in range(97 - frames) if np.array_equal(plays.angles[5, k : k + frames], window.angles[0])]
    assert len(starts) == 1
    start = starts[0]
    assert np.array_equal(window.angles[1], plays.angles[2, start : start + frames])
    assert np.array_equal(window.contacts[1].numpy() > 0, plays.contacts[2, start : start + frames])
    assert window.features.shape[1] == window.time_s.shape[1] == window.present.shape[1] == frames
    assert torch.isfinite(window.features).all()


# Who and what is held out.


def test_people_who_are_held_out_are_not_trained_on(space: PoseSpace, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}
    for part in PARTS:
        monkeypatch.setattr(
            data.Crowd, "draw", lambda _, bodies, count, part=part: asked.update({part: (bodies, count)})
        )
        data.crowd_of(space, part)
    (first, edge), many = asked["train"]
    (begin, end), few = asked["validation"]
    assert (first, end) == seeds("train")["bodies"]
    assert first < edge == begin < end
    assert end - begin == (end - first) // 10
    assert many > few > 0
    test_first, test_end = seeds("test")["bodies"]
    assert end <= test_first or test_end <= first


def test_motions_that_are_held_out_are_not_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    known = [replace(sequence(turned(3)), uid=f"CMU_{k:03d}") for k in range(300)]
    asked = []
    monkeypatch.setattr(data, "read_sequences", lambda split: asked.append(split) or known)
    parts = {part: {s.uid for s in data.sequences_of(part)} for part in PARTS}
    assert set(asked) == {"train"}  # never of the test split
    assert not parts["train"] & parts["validation"]
    assert len(parts["train"] | parts["validation"]) == 300
    assert 10 < len(parts["validation"]) < 60
    monkeypatch.setattr(data, "read_sequences", lambda split: known[::-1][:150])
    assert {s.uid for s in data.sequences_of("validation")} <= parts["validation"]  # by name, not by place


def test_a_pose_and_its_mirror_image_are_held_out_together(space: PoseSpace, tmp_path: Path) -> None:
    """However many poses there are; the bank has the mirror images of N poses N later."""
    some = sample(space, 47, seed=2)
    angles, orientation = mirrored(space, some.angles, some.orientation)
    both = joined([some, Poses(angles, orientation, some.category)])
    np.savez(tmp_path / "poses.npz", angles=both.angles, orientation=both.orientation, category=both.category)
    train, held = (data.poses_of(space, part, tmp_path) for part in PARTS)
    assert (len(train.category), len(held.category)) == (84, 10)
    other = mirrored(space, held.angles, held.orientation)[0]
    for poses in (held.angles, other):
        assert torch.cdist(poses, train.angles).min() > 1e-3
        assert torch.cdist(poses, held.angles).min(1).values.max() < 1e-9
    assert len(torch.unique(torch.cat([train.angles, held.angles]), dim=0)) == 94


def test_a_theatre_plays_what_its_part_may(space: PoseSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Poses, motions and people of the part, together."""
    some = sample(space, 30, seed=2)
    np.savez(tmp_path / "poses.npz", angles=some.angles, orientation=some.orientation, category=some.category)
    asked = []
    monkeypatch.setattr(data, "sequences_of", lambda part: asked.append(part) or [sequence(turned(5))])
    monkeypatch.setattr(data, "crowd_of", lambda _, part: asked.append(part) or Crowd.draw(space, (0, 2), 2))
    monkeypatch.setattr("model.synth.motion.motions.KEYED_SHARE", 1.0)
    stage = data.theatre("validation", tmp_path)
    assert asked == ["validation", "validation"]
    held = data.poses_of(space, "validation", tmp_path)
    monkeypatch.setattr("model.synth.motion.motions.SWAY", 0.0)
    known = torch.cat([held.angles, mirrored(space, held.angles, held.orientation)[0]])
    known = known.clamp(space.lower, space.upper)
    for number in range(6):
        first = torch.from_numpy(stage.play(number, 3).angles[0, 0]).double()
        assert (known - first).abs().amax(1).min() < 1e-5


def test_plain_plays_are_of_people_on_their_feet(
    space: PoseSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = sample(space, 60, seed=2)
    np.savez(tmp_path / "poses.npz", angles=some.angles, orientation=some.orientation, category=some.category)
    monkeypatch.setattr(data, "sequences_of", lambda part: [sequence(turned(5))])
    monkeypatch.setattr(data, "crowd_of", lambda _, part: Crowd.draw(space, (0, 2), 2))
    kept = {plain: set(data.theatre("train", tmp_path, plain)._bank._of) for plain in (False, True)}
    assert kept[True] == set(data.ON_THEIR_FEET) < kept[False]


def test_drawn_poses_are_drawn_once(space: PoseSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    some = sample(space, 20, seed=2)
    made = []

    class Bank:
        def __init__(self, _: PoseSpace, captured: str, count: int) -> None:
            made.append((captured, count))
            self.drawn = some

    monkeypatch.setattr(data, "PoseBank", Bank)
    monkeypatch.setattr(data, "captured_poses", lambda _, split: split)
    for _ in range(2):
        poses = data.drawn_poses(space, tmp_path / "new")
        assert torch.equal(poses.angles, some.angles) and torch.equal(poses.orientation, some.orientation)
        assert poses.category.tolist() == some.category.tolist()
    assert made == [("train", data.POSES)]


def test_chunks_are_functions_of_part_and_number(
    house: tuple[Theatre, Crowd], space: PoseSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "CHUNK", 2)
    monkeypatch.setattr(data, "FRAMES", 6)
    monkeypatch.setattr(data, "_theatre", lambda part, folder: house[0])
    first, second = (Plays.load(data.make_chunk("train", number, tmp_path)) for number in (0, 1))
    assert np.array_equal(first.points_cam_m[1], house[0].play(1, 6).points_cam_m[0])
    assert np.array_equal(second.points_cam_m[0], house[0].play(2, 6).points_cam_m[0])
    held = Plays.load(data.make_chunk("validation", 0, tmp_path))
    assert not any(np.array_equal(held.points_cam_m[0], one) for one in (*first.points_cam_m, *second.points_cam_m))

    def never(part: str, folder: Path) -> Theatre:
        raise AssertionError(part)

    monkeypatch.setattr(data, "_theatre", never)
    np.savez(tmp_path / "poses.npz", angles=np.zeros((2, 1)), orientation=np.zeros((2, 3, 3)), category=["a", "a"])
    done = []
    plays = data.read_plays("train", 2, tmp_path, 1, done.append)
    assert done == [1, 1]
    assert np.array_equal(plays.points_cam_m, np.concatenate([first.points_cam_m, second.points_cam_m]))


def test_the_average_body_stands_upright(space: PoseSpace) -> None:
    landmarks = data.average_landmarks(space)
    assert landmarks.shape == (33, 3)
    assert landmarks[0, 2] > landmarks[23:25, 2].mean() > landmarks[27:, 2].max()
    assert landmarks[11, 0] > 0 > landmarks[12, 0]  # the left shoulder at +X
