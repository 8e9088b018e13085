"""The virtual environments: made once from the locks, completed when interrupted, renewed when a lock changes."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from .console import BuildError, CommandFailed, Step, run_logged
from .layout import LOGS, REQUIREMENTS, ROOT, shown, venv_python


@dataclass(frozen=True)
class Environment:
    """A virtual environment and the locks it is made from."""

    folder: Path
    locks: tuple[str, ...]
    with_project: bool

    @property
    def python(self) -> Path:
        return venv_python(self.folder)

    def _stamp(self) -> str:
        digest = hashlib.sha256(f"{self.folder} {sys.version}".encode())
        for path in [REQUIREMENTS / name for name in self.locks] + [ROOT / "pyproject.toml"] * self.with_project:
            digest.update(path.read_bytes())
        return digest.hexdigest()

    def is_ready(self) -> bool:
        """Complete, of these locks, of this Python, and not moved here from elsewhere."""
        try:
            stamp = json.loads((self.folder / "amr-setup.json").read_text())["stamp"]
        except (OSError, ValueError, KeyError):
            return False
        return stamp == self._stamp() and self.python.exists()

    def ensure(self) -> None:
        """Make or complete the environment.

        Raises:
            BuildError: offline, a broken download, no space: one line and what to do.
        """
        if self.is_ready():
            return
        log = LOGS / f"{self.folder.name.lstrip('.')}.log"
        self._make(log)
        for name in self.locks:
            self._install(name, log)
        if self.with_project:
            # Without build isolation: setuptools is in the lock, nothing is downloaded.
            command = [*self._pip(), "install", "--no-deps", "--no-build-isolation", "--editable", str(ROOT)]
            with Step("Installing the project"):
                self._call(command, log)
        stamp = self.folder / "amr-setup.json"
        stamp.write_text(json.dumps({"stamp": self._stamp()}))

    def _pip(self) -> list[str]:
        # Two retries: an index that can't be reached at all is known after seconds, not minutes.
        return [str(self.python), "-m", "pip", "--disable-pip-version-check", "--no-input", "--retries", "2"]

    def _make(self, log: Path) -> None:
        config = self.folder / "pyvenv.cfg"
        version = re.search(r"^version *= *(\d+\.\d+)", config.read_text(), re.MULTILINE) if config.is_file() else None
        if version and version[1] == f"{sys.version_info[0]}.{sys.version_info[1]}" and self._runs():
            return
        if self.folder.exists():
            if not config.is_file():
                raise BuildError(f"{shown(self.folder)} is no virtual environment. Move it away and try again.")
            shutil.rmtree(self.folder)
        with Step(f"Making {shown(self.folder)}"):
            self._call([sys.executable, "-m", "venv", str(self.folder)], log)

    def _runs(self) -> bool:
        try:
            run_logged([str(self.python), "-m", "pip", "--version"], LOGS / "probe.log")
        except BuildError:
            return False
        return True

    def _install(self, name: str, log: Path) -> None:
        lock = REQUIREMENTS / name
        total = len(re.findall(r"^\S+==", lock.read_text(), re.MULTILINE))
        command = [*self._pip(), "install", "--no-deps", "--require-hashes", "--only-binary", ":all:", "-r", str(lock)]
        size = {"test.txt": ", about 0.7 GB", "torch.txt": ", about 0.2 GB", "bpy42.txt": ", about 0.4 GB"}.get(
            name, ""
        )
        with Step(f"Installing {shown(self.folder)} from {shown(lock)} ({total} pins{size})") as step:
            seen: set[str] = set()

            def follow(line: str) -> None:
                if found := re.match(r"\s*(?:Collecting|Requirement already satisfied:) ([\w.-]+)", line):
                    seen.add(found[1])
                    step.detail = f"{len(seen)} of {total}, {found[1]}"
                elif found := re.match(r"\s*Downloading \S*?([\w.-]+?)-\d\S* \((.+)\)", line):
                    step.detail = f"{len(seen)} of {total}, {found[1]} {found[2]}"
                elif line.startswith("Installing collected"):
                    step.detail = "unpacking"

            self._call(command, log, follow)

    def _call(self, command: list[str], log: Path, follow: object = None) -> None:
        try:
            if callable(follow):
                run_logged(command, log, follow, cwd=ROOT)
            else:
                run_logged(command, log, cwd=ROOT)
        except CommandFailed as error:
            raise explain_pip(error, log) from error


def explain_pip(error: CommandFailed, log: Path) -> BuildError:
    """One line and a remedy for what pip printed at length."""
    text = "\n".join(error.lines)
    if "DO NOT MATCH THE HASHES" in text:
        name = re.search(r"^\s+(\S+==\S+|\S+) from ", text, re.MULTILINE)
        what = name[1] if name else "A package"
        return BuildError(
            f"{what} that was downloaded is not the file we tested: broken on the way, or replaced. "
            "Run 'python3.11 -m pip cache purge' and try again."
        )
    if re.search(r"No space left on device|Errno 28", text):
        return BuildError("The disk is full. Free about 6 GB and run the same command again.")
    network = r"NewConnectionError|ConnectTimeout|ReadTimeout|ProxyError|SSLError|IncompleteRead|Name or service"
    if re.search(network + r"|Connection (?:broken|reset|refused|aborted)|Max retries", text):
        return BuildError(
            "The package index can't be reached or broke off. Check the connection and run the same command again; "
            "what is there already is kept."
        )
    if found := re.search(r"No matching distribution found for (\S+)", text):
        return BuildError(
            f"The package index has no {found[1]} for this computer: check pip's index settings (pip config list), "
            f"or use a platform that has it. Details: {shown(log)}"
        )
    last = next((line for line in reversed(error.lines) if line.startswith("ERROR")), error.lines[-1:] or ["no output"])
    return BuildError(f"pip failed: {last if isinstance(last, str) else last[0]} Details: {shown(log)}")


TEST = Environment(ROOT / ".venv", ("torch.txt", "test.txt"), with_project=True)
BPY42 = Environment(ROOT / ".venv-bpy42", ("bpy42.txt",), with_project=False)


def child_environment() -> dict[str, str]:
    """For our child processes: UTF-8 whatever the locale, and nothing of a Python that happens to be active."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
    return {**environment, "PYTHONUTF8": "1"}
