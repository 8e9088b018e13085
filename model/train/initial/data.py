"""Windows of landmarks with their truth: plays with the noise model on top, drawn anew at every step."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from model.body import AnnyBody
from model.body.body_points import body_points
from model.body.landmarks import LANDMARK_NAMES, LandmarkRegressor
from model.estimate.pose_layout import PoseLayout
from model.estimate.pose_space import PoseSpace
from model.networks.straight_view import straight_view, towards
from model.paths import WEIGHTS, assets_folder
from model.synth.landmarks.crowd import Crowd
from model.synth.landmarks.noise import Detector, NoiseSettings, Sighting, lifted_m
from model.synth.landmarks.plays import Plays, Theatre
from model.synth.motion.enrich import Poses, taken
from model.synth.motion.mocap import Sequence, read_sequences
from model.synth.motion.motions import MotionBank
from model.synth.motion.pose_bank import PoseBank, captured_poses
from model.synth.splits import seeds

from .reenacted import closer, true_rays

FRAMES, CHUNK, PEOPLE, POSES = 96, 500, 600, 10_000
VALIDATION = 10
"""Every tenth captured motion, drawn pose and person is for validation alone."""
UNKNOWN_LENS, LENS_SIGMA = 0.6, 0.22
"""Share of the windows whose focal length is guessed, and the spread (log) of the guess."""
KNOWN_HEIGHT = 0.35
BEST = (0.3, 0.6)
"""What remains of the noise in the picture and in 3D in the best clips; most footage is better than what is drawn."""
ON_THEIR_FEET = ("hands at the body", "on one leg")
"""Categories of the drawn poses."""
LANDMARKS = slice(0, len(LANDMARK_NAMES))


@dataclass(frozen=True)
class Window:
    """B windows of T frames: what is read, and what is true, in the axes of the straight view."""

    features: Tensor
    time_s: Tensor
    person: Tensor
    """(B,) of the crowd."""
    angles: Tensor
    """(B, T, Q)."""
    orientation: Tensor
    """(B, T, 3, 3)."""
    points_m: Tensor
    """(B, T, L, 3) about the head of the hips' bone."""
    place: Tensor
    """(B, T, 3) as ``InitialOutput.place``."""
    per_metre: Tensor
    """(B, T) through the true lens."""
    up: Tensor
    """(B, T, 3)."""
    contacts: Tensor
    """(B, T, C) 0 or 1."""
    exchanged: Tensor
    """(B, T, G) 0 or 1."""
    present: Tensor
    """(B, T) bool."""


@lru_cache(maxsize=1)
def pose_space() -> PoseSpace:
    """The pose space with landmarks and the body's own points, as the estimate has it."""
    body = AnnyBody.load(assets_folder())
    return PoseSpace(body, LandmarkRegressor.load(WEIGHTS / "landmark_regressor.npz").joined(body_points(body)))


def crowd_of(space: PoseSpace, part: str) -> Crowd:
    """People to train on or (``validation``) of the same split, but others."""
    first, end = seeds("train")["bodies"]
    edge = end - (end - first) // VALIDATION
    return Crowd.draw(space, (first, edge) if part == "train" else (edge, end), PEOPLE if part == "train" else 100)


def sequences_of(part: str) -> list[Sequence]:
    """Captured motions of the train split, by a hash of their name."""
    return [
        s for s in read_sequences(split="train") if (zlib.crc32(s.uid.encode()) % VALIDATION == 0) == (part != "train")
    ]


def drawn_poses(space: PoseSpace, folder: Path) -> Poses:
    """The pose bank's, kept in ``folder`` because drawing them takes a minute."""
    path = folder / "poses.npz"
    if not path.is_file():
        drawn = PoseBank(space, captured_poses(space, "train"), POSES).drawn
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(path, angles=drawn.angles, orientation=drawn.orientation, category=drawn.category)
    with np.load(path, allow_pickle=False) as z:
        return Poses(torch.from_numpy(z["angles"]), torch.from_numpy(z["orientation"]), z["category"])


def poses_of(space: PoseSpace, part: str, folder: Path) -> Poses:
    """The drawn poses of a part; a pose and its mirror image, half of them later, are of the same."""
    poses = drawn_poses(space, folder)
    number = np.arange(len(poses.category)) % (len(poses.category) // 2)
    return taken(poses, np.flatnonzero((number % VALIDATION == 0) == (part != "train")))


def theatre(part: str, folder: Path, plain: bool = False) -> Theatre:
    """Where the plays of a part are made; ``plain`` ones are captured motion and people on their feet, filmed well."""
    space = pose_space()
    poses = poses_of(space, part, folder)
    if plain:
        poses = taken(poses, np.flatnonzero(np.isin(poses.category, ON_THEIR_FEET)))
    return Theatre(space, MotionBank(space, poses, sequences_of(part)), crowd_of(space, part), plain)


def make_chunk(part: str, number: int, folder: Path) -> Path:
    """``CHUNK`` plays on disk; a function of part and number."""
    path = folder / part / f"{number:04d}.npz"
    if not path.is_file():
        torch.set_num_threads(1)
        stage = _theatre(part, folder)
        first = number * CHUNK + (0 if part == "train" else 1_000_000_000)
        path.parent.mkdir(parents=True, exist_ok=True)
        Plays.joined([stage.play(first + k, FRAMES) for k in range(CHUNK)]).save(path)
    return path


_theatre = lru_cache(maxsize=1)(theatre)


def read_plays(part: str, chunks: int, folder: Path, workers: int, report: Callable[[int], None]) -> Plays:
    """The first ``chunks`` of a part, made where they are missing."""
    drawn_poses(pose_space(), folder)
    parts = []
    with ProcessPoolExecutor(workers) as pool:
        for path in pool.map(make_chunk, [part] * chunks, range(chunks), [folder] * chunks):
            parts.append(Plays.load(path))
            report(1)
    return Plays.joined(parts)


class Windows:
    """Batches of windows.

    Args:
        plays: the truth. crowd: its people. settings: of the noise. rest_m: (33, 3) landmarks of the average body.
    """

    def __init__(self, plays: Plays, crowd: Crowd, settings: NoiseSettings, rest_m: Tensor) -> None:
        self._plays, self._crowd = plays, crowd
        self._detector = Detector(settings, rest_m)

    def __len__(self) -> int:
        return len(self._plays.person)

    def batch(self, rows: Tensor, rng: torch.Generator, frames: int = FRAMES) -> Window:
        """A stretch of ``frames`` of the plays of ``rows``, seen with fresh noise."""
        start = int(torch.randint(FRAMES - frames + 1, (), generator=rng))
        plays = self._plays.chosen(rows.numpy()).cut(slice(start, start + frames))
        points = torch.from_numpy(plays.points_cam_m[:, :, LANDMARKS])
        stature = self._crowd.stature_m[torch.from_numpy(plays.person).long()]
        fps, focal, size = (torch.from_numpy(a) for a in (plays.fps, plays.focal, plays.size))
        seen = self._detector.look(points, stature, fps, focal, size, rng)
        return window_of(plays, _better(seen, points, stature, rng), stature, rng)


def _better(seen: Sighting, points_m: Tensor, stature_m: Tensor, rng: torch.Generator) -> Sighting:
    """B clips, some of them seen as well as in good footage."""
    count = len(points_m)
    good = torch.rand(count, 1, 1, 1, generator=rng)
    everything = torch.ones_like(seen.visibility, dtype=torch.bool)

    def nearer(values: Tensor, true: Tensor, least: float) -> Tensor:
        near = closer(values, true, everything, seen.exchanged, 1 - (1 - least) * good)
        return near * seen.present[..., None, None]

    rays = nearer(seen.rays, true_rays(points_m), BEST[0])
    return replace(seen, rays=rays, world_m=nearer(seen.world_m, lifted_m(points_m, stature_m), BEST[1]))


def window_of(plays: Plays, seen: Sighting, stature_m: Tensor, rng: torch.Generator) -> Window:
    """What the network reads of B plays, through lenses and of people known or not, and the truth."""
    count, frames = plays.angles.shape[:2]
    time_s = torch.arange(frames)[None] / torch.from_numpy(plays.fps)[:, None]
    guess = torch.exp(LENS_SIGMA * torch.randn(count, generator=rng))
    guess = torch.where(torch.rand(count, generator=rng) < UNKNOWN_LENS, guess, torch.ones(count))
    told = torch.where(torch.rand(count, generator=rng) < KNOWN_HEIGHT, stature_m, 0.0)
    view = straight_view(
        seen.rays / guess[:, None, None, None], seen.visibility, seen.world_m, seen.present, time_s, told
    )
    # The truth, in the axes of the straight view of the true lens.
    turn = towards(view.centre * guess[:, None, None])
    per_metre = view.per_metre * guess[:, None]
    angles, orientation, points, root, up = (
        torch.from_numpy(a) for a in (plays.angles, plays.orientation, plays.points_cam_m, plays.root_cam_m, plays.up)
    )
    place = (root[:, :, None] @ turn)[:, :, 0]
    depth = place[..., 2].clamp(min=0.2)
    across = place[..., :2] / depth[..., None] / per_metre[..., None]
    return Window(
        view.features,
        time_s,
        torch.from_numpy(plays.person).long(),
        angles,
        turn.mT @ orientation,
        (points - root[:, :, None]) @ turn,
        torch.cat([across, (depth * per_metre).log()[..., None]], -1),
        per_metre,
        (up[:, None, None] @ turn)[:, :, 0],
        torch.from_numpy(plays.contacts).float(),
        seen.exchanged.float(),
        seen.present,
    )


def average_landmarks(space: PoseSpace) -> Tensor:
    """(33, 3) of the average body at rest."""
    rest = space.body.rest(space.body.default_shape())
    return space.skeleton.regressor.positions(rest.vertices_m.double())[LANDMARKS].float()


def layout() -> PoseLayout:
    return PoseLayout(pose_space())
