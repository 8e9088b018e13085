"""Continuity from frame to frame, of each group as detected and with its sides exchanged.

Places in the picture count about the trunk and in metres, so that neither a moving camera nor the person's size
matters; depth comes from the detector's 3D.  Where limbs are far apart an exchange shows; where they cross both ways
are equally far and nothing is said.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .groups import GROUPS

Array = NDArray[np.floating]
_TRUNK = [11, 12, 23, 24]
JUMP_M, JUMP_M_S = 0.3, 10.0
"""The trunk moves no further than this between frames, or the picture was cut."""
ZOOM, ZOOM_PER_S = 0.25, 1.5
"""Nor does the logarithm of its size change by more."""
_SURE_OF_NOTHING = 0.1  # weight of a landmark that is quite hidden


@dataclass(frozen=True)
class Steps:
    """One group's N landmarks a side over the T - 1 steps between frames."""

    picture_m2: Array
    """(T - 1, 2, 2, N) squared distance gone in the picture: [as detected, sides exchanged], [left, right]."""
    depth_m2: Array
    """(T - 1, 2, 2, N) the same of depth."""
    weight: Array
    """(T - 1, N) 0..1: how well they are seen."""


def steps(px: Array, world_m: Array, visibility: Array) -> list[Steps]:
    """Steps of each of ``GROUPS``, from (T, 33, 2), (T, 33, 3) and (T, 33) of frames in which the person is seen."""
    picture, _ = about_trunk(px, world_m)
    found = []
    for left, right in GROUPS.values():
        places = np.stack([picture[:, left], picture[:, right]], 1)
        depths = np.stack([world_m[:, left, 2], world_m[:, right, 2]], 1)
        seen = (visibility[:, left] + visibility[:, right]) / 2
        found.append(
            Steps(
                np.stack([((places[1:] - p) ** 2).sum(-1) for p in (places[:-1], places[:-1, ::-1])], 1),
                np.stack([(depths[1:] - d) ** 2 for d in (depths[:-1], depths[:-1, ::-1])], 1),
                _SURE_OF_NOTHING + (1 - _SURE_OF_NOTHING) * (seen[1:] + seen[:-1]) / 2,
            )
        )
    return found


def joined(px: Array, world_m: Array, time_s: Array) -> NDArray[np.bool_]:
    """(T - 1,) the frame after goes on from the frame before: no cut lies between."""
    _, per_metre = about_trunk(px, world_m)
    trunk = px[:, _TRUNK].mean(1)
    away_m = np.linalg.norm(np.diff(trunk, axis=0), axis=-1) / np.minimum(per_metre[1:], per_metre[:-1])
    zoom = np.abs(np.diff(np.log(per_metre)))
    elapsed_s = np.diff(time_s)
    return np.asarray((away_m < JUMP_M + JUMP_M_S * elapsed_s) & (zoom < ZOOM + ZOOM_PER_S * elapsed_s))


def about_trunk(px: Array, world_m: Array) -> tuple[Array, Array]:
    """(T, 33, 2) metres in the picture about the middle of the trunk, and (T,) pixels per metre."""
    flat = px - px[:, _TRUNK].mean(1, keepdims=True)
    body = (world_m - world_m[:, _TRUNK].mean(1, keepdims=True))[..., :2]
    per_metre = np.sqrt((flat**2).sum((1, 2)) / np.maximum((body**2).sum((1, 2)), 1e-9)).clip(1e-6)
    return np.asarray(flat / per_metre[:, None, None]), np.asarray(per_metre)
