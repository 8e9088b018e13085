"""The cache folder as the Preferences show it: its size, and Clear.  Standard library only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..contract.cache import KINDS, is_entry
from ..contract.files import is_partial


@dataclass(frozen=True)
class CacheSize:
    """What the cache holds: ``files`` results in ``size_bytes``."""

    files: int
    size_bytes: int


def _entries(folder: Path) -> Iterator[Path]:
    # The animator chooses this folder and may choose one with files of their own: only ours are seen.
    for kind in KINDS:
        try:
            children = list((folder / kind).iterdir())
        except OSError:
            continue
        for child in children:
            if (is_entry(child.name) or is_partial(child.name)) and not child.is_symlink() and child.is_file():
                yield child


def cache_size(folder: Path) -> CacheSize:
    """Count what lies in the cache at ``folder``; an absent or unreadable folder is empty.  Never raises."""
    files = size = 0
    for path in _entries(folder):
        try:
            size += path.stat().st_size
        except OSError:  # removed meanwhile
            continue
        files += 1
    return CacheSize(files, size)


def clear_cache(folder: Path) -> CacheSize:
    """Remove every result from the cache at ``folder`` and say what went.  Never raises.

    Files that can't be removed (in use on Windows, no permission) stay; :func:`cache_size` then tells of them.
    """
    files = size = 0
    for path in _entries(folder):
        try:
            freed = path.stat().st_size
            path.unlink()
        except OSError:
            continue
        files, size = files + 1, size + freed
    for kind in KINDS:
        try:
            (folder / kind).rmdir()
        except OSError:  # absent, or not empty
            continue
    return CacheSize(files, size)
