"""What a made clip really shows, as arrays and numbers, and the folder on disk that keeps both.

A clip's folder holds ``clip.mp4``, ``truth.npz`` (no pickles), ``conditions.json`` and, once the detector has run,
``landmarks.npz``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from amr_blender.contract.rotations import continuous, quaternion_from_matrix
from amr_blender.contract.spaces import project_px, transform
from amr_blender.contract.take import JOINT12_NAMES
from model.body.landmarks import LANDMARK_NAMES, LandmarkRegressor
from model.body.raster import NEAR_M, rasterise

from ..render.film import Film

Array = NDArray[np.floating]
CONTACT_NAMES = ("heel.L", "heel.R", "toe.L", "toe.R")
CONTACT_HEIGHT_M, CONTACT_SPEED_M_S = 0.01, 0.15
_RING_M, _RING_SHARE = 0.05, 0.15
"""A joint is seen if this share of the skin is that is at most so much further from it than the nearest skin."""
_OWN_CLOTH_M, _SLACK_M = 0.08, 0.015
_KEPT_VERTICES = 1500


def kept_vertices(film: Film) -> NDArray[np.int64]:
    """(Vd,) the body's vertices that a clip keeps: drawn evenly over the skin, the same for everybody."""
    body, vertices = film.body, film.body.rest(film.body.default_shape()).vertices_m.numpy()
    corner = vertices[body.quads]
    area = np.linalg.norm(np.cross(corner[:, 2] - corner[:, 0], corner[:, 3] - corner[:, 1]), axis=1)
    weight = np.bincount(body.quads.ravel(), np.repeat(area, 4), len(vertices))
    rng = np.random.default_rng(0)
    return np.sort(rng.choice(len(vertices), _KEPT_VERTICES, replace=False, p=weight / weight.sum()))


def sole_parts(film: Film) -> list[NDArray[np.int64]]:
    """Vertices of the soles in the order of ``CONTACT_NAMES``: behind the ankle, and under and before the ball."""
    rest = film.rest.vertices_m.numpy()
    heads, names = film.rest.heads_m.numpy(), film.body.bone_names
    parts = []
    for name in CONTACT_NAMES:
        part, side = name.split(".")
        bones = [i for i, n in enumerate(names) if n.startswith(("foot", "toe")) and n.endswith(side)]
        mine = film.body.skin_weights_dense[:, bones].sum(1).numpy() > 0.5
        ankle_y, ball_y = heads[names.index(f"foot.{side}"), 1], heads[names.index(f"toe2-1.{side}"), 1]
        along = rest[:, 1] > ankle_y if part == "heel" else rest[:, 1] < ball_y + 0.015
        parts.append(np.flatnonzero(mine & along & (rest[:, 2] < rest[mine, 2].min() + 0.02)))
    return parts


def contacts(soles_m: list[Array], fps: float) -> NDArray[np.bool_]:
    """(T, 4): a vertex of the part (T, S, 3) is within 1 cm of the ground and slower than 0.15 m/s."""
    touching = []
    for points in soles_m:
        speed = np.linalg.norm(np.gradient(points, axis=0), axis=-1) * fps
        touching.append(((points[..., 2] < CONTACT_HEIGHT_M) & (speed < CONTACT_SPEED_M_S)).any(1))
    return np.stack(touching, 1)


def clip_truth(film: Film, shape: Array, regressor: LandmarkRegressor, facing: str) -> dict[str, NDArray[Any]]:
    """The arrays of ``truth.npz``; T frames. ``shape`` (P,) of the person, ``facing`` the view's label."""
    bare = film.posed(film.rest.vertices_m, film.body.skin_weights_dense).numpy().astype(np.float64)
    camera = film.camera
    cam = transform(camera.world_to_camera, bare)
    landmarks = regressor.positions(torch.from_numpy(cam)).numpy()
    joints = landmarks[:, [LANDMARK_NAMES.index(n) for n in JOINT12_NAMES]]
    kept = kept_vertices(film)
    seen = np.stack([vertices_seen(film, frame, cam[frame]) for frame in range(len(cam))])
    soles = [bare[:, part] - [0, 0, film.person.sole_m] for part in sole_parts(film)]
    heel, toe = (landmarks[:, [LANDMARK_NAMES.index(f"{s}_{n}") for s in "lr"]] for n in ("heel", "foot_index"))
    return {
        "fps": np.array(film.motion.fps),
        "K": camera.K,
        "camera_to_world": camera.camera_to_world,
        "size_px": np.array(camera.size_px),
        "joint_names": np.array(JOINT12_NAMES),
        "joints12_cam_m": joints.astype(np.float32),
        "landmarks33_cam_m": landmarks.astype(np.float32),
        "vertex_index": kept.astype(np.int32),
        "vertices_cam_m": cam[:, kept].astype(np.float32),
        "vertices_visible": seen[:, kept],
        "shape_names": np.array(film.body.shape_names),
        "shape_values": np.asarray(shape, np.float32),
        "bone_names": np.array(film.body.bone_names),
        "rotations": continuous(quaternion_from_matrix(film.motion.local)).astype(np.float32),
        "root_m": (film.motion.root_m + [0, 0, film.person.sole_m]).astype(np.float32),
        "height_m": np.array(float(film.rest.height_m)),
        "contact_names": np.array(CONTACT_NAMES),
        "contacts": contacts(soles, film.motion.fps),
        "lowest_m": film.mesh_m[..., 2].amin(1).numpy(),
        "visible12": joints_seen(joints, cam, seen),
        "head_forward_cam": _unit(_head_forward(film) @ camera.world_to_camera[:3, :3].T),
        "foot_forward_cam": _unit(toe - heel).astype(np.float32),
        "facing": np.array(facing),
    }  # fmt: skip


def _unit(vectors: Array) -> Array:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))


def _head_forward(film: Film) -> Array:
    """(T, 3) where the face points, world."""
    local = torch.from_numpy(film.motion.local)
    turned, _ = film.body.kinematics(local, film.rest.heads_m.double(), torch.zeros(len(local), 3, dtype=torch.float64))
    return np.asarray(-turned[:, film.body.bone("head"), :, 1].numpy())


def vertices_seen(film: Film, frame: int, cam_m: Array) -> NDArray[np.bool_]:
    """(V,) the body's vertices that the camera sees; ``cam_m`` (V, 3).

    A vertex under its own cloth counts as seen: what the camera sees there is, at rest, next to the vertex.
    """
    raster = film.raster(frame)
    width, height = film.camera.size_px
    px, inside = project_px(cam_m, film.camera.K), cam_m[:, 2] > NEAR_M
    inside &= ((px >= 0) & (px < [width, height])).all(1)
    column, row = px.clip(0, [width - 1, height - 1]).astype(int).T
    face, depth = raster.face[0].numpy()[row, column], raster.depth_m[0].numpy()[row, column]
    own = (face >= 0) & (face < len(film.person.faces))
    at_rest = film.person.rest_m[film.person.faces].mean(1).numpy()[np.where(own, face, 0)]
    covered = own & (np.linalg.norm(at_rest - film.rest.vertices_m.numpy(), axis=1) < _OWN_CLOTH_M)
    corner = cam_m[film.body.quads]
    normal = np.cross(corner[:, 2] - corner[:, 0], corner[:, 3] - corner[:, 1])
    facing = np.zeros(len(cam_m), bool)
    facing[film.body.quads[(normal * corner.mean(1)).sum(1) < 0]] = True
    return np.asarray(inside & facing & (covered | (depth > cam_m[:, 2] - _SLACK_M)))


def joints_seen(joints_m: Array, vertices_m: Array, seen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(T, 12): enough of the skin around a joint is seen; (T, 12, 3) joints, (T, V, 3) vertices, (T, V) seen."""
    out = np.zeros(joints_m.shape[:2], bool)
    for frame, (joints, vertices, visible_) in enumerate(zip(joints_m, vertices_m, seen, strict=True)):
        away = np.linalg.norm(joints[:, None] - vertices, axis=-1)
        near = away < away.min(1, keepdims=True) + _RING_M
        out[frame] = (near & visible_).sum(1) > _RING_SHARE * near.sum(1)
    return out


def shown_person(film: Film, frame: int) -> tuple[NDArray[np.bool_], float]:
    """(H, W) the pixels of the person that show, and the share of those in the picture that props hide."""
    face = film.raster(frame).face[0]
    shown = (face >= 0) & (face < len(film.person.faces))
    if not film.props:
        return shown.numpy(), 0.0
    K = torch.from_numpy(film.camera.K.astype(np.float32))
    cam = film.to_camera(film.mesh_m[frame])
    alone = rasterise(cam[None], film.person.faces, K, film.camera.size_px, cull=False).hit[0]
    return shown.numpy(), 1.0 - float(shown.sum()) / max(float(alone.sum()), 1.0)


def frame_conditions(
    film: Film, truth: dict[str, NDArray[Any]], pictures: list[NDArray[np.uint8]]
) -> dict[str, NDArray[Any]]:
    """Each frame's circumstances, (T,) float32 each, to be kept with the truth.

    ``frame_light`` mean brightness of the person's pixels 0..1, ``frame_burnt_share`` of them, ``frame_occluded_share``
    by props, ``frame_inside_share`` of the dressed person's vertices in the picture, ``frame_person_height_px``, and
    ``frame_joint_speed_m_s`` mean over the twelve joints.
    """
    size, found = film.camera.size_px, []
    for frame, picture in enumerate(pictures):
        px = project_px(film.to_camera(film.mesh_m[frame]).numpy().astype(float), film.camera.K)
        shown, hidden = shown_person(film, frame)
        value = picture[shown] / 255.0 if shown.any() else np.zeros((1, 3))
        inside = ((px >= 0) & (px < size)).all(1).mean()
        found.append((value.mean(), (value.max(-1) > 0.98).mean(), hidden, inside, np.ptp(px[:, 1])))
    names = ("light", "burnt_share", "occluded_share", "inside_share", "person_height_px")
    arrays = dict(zip(names, np.array(found).T, strict=True))
    step = np.gradient(truth["joints12_cam_m"].astype(float), axis=0)
    arrays["joint_speed_m_s"] = np.linalg.norm(step, axis=-1).mean(1) * film.motion.fps
    return {f"frame_{name}": values.astype(np.float32) for name, values in arrays.items()}


def clip_conditions(film: Film, truth: dict[str, NDArray[Any]]) -> dict[str, float]:
    """The clip's circumstances as numbers: medians of its frames', and the camera's; ``truth`` with the frames'."""
    medians = {name[6:]: float(np.median(values)) for name, values in truth.items() if name.startswith("frame_")}
    matrix, camera = film.camera.camera_to_world, film.camera
    return medians | {
        "distance_m": float(np.median(np.linalg.norm(truth["joints12_cam_m"].mean(1), axis=-1))),
        "camera_height_m": float(matrix[2, 3]),
        "camera_tilt_deg": float(np.rad2deg(np.arcsin(-matrix[2, 2]))),
        "focal_ratio": float(camera.K[0, 0] / max(camera.size_px)),
        "height_m": float(truth["height_m"]),
        "grain": camera.grain,
        "shutter": camera.shutter,
        "defocus_px": camera.defocus_px,
        "coarse": camera.coarse,
        "quality": camera.quality,
    }
