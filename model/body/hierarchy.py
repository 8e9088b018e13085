"""A hierarchy of meshes of the body, coarse to full, fixed at build time (see ``model/convert/hierarchy.py``).

Level 0 has about 240 vertices, then 900 and 3,500; the last is the full mesh.  A coarse vertex is a vertex of the full
mesh, its seed, and stands for a cluster of the surface around it, which grows along the surface and never across a
gap.  Values have the vertices in the last dimension but one: (..., V, C).
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from amr_blender.contract.errors import RuntimeSetupError

FILE = "hierarchy.npz"
_KINDS = ("seeds", "neighbours", "bone", "faces", "owner", "parents", "weights")
_MAX_BYTES = 4_000_000


class Hierarchy(nn.Module):
    """Levels 0 (coarsest) to ``last`` (the full mesh) and the ways between them.  All buffers, nothing is learned.

    Args:
        arrays: as ``model.convert.hierarchy.build`` makes them.

    Raises:
        ValueError: the arrays don't fit each other.
    """

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        super().__init__()
        self.last = max(int(name.rpartition("_")[2]) for name in arrays)
        self.sizes = tuple(len(arrays[f"seeds_{level}"]) for level in range(self.last + 1))
        for name, values in arrays.items():
            tensor = torch.from_numpy(values.astype(np.float32 if name.startswith("weights") else np.int64))
            self.register_buffer(name, tensor, persistent=False)
        self._check()
        for level in range(1, self.last + 1):
            weights = self._get("weights", level)
            weights /= weights.sum(-1, keepdim=True)
            counts = torch.bincount(self._get("owner", level), minlength=self.sizes[level - 1])
            self.register_buffer(f"count_{level}", counts.float()[:, None], persistent=False)

    @classmethod
    def load(cls, assets: Path) -> Hierarchy:
        """Read ``hierarchy.npz`` from the assets folder.

        Raises:
            RuntimeSetupError: the file is missing or damaged.
        """
        path = assets / FILE
        try:
            if path.stat().st_size > _MAX_BYTES:
                raise ValueError("it is too large")
            with np.load(path, allow_pickle=False) as archive:
                return cls({name: archive[name] for name in archive.files})
        except (OSError, ValueError, KeyError, EOFError, IndexError, zipfile.BadZipFile) as error:
            raise RuntimeSetupError(
                "assets-damaged",
                f"The hierarchy of the body in {assets} can't be read ({error}).",
                "Run 'python3.11 build_addon.py setup' again, or install the add-on's zip again.",
            ) from error

    def _get(self, kind: str, level: int) -> Tensor:
        tensor: Tensor = getattr(self, f"{kind}_{level}")
        return tensor

    def _check(self) -> None:
        for level in range(self.last + 1):
            own, above = self.sizes[level], self.sizes[level - 1] if level else 0
            tops = {"seeds": self.sizes[-1], "neighbours": own, "faces": own, "owner": above, "parents": above}
            for kind in _KINDS:
                if kind in ("owner", "parents", "weights") and not level or kind == "faces" and level == self.last:
                    continue
                values = self._get(kind, level)
                if kind != "faces" and len(values) != own:
                    raise ValueError(f"'{kind}' of level {level} has {len(values)} rows, not {own}")
                if values.numel() and (values.min() < 0 or kind in tops and values.max() >= tops[kind]):
                    raise ValueError(f"'{kind}' of level {level} points outside")

    def seeds(self, level: int) -> Tensor:
        """(V_level,) vertices of the full mesh."""
        return self._get("seeds", level)

    def neighbours(self, level: int) -> Tensor:
        """(V_level, K) the nearest other vertices of the same level along the surface, nearest first."""
        return self._get("neighbours", level)

    def parents(self, level: int) -> tuple[Tensor, Tensor]:
        """(V_level, 4) vertices of the level above (``level`` - 1), and their weights, which sum to 1."""
        return self._get("parents", level), self._get("weights", level)

    def owner(self, level: int) -> Tensor:
        """(V_level,) the vertex of the level above whose cluster each is in."""
        return self._get("owner", level)

    def bone(self, level: int) -> Tensor:
        """(V_level,) the bone that moves most of each vertex's cluster."""
        return self._get("bone", level)

    def faces(self, level: int) -> Tensor:
        """(F, 3) triangles of a coarse level; those of the last are the body's."""
        return self._get("faces", level)

    def sample(self, values: Tensor, level: int) -> Tensor:
        """(..., V, C) of the full mesh to (..., V_level, C) at the seeds."""
        return values if level == self.last else values.index_select(-2, self.seeds(level))

    def pool(self, values: Tensor, level: int) -> Tensor:
        """(..., V_level, C) to (..., V_(level - 1), C): means over the clusters."""
        out = values.new_zeros((*values.shape[:-2], self.sizes[level - 1], values.shape[-1]))
        return out.index_add(-2, self.owner(level), values) / self._get("count", level).to(values)

    def pool_to(self, values: Tensor, level: int) -> Tensor:
        """(..., V, C) of the full mesh to (..., V_level, C), step by step."""
        for step in range(self.last, level, -1):
            values = self.pool(values, step)
        return values

    def unpool(self, values: Tensor, level: int) -> Tensor:
        """(..., V_(level - 1), C) to (..., V_level, C): convex combinations of up to 4 coarse vertices."""
        parents, weights = self.parents(level)
        taken = values.index_select(-2, parents.flatten()).unflatten(-2, parents.shape)
        return (taken * weights.to(values)[..., None]).sum(-2)

    def unpool_from(self, values: Tensor, level: int) -> Tensor:
        """(..., V_level, C) to (..., V, C) of the full mesh, step by step."""
        for step in range(level + 1, self.last + 1):
            values = self.unpool(values, step)
        return values

    def least(self, values: Tensor, level: int) -> Tensor:
        """(..., V_level, C) to (..., V_(level - 1), C): the least value among the vertices that are made from each.

        What is at most this on the level above is, unpooled, nowhere more than ``values``.
        """
        parents, weights = self.parents(level)
        child = torch.arange(self.sizes[level], device=values.device)[:, None].expand_as(parents)
        used = weights > 0
        taken = values.index_select(-2, child[used])
        out = values.new_full((*values.shape[:-2], self.sizes[level - 1], values.shape[-1]), torch.inf)
        return out.scatter_reduce(-2, parents[used][:, None].expand_as(taken), taken, "amin")
