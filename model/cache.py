"""Reusable results on disk, by the hash of all that they depend on.  A cache that fails costs time, never a job."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import numpy as np

from amr_blender.contract import take as take_module
from amr_blender.contract.cache import KINDS, entry
from amr_blender.contract.errors import TakeError
from amr_blender.contract.files import is_partial, written_whole
from amr_blender.contract.take import Take
from amr_blender.contract.version import VERSION

T = TypeVar("T")
Warn = Callable[[str, str], None]

_MODEL = Path(__file__).resolve().parent
_CONTRACT = Path(take_module.__file__).resolve().parent
# Not shipped in the zip and without influence on a result.
_TOOLS = frozenset({"convert", "synth", "train", "evaluate", "__pycache__"})
_CODE = (".py", ".npz", ".safetensors")
_ABANDONED_S = 24 * 3600.0


def fingerprint(assets: Path, parts: Iterable[str] = ()) -> str:
    """Hex digest of the code and the weights that results come from, so that an update never reuses an older result.

    Args:
        assets: the folder with the converted networks and the body.
        parts: relative paths below ``model`` and asset names to look at alone; empty for everything.
    """
    wanted = tuple(parts)
    files = {f"model/{p.relative_to(_MODEL).as_posix()}": p for p in _MODEL.rglob("*") if p.suffix in _CODE}
    files = {n: p for n, p in files.items() if not _TOOLS & set(n.split("/")) and not n.startswith("model/assets/")}
    files |= {f"assets/{p.name}": p for p in assets.glob("*.npz")}
    if wanted:
        files = {n: p for n, p in files.items() if n.partition("/")[2].startswith(wanted)}
    files |= {f"contract/{p.name}": p for p in _CONTRACT.glob("*.py")}
    digest = hashlib.sha256(VERSION.encode())
    for name in sorted(files):
        digest.update(name.encode() + hashlib.sha256(files[name].read_bytes()).digest())
    return digest.hexdigest()


def key(*facts: object) -> str:
    """Hex digest that names a result by JSON-able ``facts``."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


class Cache:
    """Results in ``folder``; an empty ``folder`` keeps nothing.

    What can't be read, because it is damaged or of another make, counts as absent and is replaced.  What can't be
    written is told once through ``warn`` and the job goes on.
    """

    def __init__(self, folder: str, warn: Warn) -> None:
        self._folder, self._warn = Path(folder) if folder else None, warn
        self._told = False
        if self._folder:
            _remove_abandoned(self._folder)

    def take(self, key: str) -> Take | None:
        """The take kept under ``key``, checked."""
        if self._folder is None:
            return None
        path = entry(self._folder, "takes", key)
        try:
            return take_module.load(path) if path.is_file() else None
        except (TakeError, OSError):
            return None

    def copy_take(self, key: str, path: Path) -> None:
        """Put the take kept under ``key`` at ``path``.

        Raises:
            TakeError: ``path`` can't be written.
        """
        assert self._folder is not None
        try:
            _copy(entry(self._folder, "takes", key), path)
        except OSError as error:
            raise take_module.unwritable(path, error) from error

    def keep_take(self, key: str, path: Path) -> None:
        """Keep the take that lies at ``path``."""
        self._keep("takes", key, lambda target: _copy(path, target))

    def records(self, kind: str, key: str, cls: type[T]) -> list[T] | None:
        """The list of dataclasses ``cls`` kept under ``key``."""
        if self._folder is None:
            return None
        try:
            with np.load(entry(self._folder, kind, key), allow_pickle=False) as arrays:
                return [_unpack(arrays, f"{i}.", cls) for i in range(int(arrays["count"]))]
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
            return None
        except Exception:  # zlib.error has no base of its own
            return None

    def keep_records(self, kind: str, key: str, records: list[Any]) -> None:
        """Keep a list of dataclasses whose fields are arrays, numbers, text, tuples of numbers, or None."""
        arrays: dict[str, Any] = {"count": np.array(len(records))}
        for i, record in enumerate(records):
            for f in fields(record):
                value = getattr(record, f.name)
                if value is not None:
                    arrays[f"{i}.{f.name}"] = np.asarray(value)

        def write(target: Path) -> None:
            with written_whole(target) as stream:
                np.savez_compressed(stream, **arrays)

        self._keep(kind, key, write)

    def _keep(self, kind: str, key: str, write: Callable[[Path], None]) -> None:
        if self._folder is None:
            return
        try:
            write(entry(self._folder, kind, key))
        except OSError as error:
            if not self._told:
                self._told = True
                self._warn(
                    "cache-unwritable",
                    f"Results can't be kept in {self._folder} ({error.strerror or error}), so the next run starts "
                    "anew. Free some space, or choose another cache folder in the add-on's preferences.",
                )


def _unpack(arrays: Any, prefix: str, cls: type[T]) -> T:
    hints = get_type_hints(cls)
    values: dict[str, Any] = {}
    for f in fields(cls):  # type: ignore[arg-type]
        name = prefix + f.name
        if name not in arrays and type(None) in get_args(hints[f.name]):
            values[f.name] = None
            continue
        array = arrays[name]
        if array.ndim == 0:
            values[f.name] = array.item()
        elif get_origin(hints[f.name]) is tuple:
            values[f.name] = tuple(array.tolist())
        else:
            values[f.name] = array
    return cls(**values)


def _copy(source: Path, target: Path) -> None:
    with open(source, "rb") as reading, written_whole(target) as writing:
        shutil.copyfileobj(reading, writing, 1 << 20)


def _remove_abandoned(folder: Path) -> None:
    """A computer that lost power left half-written files that nobody else will remove."""
    for kind in KINDS:
        try:
            old = [p for p in (folder / kind).iterdir() if is_partial(p.name)]
            for path in old:
                if time.time() - path.stat().st_mtime > _ABANDONED_S:
                    path.unlink(missing_ok=True)
        except OSError:
            continue
