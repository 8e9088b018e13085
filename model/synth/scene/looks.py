"""What people look like: builds of all ages, skin, hair, and clothes as one mesh with a colour per vertex.

Two ways to dress, with the same colours: ``sewn`` puts on the tailor's garments (for clips that should look right);
``painted`` colours and displaces the body's own vertices (same topology, many times as fast: for training pictures).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from model.body import AnnyBody
from model.body.raster import triangles

from .outfit import Garment, Tailor

Array = NDArray[np.floating]
Generator = np.random.Generator
_TRANSPARENT = ("brows",)  # four polygons that only the Blender set can use
_TAPERED = ("trousers", "shirt")


@dataclass(frozen=True)
class Look:
    """Colours (linear RGB, 0..1) and cut of one person's outfit."""

    palette: dict[str, Array]
    """(3,) by the tailor's colour names."""
    patterns: dict[str, tuple[str, Array, float, float]]
    """Of cloth by colour name: ``stripes``, ``hoops``, ``checks`` or ``blots``; second colour, period (m), phase."""
    looseness: float
    bald: bool
    hair_volume: float
    """Factor on the depth of the hair."""
    shod: bool
    shorts: bool


@dataclass(frozen=True)
class Dressed:
    """One person to be posed and drawn."""

    rest_m: Tensor
    """(G, 3) float32."""
    skin_weights: Tensor
    """(G, B)."""
    faces: Tensor
    """(F, 3) int64, counter-clockwise from outside."""
    albedo: Tensor
    """(G, 3) linear RGB."""
    sole_m: float
    """How much thicker the soles are than bare feet."""


def random_look(rng: Generator) -> Look:
    """Any skin, hair and clothes."""
    tone = rng.uniform(0, 1)
    skin = np.array([0.62, 0.38, 0.28]) * (1 - tone) + np.array([0.10, 0.045, 0.028]) * tone
    skin = skin * rng.uniform(0.85, 1.15, 3)
    hair = rng.choice([0, 1, 2, 3], p=[0.4, 0.3, 0.15, 0.15])
    hair_rgb = np.array([[0.02, 0.014, 0.01], [0.09, 0.045, 0.02], [0.42, 0.26, 0.11], [0.35, 0.34, 0.33]])[hair]
    palette = {
        "skin": skin, "lips": skin * [0.85, 0.55, 0.6], "teeth": np.array([0.75, 0.72, 0.65]),
        "whites": np.array([0.8, 0.78, 0.75]), "irises": rng.uniform(0.01, 0.15, 3),
        "hair": hair_rgb * rng.uniform(0.6, 1.4), "shirt": _cloth(rng), "trousers": _cloth(rng) * 0.8,
        "shoes": _cloth(rng), "soles": np.full(3, rng.uniform(0.03, 0.8)),
    }  # fmt: skip
    patterns = {}
    for name, chance in (("shirt", 0.5), ("trousers", 0.25)):
        if rng.random() < chance:
            kind = str(rng.choice(["stripes", "hoops", "checks", "blots"]))
            patterns[name] = (kind, _cloth(rng), float(rng.uniform(0.06, 0.2)), float(rng.uniform(0, 1)))
    return Look(
        palette, patterns, float(rng.uniform(0.5, 1.6)), bool(rng.random() < 0.12), float(rng.uniform(0.6, 2.6)),
        bool(rng.random() < 0.8), bool(rng.random() < 0.3),
    )  # fmt: skip


def _cloth(rng: Generator) -> Array:
    """Greys as often as colours, dark ones more often than light ones."""
    value = rng.uniform(0.02, 0.85) ** 1.5
    colour = rng.uniform(0, 1, 3) ** 2
    saturation = 0.0 if rng.random() < 0.35 else rng.uniform(0.3, 1.0)
    return np.asarray(value * (1 - saturation + saturation * colour / colour.max()))


class Wardrobe:
    """Everything that is the same for all people: cut once."""

    def __init__(self, body: AnnyBody) -> None:
        tailor = Tailor.of(body)
        self._weights = body.skin_weights_dense.double().cpu().numpy()
        self._quads = np.asarray(body.quads, np.int64)
        self._garments = [g for g in tailor.dress() if g.name not in _TRANSPARENT]
        self._garments.append(self._bare_feet(tailor.weight("foot", "toe") > 0.2))

    def sewn(self, body_m: Array, look: Look) -> Dressed:
        """``body_m`` (V, 3) rest vertices of the wearer in the tailor's garments."""
        points, weights, faces, albedo = [], [], [], []
        start, sole_m = 0, 0.0
        for garment in self._worn(look):
            loose = look.looseness if garment.name in _TAPERED else 1.0
            rest = garment.rest_m(body_m, look.hair_volume if garment.name == "hair" else loose)
            points.append(rest)
            weights.append(np.asarray(garment.combine @ self._weights))
            faces.append(triangles(torch.from_numpy(garment.polygons)) + start)
            albedo.append(_colours(garment, look, rest))
            start += len(rest)
            if garment.name == "sole":
                sole_m = max(sole_m, float(body_m[:, 2].min() - rest[:, 2].min()))
        return Dressed(
            torch.from_numpy(np.concatenate(points).astype(np.float32)),
            torch.from_numpy(np.concatenate(weights).astype(np.float32)),
            torch.cat(faces),
            _as_albedo(np.concatenate(albedo)),
            sole_m,
        )

    def painted(self, body_m: Array, look: Look) -> tuple[Tensor, Tensor]:
        """Clothes as coloured and displaced regions of the skin of a body with (V, 3) rest vertices.

        Returns:
            (V,) how far each vertex moves outwards, along its normal in any pose, in metres, and (V, 3) linear RGB.
        """
        offset = np.zeros(len(body_m))
        albedo = np.tile(look.palette["skin"], (len(body_m), 1))
        for garment in self._worn(look):
            if garment.colour == "skin":
                continue
            factor = look.hair_volume if garment.name == "hair" else look.looseness if garment.name in _TAPERED else 1.0
            cut = len(garment.combine.indices) == len(
                garment.offset_m
            )  # else a hull, whose points lie between vertices
            chosen = garment.combine.indices if cut else np.unique(garment.combine.indices)
            offset[chosen] = (garment.offset_m if cut else garment.offset_m.max()) * factor
            albedo[chosen] = _colours(garment, look, body_m[chosen])
        return torch.from_numpy(offset.astype(np.float32)), _as_albedo(albedo)

    def _bare_feet(self, chosen: NDArray[np.bool_]) -> Garment:
        """The tailor leaves out of the skin what its shoes cover."""
        used, local = np.unique(self._quads[chosen[self._quads].all(1)], return_inverse=True)
        select = sparse.csr_matrix(
            (np.ones(len(used)), (np.arange(len(used)), used)), shape=(len(used), len(self._weights))
        )
        return Garment("feet", "skin", local.reshape(-1, 4), select, np.zeros(len(used)))

    def _worn(self, look: Look) -> list[Garment]:
        left_out = {"feet"} if look.shod else {"shoe", "sole"}
        left_out |= {"hair"} if look.bald else set()
        return [g for g in self._garments if g.name not in left_out]


def _as_albedo(rgb: Array) -> Tensor:
    return torch.from_numpy(rgb.clip(0.005, 0.95).astype(np.float32))


def _colours(garment: Garment, look: Look, rest_m: Array) -> Array:
    """(G, 3) linear RGB of a garment's vertices."""
    base = np.tile(look.palette[garment.colour], (len(rest_m), 1))
    low, high = rest_m[:, 2].min(), rest_m[:, 2].max()
    leg = (rest_m[:, 2] < low + 0.42 * (high - low)) & (garment.name == "trousers") & look.shorts
    if garment.colour in look.patterns:
        base = _patterned(base, rest_m, *look.patterns[garment.colour])
    return np.where(leg[:, None], look.palette["skin"], base)


def _patterned(base: Array, rest_m: Array, kind: str, second: Array, period: float, phase: float) -> Array:
    along, up = (np.sin(2 * np.pi * (rest_m[:, i] / period + phase)) for i in (0, 2))
    across = np.sin(2 * np.pi * (rest_m[:, 1] / period + phase))
    share = {"stripes": along, "hoops": up, "checks": along * up, "blots": along * up * across + 0.3 * up}[kind]
    return np.asarray(np.where(share[:, None] > 0, second, base))
