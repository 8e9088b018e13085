"""Reads a user's file of SMPL, SMPL-H or SMPL-X as untrusted input: numbers that fit together, or one sentence why not.

Source: Loper et al., "SMPL: A Skinned Multi-Person Linear Model", 2015; Romero et al., "Embodied Hands", 2017;
Pavlakos et al., "Expressive Body Capture", 2019.  The files are licensed for research by those who made them and never
come with the add-on.
"""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amr_blender.contract.errors import SettingsError
from amr_blender.contract.npz import read_array, read_header
from amr_blender.contract.take import MAX_VERTICES

from .safe_pickle import MAX_FILE_BYTES, MAX_VALUES, load_arrays

Z_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""The models' axes (Y up, facing +Z) to the take's (Z up, facing -Y)."""

_BODY = (
    "pelvis", "hip.L", "hip.R", "spine1", "knee.L", "knee.R", "spine2", "ankle.L", "ankle.R", "spine3", "foot.L",
    "foot.R", "neck", "collar.L", "collar.R", "head", "shoulder.L", "shoulder.R", "elbow.L", "elbow.R", "wrist.L",
    "wrist.R",
)  # fmt: skip
BODY_JOINTS = len(_BODY)
"""The first joints, which all three models share."""
_BODY_PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19)
_FINGERS = tuple(f"{finger}{part}" for finger in ("index", "middle", "pinky", "ring", "thumb") for part in (1, 2, 3))
_NEEDED = ("v_template", "f", "J_regressor", "kintree_table", "weights", "posedirs", "shapedirs")
_TEXTURE = ("vt", "ft")


@dataclass(frozen=True)
class Family:
    """One of the three models."""

    name: str
    amass: str
    """Its ``surface_model_type`` in AMASS."""
    licence: str
    joints: tuple[str, ...]
    """In the model's own order, ``.L``/``.R`` suffixed; the first is the root."""
    parents: tuple[int, ...]


def _family(name: str, amass: str, site: str, face: tuple[str, ...], hand: tuple[str, ...]) -> Family:
    joints, parents = [*_BODY, *face], [*_BODY_PARENTS, *[_BODY.index("head")] * len(face)]
    for side in ("L", "R"):
        for joint in hand:
            parents.append(len(joints) - 1 if joint[-1] in "23" else _BODY.index(f"wrist.{side}"))
            joints.append(f"{joint}.{side}")
    return Family(name, amass, f"non-commercial research, see {site}", tuple(joints), tuple(parents))


FAMILIES = (
    _family("SMPL", "smpl", "smpl.is.tue.mpg.de", (), ("hand",)),
    _family("SMPL-H", "smplh", "mano.is.tue.mpg.de", (), _FINGERS),
    _family("SMPL-X", "smplx", "smpl-x.is.tue.mpg.de", ("jaw", "eye.L", "eye.R"), _FINGERS),
)


def read_model(path: Path) -> tuple[dict[str, NDArray[Any]], Family]:
    """The arrays of a model file under the names that they have there, checked, and which model it is.

    Texture coordinates (``vt`` and ``ft``) are there only where the file has them.

    Args:
        path: ``.pkl`` or ``.npz`` of SMPL, SMPL-H or SMPL-X.

    Raises:
        SettingsError: no such file, none of these models, damaged, or it wants something run.
    """
    arrays = _read_npz(path) if zipfile.is_zipfile(path) else load_arrays(path, (*_NEEDED, *_TEXTURE))
    missing = [name for name in _NEEDED if name not in arrays]
    if missing:
        raise _no_model(path, f"it has no '{missing[0]}'")
    joints = arrays["J_regressor"].shape[:1]
    family = next((f for f in FAMILIES if (len(f.joints),) == joints), None)
    if family is None:
        raise _no_model(path, f"its 'J_regressor' has the shape {arrays['J_regressor'].shape}")
    _check_shapes(path, arrays, len(family.joints))
    if arrays["kintree_table"][0, 1:].tolist() != list(family.parents[1:]):
        raise _no_model(path, "its joints form another tree")
    if arrays["f"].min() < 0 or arrays["f"].max() >= len(arrays["v_template"]):
        raise _no_model(path, "its faces point outside the mesh")
    if arrays["weights"].min() < -1e-3 or np.abs(arrays["weights"].sum(1) - 1).max() > 1e-2:
        raise _no_model(path, "its skin weights do not sum to one")
    if not _has_texture(arrays):
        arrays = {name: array for name, array in arrays.items() if name not in _TEXTURE}
    return arrays, family


def gender_of(path: Path) -> str:
    """``female``, ``male`` or ``neutral``, by the names under which the files are distributed."""
    for name in (path.stem, path.parent.name):
        words = set(re.split(r"[^a-z]+", name.lower()))
        for gender in ("neutral", "female", "male"):
            if words & {gender, gender[0]}:
                return gender
    return "neutral"


def _no_model(path: Path, why: str) -> SettingsError:
    return SettingsError(
        "body-file-unusable",
        f"'{path.name}' is no SMPL, SMPL-H or SMPL-X model: {why}.",
        "Choose a file of one of them as its makers distribute it.",
    )


def _read_npz(path: Path) -> dict[str, NDArray[Any]]:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise _no_model(path, "it is larger than any of them")
        arrays = {}
        with zipfile.ZipFile(path) as archive:
            infos = {info.filename: info for info in archive.infolist()}
            for name in (*_NEEDED, *_TEXTURE):
                if f"{name}.npy" in infos:
                    header = read_header(archive, infos[f"{name}.npy"])
                    if np.prod(header[0], dtype=float) > MAX_VALUES or header[2].kind not in "biuf":
                        raise _no_model(path, f"its '{name}' is too large, or no numbers")
                    arrays[name] = read_array(archive, name, header)
        return arrays
    except SettingsError:
        raise
    except Exception as error:  # a damaged archive raises BadZipFile, zlib.error, EOFError, RuntimeError ...
        raise SettingsError(
            "body-file-unusable", f"'{path.name}' is damaged, or no model.", "Download the body model's file again."
        ) from error


def _check_shapes(path: Path, arrays: dict[str, NDArray[Any]], joints: int) -> None:
    count, faces = arrays["v_template"].shape[:1], arrays["f"].shape[:1]
    shapes: dict[str, tuple[str, tuple[int | None, ...]]] = {
        "v_template": ("f", (*count, 3)),
        "f": ("iu", (*faces, 3)),
        "J_regressor": ("f", (joints, *count)),
        "kintree_table": ("iu", (2, joints)),
        "weights": ("f", (*count, joints)),
        "posedirs": ("f", (*count, 3, 9 * (joints - 1))),
        "shapedirs": ("f", (*count, 3, None)),
    }
    for name, (kinds, shape) in shapes.items():
        have = arrays[name].shape
        if len(have) != len(shape) or any(n not in (None, m) for n, m in zip(shape, have, strict=True)) or 0 in have:
            raise _no_model(path, f"its '{name}' has the shape {have}")
        if arrays[name].dtype.kind not in kinds or not np.isfinite(arrays[name]).all():
            raise _no_model(path, f"its '{name}' holds other values than numbers of its kind")
    if max(count[0], faces[0] // 2) > MAX_VERTICES:
        raise _no_model(path, "its mesh is too large")


def _has_texture(arrays: dict[str, NDArray[Any]]) -> bool:
    """Whether usable texture coordinates come with the file, as they do with SMPL-X's."""
    if not all(name in arrays for name in _TEXTURE):
        return False
    points, corners = arrays["vt"], arrays["ft"]
    return (
        (points.ndim, points.dtype.kind, corners.dtype.kind in "iu") == (2, "f", True)
        and points.shape[1] == 2
        and corners.shape == arrays["f"].shape
        and bool(np.isfinite(points).all())
        and 0 <= int(corners.min()) <= int(corners.max()) < len(points)
    )
