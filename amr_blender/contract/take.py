"""The take: one reconstructed person, self-contained, as one ``.npz`` without pickle.

The Blender side builds the whole scene from it and needs no body model.  T frames, B bones, V vertices,
F quads, L landmarks, K corrective shape keys.  A file is read as untrusted input: every member's announced
size is checked before anything is allocated, object arrays are refused, shapes must agree.
"""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from .errors import TakeError

TAKE_VERSION = 1
MAX_TAKE_BYTES = 8 << 30
MAX_FRAMES, MAX_BONES, MAX_VERTICES, MAX_SHAPE_KEYS = 500_000, 4096, 500_000, 1024

JOINT12_NAMES = (
    "r_ankle", "r_knee", "r_hip", "l_hip", "l_knee", "l_ankle",
    "r_wrist", "r_elbow", "r_shoulder", "l_shoulder", "l_elbow", "l_wrist",
)  # fmt: skip

Array = NDArray[Any]


@dataclass
class Take:
    """Arrays of one take.  Fields that end in ``| None`` are absent until something real fills them."""

    meta: dict[str, Any]
    """JSON object: ``source`` (name, width, height, fps, frame_count, rotation_deg, sha256), ``settings``
    (the job's), ``person`` (index, count), ``actor_height_m``, ``height_source`` and ``focal_source``
    (``given``, ``metadata`` or ``assumed``), ``body`` (name, licence), ``warnings`` (list of {code, message}),
    ``amr_version``."""
    frames: Array
    """(T,) int32: source frame numbers from 0, increasing."""
    time_s: Array
    """(T,) float64: presentation times in the source."""
    present: Array
    """(T,) bool: the person was seen. Where False the pose is filled in and ``joints12_cam_m`` is NaN."""

    bone_names: Array
    """(B,) str: ``.L``/``.R`` suffixed. Bone 0 is ``root``, on the ground; bone 1 is ``hips``, its child."""
    bone_parents: Array
    """(B,) int16: -1 for bone 0; parents precede children."""
    bone_rest: Array
    """(B, 4, 4) float32: rest pose in armature space as Blender has it: Y along the bone, origin at its head."""
    bone_length_m: Array
    """(B,) float32."""
    bone_groups: Array
    """(B,) str: name of the bone collection (``Root``, ``Torso``, ``Head``, ``Arm.L``, ``Hand.L``, ``Leg.L``, ``Foot.L`` ...)."""

    vertices_m: Array
    """(V, 3) float32: rest mesh of this person, armature space."""
    quads: Array
    """(F, 4) int32."""
    uvs: Array
    """(F, 4, 2) float32: per face corner."""
    skin_bones: Array
    """(V, S) int16: bone indices, linear blend skinning."""
    skin_weights: Array
    """(V, S) float32: sum to 1; 0 where unused."""
    shape_names: Array
    """(P,) str: names of the body model's shape parameters."""
    shape_values: Array
    """(P,) float32."""

    rotations: Array
    """(T, B, 4) float32 wxyz: each bone's rotation in its own rest frame (Blender's ``rotation_quaternion``),
    continuous in time. Bone 0 is the identity."""
    translation_m: Array
    """(T, 3) float32: world position of the head of ``hips``."""

    K: Array
    """(3, 3) float64: pinhole matrix in pixels of the upright frame."""
    camera_to_world: Array
    """(T, 4, 4) float64: OpenCV camera to Blender world."""

    landmarks_px: Array
    """(T, L, 2) float32: 2D landmarks; NaN where not present."""
    landmark_confidence: Array
    """(T, L) float32 in 0..1."""
    joints12_cam_m: Array
    """(T, 12, 3) float32 in the order of ``JOINT12_NAMES``; NaN where nobody was seen."""
    joint_confidence: Array
    """(T, 12) float32 in 0..1."""
    contact_names: Array
    """(C,) str, e.g. ``foot.L``."""
    contacts: Array
    """(T, C) float32: probability that the part rests on the ground."""

    refinement_basis: Array | None = None
    """(K, V, 3) float32: corrective offsets in the rest pose."""
    refinement_weights: Array | None = None
    """(T, K) float32."""
    refinement_error_mm: Array | None = None
    """() float32: largest vertex error of the truncated basis."""
    attention: Array | None = None
    """(T, V) float16 in 0..1: where the network looks and computes."""
    uncertainty_mm: Array | None = None
    """(T, V) float16: calibrated expected error."""


    @property
    def frame_count(self) -> int:
        return len(self.frames)


_OPTIONAL = ("refinement_basis", "refinement_weights", "refinement_error_mm", "attention", "uncertainty_mm")
_ARRAYS = tuple(f.name for f in fields(Take) if f.name != "meta")
_NAN_ALLOWED = ("landmarks_px", "joints12_cam_m")
# name: (kind, shape); letters are sizes that must agree, S and L, C, P are free.
_SPEC: dict[str, tuple[str, tuple[int | str, ...]]] = {
    "frames": ("i", ("T",)),
    "time_s": ("f", ("T",)),
    "present": ("b", ("T",)),
    "bone_names": ("U", ("B",)),
    "bone_parents": ("i", ("B",)),
    "bone_rest": ("f", ("B", 4, 4)),
    "bone_length_m": ("f", ("B",)),
    "bone_groups": ("U", ("B",)),
    "vertices_m": ("f", ("V", 3)),
    "quads": ("i", ("F", 4)),
    "uvs": ("f", ("F", 4, 2)),
    "skin_bones": ("i", ("V", "S")),
    "skin_weights": ("f", ("V", "S")),
    "shape_names": ("U", ("P",)),
    "shape_values": ("f", ("P",)),
    "rotations": ("f", ("T", "B", 4)),
    "translation_m": ("f", ("T", 3)),
    "K": ("f", (3, 3)),
    "camera_to_world": ("f", ("T", 4, 4)),
    "landmarks_px": ("f", ("T", "L", 2)),
    "landmark_confidence": ("f", ("T", "L")),
    "joints12_cam_m": ("f", ("T", 12, 3)),
    "joint_confidence": ("f", ("T", 12)),
    "contact_names": ("U", ("C",)),
    "contacts": ("f", ("T", "C")),
    "refinement_basis": ("f", ("K", "V", 3)),
    "refinement_weights": ("f", ("T", "K")),
    "refinement_error_mm": ("f", ()),
    "attention": ("f", ("T", "V")),
    "uncertainty_mm": ("f", ("T", "V")),
}
_LIMITS = {"T": MAX_FRAMES, "B": MAX_BONES, "V": MAX_VERTICES, "F": 2 * MAX_VERTICES, "K": MAX_SHAPE_KEYS}
_REMEDY = "Reconstruct the clip again."


def _fail(code: str, message: str, remedy: str = _REMEDY) -> TakeError:
    return TakeError(code, message, remedy)


def validate(take: Take) -> None:
    """Raise :class:`TakeError` unless shapes, kinds, finiteness and topology of ``take`` hold together."""
    sizes: dict[str, int] = {}
    for name, (kind, shape) in _SPEC.items():
        array = getattr(take, name)
        if array is None:
            if name in _OPTIONAL:
                continue
            raise _fail("take-incomplete", f"The take has no '{name}'.")
        _check_array(name, array, kind, shape, sizes)
    if sizes["T"] == 0:
        raise _fail("take-empty", "The take holds no frames.")
    frames, parents = take.frames, take.bone_parents
    if (np.diff(frames) <= 0).any() or frames[0] < 0:
        raise _fail("take-invalid", "The take's frame numbers do not increase.")
    if (np.diff(take.time_s) < 0).any():
        raise _fail("take-invalid", "The take's frame times run backwards.")
    if parents[0] != -1 or (parents[1:] < 0).any() or (parents >= np.arange(len(parents))).any():
        raise _fail("take-invalid", "The take's bones are not in parent-first order.")
    if len(set(take.bone_names.tolist())) != len(take.bone_names):
        raise _fail("take-invalid", "The take has two bones of one name.")
    for name, top in (("quads", sizes["V"]), ("skin_bones", sizes["B"])):
        array = getattr(take, name)
        if array.size and (array.min() < 0 or array.max() >= top):
            raise _fail("take-invalid", f"The take's '{name}' points outside the mesh or the rig.")
    if np.abs(np.linalg.norm(take.rotations, axis=-1) - 1).max() > 1e-2:
        raise _fail("take-invalid", "The take holds rotations that are not unit quaternions.")


def _check_array(name: str, array: Array, kind: str, shape: tuple[int | str, ...], sizes: dict[str, int]) -> None:
    ok_kind = array.dtype.kind == kind or (kind == "i" and array.dtype.kind == "u")
    if not ok_kind or array.ndim != len(shape):
        raise _fail("take-invalid", f"The take's '{name}' has the wrong type or number of dimensions.")
    for want, have in zip(shape, array.shape, strict=True):
        expected = want if isinstance(want, int) else sizes.setdefault(want, have)
        if expected != have:
            raise _fail("take-invalid", f"The take's '{name}' has shape {array.shape}, which does not fit the rest.")
        if isinstance(want, str) and have > _LIMITS.get(want, MAX_VERTICES):
            raise _fail("take-too-large", f"The take's '{name}' is larger than the add-on accepts.")
    if kind == "f" and name not in _NAN_ALLOWED and not np.isfinite(array).all():
        raise _fail("take-invalid", f"The take's '{name}' holds values that are not numbers.")


def save(take: Take, path: Path) -> None:
    """Validate ``take`` and write it to ``path`` in one step: the file appears whole or not at all."""
    validate(take)
    arrays = {name: getattr(take, name) for name in _ARRAYS if getattr(take, name) is not None}
    meta = json.dumps({"take_version": TAKE_VERSION, **take.meta}, sort_keys=True)
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.stem + ".", suffix=".partial")
        with os.fdopen(handle, "wb") as stream:
            np.savez_compressed(stream, meta=np.array(meta), **arrays)
        os.replace(temporary, path)
    except OSError as error:
        raise TakeError(
            "take-unwritable",
            f"The take can't be written to {path.parent}: {error.strerror or error}.",
            "Free some space, or choose another cache folder in the add-on's preferences.",
        ) from error
    finally:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)


def load(path: Path) -> Take:
    """Read and validate a take.

    Raises:
        TakeError: no such file, not a take, truncated, of another version, too large, or inconsistent.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(archive)
            values = {info.filename[:-4]: _read_member(archive, info) for info in archive.infolist()}
    except FileNotFoundError as error:
        raise _fail("take-missing", f"There is no take at {path}.") from error
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, NotImplementedError) as error:
        raise _fail("take-corrupt", f"{path.name} is not a take, or is damaged ({error}).") from error
    except Exception as error:  # zlib.error and others of a damaged archive have no common base
        raise _fail("take-corrupt", f"{path.name} is damaged ({error}).") from error
    meta = _parse_meta(values.pop("meta", None), path)
    missing = [n for n in _ARRAYS if n not in values and n not in _OPTIONAL]
    if missing:
        raise _fail("take-incomplete", f"{path.name} has no '{missing[0]}'.")
    take = Take(meta=meta, **{n: values.get(n) for n in _ARRAYS})  # type: ignore[arg-type]
    validate(take)
    return take


def _parse_meta(array: Array | None, path: Path) -> dict[str, Any]:
    if array is None or array.dtype.kind != "U" or array.shape != ():
        raise _fail("take-corrupt", f"{path.name} is not a take.")
    try:
        meta = json.loads(str(array))
        version = meta.pop("take_version")
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise _fail("take-corrupt", f"{path.name} is not a take.") from error
    if version != TAKE_VERSION:
        raise _fail("take-version", f"{path.name} is a take of version {version}, this add-on reads {TAKE_VERSION}.")
    return dict(meta)


def _check_members(archive: zipfile.ZipFile) -> None:
    infos = archive.infolist()
    known = {f"{n}.npy" for n in _ARRAYS} | {"meta.npy"}
    names = [i.filename for i in infos]
    if len(set(names)) != len(names) or not set(names) <= known:
        raise ValueError("it holds members that no take has")
    if sum(i.file_size for i in infos) > MAX_TAKE_BYTES:
        raise _fail("take-too-large", "The take is larger than the add-on accepts.")


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Array:
    """One array, read only if its header announces exactly the bytes that the archive holds."""
    with archive.open(info) as stream:
        version = npy_format.read_magic(stream)
        reader = npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
        shape, fortran, dtype = reader(stream)
        if dtype.hasobject or dtype.kind not in "biufU":
            raise ValueError(f"{info.filename} holds objects")
        count = 1
        for size in shape:
            count *= size
        header_bytes = stream.tell()
        if count * dtype.itemsize + header_bytes != info.file_size:
            raise ValueError(f"{info.filename} announces another size than it has")
        data = stream.read(count * dtype.itemsize)
    if len(data) != count * dtype.itemsize:
        raise ValueError(f"{info.filename} is truncated")
    array = np.frombuffer(data, dtype=dtype).reshape(shape, order="F" if fortran else "C")
    return array.astype(dtype.newbyteorder("="), copy=True)
