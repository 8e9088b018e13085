"""Files that appear whole or not at all, and how to find what a killed process left half-written."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_PREFIX, _SUFFIX = "amr-", ".partial"


@contextmanager
def written_whole(path: Path) -> Iterator[IO[bytes]]:
    """A stream whose content becomes ``path`` in one step when the block ends, and vanishes when it raises.

    The half-written file lies in the same folder and carries the process's number, so that the process that
    supervises this one can remove it after a kill (:func:`remove_partials`).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.parent / f"{_PREFIX}{os.getpid()}-{secrets.token_hex(4)}{_SUFFIX}"
    try:
        with open(partial, "xb") as stream:
            yield stream
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def is_partial(name: str) -> bool:
    """Whether ``name`` is a half-written file of any process of ours."""
    return name.startswith(_PREFIX) and name.endswith(_SUFFIX)


def remove_partials(folder: Path, pid: int) -> None:
    """Remove what the dead process ``pid`` left half-written in ``folder``.  Never raises."""
    try:
        leftovers = [p for p in folder.iterdir() if is_partial(p.name) and p.name.startswith(f"{_PREFIX}{pid}-")]
    except OSError:
        return
    for leftover in leftovers:
        try:
            leftover.unlink(missing_ok=True)
        except OSError:
            continue
