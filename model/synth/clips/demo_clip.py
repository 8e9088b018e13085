"""Make the project's own clip and its truth: ``python -m model.synth.clips.demo_clip [--truth-only]``.

Writes ``tests/data/demo_clip.mp4`` (640x360, 24 frames a second, 5.5 s) and ``tests/data/demo_clip_truth.npz``.
Frames that already lie in FOLDER are not drawn again, so an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from amr_blender.contract.rotations import continuous, quaternion_from_matrix
from amr_blender.contract.spaces import intrinsics, invert_rigid, project_px, transform
from amr_blender.contract.take import JOINT12_NAMES
from model.body import AnnyBody
from model.paths import WEIGHTS, assets_folder
from model.synth.motion.choreography import FPS, clip
from model.synth.motion.puppet import Puppet
from model.synth.scene.outfit import Garment, Tailor
from model.synth.scene.scenes import look_at

Array = NDArray[np.floating]
DATA = Path(__file__).resolve().parents[3] / "tests" / "data"
WIDTH, HEIGHT, FOCAL_PX, SAMPLES, QUALITY = 640, 360, 590.0, 8, "HIGH"
CAMERA_M, LOOK_AT_M = np.array([0.55, -3.25, 1.42]), np.array([-0.12, 0.2, 0.88])
LIGHT_M, WALL_Y_M = np.array([-3.6, -2.6, 3.0]), 2.6  # the set in stage.py
WEARER = {"gender": 0.12, "muscle": 0.55, "weight": 0.42, "height": 0.40, "proportions": 0.6}
BONE_JOINTS = {
    "ankle": "foot",
    "knee": "lowerleg01",
    "hip": "upperleg01",
    "wrist": "wrist",
    "elbow": "lowerarm01",
    "shoulder": "upperarm01",
}


@dataclass
class Performance:
    """The wearer and the motion: everything that pictures and truth are made of."""

    shape: Array
    rest_m: Array
    garments: list[tuple[Garment, Array, Array]]
    """Garment, rest vertices (G, 3), skin weights (G, B)."""
    local: Array
    """(T, B, 3, 3) world-aligned local rotations."""
    root_m: Array
    """(T, 3)."""
    affine: Array
    """(T, B, 3, 4) what skinning applies."""
    heads_m: Array
    """(T, B, 3) posed bone heads."""
    flat: NDArray[np.bool_]
    """(T, 2) left and right foot flat on the ground."""


def perform(body: AnnyBody) -> Performance:
    """Dress the wearer and play the choreography."""
    weights = body.skin_weights_dense.double().numpy()
    tailor = Tailor.of(body)
    shape = body.default_shape()
    for name, value in WEARER.items():
        shape[body.shape_names.index(name)] = value
    rest = body.rest(shape)
    rest_m, heads = rest.vertices_m.double().numpy(), rest.heads_m.double()
    garments = [(g, g.rest_m(rest_m), np.asarray(g.combine @ weights)) for g in tailor.dress()]
    sole_z = min(points[:, 2].min() for g, points, _ in garments if g.name == "sole")
    local, root_m, flat = clip(Puppet(heads.numpy(), body.bone_parents, body.bone_names, sole_z))
    rotations, posed = body.kinematics(torch.from_numpy(local), heads, torch.from_numpy(root_m))
    offset = posed - (rotations @ heads[:, :, None])[..., 0]
    affine = torch.cat([rotations, offset[..., None]], -1).numpy()
    return Performance(shape.numpy(), rest_m, garments, local, root_m, affine, posed.numpy(), flat)


def skinned(rest_m: Array, weights: Array, affine: Array) -> Array:
    """(G, 3) posed points of one frame from (B, 3, 4) ``affine``."""
    blended = np.einsum("gb,bij->gij", weights, affine)
    return np.asarray((blended[..., :3] @ rest_m[..., None])[..., 0] + blended[..., 3])


def truth(body: AnnyBody, play: Performance, camera_to_world: Array) -> dict[str, NDArray]:
    """What the clip really shows, as arrays."""
    from model.body.landmarks import LANDMARK_NAMES
    from model.train.landmark_regressor import Regressor

    regressor = Regressor.load(WEIGHTS / "landmark_regressor.npz")
    weights = body.skin_weights_dense.double().numpy()
    used = np.unique(regressor.vertex_index)
    posed = np.zeros((len(play.local), len(weights), 3))
    for frame, affine in enumerate(play.affine):
        posed[frame, used] = skinned(play.rest_m[used], weights[used], affine)
    world_to_camera = invert_rigid(camera_to_world)
    landmarks = transform(world_to_camera, regressor(posed))
    bones = [f"{BONE_JOINTS[n[2:]]}.{n[0].upper()}" for n in JOINT12_NAMES]
    bone_joints = transform(world_to_camera, play.heads_m[:, [body.bone(b) for b in bones]])
    return {
        "fps": np.array(FPS),
        "K": intrinsics(FOCAL_PX, WIDTH, HEIGHT),
        "camera_to_world": camera_to_world,
        "joint_names": np.array(JOINT12_NAMES),
        "joints12_cam_m": landmarks[:, [LANDMARK_NAMES.index(n) for n in JOINT12_NAMES]].astype(np.float32),
        "bone_joints12_cam_m": bone_joints.astype(np.float32),
        "landmarks33_cam_m": landmarks.astype(np.float32),
        "bone_names": np.array(body.bone_names),
        "rotations": continuous(quaternion_from_matrix(play.local)).astype(np.float32),
        "root_m": play.root_m.astype(np.float32),
        "shape_names": np.array(body.shape_names),
        "shape_values": play.shape.astype(np.float32),
        "height_m": np.array(float(np.ptp(play.rest_m[:, 2]))),
        "feet_flat": play.flat,
    }


def brow_weight(tailor: Tailor) -> Array:
    """(V,) 0..1: two soft arches over the eyes."""
    x = np.abs(tailor.body_m[:, 0]) - tailor.head("eye.L")[0]
    z = tailor.body_m[:, 2] - tailor.head("eye.L")[2]
    arch = 0.0205 + 0.10 * x - 7.0 * (x - 0.004) ** 2
    ends = np.clip((x + 0.022) / 0.006, 0, 1) * np.clip((0.028 - x) / 0.010, 0, 1)
    front = tailor.body_m[:, 1] < tailor.head("eye.L")[1] + 0.03
    return np.asarray(np.exp(-(((z - arch) / 0.0042) ** 2)) * ends * front * (tailor.weight("head", "neck") > 0.5))


def shadow_window(points_m: Array, camera_to_world: Array, margin_px: float = 34.0) -> tuple[int, int, int, int]:
    """Left, right, top, bottom in pixels: what body and shadow cover, so that only that part of a frame must be drawn.

    ``points_m`` (G, 3) in the world; the shadow falls from the window's light onto the floor and the back wall.
    """
    ray = points_m - LIGHT_M
    to_floor = -LIGHT_M[2] / np.minimum(ray[:, 2], -1e-3)
    to_wall = (WALL_Y_M - LIGHT_M[1]) / np.maximum(ray[:, 1], 1e-3)
    shadow = LIGHT_M + ray * np.minimum(to_floor, to_wall)[:, None]
    world_to_camera = invert_rigid(camera_to_world)
    pixels = [
        project_px(transform(world_to_camera, p), intrinsics(FOCAL_PX, WIDTH, HEIGHT)) for p in (points_m, shadow)
    ]
    low = np.minimum(pixels[0].min(0), pixels[1].min(0) - 30) - margin_px  # a soft shadow is wider than its core
    high = np.maximum(pixels[0].max(0), pixels[1].max(0) + 30) + margin_px
    low, high = low.clip(0, [WIDTH, HEIGHT]), high.clip(0, [WIDTH, HEIGHT])
    return int(low[0]), int(np.ceil(high[0])), int(low[1]), int(np.ceil(high[1]))


def film(body: AnnyBody, play: Performance, camera_to_world: Array, folder: Path, movie: Path, every: int = 1) -> None:
    """Draw the frames into ``folder`` and encode them (only when every frame is wanted).

    The empty room is drawn once; of each frame only the part with body and shadow, laid over it with a soft edge.
    """
    from model.synth.scene import stage  # bpy

    scene = stage.empty_scene(WIDTH, HEIGHT, FPS, SAMPLES)
    stage.add_camera(scene, intrinsics(FOCAL_PX, WIDTH, HEIGHT), camera_to_world)
    stage.add_room(scene)
    brow = brow_weight(Tailor.of(body))
    before = set(scene.objects.keys())
    meshes = [stage.add_garment(scene, g, rest_m, g.combine @ brow) for g, rest_m, _ in play.garments]
    body_objects = sorted(set(scene.objects.keys()) - before)
    folder.mkdir(parents=True, exist_ok=True)
    plate = folder / "empty_room.png"
    if not plate.exists():
        stage.hide(True, body_objects)
        scene.cycles.samples = 16 * SAMPLES
        stage.render(scene, plate)
        stage.hide(False, body_objects)
        scene.cycles.samples = SAMPLES
    room = cv2.imread(str(plate)).astype(np.float32)
    images = [folder / f"{frame:04d}.png" for frame in range(len(play.local))]
    for frame in tqdm(range(0, len(images), every), desc="drawing the clip", disable=None):
        if images[frame].exists():
            continue
        posed = [skinned(rest_m, weights, play.affine[frame]) for _, rest_m, weights in play.garments]
        for mesh, points in zip(meshes, posed, strict=True):
            stage.move(mesh, points)
        left, right, top, bottom = shadow_window(np.concatenate(posed), camera_to_world)
        part = folder / "part.png"
        stage.render(scene, part, (left / WIDTH, right / WIDTH, 1 - bottom / HEIGHT, 1 - top / HEIGHT))
        inside = np.zeros((HEIGHT + 2, WIDTH + 2), np.uint8)  # the border of the picture itself is no edge
        inside[top + 1 : bottom + 1, left + 1 : right + 1] = 1
        inside[[0, -1]], inside[:, [0, -1]] = inside[[1, -2]], inside[:, [1, -2]]
        soft = np.clip((cv2.distanceTransform(inside, cv2.DIST_L2, 5)[1:-1, 1:-1, None] - 2) / 28, 0, 1)
        picture = room * (1 - soft) + cv2.imread(str(part)).astype(np.float32) * soft
        cv2.imwrite(str(images[frame]), np.round(picture).astype(np.uint8))
    if every == 1:
        stage.encode(images, movie, WIDTH, HEIGHT, FPS, QUALITY)


def main() -> None:
    """Make clip and truth."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=Path, default=Path("build/demo_clip_frames"))
    parser.add_argument("--every", type=int, default=1, help="draw only every n-th frame, to look at; encodes nothing")
    parser.add_argument("--truth-only", action="store_true")
    arguments = parser.parse_args()
    body = AnnyBody.load(assets_folder())
    play, camera_to_world = perform(body), look_at(CAMERA_M, LOOK_AT_M)
    DATA.mkdir(parents=True, exist_ok=True)
    if not arguments.truth_only:
        film(body, play, camera_to_world, arguments.frames, DATA / "demo_clip.mp4", arguments.every)
    if arguments.every == 1:
        np.savez_compressed(DATA / "demo_clip_truth.npz", **truth(body, play, camera_to_world))


if __name__ == "__main__":
    main()
