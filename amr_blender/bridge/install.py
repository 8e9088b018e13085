"""Making the worker's Python: a venv, filled by pip from a hash-checked lock.  Standard library and contract only."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ..contract.errors import AmrError, Cancelled, RuntimeSetupError
from . import process_tree
from .runtime import MARKER, Probe, Report, half_installed, spawn, venv_python

NEEDED_BYTES = {"cpu": 2 << 30, "mps": 2 << 30, "cuda": 10 << 30}
"""Free space an installation asks for: the environment plus what pip downloads for it."""


@dataclass(frozen=True)
class InstallState:
    """Where an installation stands."""

    text: str = "Starting"
    fraction: float = 0.0
    finished: bool = False
    error: AmrError | None = None
    report: Report | None = None


def remove(folder: Path) -> None:
    """Delete the environment in ``folder`` and pip's downloads beside it.

    Raises:
        RuntimeSetupError: it is no environment, or a file is in use.
    """
    if folder.exists() and not (folder / "pyvenv.cfg").is_file():
        raise RuntimeSetupError(
            "runtime-not-ours", f"{folder} is not an environment that this add-on made.", "Delete it by hand."
        )
    removed = folder.with_name(folder.name + "-removed")
    try:
        if folder.exists():
            shutil.rmtree(removed, ignore_errors=True)
            folder.rename(removed)  # first, and whole: half a deletion must not look like an environment
        for target in (removed, _downloads(folder)):
            if target.exists():
                shutil.rmtree(target)
    except OSError as error:
        raise RuntimeSetupError(
            "runtime-in-use",
            f"The runtime can't be deleted: {error.strerror or error}.",
            "Close other Blender windows and try again.",
        ) from error


def _downloads(folder: Path) -> Path:
    return folder.parent / (folder.name + "-downloads")


class Install:
    """Makes an environment in the background: a venv of ``base_python``, then pip with every hash checked.

    What pip has downloaded stays beside the environment until the end, so that a cancelled or broken installation
    goes on where it stopped.
    """

    def __init__(self, base_python: Path, folder: Path, lock: Path, device: str) -> None:
        self._base, self._folder, self._lock, self._device = base_python, folder, lock, device
        self._state = InstallState()
        self._cancelled = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._log: list[str] = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def poll(self) -> InstallState:
        """Never blocks; ``finished`` once the thread has ended."""
        state = self._state
        return state if state.finished or self._thread.is_alive() else replace(state, finished=True)

    def wait(self) -> InstallState:
        self._thread.join()
        return self.poll()

    def cancel(self) -> None:
        """Stop at once.  Complete downloads stay for the next time."""
        self._cancelled.set()
        if self._child:
            process_tree.kill(self._child)

    def diagnostics(self) -> str:
        return "\n".join(self._log[-200:])

    def _run(self) -> None:
        try:
            self._check_space()
            if self._pip_version() is None:  # nothing there yet, or cancelled before it was whole
                self._make_venv()
            self._install_packages()
            self._tell("Checking", 0.98)
            probe = Probe(venv_python(self._folder))
            probe.start()
            report = probe.wait()
            lock_sha = hashlib.sha256(self._lock.read_bytes()).hexdigest()
            marker = {"lock": self._lock.name, "lock_sha256": lock_sha, "device": self._device}
            (self._folder / MARKER).write_text(json.dumps(marker), encoding="utf-8")
            shutil.rmtree(_downloads(self._folder), ignore_errors=True)
            self._state = InstallState("Installed", 1.0, True, None, report)
        except Cancelled:
            self._state = replace(self._state, text="Cancelled", finished=True)
        except AmrError as error:
            self._state = replace(self._state, finished=True, error=error)
        except OSError as error:
            failure = RuntimeSetupError(
                "runtime-install",
                f"The runtime can't be written to {self._folder}: {error.strerror or error}.",
                "Free some space or allow writing there, then press Install Runtime again.",
            )
            self._state = replace(self._state, finished=True, error=failure)

    def _check_space(self) -> None:
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        free, needed = shutil.disk_usage(self._folder.parent).free, NEEDED_BYTES[self._device]
        if free < needed and not half_installed(self._folder):
            raise RuntimeSetupError(
                "runtime-no-space",
                f"The runtime needs {needed >> 30} GB, {free / (1 << 30):.1f} GB are free on that disk.",
                "Free some space, then press Install Runtime again.",
            )

    def _make_venv(self) -> None:
        self._tell("Making the environment", 0.01)
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._call([str(self._base), "-I", "-m", "venv", str(self._folder)]):
            shutil.rmtree(self._folder, ignore_errors=True)
            hint = "Choose 'Use existing Python' instead."
            if sys.platform.startswith("linux") and any("ensurepip" in line for line in self._log):
                hint = "Install your distribution's package python3-venv, or choose 'Use existing Python' instead."
            raise RuntimeSetupError("runtime-venv", "Blender's Python could not make an environment.", hint)

    def _install_packages(self) -> None:
        python, downloads = venv_python(self._folder), _downloads(self._folder)
        counter = PipProgress(self._lock)
        command = [str(python), "-I", "-u", "-m", "pip", "install", "--require-hashes", "--only-binary", ":all:"]
        command += ["--no-input", "--disable-pip-version-check", "--cache-dir", str(downloads), "--timeout", "30"]
        command += ["--retries", "5", *self._newer_pip_flags(), "-r", str(self._lock)]
        if self._call(command, lambda line: self._tell(*counter.read(line))):
            raise _pip_failure(self._log)

    def _pip_version(self) -> tuple[int, int] | None:
        """Version of the environment's pip; None if there is no working environment."""
        python, seen = venv_python(self._folder), list[str]()
        if not python.is_file() or self._call([str(python), "-I", "-m", "pip", "--version"], seen.append):
            return None
        found = re.search(r"pip (\d+)\.(\d+)", " ".join(seen))
        return (int(found[1]), int(found[2])) if found else (0, 0)

    def _newer_pip_flags(self) -> list[str]:
        version = self._pip_version() or (0, 0)
        flags = ["--progress-bar", "raw"] if version >= (24, 1) else ["--progress-bar", "off"]
        return flags + (["--resume-retries", "5"] if version >= (25, 1) else [])

    def _call(self, command: list[str], on_line: Callable[[str], None] | None = None) -> int:
        if self._cancelled.is_set():
            raise Cancelled
        self._log.append("$ " + " ".join(command))
        self._child = child = spawn(command, stderr=subprocess.STDOUT)
        if self._cancelled.is_set():  # cancelled while the process started
            process_tree.kill(child)
        for raw in child.stdout or ():
            line = raw.decode("utf-8", "replace")
            if not line.startswith("Progress "):
                self._log.append(line.rstrip())
            if on_line:
                on_line(line)
        code = child.wait()
        if self._cancelled.is_set():
            raise Cancelled
        return code

    def _tell(self, text: str, fraction: float) -> None:
        self._state = replace(self._state, text=text, fraction=max(fraction, self._state.fraction))


def _weight(package: str) -> float:
    """Roughly how long a package takes, in units of a small one: the bar should move at an even pace."""
    heavy = {"torch": 20.0, "nvidia": 12.0, "triton": 8.0, "opencv": 4.0, "numpy": 2.0}
    return heavy.get(package.partition("-")[0].lower(), 1.0)


class PipProgress:
    """Turns pip's output into a text and a fraction of the whole installation."""

    def __init__(self, lock: Path) -> None:
        text = lock.read_text(encoding="utf-8")
        names = set(re.findall(r"^([A-Za-z0-9][\w.\-]*)(?:\[.*\])?\s*(?:==|@)", text, re.MULTILINE))
        self._total = max(1.0, sum(map(_weight, names)))
        self._before, self._name, self._installing = 0.0, "", False

    def read(self, line: str) -> tuple[str, float]:
        """Take in one line; returns what to show now."""
        line = line.strip()
        part, detail = 0.0, ""
        if collecting := re.match(r"(?:Collecting|Requirement already satisfied:) ([\w.\-]+)", line):
            self._before += _weight(self._name) if self._name else 0.0
            self._name = collecting[1]
        elif self._installing or line.startswith("Installing collected packages"):
            self._installing = True
            return "Installing the packages (this takes a minute)", 0.9
        elif amount := re.match(r"Progress (\d+) of (\d+)", line):
            done, total = int(amount[1]), max(1, int(amount[2]))
            part, detail = done / total, f", {done >> 20} of {total >> 20} MB"
        at = self._before + part * _weight(self._name)
        return f"Getting {self._name or 'the packages'}{detail}", 0.03 + 0.85 * min(1.0, at / self._total)


def _pip_failure(log: list[str]) -> RuntimeSetupError:
    text = "\n".join(log[-60:])
    if "THESE PACKAGES DO NOT MATCH THE HASHES" in text:
        return RuntimeSetupError(
            "runtime-hash",
            "A downloaded package is not the one that was tested.",
            "Press Remove, then Install Runtime again; if it happens again, report it.",
        )
    if re.search(r"No space left|not enough space", text, re.IGNORECASE):
        return RuntimeSetupError(
            "runtime-no-space", "The disk is full.", "Free some space, then press Install Runtime again."
        )
    if re.search(r"connection|timed out|resolve|network|proxy|SSL|Max retries|IncompleteRead", text, re.IGNORECASE):
        return RuntimeSetupError(
            "runtime-offline",
            "The download broke off.",
            "Check the connection and press Install Runtime again; what is complete is kept.",
        )
    errors = [line for line in log if line.startswith("ERROR:")] or log[-1:] or ["no output"]
    return RuntimeSetupError(
        "runtime-install",
        f"The packages could not be installed ({errors[-1][:200]}).",
        "Press Install Runtime again, choose another device, or choose 'Use existing Python'.",
    )
