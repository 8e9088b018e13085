"""Starting a child process that can be ended whole, with all that it started, on every system."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

_WINDOWS = sys.platform == "win32"


def worker_environment(environment: Mapping[str, str], prefix: Path) -> dict[str, str]:
    """The environment for a Python that is not Blender's: nothing that steers another Python or Blender's libraries.

    Args:
        environment: Blender's own.
        prefix: ``sys.prefix``; inside Blender ``.../5.0/python``, whose grandparent holds Blender's libraries.
    """
    drop = ("PYTHON", "VIRTUAL_ENV", "__PYVENV", "CONDA_PYTHON")
    clean = {k: v for k, v in environment.items() if not k.upper().startswith(drop)}
    if prefix.name == "python":
        blender = prefix.parent.parent
        for name in ("LD_LIBRARY_PATH", "LD_PRELOAD", "DYLD_LIBRARY_PATH", "DYLD_INSERT_LIBRARIES"):
            entries = clean.pop(name, "").split(os.pathsep)
            kept = [e for e in entries if e and not Path(e).is_relative_to(blender)]
            if kept:
                clean[name] = os.pathsep.join(kept)
    # Apple's graphics backend lacks a few operations; torch then computes those on the processor instead of failing.
    clean.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")
    # Threads that spin while they wait cost a busy machine, and Blender beside the worker, several times the work.
    clean.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    return clean


def start(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, log: IO[bytes]
) -> subprocess.Popen[bytes]:
    """Start ``command`` at the head of a process group of its own, with pipes to its standard input and output.

    Raises:
        OSError: the program can't be started.
    """
    flags = 0
    if sys.platform == "win32":
        flags = (
            subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW | subprocess.BELOW_NORMAL_PRIORITY_CLASS
        )
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        cwd=folder,
        env=dict(environment),
        bufsize=0,
        creationflags=flags,
        start_new_session=not _WINDOWS,
    )


def kill(process: subprocess.Popen[bytes], wait_s: float = 1.0) -> None:
    """End ``process`` and everything that it started, at once, and reap it.  Never raises."""
    if sys.platform == "win32":
        if process.poll() is None:
            _taskkill(process.pid, wait_s)
    else:
        # The group outlives its head if a grandchild still runs, so it is signalled even after the head's end.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    with suppress(OSError):
        process.kill()
    with suppress(subprocess.TimeoutExpired):  # stuck in the kernel, say on a network drive: nothing can end it now
        process.wait(wait_s)


def _taskkill(pid: int, wait_s: float) -> None:
    # By its full path: the first taskkill on PATH may be anybody's.
    program = Path(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", "taskkill.exe")
    with suppress(OSError, subprocess.SubprocessError):
        subprocess.run(
            [str(program), "/PID", str(pid), "/T", "/F"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=wait_s,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            check=False,
        )
