"""Progress on the command line: tqdm's bar where a person looks at it, else a line for each stage."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any, TextIO

from model.progress import Meter, Step

_RESOLUTION = 1000


class Bar:
    """A progress bar over all stages on standard error; a context manager."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._meter = Meter(self._show)
        self._stage = ""
        self._bar: Any = None
        if self._stream.isatty():
            try:
                from tqdm import tqdm
            except ImportError:  # not needed for running, so an environment may lack it
                return
            form = "{l_bar}{bar}| {elapsed}{postfix}"
            self._bar = tqdm(total=_RESOLUTION, file=self._stream, bar_format=form, leave=False)

    def report(self, stage: str, done: int, total: int) -> None:
        """Pass this as ``report`` to the pipeline."""
        self._meter.report(stage, done, total)

    def warn(self, code: str, message: str) -> None:
        """Pass this as ``warn`` to the pipeline."""
        text = f"warning: {message}"
        if self._bar is not None:
            self._bar.write(text, file=self._stream)
        else:
            print(text, file=self._stream, flush=True)

    def _show(self, step: Step) -> None:
        if self._bar is not None:
            left = "" if step.eta_s is None else f", {step.eta_s:.0f} s left"
            self._bar.set_description(step.stage, refresh=False)
            self._bar.set_postfix_str(f"{step.done}/{step.total}{left}", refresh=False)
            self._bar.update(int(step.fraction * _RESOLUTION) - self._bar.n)
        elif step.stage != self._stage:
            print(f"{step.stage} ... ({step.fraction:.0%})", file=self._stream, flush=True)
        self._stage = step.stage

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
