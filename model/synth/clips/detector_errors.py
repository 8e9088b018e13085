"""BlazePose's landmarks beside the true ones, frame by frame, on made clips and on the balance clips.

Errors in the picture are in percent of the person's height (at the joint's distance, so that perspective doesn't
count).  Frames in which left and right are exchanged are told apart, and have no errors.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amr_blender.contract.errors import PersonError
from amr_blender.contract.spaces import project_px
from amr_blender.contract.take import JOINT12_NAMES
from model.body.landmarks import LANDMARK_NAMES
from model.detect import Landmarks, Networks, find_people, track_landmarks
from model.detect.landmarks import OTHER_SIDE
from model.video import Video

from .clip_folder import CONDITIONS, TRUTH, read_landmarks
from .truth import joints_seen

Array = NDArray[np.floating]
JOINTS = [LANDMARK_NAMES.index(name) for name in JOINT12_NAMES]
VIEWS = ("front", "side", "back")
_CLEARLY = 1.5
"""How many times nearer the other side must be before the sides count as exchanged."""
HEIGHT_OF_BALANCE_M = 1.75
"""Assumed: the file does not tell."""
_L_HIP, _R_HIP, _L_SHOULDER, _R_SHOULDER = (
    LANDMARK_NAMES.index(name) for name in ("l_hip", "r_hip", "l_shoulder", "r_shoulder")
)


@dataclass(frozen=True)
class Seen:
    """One clip's T frames and the 33 landmarks."""

    found: NDArray[np.bool_]
    """(T,)."""
    exchanged: NDArray[np.bool_]
    """(T,) left and right."""
    shown: NDArray[np.bool_]
    """(T, 33) the camera sees the place."""
    errors: Array
    """(T, 33, 2) percent of the height, right and down; NaN where not found, exchanged or without truth."""
    axes: Array
    """(T, 33, 3, 2) what a step of the person's own axes (:func:`person_axes`) looks like there: right and down."""
    world_mm: Array
    """(T, 33, 3) errors of the landmarks in 3D after one scale for the clip, from the middle of the hips, in a camera
    that looks at the hips: right, up, away; NaN as above."""
    world_axes: Array
    """(T, 33, 3, 3) the person's own axes there."""
    world_scale: float
    """What the detector's 3D must be multiplied with to have the person's true size."""
    visibility: Array
    """(T, 33) what the detector says, 0..1."""
    facing_deg: Array
    """(T,) 0: the chest faces the camera; 180: the back."""
    fps: float

    @property
    def counted(self) -> Array:
        """(T, 12, 2) the errors at those of the twelve joints that are shown, else NaN."""
        return np.where(self.shown[..., None], self.errors, np.nan)[:, JOINTS]

    def views(self) -> dict[str, NDArray[np.bool_]]:
        """(T,) each: the frames in which the camera is before, beside and behind the person."""
        front, back = self.facing_deg < 45, self.facing_deg > 135
        return dict(zip(VIEWS, (front, ~front & ~back, back), strict=True))

    def every_other(self) -> list[Seen]:
        """The clip twice, at half its rate."""
        parts = []
        for first in (0, 1):
            arrays = {name: v[first::2] for name, v in vars(self).items() if isinstance(v, np.ndarray)}
            parts.append(Seen(**arrays, world_scale=self.world_scale, fps=self.fps / 2))
        return parts


def person_axes(points: Array) -> Array:
    """(T, 33, 3) landmarks to (T, 3, 3): to the person's left, up the trunk, and forward, as rows."""
    up = points[:, [_L_SHOULDER, _R_SHOULDER]].mean(1) - points[:, [_L_HIP, _R_HIP]].mean(1)
    left = points[:, _L_HIP] - points[:, _R_HIP] + points[:, _L_SHOULDER] - points[:, _R_SHOULDER]
    up = up / np.linalg.norm(up, axis=-1, keepdims=True)
    left = left - (left * up).sum(-1, keepdims=True) * up
    left = left / np.linalg.norm(left, axis=-1, keepdims=True)
    return np.stack([left, up, np.cross(left, up)], 1)


def looking_at(points: Array) -> Array:
    """(T, 3) points of a camera to (T, 3, 3): the shortest turn that puts each on the camera's axis."""
    x, y, z = (points / np.linalg.norm(points, axis=-1, keepdims=True)).T
    k = 1.0 / (1.0 + z)
    return np.moveaxis(np.array([[1 - k * x * x, -k * x * y, -x], [-k * x * y, 1 - k * y * y, -y], [x, y, z]]), -1, 0)


def compare(
    landmarks: Landmarks | None, points_cam_m: Array, K: Array, height_m: float, shown: NDArray[np.bool_], fps: float
) -> Seen:
    """Landmarks beside (T, 33, 3) true ones, NaN where unknown; ``shown`` (T, 33)."""
    frames = len(points_cam_m)
    found, visibility = np.zeros(frames, bool), np.full((frames, 33), np.nan)
    px, world = np.full((frames, 33, 2), np.nan), np.full((frames, 33, 3), np.nan)
    if landmarks is not None:
        kept = landmarks.present & (landmarks.frames < frames)
        rows = landmarks.frames[kept]
        found[rows] = True
        px[rows], world[rows] = landmarks.px[kept], landmarks.world_m[kept]
        visibility[rows] = landmarks.visibility[kept]
    scale = 100.0 * points_cam_m[..., 2:] / K[0, 0] / height_m
    true_px = project_px(points_cam_m, K)
    errors, crossed = (px - true_px) * scale, (px[:, OTHER_SIDE] - true_px) * scale
    own, other = (np.nansum(np.linalg.norm(e[:, JOINTS], axis=-1), axis=1) for e in (errors, crossed))
    exchanged = found & (own > _CLEARLY * other)
    errors[exchanged] = np.nan

    person = person_axes(points_cam_m)
    slope = points_cam_m[..., None, :2] / points_cam_m[..., None, 2:]
    hips = points_cam_m[:, [_L_HIP, _R_HIP]].mean(1)
    turn = looking_at(hips)
    true_world = (points_cam_m - hips[:, None]) @ turn.swapaxes(-1, -2)
    world[exchanged] = np.nan
    size, true_size = (np.linalg.norm(p[:, JOINTS], axis=(1, 2)) for p in (world, true_world))
    world_scale = float(np.nanmedian(true_size / size)) if np.isfinite(true_size / size).any() else np.nan
    upright = np.array([1.0, -1.0, 1.0])
    back = np.rad2deg(np.arccos(np.clip((person[:, 2] * hips).sum(-1) / np.linalg.norm(hips, axis=-1), -1, 1)))
    return Seen(
        found=found,
        exchanged=exchanged,
        shown=shown,
        errors=errors,
        axes=person[:, None, :, :2] - slope * person[:, None, :, 2:],
        world_mm=1000.0 * (world_scale * world - true_world) * upright,
        world_axes=np.broadcast_to((person @ turn.swapaxes(-1, -2) * upright)[:, None], (frames, 33, 3, 3)),
        world_scale=world_scale,
        visibility=visibility,
        facing_deg=180.0 - back,
        fps=fps,
    )


def made(folder: Path) -> tuple[Seen, dict[str, Any]]:
    """A made clip, with its conditions; the detector must have run on it."""
    with np.load(folder / TRUTH, allow_pickle=False) as truth:
        points, K = truth["landmarks33_cam_m"].astype(float), truth["K"]
        height, fps = float(truth["height_m"]), float(truth["fps"])
        shown = joints_seen(points, truth["vertices_cam_m"].astype(float), truth["vertices_visible"])
        shown[:, JOINTS] = truth["visible12"]
    seen = compare(read_landmarks(folder), points, K, height, shown, fps)
    return seen, json.loads((folder / CONDITIONS).read_text())


def balance(folder: Path, networks: Networks) -> list[Seen]:
    """The balance clips; every joint counts, because the truth does not say which is hidden."""
    seen = []
    with np.load(folder / "balance_truth.npz", allow_pickle=False) as z:
        names = [str(name) for name in z["joint_names"]]
        of = [LANDMARK_NAMES.index(name) for name in names]
        for c, camera in enumerate(z["camera_names"].tolist()):
            frames = len(z["joints_world_m"])
            points, valid = np.full((frames, 33, 3), np.nan), np.zeros((frames, 33), bool)
            valid[:, of] = z["valid"]
            points[:, of] = np.where(z["valid"][..., None], z["joints_world_m"] @ z["R"][c].T + z["t"][c], np.nan)
            video = Video(folder / f"balance_{camera}.mp4")
            landmarks = _detected(video, networks)
            seen.append(compare(landmarks, points, z["K"][c], HEIGHT_OF_BALANCE_M, valid, float(z["fps"])))
    return seen


def _detected(video: Video, networks: Networks) -> Landmarks | None:
    try:
        people = find_people(video, (0, None), networks, _quiet)
        return track_landmarks(video, people[0], (0, None), networks, _quiet)
    except PersonError:
        return None


def _quiet(stage: str, done: int, total: int) -> None: ...
