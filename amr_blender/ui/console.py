"""A progress line in the terminal for jobs that a script runs without a window."""

import contextlib
import sys

import bpy

from . import text


@contextlib.contextmanager
def progress():
    """Yields ``show(run, _)``, which draws one line for the state of a run; silent inside a window."""
    if not bpy.app.background:
        yield lambda *_: None
        return
    stream, terminal = sys.stderr, sys.stderr.isatty()
    shown = [""]

    def show(run, _=None):
        line = text.stage(run.stage)
        if terminal:
            bar = "#" * round(20 * run.fraction)
            line = f"{line:<22} [{bar:<20}] {run.fraction:4.0%} {run.done}/{run.total} {text.time_left(run.eta_s)}"
        if line != shown[0]:
            print(f"\r{line:<78}" if terminal else line, end="" if terminal else "\n", file=stream, flush=True)
        shown[0] = line

    try:
        yield show
    finally:
        if terminal:
            print(file=stream)
