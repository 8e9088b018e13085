"""Somebody of the crowd moves before a camera: the truth that landmark networks learn from, by its number."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from amr_blender.contract.files import written_whole
from amr_blender.contract.spaces import transform
from model.body.body_points import CONTACT_NAMES
from model.body.landmarks import LANDMARK_NAMES
from model.estimate.pose_space import PoseSpace
from model.estimate.rotation import matrix_from_rotvec

from ..motion.motions import MotionBank, stand
from .crowd import Crowd
from .views import draw_view

Array = NDArray[np.floating]
RATES = (12.0, 15.0, 24.0, 25.0, 30.0, 30.0, 50.0, 60.0)
CONTACTS = slice(len(LANDMARK_NAMES), len(LANDMARK_NAMES) + len(CONTACT_NAMES))
TOUCH_M, TOUCH_M_S = 0.06, 0.3
"""A point this low and this slow rests on the ground; points of hands, knees and seat lie a little inside the skin."""
IN_THE_AIR = 0.1
"""Share of the people whose ground is not where it seems: on a chair, a box, a ledge."""


@dataclass(frozen=True)
class Plays:
    """N plays of T frames, arrays as they are stored."""

    person: NDArray[np.int32]
    """(N,) of the crowd."""
    angles: NDArray[np.float32]
    """(N, T, Q) of the pose space."""
    orientation: NDArray[np.float32]
    """(N, T, 3, 3) of the hips, axes of the camera."""
    points_cam_m: NDArray[np.float32]
    """(N, T, L, 3) the pose space's points."""
    root_cam_m: NDArray[np.float32]
    """(N, T, 3) head of the hips' bone."""
    contacts: NDArray[np.bool_]
    """(N, T, C) what rests on the ground."""
    up: NDArray[np.float32]
    """(N, 3) of the world, axes of the camera."""
    fps: NDArray[np.float32]
    """(N,)."""
    focal: NDArray[np.float32]
    """(N,) in longer sides of the picture."""
    size: NDArray[np.float32]
    """(N, 2) width and height in longer sides; the principal point is the middle."""

    def save(self, path: Path) -> None:
        with written_whole(path) as stream:
            np.savez(stream, **{f.name: getattr(self, f.name) for f in fields(self)})

    @classmethod
    def load(cls, path: Path) -> Plays:
        with np.load(path, allow_pickle=False) as archive:
            return cls(**{f.name: archive[f.name] for f in fields(cls)})

    def chosen(self, rows: NDArray[np.integer]) -> Plays:
        """Those of ``rows``."""
        return Plays(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    def cut(self, frames: slice) -> Plays:
        """A stretch of all of them."""
        by_frame = ("angles", "orientation", "points_cam_m", "root_cam_m", "contacts")
        return replace(self, **{name: getattr(self, name)[:, frames] for name in by_frame})

    @classmethod
    def joined(cls, parts: list[Plays]) -> Plays:
        return cls(**{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)})


class Theatre:
    """Makes plays.

    Args:
        space: degrees of freedom; its points are the landmarks, then the body's own. bank: motions. crowd: people.
        plain: in plain views, on the ground.
    """

    def __init__(self, space: PoseSpace, bank: MotionBank, crowd: Crowd, plain: bool = False) -> None:
        self._space, self._bank, self._crowd, self._plain = space, bank, crowd, plain

    def play(self, number: int, frames: int) -> Plays:
        """The ``number``-th play, ``frames`` long (N = 1)."""
        rng = np.random.default_rng([number, 15])
        fps = float(rng.choice(RATES))
        person = int(rng.integers(len(self._crowd.stature_m)))
        motion = self._bank.draw(rng, frames, fps)
        orientation = motion.matrices()
        moving = matrix_from_rotvec(self._space.rotvecs(torch.from_numpy(motion.angles))).float()
        moving[:, 0] = torch.from_numpy(orientation)
        about = self._crowd.points(torch.tensor([person]), moving[None])[0].double().numpy()
        root = stand(about, motion.root_m, float(self._crowd.leg_scale[person]))
        points = about + root[:, None]
        contacts = _touching(points[:, CONTACTS], fps)
        if rng.random() < IN_THE_AIR and not self._plain:
            lift = rng.uniform(0.0, 0.8)
            points, root = points + [0, 0, lift], root + [0, 0, lift]
        ahead = np.asarray(-orientation[0, :2, 1])
        ahead /= max(float(np.linalg.norm(ahead)), 1e-6)
        view = draw_view(rng, points[:: max(frames // 12, 1)].reshape(-1, 3), ahead, self._plain)
        matrix = view.world_to_camera
        return Plays(
            np.array([person], np.int32),
            motion.angles[None].astype(np.float32),
            (matrix[:3, :3] @ orientation)[None].astype(np.float32),
            transform(matrix, points)[None].astype(np.float32),
            transform(matrix, root)[None].astype(np.float32),
            contacts[None],
            matrix[None, :3, 2].astype(np.float32),
            np.array([fps], np.float32),
            np.array([view.focal], np.float32),
            np.array([view.size], np.float32),
        )


def _touching(points: Array, fps: float) -> NDArray[np.bool_]:
    """(T, C) which of (T, C, 3) points lie still on the ground."""
    speed = (
        np.linalg.norm(np.gradient(points, 1.0 / fps, axis=0), axis=-1)
        if len(points) > 1
        else np.zeros(points.shape[:2])
    )
    return np.asarray((points[..., 2] < TOUCH_M) & (speed < TOUCH_M_S))
