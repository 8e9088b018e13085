"""All methods on all clips, each pair once: what was scored before by the same code is read from the cache."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from tqdm import tqdm

from amr_blender.contract.errors import AmrError, PersonError, VideoError
from model.cache import key

from . import score as scores
from .conditions import conditions_of
from .context import Context
from .methods import Method
from .motion import nothing
from .score import Score
from .suites import Clip

_SHOWN_ONLY = frozenset(
    {"charts.py", "command.py", "compare.py", "figures.py", "html.py", "report.py", "statistics.py", "tables.py"}
)
"""Modules that present scores and do not make them."""
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Scored:
    """One clip by one method."""

    clip: Clip
    method: Method
    score: Score
    digest: str
    """Of the clip's footage and truth."""


def code_digest() -> str:
    """Hex digest of the code that scores are made by, apart from the inference core, which ``fingerprint`` covers."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if path.name not in _SHOWN_ONLY:
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def file_digest(paths: Iterable[Path]) -> str:
    """Hex digest of files' contents.

    Raises:
        AmrError: one can't be read.
    """
    digest = hashlib.sha256()
    for path in paths:
        try:
            with open(path, "rb") as file:
                while block := file.read(_BLOCK_BYTES):
                    digest.update(block)
        except OSError as error:
            raise AmrError(
                "clip-unreadable", f"{path} can't be read ({error.strerror}).", "Make or copy the clip again."
            ) from error
    return digest.hexdigest()


def run(clips: Sequence[Clip], methods: Sequence[Method], context: Context, progress: Progress) -> list[Scored]:
    """Score every method on every clip, in this order.

    A method that finds nobody, or nothing to work on, in a clip is told in its score; all frames count as missing.

    Raises:
        AmrError: a clip's truth can't be read, the assets are missing, or something else is in the way.
    """
    code = code_digest()
    done: list[Scored] = []
    for clip in clips:
        digest = file_digest([clip.video, *clip.files])
        names = [key(method.name, clip.suite, clip.name, digest, context.engine, code) for method in methods]
        paths = [context.cache / "scores" / f"{name}.npz" for name in names]
        kept = [scores.load(path) for path in paths]
        if None in kept:
            progress.show(f"{clip.suite}/{clip.name}: reading the truth")
            truth, given = clip.load()
            conditions = conditions_of(truth, given)
        for method, path, one in zip(methods, paths, kept, strict=True):
            progress.show(f"{clip.suite}/{clip.name}: {method.name}")
            if one is None:
                try:
                    estimate, failure = method.run(clip, truth, context), ""
                except (PersonError, VideoError) as error:
                    estimate, failure = nothing(truth), error.message
                one = scores.score(truth, estimate, conditions, failure)
                scores.save(one, path)
            done.append(Scored(clip, method, one, digest[:16]))
            progress.step()
    return done


class Progress:
    """A bar on a terminal, a line for each step elsewhere; a context manager."""

    def __init__(self, total: int) -> None:
        self._bar: Any = tqdm(total=total, unit="score", file=sys.stderr) if sys.stderr.isatty() else None
        self._total, self._done = total, 0

    def show(self, what: str) -> None:
        """Say what is being done."""
        if self._bar is not None:
            self._bar.set_description(what)
        else:
            print(f"{what} ({self._done}/{self._total})", file=sys.stderr, flush=True)

    def stage(self, stage: str, done: int, total: int) -> None:
        """Pass this as ``report`` to the context."""
        if self._bar is not None:
            self._bar.set_postfix_str(f"{stage} {done}/{total}")

    def step(self) -> None:
        """One clip by one method is done."""
        self._done += 1
        if self._bar is not None:
            self._bar.set_postfix_str("", refresh=False)
            self._bar.update()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
