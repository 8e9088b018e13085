"""Where reusable results lie in the cache folder: the worker fills it, the add-on shows its size and clears it."""

from __future__ import annotations

from pathlib import Path

KINDS = ("people", "landmarks", "takes")
"""Sub-folders, one for each kind of result, from the first to the last of the pipeline."""


def entry(folder: Path, kind: str, key: str) -> Path:
    """The file of one result.  ``key`` is a hex digest."""
    if kind not in KINDS:
        raise ValueError(f"no such kind of result: {kind}")
    return folder / kind / f"{key}.npz"


def is_entry(name: str) -> bool:
    """Whether a file in one of the sub-folders is ours, so that clearing never touches anything else."""
    stem, dot, suffix = name.partition(".")
    return dot == "." and suffix == "npz" and len(stem) == 32 and set(stem) <= set("0123456789abcdef")
