"""Clips on which the detector mistakes left and right, with the truth: data of the side model.

Captured people walk, run, dance, fight and fall over, mostly seen from behind, drawn by the small painter.  In half of
the clips they are dressed in one tone and out of focus: there the detector takes back for front as it does in bad
footage.  A clip is a function of its number; a folder holds ``clip.mp4``, ``truth.npz`` and ``landmarks.npz``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from amr_blender.contract.files import written_whole
from amr_blender.contract.spaces import intrinsics, project_px, transform
from model.body import AnnyBody
from model.body.anny import RestBody
from model.body.landmarks import LandmarkRegressor
from model.body.retarget import retarget
from model.detect import Networks
from model.synth.clips.clip_folder import CLIP, LANDMARKS, TRUTH, detect_clip
from model.synth.clips.demo_clip import skinned
from model.synth.motion.mocap import Sequence
from model.synth.render.film import write_movie
from model.synth.render.painter import Paint, paint
from model.synth.scene.outfit import Garment

from .landmark_images import LAYERS_M, Person, random_person

Array = NDArray[np.floating]
Generator = np.random.Generator
FRAMES, RATES, SIZES = 48, (12.0, 15.0, 24.0, 30.0, 60.0), ((480, 640), (640, 480), (512, 512))
FROM_BEHIND, HARD = 0.4, 0.5
"""Shares of the clips seen from about behind (the others from anywhere), and of those hard to see."""
FOLLOW_S = 0.3
"""Standard deviation in time of the smoothing of the path that the camera follows."""
_ACROBATICS = ("breakdance", "acrobatics", "fast dance", "martial")
_STAY_AWAY = ("playground",)  # climbs on a frame that is not drawn


@dataclass(frozen=True)
class Scene:
    """Somebody who moves before a camera; T frames."""

    person: Person
    affine: Array
    """(T, B, 3, 4) what skinning applies."""
    K: Array
    world_to_camera: Array
    """(T, 4, 4)."""
    fps: float
    blur_px: float


def make_clip(
    folder: Path,
    number: int,
    body: AnnyBody,
    garments: list[Garment],
    sequences: list[Sequence],
    regressor: LandmarkRegressor,
    networks: Networks,
) -> None:
    """Draw clip ``number`` into ``folder``, unless it is there, and let the detector look at it."""
    if (folder / LANDMARKS).is_file() or (folder / "nobody").is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([number, 17])
    scene = _scene(body, garments, sequences, rng)
    size_px = SIZES[rng.integers(len(SIZES))]
    K, world_to_camera = _camera(scene, size_px, rng)
    scene = replace(scene, K=K, world_to_camera=world_to_camera)
    write_movie(folder / CLIP, _pictures(scene, size_px, rng), scene.fps, size_px)
    with written_whole(folder / TRUTH) as stream:
        np.savez_compressed(stream, landmarks_px=_true_landmarks_px(scene, body, regressor))
    detect_clip(folder, networks)
    if not (folder / LANDMARKS).is_file():
        (folder / "nobody").touch()


def _scene(body: AnnyBody, garments: list[Garment], sequences: list[Sequence], rng: Generator) -> Scene:
    person = random_person(body, garments, rng)
    hard = rng.random() < HARD
    if hard and rng.random() < 0.75:
        person = _in_one_tone(person, rng)
    blur_px = float(rng.uniform(0, 6)) if hard and rng.random() < 0.8 else 0.0
    sequence = _choose(sequences, rng)
    fps = float(rng.choice(RATES))
    length = len(sequence.joints_m)
    count = min(FRAMES, int(length * fps / sequence.fps))
    start = rng.integers(0, max(length - int(count * sequence.fps / fps), 0) + 1)
    chosen = (start + np.arange(count) * sequence.fps / fps).astype(int).clip(0, length - 1)
    rest = torch.from_numpy(person.rest_m).float()
    heads = torch.from_numpy(person.heads_m)
    moved = retarget(body, RestBody(rest, heads.float(), heads.float()), sequence)
    rotations, posed = body.kinematics(moved.local[chosen], heads, moved.position_m[chosen])
    offset = posed - (rotations @ heads[:, :, None])[..., 0]
    affine = torch.cat([rotations, offset[..., None]], -1).numpy()
    return Scene(person, affine, np.eye(3), np.zeros((count, 4, 4)), fps, blur_px)


def _choose(sequences: list[Sequence], rng: Generator) -> Sequence:
    """Long ones more often, and what is rare in the pack much more often."""
    weight = np.array([min(len(s.joints_m), 600) ** 0.5 for s in sequences])
    weight *= [4.0 if s.group.startswith(_ACROBATICS) else 1.0 for s in sequences]
    weight *= [0.0 if s.group.startswith(_STAY_AWAY) else 1.0 for s in sequences]
    return sequences[rng.choice(len(sequences), p=weight / weight.sum())]


def _in_one_tone(person: Person, rng: Generator) -> Person:
    """Almost a silhouette: nothing tells the face from the back of the head."""
    tone = rng.uniform(0.03, 0.9, 3) if rng.random() < 0.5 else np.full(3, rng.uniform(0.03, 0.35))
    kept = rng.uniform(0, 0.35)
    painted = [(g, rest, w, tone * (1 - kept) + kept * np.asarray(rgb)) for g, rest, w, rgb in person.garments]
    return replace(person, garments=painted)


def _camera(scene: Scene, size_px: tuple[int, int], rng: Generator) -> tuple[Array, Array]:
    """K and (T, 4, 4) world to camera: it follows the person from where it stands at first."""
    width, height = size_px
    focal = float(rng.uniform(0.9, 2.0) * max(size_px))
    distance = focal * scene.person.height_m / (height * rng.uniform(0.5, 0.75))
    behind = rng.random() < FROM_BEHIND
    yaw = np.deg2rad(180 + rng.normal(0, 35) if behind else rng.uniform(-180, 180))
    pitch = np.deg2rad(rng.normal(7, 8))
    ahead = -scene.affine[:, 0, :, 1].mean(0)
    heading = np.arctan2(ahead[0], -ahead[1]) + yaw
    place = np.array([np.cos(pitch) * np.sin(heading), -np.cos(pitch) * np.cos(heading), np.sin(pitch)]) * distance
    root = scene.person.heads_m[0]
    path = np.einsum("tij,j->ti", scene.affine[:, 0, :, :3], root) + scene.affine[:, 0, :, 3]
    path = gaussian_filter1d(path, FOLLOW_S * scene.fps, axis=0, mode="nearest")
    forward = -place / distance
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    matrices = np.tile(np.eye(4), (len(path), 1, 1))
    matrices[:, :3, :3] = np.stack([right, np.cross(forward, right), forward])
    matrices[:, :3, 3] = -np.einsum("tij,tj->ti", matrices[:, :3, :3], path + place)
    return intrinsics(focal, width, height), matrices


def _pictures(scene: Scene, size_px: tuple[int, int], rng: Generator) -> Iterator[NDArray[np.uint8]]:
    patches = (rng.uniform(50, 220, 3) + rng.normal(0, 15, (8, 8, 3))).astype(np.float32)
    background = cv2.resize(patches, size_px, interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)
    light = np.array([rng.normal(0, 0.6), -1.0, rng.uniform(-1.2, 0.2)])
    ambient, noise = float(rng.uniform(0.35, 0.8)), rng.uniform(0, 6)
    for affine, matrix in zip(scene.affine, scene.world_to_camera, strict=True):
        parts = [
            Paint(transform(matrix, skinned(rest, weights, affine)), g.polygons, rgb, LAYERS_M.get(g.name, 0.0))
            for g, rest, weights, rgb in scene.person.garments
        ]
        image = paint(parts, scene.K, background, light, ambient)
        if scene.blur_px > 0.3:
            image = np.asarray(cv2.GaussianBlur(image, (0, 0), scene.blur_px), np.uint8)
        yield np.clip(image + rng.normal(0, noise, image.shape), 0, 255).astype(np.uint8)


def _true_landmarks_px(scene: Scene, body: AnnyBody, regressor: LandmarkRegressor) -> NDArray[np.float32]:
    """(T, 33, 2) where the detector should see its landmarks."""
    index, weight = regressor.vertex_index.numpy(), regressor.weight.numpy()
    rest, weights = scene.person.rest_m[index.ravel()], body.skin_weights_dense.double().numpy()[index.ravel()]
    found = []
    for affine, matrix in zip(scene.affine, scene.world_to_camera, strict=True):
        points = skinned(rest, weights, affine).reshape(*index.shape, 3)
        found.append(project_px(transform(matrix, (points * weight[..., None]).sum(1)), scene.K))
    return np.stack(found).astype(np.float32)
