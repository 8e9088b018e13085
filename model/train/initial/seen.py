"""Windows of what the real detector saw (``detected``), to train on and to validate by, beside those of the noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.detect.landmarks import OTHER_SIDE, Landmarks
from model.estimate.evidence import LEFT_HIP, RIGHT_HIP
from model.estimate.sides import GROUPS, repair_sides
from model.synth.landmarks.crowd import Crowd
from model.synth.landmarks.noise import Sighting
from model.synth.landmarks.plays import Plays
from model.synth.picture_clips import frame_K

from .data import Window, layout, pose_space, window_of
from .detected import FRAMES, Detected, true_px
from .reenacted import closer, reenacted, true_rays
from .varied import varied

EXCHANGED = 1.5
"""How many times nearer the other side must be for a group to count as exchanged."""


class SeenWindows:
    """Batches of detected clips, all of ``FRAMES`` frames, sides repaired as the estimate does it.

    Args:
        parts: of each, the clips' paths. crowd: their people. remains: share of their errors in the picture (see
            ``reenacted``).
    """

    def __init__(self, parts: list[list[Path]], crowd: Crowd, remains: float = 1.0) -> None:
        self._crowd = crowd
        by_part = [[c for c in map(Detected.load, paths) if len(c.landmarks.frames) == FRAMES] for paths in parts]
        clips, self._counts = sum(by_part, []), torch.tensor([len(part) for part in by_part if part])
        if not clips:
            raise ValueError(f"no clips of {FRAMES} frames")
        repaired = [repair_sides(clip.landmarks).landmarks for clip in clips]
        self._plays = Plays.joined([clip.play for clip in clips])
        present = np.stack([landmarks.present for landmarks in repaired])
        mask = present[:, :, None, None]
        rays = np.stack([_rays(lm, clip) for lm, clip in zip(repaired, clips, strict=True)])
        visibility, world = (
            np.nan_to_num(np.stack([getattr(landmarks, name) for landmarks in repaired])).astype(np.float32)
            for name in ("visibility", "world_m")
        )
        world = world - (world[:, :, LEFT_HIP] + world[:, :, RIGHT_HIP])[:, :, None] / 2
        flags = np.stack([_exchanged(lm, clip.play) for lm, clip in zip(repaired, clips, strict=True)])
        arrays = (rays * mask, visibility * mask[..., 0], world * mask, present, flags)
        self._seen = [torch.from_numpy(np.ascontiguousarray(a)) for a in arrays]
        self._visible = torch.from_numpy(np.stack([clip.visible for clip in clips]))
        true = true_rays(torch.from_numpy(self._plays.points_cam_m[:, :, : rays.shape[2]]))
        near = self._visible & self._seen[3][..., None]
        self._seen[0] = closer(self._seen[0], true, near, self._seen[4], remains)
        self._layout = layout()

    def __len__(self) -> int:
        return len(self._plays.person)

    def rows(self, count: int, rng: torch.Generator) -> Tensor:
        """(count,) clips by chance, of each part as many as of the next."""
        part = torch.randint(len(self._counts), (count,), generator=rng)
        within = (torch.rand(count, generator=rng, dtype=torch.float64) * self._counts[part]).long()
        return (self._counts.cumsum(0) - self._counts)[part] + within

    def batch(self, rows: Tensor, rng: torch.Generator) -> Window:
        """The clips of ``rows``."""
        return self._window(*self._chosen(rows), rng)

    def varied(self, rows: Tensor, rng: torch.Generator) -> Window:
        """Others like the clips of ``rows``."""
        plays, seen = reenacted(*self._chosen(rows), self._visible[rows], self._crowd, self._layout, rng)
        return self._window(*varied(plays, seen, pose_space(), rng), rng)

    def _chosen(self, rows: Tensor) -> tuple[Plays, Sighting]:
        return self._plays.chosen(rows.numpy()), Sighting(*(a[rows] for a in self._seen))

    def _window(self, plays: Plays, seen: Sighting, rng: torch.Generator) -> Window:
        stature = self._crowd.stature_m[torch.from_numpy(plays.person).long()]
        return window_of(plays, seen, stature, rng)


def _rays(landmarks: Landmarks, clip: Detected) -> NDArray[np.float32]:
    """(T, 33, 2) through the true lens, 0 where nobody is seen."""
    K = frame_K(clip.play)
    return np.nan_to_num((landmarks.px - K[:2, 2]) / K[0, 0]).astype(np.float32)


def _exchanged(landmarks: Landmarks, play: Plays) -> NDArray[np.bool_]:
    """(T, G) which groups' sides the detector, or the repair, has taken for each other."""
    true = true_px(play)
    flags = []
    for left, right in GROUPS.values():
        group = np.array([*left, *right])
        own, other = (
            np.linalg.norm(np.nan_to_num(landmarks.px[:, group]) - points, axis=-1).sum(1)
            for points in (true[:, group], true[:, OTHER_SIDE[group]])
        )
        flags.append(landmarks.present & (own > EXCHANGED * other))
    return np.stack(flags, -1)
