"""How deep parts of a posed body lie in other parts to which they are not joined, for many poses at once."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from model.body import AnnyBody
from model.body.raster import triangles, vertex_normals

PARTS = {
    "torso": ("root", "pelvis", "spine", "clavicle", "shoulder", "neck", "head"),
    "arm": ("lowerarm", "wrist", "finger", "metacarpal"),
    "thigh": ("upperleg",),
    "shin": ("lowerleg", "foot", "toe"),
}
"""Bones by the beginnings of their names; all but the torso are two, of the left and of the right."""
APART = (
    ("arm.L", "torso"), ("arm.L", "arm.R"), ("arm.L", "thigh.L"), ("arm.L", "thigh.R"), ("arm.L", "shin.L"),
    ("arm.L", "shin.R"), ("arm.R", "torso"), ("arm.R", "thigh.L"), ("arm.R", "thigh.R"), ("arm.R", "shin.L"),
    ("arm.R", "shin.R"), ("shin.L", "torso"), ("shin.L", "shin.R"), ("shin.L", "thigh.R"), ("shin.R", "torso"),
    ("shin.R", "thigh.L"),
)  # fmt: skip
"""What may touch but not lie in one another."""
_NEAR_M = 0.08
"""Nearer than this to the other part's skin, a point can be behind it; further inside nobody's limb gets."""
_PAIRS_AT_ONCE = 10_000_000
"""Of points of two parts: memory."""


class Overlap:
    """Measures the average body.

    Args:
        every: look at every so manieth vertex of each part: 1 is exact.
    """

    def __init__(self, body: AnnyBody, every: int = 1) -> None:
        rest = body.rest(body.default_shape())
        heaviest = body.skin_weights_dense.argmax(1).tolist()
        names = [body.bone_names[bone] for bone in heaviest]
        inside = set(np.unique(body.quads[_loose(body)]).tolist())  # eyes, teeth: not skin
        self._index: dict[str, Tensor] = {}
        for part, stems in PARTS.items():
            for side in ("",) if part == "torso" else (".L", ".R"):
                mine = [i for i, n in enumerate(names) if n.startswith(stems) and n.endswith(side) and i not in inside]
                self._index[part + side] = torch.tensor(mine[::every])
        self._used = torch.cat(list(self._index.values()))
        pairs = max(len(self._index[one]) * len(self._index[other]) for one, other in APART)
        self._at_once = max(_PAIRS_AT_ONCE // pairs, 1)
        ends = np.cumsum([0, *(len(index) for index in self._index.values())])
        self._slice = {name: slice(ends[i], ends[i + 1]) for i, name in enumerate(self._index)}
        faces = triangles(torch.from_numpy(body.quads.astype(np.int64)))
        self._normals = vertex_normals(rest.vertices_m[None], faces)[0][self._used]
        self._points, self._heads = rest.vertices_m[self._used], rest.heads_m
        self._weights, self._kinematics = body.skin_weights_dense[self._used], body.kinematics

    def depth_m(self, local: Tensor) -> Tensor:
        """(N, B, 3, 3) world-aligned local rotations to (N,) the deepest that any part lies in another."""
        return torch.cat([self._depth_m(some) for some in local.float().split(self._at_once)])

    def _depth_m(self, local: Tensor) -> Tensor:
        rotations, heads = self._kinematics(local, self._heads, torch.zeros(len(local), 3))
        offset = heads - (rotations @ self._heads[..., None])[..., 0]
        blended = (self._weights @ torch.cat([rotations, offset[..., None]], -1).flatten(2)).unflatten(2, (3, 4))
        points = (blended[..., :3] @ self._points[..., None])[..., 0] + blended[..., 3]
        normals = torch.nn.functional.normalize((blended[..., :3] @ self._normals[..., None])[..., 0], dim=-1)
        low = {name: points[:, part].amin(1) for name, part in self._slice.items()}
        high = {name: points[:, part].amax(1) for name, part in self._slice.items()}
        deepest = torch.zeros(len(local))
        for one, other in APART:
            # Only bodies on whom boxes around the two parts are near: an arm hardly ever meets a foot.
            gap = torch.maximum(low[one] - high[other], low[other] - high[one]).amax(-1)
            rows = (gap < _NEAR_M).nonzero()[:, 0]
            mine, theirs = points[rows, self._slice[one]], points[rows, self._slice[other]]
            distance, nearest = torch.cdist(mine, theirs).min(2)
            picked = nearest[..., None].expand(-1, -1, 3)
            away = mine - theirs.gather(1, picked)
            depth = -(away * normals[rows, self._slice[other]].gather(1, picked)).sum(-1)
            found = torch.where(distance < _NEAR_M, depth, 0.0).amax(1).clamp(min=0)
            deepest[rows] = torch.maximum(deepest[rows], found)
        return deepest


def _loose(body: AnnyBody) -> np.ndarray:
    """(F,) bool: quads of the mesh's smaller connected pieces."""
    label = np.arange(len(body.skin_weights_dense))
    while True:
        lowest = label[body.quads].min(1)
        new = label.copy()
        np.minimum.at(new, body.quads.ravel(), np.repeat(lowest, 4))
        new = new[new]
        if np.array_equal(new, label):
            break
        label = new
    return np.asarray(label[body.quads[:, 0]] != np.bincount(label).argmax())
