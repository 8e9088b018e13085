"""The take: one reconstructed person, self-contained, as one ``.npz`` without pickle.

The Blender side builds the whole scene from it and needs no body model.  T frames, B bones, V vertices,
F faces, L landmarks, K corrective shape keys.  A file is read as untrusted input: every member's announced
size is checked before anything is allocated, object arrays are refused, shapes must agree.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import TakeError
from .files import written_whole
from .npz import Header, read_array, read_header

TAKE_VERSION = 1
MAX_TAKE_BYTES = 8 << 30
MAX_NAME_LENGTH = 256
# A small file may not make the reader allocate much: beyond the allowance, only so many times its own size.
_ALLOWANCE_BYTES, _MAX_RATIO, _MAX_META_BYTES = 512 << 20, 400, 16 << 20
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
    (the job's), ``person`` (index, count), ``actor_height_m``, ``height_source`` and ``focal_source`` (``given``,
    ``metadata``, ``scene lines``, ``estimated`` or ``assumed``), ``body`` (name, licence), ``warnings`` (list of
    {code, message}), ``amr_version``. May hold ``camera`` (focal_px, focal_low_px, focal_high_px, pitch_deg, roll_deg,
    height_m) and ``camera_motion`` (verdict: ``still``, ``moves`` or ``unknown``; kind, largest_shift in parts of the
    picture's longer side, known_share, frames: first and last of the worst second)."""
    frames: Array
    """(T,) int32: source frame numbers from 0, increasing."""
    time_s: Array
    """(T,) float64: presentation times in the source."""
    present: Array
    """(T,) bool: the person was seen. A frame that is neither seen nor ``filled`` is empty: its pose means nothing, the
    scene gets no keys there, and ``joints12_cam_m`` is NaN."""

    bone_names: Array
    """(B,) str: ``.L``/``.R`` suffixed. Bone 0 is ``root``, on the ground; bone 1 is ``hips``, its child."""
    bone_parents: Array
    """(B,) int16: -1 for bone 0; parents precede children."""
    bone_rest: Array
    """(B, 4, 4) float32: rest pose in armature space as Blender has it: Y along the bone, origin at its head."""
    bone_length_m: Array
    """(B,) float32."""
    bone_groups: Array
    """(B,) str: name of the bone collection: ``Root``, ``Torso``, ``Head``, ``Arm.L``, ``Hand.L``, ``Leg.L`` ..."""

    vertices_m: Array
    """(V, 3) float32: rest mesh of this person, armature space."""
    quads: Array
    """(F, 4) int32: the corners of each face.  A triangle repeats its third corner as the fourth."""
    uvs: Array | None
    """(F, 4, 2) float32: per face corner, a triangle's fourth unused; None where the body model has none."""
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
    """(T, 12, 3) float32 in the order of ``JOINT12_NAMES``; NaN in empty frames."""
    joint_confidence: Array
    """(T, 12) float32 in 0..1."""
    contact_names: Array
    """(C,) str, e.g. ``foot.L``."""
    contacts: Array
    """(T, C) float32: probability that the part rests on the ground."""

    filled: Array | None = None
    """(T,) bool: not seen, but bridged from the frames on both sides; None if no frame is."""
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

    @property
    def posed(self) -> Array:
        """(T,) bool: frames that have a pose, seen or filled in; the others are empty."""
        posed: Array = self.present if self.filled is None else self.present | self.filled
        return posed


_OPTIONAL = (
    "uvs", "filled", "refinement_basis", "refinement_weights", "refinement_error_mm", "attention", "uncertainty_mm",
)  # fmt: skip
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
    "filled": ("b", ("T",)),
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
    arrays: dict[str, Array] = {n: getattr(take, n) for n in _ARRAYS if getattr(take, n) is not None}
    _check_meta(take.meta)
    sizes = _check_shapes({name: (array.dtype, array.shape) for name, array in arrays.items()})
    for name, array in arrays.items():
        if array.dtype.kind == "f" and name not in _NAN_ALLOWED and not np.isfinite(array).all():
            raise _fail("take-invalid", f"The take's '{name}' holds values that are not numbers.")
    if (np.diff(take.frames.astype(np.int64)) <= 0).any() or take.frames[0] < 0:
        raise _fail("take-invalid", "The take's frame numbers do not increase.")
    if (np.diff(take.time_s) < 0).any():
        raise _fail("take-invalid", "The take's frame times run backwards.")
    if take.filled is not None:
        if (take.filled & take.present).any():
            raise _fail("take-invalid", "The take has frames that are both seen and filled in.")
        if not np.isfinite(take.joints12_cam_m[take.filled]).all():
            raise _fail("take-invalid", "The take has filled-in frames without joints.")
    parents = take.bone_parents.astype(np.int64)
    if parents[0] != -1 or (parents[1:] < 0).any() or (parents >= np.arange(len(parents))).any():
        raise _fail("take-invalid", "The take's bones are not in parent-first order.")
    for name in ("bone_names", "bone_groups", "shape_names", "contact_names"):
        _check_names(name, getattr(take, name))
    for name, top in (("quads", sizes["V"]), ("skin_bones", sizes["B"])):
        array = getattr(take, name)
        if array.size and (array.min() < 0 or array.max() >= top):
            raise _fail("take-invalid", f"The take's '{name}' points outside the mesh or the rig.")
    a, b, c, d = take.quads.T
    if ((a == b) | (b == c) | (c == a) | (d == a) | (d == b)).any():
        raise _fail("take-invalid", "The take's 'quads' holds faces that are neither triangles nor quads.")
    if take.K[0, 0] <= 0 or take.K[1, 1] <= 0:
        raise _fail("take-invalid", "The take's camera has no focal length.")
    if np.abs(np.linalg.norm(take.rotations, axis=-1) - 1).max() > 1e-2:
        raise _fail("take-invalid", "The take holds rotations that are not unit quaternions.")


def _check_shapes(headers: Mapping[str, tuple[np.dtype[Any], tuple[int, ...]]]) -> dict[str, int]:
    """Compare announced types and shapes with ``_SPEC``; returns the sizes that the letters stand for."""
    sizes: dict[str, int] = {}
    for name, (kind, shape) in _SPEC.items():
        if name not in headers:
            if name in _OPTIONAL:
                continue
            raise _fail("take-incomplete", f"The take has no '{name}'.")
        dtype, have = headers[name]
        ok_kind = dtype.kind == kind or (kind == "i" and dtype.kind == "u")
        if not ok_kind or len(have) != len(shape):
            raise _fail("take-invalid", f"The take's '{name}' has the wrong type or number of dimensions.")
        if kind == "U" and dtype.itemsize > 4 * MAX_NAME_LENGTH:
            raise _fail("take-too-large", f"The take's '{name}' is larger than the add-on accepts.")
        for letter, size in zip(shape, have, strict=True):
            expected = letter if isinstance(letter, int) else sizes.setdefault(letter, size)
            if expected != size:
                raise _fail("take-invalid", f"The take's '{name}' has shape {have}, which does not fit the rest.")
            if isinstance(letter, str) and size > _LIMITS.get(letter, MAX_VERTICES):
                raise _fail("take-too-large", f"The take's '{name}' is larger than the add-on accepts.")
    for letter, what in (("T", "frames"), ("B", "bones"), ("V", "vertices")):
        if sizes[letter] == 0:
            raise _fail("take-empty", f"The take holds no {what}.")
    return sizes


def _check_names(name: str, array: Array) -> None:
    try:
        names = [str(n) for n in array.tolist()]
        "".join(names).encode()
    except (ValueError, SystemError) as error:  # numpy keeps code points that are no characters
        raise _fail("take-invalid", f"The take's '{name}' holds text that can't be read.") from error
    if any("\0" in n or not n for n in names):
        raise _fail("take-invalid", f"The take's '{name}' holds an empty name.")
    if name != "bone_groups" and len(set(names)) != len(names):
        raise _fail("take-invalid", f"The take's '{name}' holds a name twice.")


def _check_meta(meta: Mapping[str, Any]) -> None:
    source, warnings = meta.get("source"), meta.get("warnings")
    ok = (
        isinstance(source, dict)
        and isinstance(source.get("name"), str)
        and all(_is_positive(source.get(n)) for n in ("width", "height", "fps"))
        and isinstance(meta.get("settings"), dict)
        and isinstance(warnings, list)
        and all(isinstance(w, dict) and {"code", "message"} <= set(w) for w in warnings)
    )
    if not ok:
        raise _fail("take-invalid", "The take does not say what it was made from.")


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")


def save(take: Take, path: Path) -> None:
    """Validate ``take`` and write it to ``path`` in one step: the file appears whole or not at all.

    Raises:
        TakeError: the take is inconsistent, or can't be written.
    """
    validate(take)
    arrays = {name: getattr(take, name) for name in _ARRAYS if getattr(take, name) is not None}
    meta = json.dumps({"take_version": TAKE_VERSION, **take.meta}, sort_keys=True)
    try:
        with written_whole(path) as stream:
            np.savez_compressed(stream, meta=np.array(meta), **arrays)
    except OSError as error:
        raise unwritable(path, error) from error


def unwritable(path: Path, error: OSError) -> TakeError:
    """What to say when the take at ``path`` can't be written."""
    return TakeError(
        "take-unwritable",
        f"The take can't be written to {path.parent}: {error.strerror or error}.",
        "Free some space, or choose another folder for results in the add-on's preferences.",
    )


def load(path: Path) -> Take:
    """Read and validate a take.

    Raises:
        TakeError: no such file, not a take, truncated, of another version, too large, or inconsistent.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            meta = _read_meta(archive)
            headers = _read_headers(archive, path.stat().st_size)
            values = {name: read_array(archive, name, header) for name, header in headers.items() if name != "meta"}
    except TakeError:
        raise
    except FileNotFoundError as error:
        raise _fail("take-missing", f"There is no take at {path}.") from error
    except MemoryError as error:
        raise _fail("take-too-large", f"{path.name} does not fit into memory.", "Close other programs.") from error
    except Exception as error:  # a damaged archive raises BadZipFile, zlib.error, EOFError, RuntimeError ...
        raise _fail("take-corrupt", f"{path.name} is not a take, or is damaged.") from error
    take = Take(meta=meta, **{n: values.get(n) for n in _ARRAYS})  # type: ignore[arg-type]
    validate(take)
    return take


def _read_meta(archive: zipfile.ZipFile) -> dict[str, Any]:
    """The take's JSON, and before anything else whether this version can be read at all."""
    info = archive.getinfo("meta.npy")
    if info.file_size > _MAX_META_BYTES:
        raise ValueError("its description is too long")
    header = read_header(archive, info)
    if header[2].kind != "U" or header[0] != ():
        raise ValueError("its description is no text")
    meta = json.loads(str(read_array(archive, "meta", header)))
    version = meta.pop("take_version")
    if version != TAKE_VERSION:
        raise _fail("take-version", f"This is a take of version {version}, the add-on reads version {TAKE_VERSION}.")
    return dict(meta)


def _read_headers(archive: zipfile.ZipFile, size_bytes: int) -> dict[str, Header]:
    """Type and shape of every array, checked before anything is allocated for one."""
    infos = archive.infolist()
    names = [i.filename for i in infos]
    if len(set(names)) != len(names) or not set(names) <= {f"{n}.npy" for n in _ARRAYS} | {"meta.npy"}:
        raise ValueError("it holds members that no take has")
    announced = sum(i.file_size for i in infos)
    if announced > min(MAX_TAKE_BYTES, _ALLOWANCE_BYTES + _MAX_RATIO * size_bytes):
        raise _fail("take-too-large", "The take is larger than the add-on accepts.")
    headers = {i.filename[:-4]: read_header(archive, i) for i in infos}
    _check_shapes({name: (dtype, shape) for name, (shape, _, dtype) in headers.items()})
    return headers
