"""Where BlazePose's 33 landmarks lie on the body's mesh: names, pairs, anatomy to start from, vertices to choose from.

Everything is stated for the left side (and the middle); the right side is its mirror image on the symmetric mesh.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Anatomy:
    """One left or middle landmark.

    ``bone``: the bone whose head is the plain guess.  ``seed``: a vertex on the skin that is the better guess, or None
    where the joint lies inside the body.  ``radius_m``: how far from the guess, in the template, vertices may lie.
    """

    name: str
    bone: str
    radius_m: float
    seed: int | None = None


ANATOMY = (
    Anatomy("nose", "head", 0.035, 5038),
    Anatomy("l_eye_inner", "eye.L", 0.030, 11480),
    Anatomy("l_eye", "eye.L", 0.030, 6769),
    Anatomy("l_eye_outer", "eye.L", 0.030, 11465),
    Anatomy("l_ear", "head", 0.050, 12099),
    Anatomy("l_mouth", "head", 0.035, 10373),
    Anatomy("l_shoulder", "upperarm01.L", 0.130),
    Anatomy("l_elbow", "lowerarm01.L", 0.090),
    Anatomy("l_wrist", "wrist.L", 0.070),
    Anatomy("l_pinky", "finger5-1.L", 0.045),
    Anatomy("l_index", "finger2-1.L", 0.045),
    Anatomy("l_thumb", "finger1-2.L", 0.045),
    Anatomy("l_hip", "upperleg01.L", 0.170),
    Anatomy("l_knee", "lowerleg01.L", 0.110),
    Anatomy("l_ankle", "foot.L", 0.090),
    Anatomy("l_heel", "foot.L", 0.060, 12881),
    Anatomy("l_foot_index", "toe1-2.L", 0.060, 11490),
)


def mirrored_vertices(template_m: Array) -> Indices:
    """(V,) index of each vertex' mirror image across x = 0.

    Raises:
        ValueError: the mesh is not symmetric.
    """
    order, other = (np.lexsort(np.round(template_m * [s, 1, 1], 6).T) for s in (1.0, -1.0))
    mirror = np.empty(len(template_m), np.int64)
    mirror[order] = other
    if (
        np.abs(template_m[mirror] * [-1, 1, 1] - template_m).max() > 1e-5
        or not (mirror[mirror] == np.arange(len(mirror))).all()
    ):
        raise ValueError("the mesh is not symmetric")
    return mirror


def mirrored_name(name: str) -> str:
    """``l_knee`` for ``r_knee`` and the other way round; the nose is its own mirror image."""
    return {"l_": "r_", "r_": "l_"}.get(name[:2], name[:2]) + name[2:]


def guess_m(anatomy: Anatomy, vertices_m: Array, bone_heads_m: Array, bone_names: list[str]) -> Array:
    """(..., 3) plain anatomical place of a landmark in bodies of (..., V, 3) vertices and (..., B, 3) bone heads."""
    if anatomy.seed is not None:
        return vertices_m[..., anatomy.seed, :]
    return bone_heads_m[..., bone_names.index(anatomy.bone), :]


def candidates(anatomy: Anatomy, template_m: Array, heads_m: Array, bone_names: list[str], most: int = 160) -> Indices:
    """(C,) vertices that may carry a landmark: near its guess in the template, evenly spread (farthest points)."""
    guess = guess_m(anatomy, template_m, heads_m, bone_names)
    near = np.flatnonzero(np.linalg.norm(template_m - guess, axis=1) < anatomy.radius_m)
    if len(near) <= most:
        return near
    chosen = [int(np.linalg.norm(template_m[near] - guess, axis=1).argmin())]
    distance = np.full(len(near), np.inf)
    while len(chosen) < most:
        distance = np.minimum(distance, np.linalg.norm(template_m[near] - template_m[near[chosen[-1]]], axis=1))
        chosen.append(int(distance.argmax()))
    return near[np.sort(chosen)]
