"""Talking to the person at the terminal: a line per step, a moving line for what takes long, one line for a failure."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

QUIET_INTERVAL_S = 30.0
"""Where output goes to a file (CI), a step that lasts tells so this often."""


class BuildError(Exception):
    """An expected failure: one line that says what happened and what to do."""


class CommandFailed(BuildError):
    """A child process failed; ``lines`` are the last it printed."""

    def __init__(self, message: str, lines: list[str]) -> None:
        super().__init__(message)
        self.lines = lines


def say(text: str) -> None:
    print(text, flush=True)


class Step:
    """A step with a progress line: ``with Step("Installing packages") as step: step.detail = "3 of 40"``."""

    def __init__(self, title: str) -> None:
        self._title = title
        self.detail = ""
        self._live = sys.stdout.isatty() and not os.environ.get("CI")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> Step:
        self._start = time.monotonic()
        say(f"{self._title} ...") if not self._live else None
        self._thread.start()
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._stop.set()
        self._thread.join()
        if self._live:
            print("\r\033[K", end="")
        if error is None:
            say(f"{self._title}: done in {_duration(time.monotonic() - self._start)}")

    def _tick(self) -> None:
        while not self._stop.wait(0.2 if self._live else QUIET_INTERVAL_S):
            elapsed = _duration(time.monotonic() - self._start)
            line = " · ".join(part for part in (self._title, self.detail, elapsed) if part)
            if self._live:
                width = shutil.get_terminal_size().columns
                print("\r\033[K" + line[: width - 1], end="", flush=True)
            else:
                say("  " + line)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{int(seconds) // 60} min {int(seconds) % 60} s"


def run_logged(
    command: list[str],
    log: Path,
    on_line: Callable[[str], None] = lambda line: None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> None:
    """Run ``command`` with all its output going to ``log``; it ends with us.

    Raises:
        CommandFailed: it can't be started, or returns non-zero.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    tail: deque[str] = deque(maxlen=60)
    with log.open("a", encoding="utf-8") as stream:
        stream.write("$ " + " ".join(command) + "\n")
        try:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
                cwd=cwd,
                env=dict(env) if env is not None else None,
            )
        except OSError as error:
            raise CommandFailed(f"{command[0]} can't be started: {error.strerror}.", []) from error
        try:
            for line in child.stdout or ():
                stream.write(line)
                tail.append(line.rstrip())
                on_line(line)
            code = child.wait()
        except BaseException:
            child.kill()
            child.wait()
            raise
    if code:
        raise CommandFailed(f"'{' '.join(command[:4])} ...' failed with exit code {code}; see {log}.", list(tail))
