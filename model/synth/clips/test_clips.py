"""The fixed test set: ``python -m model.synth.clips.test_clips --out build/synthetic``.

Motion of the capture's test subjects and by hand, on people, in clothes and in places that no training sees, under
every light, from every side, near and far, whole, hidden by things and cut off by the frame.  Each clip follows from
its number.  Clips that are there already are not made again.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from amr_blender.contract.spaces import intrinsics
from model.body import AnnyBody, RestBody
from model.body.landmarks import LandmarkRegressor
from model.detect import Networks
from model.paths import WEIGHTS, assets_folder

from ..motion import acts
from ..motion.acts import Motion
from ..motion.floor_acts import KEYED, play
from ..motion.limbs import about
from ..motion.mocap import Sequence, read_sequences
from ..render.film import Camera, Film, Prop, box
from ..scene.looks import Wardrobe, random_look
from ..scene.room import random_place
from ..scene.scenes import camera_towards, framing_distance, random_lights, random_person
from ..splits import seeds
from .clip_folder import detect_clip, is_made, read_landmarks, write_clip
from .made_clips import BY_HAND, facing_deg, puppet_of, seat
from .truth import shown_person, sole_parts

Array = NDArray[np.floating]
Generator = np.random.Generator
CAPTURE_S = 1.7
"""Length of a clip of captured motion."""
CAPTURE_CLIPS = {"13": 16, "03": 6}
"""By subject."""
UNEVEN = "uneven ground"
TAKES = {"walk": 4, "turn": 3, "squat": 3, "sit": 5} | dict.fromkeys(KEYED, 5)
"""Clips of each motion by hand."""
SERIES = (0.5, 0.0)
"""All of these clips that many times over, the capture's beginning so far into its share of the recordings: one series
has too few clips of some kinds (17 from behind) to tell 20 % from 25."""
LIGHTS = {"ordinary": (0.65, 1.4), "dim": (0.1, 0.28), "glaring": (2.0, 4.5)}
"""Exposure, lowest and highest."""
SIZES = ((480, 270), (270, 480), (640, 360), (360, 640), (360, 360))


@dataclass(frozen=True)
class Plan:
    """What clip ``number`` shows: a motion by hand, or of the capture from ``start_s``."""

    number: int
    action: str
    uid: str = ""
    start_s: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.number:03d}_{self.action.replace(' ', '_')}"


def plans(sequences: list[Sequence]) -> list[Plan]:
    """All clips, in order; ``sequences`` are the capture's test split."""
    made: list[Plan] = []
    for begin in SERIES:
        for subject, count in CAPTURE_CLIPS.items():
            own = [s for s in sequences if s.subject == subject]
            long = np.array([len(s.quaternions) / s.fps - CAPTURE_S for s in own])
            ends = np.cumsum(long)
            for at in (np.arange(count) + begin) * ends[-1] / count:
                which = int(np.searchsorted(ends, at))
                start = float(at - ends[which] + long[which])
                action = UNEVEN if subject == "03" else "calisthenics"
                made.append(Plan(len(made), action, own[which].uid, round(start, 2)))
        for action, count in TAKES.items():
            made += [Plan(len(made) + i, action) for i in range(count)]
    return made


def make_film(body: AnnyBody, wardrobe: Wardrobe, plan: Plan, sequences: list[Sequence]) -> tuple[Film, Array, str]:
    """One clip to be drawn, the person's shape, and the light's name."""
    number = plan.number
    test = {kind: first + number for kind, (first, _) in seeds("test").items()}
    rng = np.random.default_rng([test["poses"], 14])
    shape = random_person(body, np.random.default_rng([test["bodies"], 11]))
    rest = body.rest(shape)
    look = random_look(np.random.default_rng([test["looks"], 12]))
    motion = lively(_motion(body, rest, plan, sequences, rng), body, rng)
    place = random_place(np.random.default_rng([test["places"], 71]), 12.0)
    light = list(LIGHTS)[(0, 1, 0, 2)[number % 4]]
    exposure = float(np.exp(rng.uniform(*np.log(LIGHTS[light]))))
    camera = Camera(
        np.eye(3), np.eye(4), SIZES[int(rng.integers(len(SIZES)))], exposure,
        shutter=float(rng.uniform(0.1, 0.9)),
        grain=float(rng.uniform(0.0, 0.02) + (rng.uniform(0.005, 0.035) if light == "dim" else 0)),
        defocus_px=float(rng.uniform(0.3, 0.9)), coarse=int(rng.choice([1, 1, 1, 2])),
        quality=int(rng.choice([100, 100, rng.integers(12, 70)])),
    )  # fmt: skip
    person = wardrobe.sewn(rest.vertices_m.double().numpy(), look)
    film = Film(body, rest, person, motion, place, random_lights(rng, 1.0), camera, seed=number)
    if plan.action == UNEVEN:
        lowest = float(film.mesh_m[..., 2].min())
        film = replace(film, motion=replace(motion, root_m=motion.root_m - [0, 0, lowest]))
        film.props += _steps(film)
    if plan.action == "sit":
        film.props.append(seat(film))
    film.camera = _camera(film, number, rng)
    if number % 5 in (1, 3):
        _hide(film, rng)
    return film, shape.numpy(), light


def _motion(body: AnnyBody, rest: RestBody, plan: Plan, sequences: list[Sequence], rng: Generator) -> Motion:
    if plan.uid:
        sequence = next(s for s in sequences if s.uid == plan.uid)
        return acts.captured(body, rest, sequence, plan.start_s, plan.start_s + CAPTURE_S)
    if plan.action in KEYED:
        return play(body, rest, KEYED[plan.action](rng), fps=25.0)
    return BY_HAND[plan.action](puppet_of(body, rest), rng)


def _steps(film: Film) -> list[Prop]:
    """Blocks under feet that stand above the ground: the capture's ground was not flat."""
    soles = film.posed(film.rest.vertices_m, film.body.skin_weights_dense).numpy()
    blocks: list[tuple[Array, float]] = []
    for part in sole_parts(film):
        points = soles[:, part]
        slow = np.linalg.norm(np.gradient(points.mean(1), axis=0), axis=1) * film.motion.fps < 0.25
        for frame in np.flatnonzero(slow):
            place, top = points[frame, :, :2].mean(0), float(points[frame, :, 2].min()) - film.person.sole_m
            if top > 0.03 and all(np.abs(place - other).max() > 0.2 for other, _ in blocks):
                blocks.append((place, top))
    return [
        box(np.array([*(place - 0.19), 0.0]), np.array([*(place + 0.19), top]), np.full(3, 0.2 + 0.1 * (n % 3)))
        for n, (place, top) in enumerate(blocks)
    ]


def lively(motion: Motion, body: AnnyBody, rng: Generator) -> Motion:
    """With fingers that bend and eyes that move; the capture has neither."""
    local, times = motion.local.copy(), np.arange(len(motion.local)) / motion.fps
    for side, sign in (("L", 1.0), ("R", -1.0)):
        curl = rng.uniform(5, 40) + rng.uniform(0, 25) * np.sin(rng.uniform(1, 6) * times + rng.uniform(0, 6))
        for finger in range(2, 6):
            for segment in range(1, 4):
                local[:, body.bone(f"finger{finger}-{segment}.{side}")] = about(
                    "y", sign * curl * (0.7 + 0.12 * finger)
                )
        local[:, body.bone(f"finger1-2.{side}")] = about("z", sign * 0.4 * curl)
    gaze = about("z", 14 * np.sin(2.1 * times + rng.uniform(0, 6))) @ about("x", 6 * np.sin(1.3 * times))
    local[:, body.bone("eye.L")] = local[:, body.bone("eye.R")] = gaze
    return replace(motion, local=local)


def _camera(film: Film, number: int, rng: Generator) -> Camera:
    """From all sides in turn; near the ground, at the eyes, from above; three in four have the whole person."""
    points = film.mesh_m[:, ::23].reshape(-1, 3).numpy().astype(float)
    azimuth = facing_deg(film.motion) + 360.0 * ((number * 0.618) % 1.0)
    size, longer = film.camera.size_px, max(film.camera.size_px)
    framing = ("whole", "small", "whole", "cut", "whole")[number % 5]
    top = film.place.height_m - 0.3 if film.place.walls else 4.0
    for _ in range(60):
        height = min(float(rng.choice([rng.uniform(0.15, 0.7), rng.uniform(0.9, 1.8), rng.uniform(2.0, 4.0)])), top)
        K = intrinsics(float(np.exp(rng.uniform(np.log(0.75), np.log(2.0)))) * longer, *size)
        aim = rng.normal(0, 0.08, 3)
        distance = framing_distance(points, azimuth, height, K, size, (1.8, 9.0), aim)
        if distance is None:
            continue
        if framing == "small":
            distance *= float(rng.uniform(1.2, 1.5))
        if framing == "cut":
            distance, aim = distance * float(rng.uniform(0.55, 0.75)), aim + [0, 0, rng.uniform(-0.3, 0.5)]
        matrix = camera_towards(points, azimuth, height, distance, aim)
        near = (points - matrix[:3, 3]) @ matrix[:3, 2]
        if near.min() > 0.4:
            return replace(film.camera, K=K, camera_to_world=matrix)
    raise ValueError(f"no camera has the motion of clip {number} in the picture")


def _hide(film: Film, rng: Generator) -> None:
    """Put something before the person that hides a part of them, but not nearly all."""
    before = list(film.props)
    for _ in range(20):
        film.props = [*before, _in_the_way(film, rng)]
        frames = np.linspace(0, len(film.motion.local) - 1, 4).astype(int)
        share = np.array([shown_person(film, int(frame))[1] for frame in frames])
        if 0.06 < share.mean() < 0.55 and share.max() < 0.8:
            return
    film.props = before


def _in_the_way(film: Film, rng: Generator) -> Prop:
    """A post, a crate or a low wall between camera and person, not touching the person."""
    points = film.mesh_m[:, ::23].reshape(-1, 3).numpy().astype(float)
    eye, middle = film.camera.camera_to_world[:3, 3], 0.5 * (points.min(0) + points.max(0))
    way = (middle - eye)[:2]
    kind = rng.choice(["post", "crate", "wall"])
    wide, high = {"post": (0.2, 2.6), "crate": (0.6, 0.6), "wall": (1.6, 0.75)}[str(kind)]
    half = 0.5 * np.array([wide, 0.3]) * rng.uniform(0.7, 1.3)
    if abs(way[0]) > abs(way[1]):
        half = half[::-1]
    high *= rng.uniform(0.7, 1.2) * float(film.rest.height_m) / 1.7 if kind != "post" else 1.0
    rgb = rng.uniform(0.03, 0.7, 3)
    for share in np.arange(0.85, 0.2, -0.05):
        place = eye[:2] + share * way + rng.normal(0, 0.12, 2)
        clear = (np.abs(points[:, :2] - place) > half + 0.08).any(1).all()
        if clear and (np.abs(eye[:2] - place) > half + 0.3).any():
            break
    return box(np.array([*(place - half), 0.0]), np.array([*(place + half), high]), rgb)


def main() -> None:
    """Make what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/synthetic"))
    parser.add_argument("--detect", action="store_true", help="run the detector on every clip, too")
    arguments = parser.parse_args()
    assets = assets_folder()
    body, sequences = AnnyBody.load(assets), read_sequences(split="test")
    wardrobe, regressor = Wardrobe(body), LandmarkRegressor.load(WEIGHTS / "landmark_regressor.npz")
    networks = Networks.load(assets, torch.device("cpu")) if arguments.detect else None
    for plan in tqdm(plans(sequences), desc="test clips", disable=None):
        folder = arguments.out / plan.name
        if not is_made(folder):
            film, shape, light = make_film(body, wardrobe, plan, sequences)
            labels = {"action": plan.action, "capture": plan.uid, "start_s": plan.start_s, "light_kind": light}
            facing = _facing(film)
            write_clip(folder, film, shape, regressor, facing, labels)
        if networks is not None and read_landmarks(folder) is None:
            detect_clip(folder, networks)


def _facing(film: Film) -> str:
    """``front``, ``side`` or ``back``, by the hips in the first frame."""
    ahead = -film.motion.local[0, 0][:, 1]
    away = film.motion.root_m[0] - film.camera.camera_to_world[:3, 3]
    angle = np.rad2deg(
        np.arccos(
            np.clip(-(ahead[:2] @ away[:2]) / np.linalg.norm(away[:2]) / max(np.linalg.norm(ahead[:2]), 1e-6), -1, 1)
        )
    )
    return "front" if angle < 45 else "back" if angle > 135 else "side"


if __name__ == "__main__":
    main()
