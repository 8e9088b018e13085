"""The bodies of the SMPL family from the user's own file, on the same footing as Anny.

The forward pass is that of the package ``smplx``, imported here alone and only when such a body is asked for.  It gets
checked arrays (``model.body.smpl_file``) and never the file, which its own loaders would unpickle.

A model stands here as every body does (``model.body.interface``), not in its own axes: turned by ``Z_UP``, with its
pose correctives turned to match, it is the same function of shape and pose.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from amr_blender.contract.errors import RuntimeSetupError

from .interface import Array, RestBody, groups_of
from .smpl_file import Z_UP, Family, gender_of, read_model

MAX_BETAS = 16
"""As many shape values as AMASS gives; where a file has fewer, all of them."""
_GROUPS = {
    "Foot": ("ankle", "foot"),
    "Leg": ("hip", "knee"),
    "Hand": ("wrist", "hand", "index", "middle", "pinky", "ring", "thumb"),
    "Arm": ("collar", "shoulder", "elbow"),
    "Head": ("neck", "head", "jaw", "eye"),
}
_POINTS_TO = {
    "spine1": "spine2", "spine2": "spine3", "spine3": "neck", "neck": "head", "hip": "knee", "knee": "ankle",
    "ankle": "foot", "collar": "shoulder", "shoulder": "elbow", "elbow": "wrist",
}  # fmt: skip
_MIN_WEIGHT = 1e-5


class SmplBody:
    """Shape from P betas, pose from rotations; a :class:`model.body.interface.Body`.  J joints, V vertices."""

    def __init__(self, arrays: dict[str, NDArray[Any]], family: Family, gender: str) -> None:
        """``arrays`` as :func:`.smpl_file.read_model` gives them.

        Raises:
            RuntimeSetupError: the package ``smplx`` is not installed.
        """
        self._lbs = _forward_pass()
        self.family, self.gender = family, gender
        self.bone_names, self.bone_parents = list(family.joints), list(family.parents)
        self.bone_groups = groups_of(self.bone_names, _GROUPS)
        faces = arrays["f"].astype(np.int32)
        whole = (np.diff(np.sort(faces, 1), axis=1) > 0).all(1)
        self.quads = faces[whole][:, [0, 1, 2, 2]]
        self.uvs: NDArray[np.float32] | None = None
        if "vt" in arrays:
            self.uvs = arrays["vt"][arrays["ft"][whole]][:, [0, 1, 2, 2]].astype(np.float32)
        self.skin_bones, self.skin_weights = _strongest(arrays["weights"])
        betas = _betas(family, arrays["shapedirs"].shape[2])
        self.shape_names = [f"beta_{i}" for i in range(betas)]
        turn = torch.from_numpy(Z_UP)
        self._template = torch.from_numpy(arrays["v_template"].astype(np.float64)) @ turn.T
        self._per_beta = turn @ torch.from_numpy(arrays["shapedirs"][..., :betas].astype(np.float64))
        self._regressor = torch.from_numpy(arrays["J_regressor"].astype(np.float64))
        self._weights = torch.from_numpy(arrays["weights"].astype(np.float64))
        # The correctives answer to the elements of rotations, which have other places in other axes.
        moves = torch.from_numpy(arrays["posedirs"].astype(np.float32)).reshape(len(self._template), 3, -1, 3, 3)
        axes = turn.float()
        moves = torch.einsum("ij,ka,lb,vjsab->sklvi", axes, axes, axes, moves)
        self.correctives = moves.reshape(-1, len(self._template), 3).contiguous()
        """(9 (J - 1), V, 3) float32: metres per unit of :func:`pose_features`."""

    @classmethod
    def load(cls, path: Path) -> SmplBody:
        """Read a user's file.

        Raises:
            SettingsError: see :func:`.smpl_file.read_model`.
            RuntimeSetupError: the package ``smplx`` is not installed.
        """
        return cls(*read_model(path), gender_of(path))

    def rest(self, shape: Tensor) -> RestBody:
        """The body of a person with betas (P,) in the rest pose, a T: float64."""
        still = torch.eye(3, dtype=torch.float64).expand(1, len(self.bone_names), 3, 3)
        vertices, joints = self._forward(self._template + self._per_beta @ shape.double(), still)
        tails = self._tails(joints[0].numpy(), float(vertices[..., 2].max()))
        return RestBody(vertices[0], joints[0], torch.from_numpy(tails))

    def pose(self, rest: RestBody, local: Tensor, translation: Tensor) -> Tensor:
        """(T, V, 3) posed vertices from (T, J, 3, 3) world-aligned local rotations and (T, 3) root positions."""
        vertices, joints = self._forward(rest.vertices_m, local)
        return vertices + (translation - joints[:, 0])[:, None]

    def _forward(self, vertices: Tensor, local: Tensor) -> tuple[Tensor, Tensor]:
        """smplx's skinning with pose correctives of a body whose shape is in its vertices already."""
        kind = local.dtype
        return self._lbs(
            torch.zeros((len(local), 1), dtype=kind),
            local,
            vertices.to(kind),
            torch.zeros((*vertices.shape, 1), dtype=kind),
            self.correctives.flatten(1).to(kind),
            self._regressor.to(kind),
            torch.tensor(self.bone_parents),
            self._weights.to(kind),
            pose2rot=False,
        )

    def joints(self) -> tuple[Array, Array]:
        """(J, 3) joints of the average person at rest, and (J, 3, P) how they move with the betas, metres."""
        moves = torch.einsum("jv,vip->jip", self._regressor, self._per_beta)
        return (self._regressor @ self._template).numpy(), moves.numpy()

    def stature(self) -> tuple[float, Array]:
        """Height of the average person at rest, and (P,) how it changes with the betas, metres."""
        heights = self._template[:, 2]
        crown, sole = int(heights.argmax()), int(heights.argmin())
        return float(heights[crown] - heights[sole]), (self._per_beta[crown, 2] - self._per_beta[sole, 2]).numpy()

    def bones(self, rest: RestBody) -> tuple[Array, Array]:
        """Tails and axes of a person's bones: Z to the front, or up where the bone itself points to the front."""
        heads, tails = rest.heads_m.numpy(), rest.tails_m.numpy()
        y = (tails - heads) / np.linalg.norm(tails - heads, axis=-1, keepdims=True)
        named = zip(self.bone_names, self.bone_groups, strict=True)
        level = [group.startswith(("Foot", "Hand")) or name.startswith(("jaw", "eye")) for name, group in named]
        z = np.where(np.array(level)[:, None], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0])
        x = np.cross(y, z)
        x /= np.linalg.norm(x, axis=-1, keepdims=True)
        return tails, np.stack([x, y, np.cross(x, y)], -1)

    def _tails(self, heads: Array, crown_m: float) -> Array:
        """(J, 3) tails of bones with these heads: the joint that comes next, or where the part ends."""
        tails = heads.copy()
        for bone, name in enumerate(self.bone_names):
            along = heads[bone] - heads[self.bone_parents[bone]]
            stem, dot, side = name.partition(".")
            next_joint = self._points_to(stem)
            if next_joint:
                tails[bone] = heads[self.bone_names.index(f"{next_joint}{dot}{side}")]
            elif stem == "pelvis":
                tails[bone, 2] = heads[self.bone_names.index("spine1"), 2]
            elif stem == "head":
                tails[bone, 2] = max(crown_m, tails[bone, 2] + 0.05)
            elif stem == "foot":
                tails[bone, 1] -= 0.5 * np.linalg.norm(along)
            elif stem == "eye":
                tails[bone, 1] -= 0.03
            elif stem == "jaw":
                tails[bone] += (0.0, -0.07, -0.04)
            else:  # the last bone of a finger, and SMPL's whole hand, go on as the one before
                tails[bone] += 0.8 * along
        return tails

    def _points_to(self, stem: str) -> str:
        if stem == "wrist":
            return "middle1" if "middle1.L" in self.bone_names else "hand"
        if stem in _POINTS_TO:
            return _POINTS_TO[stem]
        return f"{stem[:-1]}{int(stem[-1]) + 1}" if stem[-1] in "12" else ""


def pose_features(local: Tensor) -> Tensor:
    """(T, J, 3, 3) world-aligned local rotations to the (T, 9 (J - 1)) numbers that pose correctives answer to."""
    return (local[:, 1:] - torch.eye(3, dtype=local.dtype)).flatten(1)


def _betas(family: Family, columns: int) -> int:
    """How many shape values to use.  SMPL-X keeps expressions behind its shapes: 300 and 100, or 10 and 10."""
    if family.name == "SMPL-X":
        columns = 300 if columns >= 400 else min(columns, 10)
    return min(columns, MAX_BETAS)


def _strongest(weights: NDArray[Any]) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
    """(V, S) bones and weights: all that carry a vertex by more than a hundred-thousandth."""
    used = np.where(weights > _MIN_WEIGHT, weights, 0.0)
    most = int((used > 0).sum(1).max())
    bones = np.argsort(-used, axis=1, kind="stable")[:, :most]
    kept = np.take_along_axis(used, bones, 1)
    return bones.astype(np.int16), (kept / kept.sum(1, keepdims=True)).astype(np.float32)


def _forward_pass() -> Callable[..., tuple[Tensor, Tensor]]:
    try:
        from smplx.lbs import lbs
    except ImportError as error:
        raise RuntimeSetupError(
            "smplx-missing",
            "Bodies of the SMPL family need the package smplx, which the worker's Python has not.",
            f"Install it with: {sys.executable} -m pip install --no-deps smplx==0.1.28",
        ) from error
    return lbs
