"""Make clips with known truth to measure the estimate: ``python -m model.synth.clips.made_clips --out build/made``.

A walk, a run, a squat, a turn on the spot, sitting down and a cartwheel, each from the front, the side and the back,
with other people, places, lights and cameras.  Then the real detector runs on each and leaves ``landmarks.npz``.
Clips that are there already are not made again.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
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
from ..motion.mocap import read_sequences
from ..motion.puppet import Puppet
from ..render.film import Camera, Film, Prop, box
from ..scene.looks import Wardrobe, random_look
from ..scene.room import random_place
from ..scene.scenes import camera_towards, framing_distance, random_lights, random_shape
from .clip_folder import detect_clip, is_made, read_landmarks, write_clip

Array = NDArray[np.floating]
Generator = np.random.Generator
BY_HAND: dict[str, Callable[[Puppet, Generator], Motion]] = {
    "walk": acts.walk,
    "squat": acts.squat,
    "turn": acts.turn_on_the_spot,
    "sit": acts.sit_down,
}
CAPTURED = {"run": ("CMU_09_11", 0.0, 1.4), "cartwheel": ("CMU_49_08", 0.0, 2.7)}
"""Action to sequence of the capture, and its first and last second."""
ACTIONS = (*BY_HAND, *CAPTURED)
VIEWS = {"front": 0.0, "side": 90.0, "back": 180.0}
DISTANCES_M = (3.5, 7.0)
_SEED = 4100


def seat(film: Film) -> Prop:
    """A box under somebody who sits in the last frame, as high as the thighs and buttocks over it."""
    last = film.mesh_m[-1].numpy()
    names = film.body.bone_names
    hips = film.person.skin_weights[:, [names.index(f"upperleg01.{s}") for s in "LR"]].sum(1).numpy() > 0.3
    thighs = last[hips]
    back, front = thighs[:, 1].max(), thighs[:, 1].min()
    top = float(np.percentile(thighs[thighs[:, 1] > 0.5 * (back + front), 2], 1)) - 0.002
    middle = float(thighs[:, 0].mean())
    rgb = np.random.default_rng(film.seed).uniform(0.05, 0.7, 3)
    low = [middle - 0.27, front + 0.35 * (back - front), 0.0]
    return box(np.array(low), np.array([middle + 0.27, back + 0.06, top]), rgb)


def make_film(body: AnnyBody, wardrobe: Wardrobe, action: str, view: str, seed: int) -> tuple[Film, torch.Tensor]:
    """One clip to be drawn, and the person's shape."""
    rng, own, world = (np.random.default_rng([seed, part]) for part in range(3))
    shape = random_shape(body, own, age=(0.55, 0.95))
    rest = body.rest(shape)
    motion = _motion(body, rest, action, rng)
    person = wardrobe.sewn(rest.vertices_m.double().numpy(), random_look(own))
    lights, place = random_lights(world, 1.0), random_place(world)
    camera = Camera(
        np.eye(3),
        np.eye(4),
        (640, 360),
        float(rng.uniform(0.7, 1.3)),
        grain=float(rng.uniform(0.005, 0.02)),
        defocus_px=0.45,
    )
    film = Film(body, rest, person, motion, place, lights, camera, seed=seed)
    if action == "sit":
        film.props.append(seat(film))
    film.camera = _camera(film, view, rng)
    return film, shape


def _motion(body: AnnyBody, rest: RestBody, action: str, rng: Generator) -> Motion:
    if action in BY_HAND:
        return BY_HAND[action](puppet_of(body, rest), rng)
    uid, start_s, stop_s = CAPTURED[action]
    sequence = next(s for s in read_sequences() if s.uid == uid)
    return acts.captured(body, rest, sequence, start_s, stop_s)


def puppet_of(body: AnnyBody, rest: RestBody) -> Puppet:
    """The person as something to be posed, bare soles on the ground."""
    sole = float(rest.vertices_m[:, 2].min())
    return Puppet(rest.heads_m.double().numpy(), body.bone_parents, body.bone_names, sole)


def _camera(film: Film, view: str, rng: Generator) -> Camera:
    """Another camera for every clip, the person whole in the picture through all of it."""
    points = film.mesh_m[:, ::23].reshape(-1, 3).numpy().astype(float)
    sides = [(360, 640), (640, 360)]
    azimuth = VIEWS[view] + facing_deg(film.motion) + rng.normal(0, 8)
    best: tuple[float, Camera] | None = None
    for _ in range(40):
        size = sides[int(rng.random() < 0.6)]
        aim, height = rng.normal(0, 0.06, 3), float(rng.uniform(0.4, 2.3))
        K = intrinsics(float(rng.uniform(0.8, 1.5)) * max(size), *size)
        distance = framing_distance(points, azimuth, height, K, size, DISTANCES_M, aim)
        if distance is not None and (best is None or K[0, 0] / distance > best[0]):
            matrix = camera_towards(points, azimuth, height, distance, aim)
            best = K[0, 0] / distance, replace(film.camera, K=K, camera_to_world=matrix, size_px=size)
    if best:
        return best[1]
    raise ValueError(f"no camera between {DISTANCES_M} m has the whole motion in the picture")


def facing_deg(motion: Motion) -> float:
    """Heading of the pelvis at first; 0 faces -Y, positive to the body's left."""
    ahead = -motion.local[0, 0][:, 1]
    return float(np.rad2deg(np.arctan2(ahead[0], -ahead[1])))


def main() -> None:
    """Make what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/made"))
    parser.add_argument("--actions", nargs="*", default=list(ACTIONS), choices=ACTIONS)
    arguments = parser.parse_args()
    assets = assets_folder()
    body, networks = AnnyBody.load(assets), Networks.load(assets, torch.device("cpu"))
    wardrobe, regressor = Wardrobe(body), LandmarkRegressor.load(WEIGHTS / "landmark_regressor.npz")
    wanted = [(a, v) for a in arguments.actions for v in VIEWS]
    for action, view in tqdm(wanted, desc="made clips", disable=None):
        folder = arguments.out / f"{action}_{view}"
        seed = _SEED + 10 * ACTIONS.index(action) + list(VIEWS).index(view)
        if not is_made(folder):
            film, shape = make_film(body, wardrobe, action, view, seed)
            write_clip(folder, film, shape.numpy(), regressor, view, {"action": action, "seed": seed})
        if read_landmarks(folder) is None:
            detect_clip(folder, networks)


if __name__ == "__main__":
    main()
