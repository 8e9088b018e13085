"""Checks and installations of the worker's Python that run beside Blender, and the timer that looks after them.

An application timer rather than a modal operator: closing the preferences window must not end an installation.
"""

from __future__ import annotations

import time
from pathlib import Path

import bpy

from ..bridge.install import Install, InstallState
from ..bridge.runtime import Probe, Report
from ..contract.errors import AmrError
from . import problems, redraw

INTERVAL_S = 0.1

_probe: Probe | None = None
_install: Install | None = None
_install_state: InstallState | None = None
_answers: dict[str, Report | AmrError] = {}
_sizes: dict[Path, tuple[float, int]] = {}


def check(python: Path) -> None:
    """Ask ``python`` for its versions; :func:`answer` has them some seconds later."""
    global _probe
    if _probe:
        _probe.cancel()
    _answers.pop(str(python), None)
    _probe = Probe(python)
    _probe.start()
    _ensure_timer()


def checking(python: Path) -> bool:
    return _probe is not None and _probe.python == python


def answer(python: Path) -> Report | AmrError | None:
    """What ``python`` said when it was last asked in this session."""
    return _answers.get(str(python))


def remember(python: Path, what: Report | AmrError) -> None:
    _answers[str(python)] = what


def install(task: Install) -> None:
    global _install, _install_state
    _install, _install_state = task, None
    task.start()
    _ensure_timer()


def installing() -> InstallState | None:
    """State of the installation under way."""
    return _install.poll() if _install else None


def last_installation() -> InstallState | None:
    """How the last installation of this session ended."""
    return _install_state


def forget_installation() -> None:
    global _install_state
    _install_state = None
    _answers.clear()


def cancel_install() -> None:
    if _install:
        _install.cancel()


def poll() -> None:
    """Take in what has finished.  Called by the timer."""
    global _probe, _install, _install_state
    if _probe and (outcome := _probe.poll()):
        _answers[str(_probe.python)] = outcome
        _probe = None
    if _install and (state := _install.poll()).finished:
        if state.error:
            problems.remember(state.error, host=f"Blender {bpy.app.version_string}", details=_install.diagnostics())
        _install, _install_state = None, state
    redraw.tag()


def stop() -> None:
    """End everything: the add-on is being disabled or Blender quits."""
    global _probe, _install
    for task in (_probe, _install):
        if task:
            task.cancel()
    _probe = _install = None
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)


def _ensure_timer() -> None:
    if not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, first_interval=INTERVAL_S, persistent=True)


def _tick() -> float | None:
    poll()
    return INTERVAL_S if _probe or _install else None


def remembered_size(folder: Path, measure: object, keep_s: float = 2.0) -> int:
    """``measure(folder)`` bytes, measured at most every ``keep_s`` seconds: ``draw`` asks often."""
    now = time.monotonic()
    at, size = _sizes.get(folder, (-1e9, 0))
    if now - at > keep_s and callable(measure):
        size = int(measure(folder))
        _sizes[folder] = (now, size)
    return size


def forget_sizes() -> None:
    _sizes.clear()
