"""An installed extension in small: the real bridge, worker and contract under another name, a stand-in for ``model``.

The process boundary is the subject of these tests, so what the worker computes is a few lines of each test's own.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent, indent
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent

PRELUDE = """
import errno, os, signal, subprocess, sys, time
from pathlib import Path

def list_people(job, report, warn, tell_device):
    return [{"index": 0, "share": 1.0, "frame_start": 0, "frame_end": 3, "thumbnail": ""}]

def leave_partials(job):
    for folder in job.written_folders():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"amr-{os.getpid()}-00000000.partial").write_bytes(b"half")
"""


def write_extension(folder: Path, *body: str) -> Path:
    """Lay out an extension in ``folder`` whose ``reconstruct`` has ``body``; returns ``folder``."""
    for part in ("contract", "bridge", "worker"):
        source = ROOT / "amr_blender" / part
        shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    # What makes the add-on an add-on must never run in the worker.
    (folder / "__init__.py").write_text("import bpy\n")
    model = folder / "model"
    model.mkdir()
    (model / "__init__.py").touch()
    shutil.copy(ROOT / "model" / "progress.py", model)
    lines = indent("\n".join(dedent(part).strip("\n") for part in body), "    ")
    (model / "pipeline.py").write_text(f"{PRELUDE}\ndef reconstruct(job, report, warn, tell_device):\n{lines}\n")
    return folder


@dataclass
class Extension:
    """The add-on's side of an extension laid out by :func:`write_extension`, imported as Blender does."""

    folder: Path
    scratch: Path
    process: ModuleType
    job: Any

    def worker(self, python: Path | str = sys.executable, **settings: Any) -> Any:
        return self.process.WorkerProcess(Path(python), self.job, self.scratch, **settings)


def load_extension(folder: Path, work: Path) -> Extension:
    """Import the bridge of the extension under the long name that Blender gives it."""
    name = f"bl_ext_tests.{folder.parent.name}_{time.monotonic_ns()}"
    for package, path in ((name.partition(".")[0], []), (name, [str(folder)])):
        spec = importlib.machinery.ModuleSpec(package, None, is_package=True)
        spec.submodule_search_locations = path
        sys.modules[package] = importlib.util.module_from_spec(spec)
    process = importlib.import_module(f"{name}.bridge.process")
    job_class = importlib.import_module(f"{name}.contract.job").Job
    (work / "clip.mp4").touch()
    job = job_class(video=str(work / "clip.mp4"), out=str(work / "takes" / "take.npz"), cache=str(work / "cache"))
    return Extension(folder, work / "scratch", process, job)


def forget_extensions() -> None:
    """Undo :func:`load_extension`."""
    for name in [n for n in sys.modules if n.startswith("bl_ext_tests")]:
        del sys.modules[name]


def follow(worker: Any, seconds: float = 20.0) -> list[Any]:
    """Poll ``worker`` to its end; returns all messages."""
    messages: list[Any] = []
    until = time.monotonic() + seconds
    while worker.running:
        assert time.monotonic() < until, f"no end after {seconds} s: {messages[-3:]}"
        messages += worker.poll()
        time.sleep(0.02)
    return messages


def wait_for(condition: Any, seconds: float = 10.0) -> None:
    """Wait until ``condition()`` holds."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


def exists(pid: int) -> bool:
    """Whether a process is there at all, as a zombie too."""
    return Path(f"/proc/{pid}").exists()


def files_below(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir())
