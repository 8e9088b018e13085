"""Number arrays out of a pickle, without running anything that it asks for.

SMPL and SMPL-H are distributed as pickles of Python 2 with chumpy and scipy objects inside.  Unpickling calls whatever
a file names, so here every name becomes an inert stand-in that only keeps its arguments and its state; names that no
body model needs are refused.  The arrays are put together afterwards from those parts: numpy's own, scipy's compressed
columns, chumpy's plain values and selections (https://github.com/mattloper/chumpy: ``Ch.x``, ``reordering.Select``).
"""

from __future__ import annotations

import math
import mmap
import pickle
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from amr_blender.contract.errors import SettingsError

MAX_FILE_BYTES = 1 << 30
MAX_VALUES = 1 << 26
"""Of one array: four times what the largest, the 486 pose correctives of SMPL-X, needs."""

_NUMPY = ("numpy.core", "numpy._core")
_ALLOWED = frozenset(
    [(f"{core}.multiarray", name) for core in _NUMPY for name in ("_reconstruct", "scalar")]
    + [(f"{core}.numeric", "_frombuffer") for core in _NUMPY]
    + [("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")]
    + [("scipy.sparse.csc", "csc_matrix"), ("scipy.sparse._csc", "csc_matrix")]
    + [(module, "_reconstructor") for module in ("copy_reg", "copyreg")]
    + [(module, name) for module in ("__builtin__", "builtins") for name in ("object", "set")]
)
_NEEDLESS = (
    *(pickle.PERSID, pickle.BINPERSID, pickle.EXT1, pickle.EXT2, pickle.EXT4),
    *(pickle.NEXT_BUFFER, pickle.READONLY_BUFFER),
)
_NUMBER = re.compile(r"[biuf][1248]")


class Refused(pickle.UnpicklingError):
    """The pickle names something that a body model has no use for."""


class _Inert:
    """Stands for what the pickle wanted to be called or made."""

    __slots__ = ("args", "state")
    args: tuple[Any, ...]
    state: Any
    what = ""

    def __new__(cls, *args: Any, **_: Any) -> _Inert:
        made = object.__new__(cls)
        made.args, made.state = args, None
        return made

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Table(dict[Any, Any]):
    """A dictionary with plain keys: hashing a tuple of tuples of a million levels would end the process."""

    def __setitem__(self, key: Any, value: Any) -> None:
        if not isinstance(key, str | bytes | int | float | None):
            raise pickle.UnpicklingError("a key is no name")
        super().__setitem__(key, value)


class _Bag(_Inert):
    """A set, whose members nobody needs."""

    def add(self, member: Any) -> None: ...


def _dictionary(reader: Any) -> None:
    reader.append(_Table())


def _marked_dictionary(reader: Any) -> None:
    items, table = reader.pop_mark(), _Table()
    for key, value in zip(items[::2], items[1::2], strict=True):
        table[key] = value
    reader.append(table)


def _set(reader: Any) -> None:
    reader.append(_Bag())


def _marked_set(reader: Any) -> None:
    reader.pop_mark()
    reader.append(_Bag())


class _Unpickler(pickle._Unpickler):
    """Python's own in Python: the one in C allocates what a file announces for its memo before it has it."""

    dispatch: ClassVar[dict[int, Any]] = {
        **{code: step for code, step in pickle._Unpickler.dispatch.items() if bytes([code]) not in _NEEDLESS},
        pickle.BYTEARRAY8[0]: pickle._Unpickler.dispatch[pickle.BINBYTES8[0]],  # its own allocates first
        pickle.EMPTY_DICT[0]: _dictionary,
        pickle.DICT[0]: _marked_dictionary,
        pickle.EMPTY_SET[0]: _set,
        pickle.FROZENSET[0]: _marked_set,
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED and module.partition(".")[0] != "chumpy":
            raise Refused(f"{module}.{name}")
        # A class of its own each time: whatever the pickle does to it concerns no other.
        return type("Inert", (_Inert,), {"__slots__": (), "what": f"{module}.{name}"})


def load_arrays(path: Path, wanted: Iterable[str]) -> dict[str, NDArray[Any]]:
    """Those of the ``wanted`` number arrays that the pickled dictionary at ``path`` holds, sparse ones filled.

    Raises:
        SettingsError: no such file, too large, no such pickle, damaged, or it asks for what no body model needs.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise _unusable(path, "is larger than any body model")
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            # mmap reads no further than the file goes, whatever the pickle announces.
            model = _Unpickler(content, encoding="latin1").load()
        if not isinstance(model, dict):
            raise ValueError("no dictionary")
        return {name: _array(model[name]) for name in wanted if name in model}
    except SettingsError:
        raise
    except Refused as error:
        name = "".join(c if c.isprintable() else "?" for c in str(error))[:80]
        raise SettingsError(
            "body-file-refused",
            f"'{path.name}' asks for '{name}', which no body model needs; nothing of it was run.",
            "Use the file as its makers distribute it, and none of unknown origin.",
        ) from error
    except OSError as error:
        raise _unusable(path, f"can't be read: {error.strerror or error}") from error
    except Exception as error:  # a damaged pickle raises almost anything
        raise _unusable(path, "is damaged, or no body model") from error


def _unusable(path: Path, why: str) -> SettingsError:
    return SettingsError("body-file-unusable", f"'{path.name}' {why}.", "Download the body model's file again.")


def _array(value: Any, depth: int = 0) -> NDArray[Any]:
    """The number array that ``value`` stands for."""
    if not isinstance(value, _Inert) or depth > 8:
        raise ValueError("no array")
    what, state, args = value.what, value.state, value.args
    if what.endswith("._reconstructor"):  # how the protocols before 2 write any object
        what = args[0].what
    name = what.rpartition(".")[2]
    if name == "_reconstruct":
        shape, dtype, fortran, raw = state[-4:]
        return _from_bytes(raw, dtype, shape, "F" if fortran else "C")
    if name == "_frombuffer":
        return _from_bytes(*args)
    if name == "scalar":
        return _from_bytes(args[1], args[0], (), "C")
    if name == "csc_matrix":
        return _filled(state, depth)
    if what.startswith("chumpy."):
        if "x" in state:
            return _array(state["x"], depth + 1)
        source = _array(state["a"], depth + 1)
        if "idxs" in state:
            source = source.ravel()[_array(state["idxs"], depth + 1)]
        shape = state.get("preferred_shape", state.get("newshape", source.shape))
        return source.reshape(tuple(map(int, shape)) if isinstance(shape, tuple | list) else int(shape))
    raise ValueError(f"{what} holds no array")


def _from_bytes(raw: Any, dtype: Any, shape: Any, order: Any) -> NDArray[Any]:
    """A copy of the numbers, in this machine's byte order."""
    kind = _type(dtype)
    data, sizes = _bytes(raw), _sizes(shape)
    if math.prod(sizes) * kind.itemsize != len(data):
        raise ValueError("an array announces another size than it has")
    array = np.frombuffer(data, kind).reshape(sizes, order="F" if order == "F" else "C")
    return array.astype(kind.newbyteorder("="))


def _type(value: Any) -> np.dtype[Any]:
    if not isinstance(value, _Inert) or value.what != "numpy.dtype" or not _NUMBER.fullmatch(str(value.args[0])):
        raise ValueError("an array does not hold numbers")
    order = value.state[1] if value.state is not None else "="
    return np.dtype(str(value.args[0])).newbyteorder(">" if order == ">" else "<" if order == "<" else "=")


def _bytes(raw: Any) -> bytes:
    if isinstance(raw, _Inert) and raw.what == "_codecs.encode":  # how Python 3 writes bytes for Python 2
        raw = raw.args[0]
    return raw.encode("latin1") if isinstance(raw, str) else bytes(memoryview(raw))


def _sizes(shape: Any) -> tuple[int, ...]:
    sizes = tuple(int(n) for n in (shape if isinstance(shape, tuple | list) else [shape]))
    if any(n < 0 for n in sizes) or math.prod(sizes) > MAX_VALUES:
        raise ValueError("an array is too large")
    return sizes


def _filled(state: Any, depth: int) -> NDArray[Any]:
    """A matrix of compressed sparse columns, with its zeros; equal entries add up, as scipy has it."""
    rows, columns = _sizes(state["_shape"] if "_shape" in state else state["shape"])
    data, row, start = (_array(state[name], depth + 1) for name in ("data", "indices", "indptr"))
    counts = np.diff(start.astype(np.int64))
    if len(start) != columns + 1 or start[0] != 0 or (counts < 0).any() or not len(data) == len(row) == start[-1]:
        raise ValueError("a sparse matrix does not hold together")
    if len(row) and (row.min() < 0 or row.max() >= rows):
        raise ValueError("a sparse matrix points outside itself")
    full = np.zeros((rows, columns))
    np.add.at(full, (row, np.repeat(np.arange(columns), counts)), data)
    return full
