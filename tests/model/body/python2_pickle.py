"""Pickles as Python 2 wrote them, with chumpy and scipy objects inside, and without either package."""

from __future__ import annotations

import io
import pickle
import struct
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def _make(module: str, name: str) -> type:
    return type(name, (), {"__module__": module, "__init__": lambda self, **state: self.__dict__.update(state)})


Ch = _make("chumpy.ch", "Ch")
Select = _make("chumpy.reordering", "Select")
MatVecMult = _make("chumpy.ch", "MatVecMult")
CscMatrix = _make("scipy.sparse.csc", "csc_matrix")
_CLASSES = (Ch, Select, MatVecMult, CscMatrix)


def chumpy(x: Array) -> Any:
    """What ``chumpy.Ch(x)`` pickles: its value, and what its bookkeeping leaves."""
    return Ch(x=x, _dirty_vars={"x"}, _itr=None, _make_dense=False, _make_sparse=False, _depends_on_deps={})


def chumpy_part(x: Array, idxs: Array, shape: tuple[int, ...]) -> Any:
    """What a slice of a chumpy array pickles."""
    return Select(a=chumpy(x), idxs=idxs, preferred_shape=shape, _dirty_vars=set(), _itr=7)


def sparse(full: Array) -> Any:
    """A ``scipy.sparse.csc_matrix`` as old versions of scipy pickle it."""
    columns, rows = np.nonzero(full.T)
    start = np.concatenate([[0], np.cumsum((full != 0).sum(0))]).astype(np.int32)
    indices = rows.astype(np.int32)
    return CscMatrix(data=full[rows, columns], indices=indices, indptr=start, _shape=full.shape, format="csc")


class _Python2(pickle._Pickler):
    """Writes text and bytes as Python 2's ``str``."""

    dispatch = dict(pickle._Pickler.dispatch)

    def save_str(self: Any, value: str | bytes) -> None:
        data = value if isinstance(value, bytes) else value.encode("latin1")
        if self.bin:
            self.write(pickle.BINSTRING + struct.pack("<i", len(data)) + data)
        else:
            self.write(pickle.STRING + repr(data)[1:].encode("ascii") + b"\n")
        self.memoize(value)

    dispatch[bytes] = dispatch[str] = save_str  # type: ignore[assignment]


@contextmanager
def _importable() -> Iterator[None]:
    """The pickler looks every class up under its name; nothing of this is left afterwards."""
    known = dict(sys.modules)
    try:
        for cls in _CLASSES:
            parts = cls.__module__.split(".")
            for depth in range(1, len(parts) + 1):
                name = ".".join(parts[:depth])
                if depth == len(parts) or name not in sys.modules:
                    fake = types.ModuleType(name)
                    fake.__dict__.update(getattr(sys.modules.get(name), "__dict__", {}))
                    sys.modules[name] = fake
            setattr(sys.modules[cls.__module__], cls.__name__, cls)
        yield
    finally:
        sys.modules.clear()
        sys.modules.update(known)


def dump(value: Any, path: Path, protocol: int = 2) -> Path:
    stream = io.BytesIO()
    with _importable():
        _Python2(stream, protocol).dump(value)
    path.write_bytes(stream.getvalue())
    return path
