"""The worker's Python: finding one and asking what it can do.  Standard library and contract only.

Three places can hold it: the ``.venv`` of a checkout, a Python the animator names, or an environment that
:mod:`.install` makes in the add-on's user folder from a lock that belongs to one Python version and one device.
Linux is tested for real; the branches for Windows and macOS are written to their documentation and untested.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from ..contract.errors import RuntimeSetupError
from . import process_tree

SUPPORTED = ((3, 11), (3, 12), (3, 13), (3, 14))
INSTALL_DEVICES = ("cpu", "cuda", "mps")
MARKER = "amr-runtime.json"
"""Written into an environment last, so that its presence means a complete installation."""

_PACKAGES = {"torch": "torch", "numpy": "numpy", "cv2": "opencv-python", "safetensors": "safetensors"}
_NAMES = "torch, numpy, opencv-python and safetensors"
_WINDOWS = sys.platform == "win32"
_PROBE = """
import json, sys
r = {"python": sys.version.split()[0], "device": "cpu"}
for name in ("torch", "numpy", "cv2", "safetensors"):
    try:
        r[name] = str(__import__(name).__version__)
    except Exception as e:
        r[name], r[name + "_error"] = None, f"{type(e).__name__}: {e}"
if r["torch"]:
    import torch
    if torch.cuda.is_available():
        r["device"] = "cuda"
    elif torch.backends.mps.is_available():
        r["device"] = "mps"
print("AMR" + json.dumps(r))
"""


def venv_python(folder: Path) -> Path:
    """The interpreter of the environment in ``folder``."""
    return folder / "Scripts" / "python.exe" if _WINDOWS else folder / "bin" / "python"


def checkout_python(package: Path) -> Path | None:
    """The ``.venv`` that ``build_addon.py setup`` made, where ``package`` is ``amr_blender/`` of a checkout."""
    root = package.resolve().parent
    python = venv_python(root / ".venv")
    return python if (root / "build_addon.py").is_file() and python.is_file() else None


def locks_folder(package: Path) -> Path:
    """Where the requirement locks lie: ``runtime/`` in the zip, ``addon_manifest/runtime/`` in a checkout."""
    inside = package / "runtime"
    return inside if inside.is_dir() else package.resolve().parent / "addon_manifest" / "runtime"


def best_device() -> str:
    """The device that an installation on this machine should aim at, guessed without torch."""
    if sys.platform == "darwin":
        return "mps"
    return "cuda" if shutil.which("nvidia-smi") else "cpu"


def find_lock(locks: Path, python: tuple[int, int], device: str) -> Path:
    """The lock for a Python version and a device.

    Raises:
        RuntimeSetupError: there is none.
    """
    path = locks / f"py{python[0]}{python[1]}-{device}.txt"
    if not path.is_file():
        name = f"Python {python[0]}.{python[1]} with {device.upper()} on {platform.system()}"
        raise RuntimeSetupError(
            "runtime-no-lock",
            f"There is no tested set of packages for {name}.",
            "Choose another device, or choose 'Use existing Python' in the add-on's preferences.",
        )
    return path


def installed_python(folder: Path) -> Path | None:
    """The interpreter in ``folder`` if an installation was completed there."""
    python = venv_python(folder)
    return python if (folder / MARKER).is_file() and python.is_file() else None


def half_installed(folder: Path) -> bool:
    """An installation began in ``folder`` and was not completed; a new one resumes it."""
    return (folder / "pyvenv.cfg").is_file() and not (folder / MARKER).is_file()


@dataclass(frozen=True)
class Report:
    """What a Python said about itself."""

    python: str
    torch: str
    numpy: str
    cv2: str
    device: str

    def sentence(self) -> str:
        return f"Python {self.python}, torch {self.torch} on {self.device.upper()}, OpenCV {self.cv2}"


def parse_report(python: Path, output: str, errors: str) -> Report:
    """Read what the probe printed.

    Raises:
        RuntimeSetupError: it is no Python, too old, or a package is missing or does not load.
    """
    lines = [line[3:] for line in output.splitlines() if line.startswith("AMR{")]
    if not lines:
        last = (errors.strip().splitlines() or ["it printed nothing"])[-1]
        raise RuntimeSetupError(
            "runtime-no-python",
            f"{python} did not answer like a Python ({last[:200]}).",
            f"Choose the python executable of an environment that holds {_NAMES}.",
        )
    data = json.loads(lines[-1])
    version = tuple(int(n) for n in data["python"].split(".")[:2])
    if version < SUPPORTED[0]:
        raise RuntimeSetupError(
            "runtime-old-python",
            f"{python} is Python {data['python']}, the worker needs 3.11 or later.",
            "Choose a newer Python, or press Install Runtime.",
        )
    for module, package in _PACKAGES.items():
        if not data.get(module):
            reason = data.get(module + "_error", "")
            missing = reason.startswith("ModuleNotFoundError")
            raise RuntimeSetupError(
                "runtime-incomplete",
                f"{python} has no {package}." if missing else f"{package} of {python} does not load ({reason[:200]}).",
                f"Run '{python} -m pip install {package}', choose another Python, or press Install Runtime.",
            )
    return Report(data["python"], data["torch"], data["numpy"], data["cv2"], data["device"])


class Probe:
    """Asks one Python, in the background, which versions it holds.  ``poll`` never blocks."""

    def __init__(self, python: Path, timeout_s: float = 120.0) -> None:
        self.python = python
        self._timeout_s = timeout_s
        self._child: subprocess.Popen[bytes] | None = None
        self._cancelled = threading.Event()
        self._outcome: Report | RuntimeSetupError | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def poll(self) -> Report | RuntimeSetupError | None:
        """None while it runs."""
        return None if self._thread.is_alive() else self._outcome

    def wait(self) -> Report:
        """Block until the answer is there.

        Raises:
            RuntimeSetupError: as :func:`parse_report`.
        """
        self._thread.join()
        if not isinstance(self._outcome, Report):
            raise self._outcome or RuntimeSetupError("runtime-no-python", "The check was stopped.", "Check again.")
        return self._outcome

    def cancel(self) -> None:
        self._cancelled.set()
        if self._child:
            process_tree.kill(self._child)

    def _run(self) -> None:
        try:
            self._outcome = self._ask()
        except RuntimeSetupError as error:
            self._outcome = error

    def _ask(self) -> Report:
        try:
            self._child = spawn([str(self.python), "-I", "-c", _PROBE], stderr=subprocess.PIPE)
            if self._cancelled.is_set():  # while it started
                process_tree.kill(self._child)
            output, errors = self._child.communicate(timeout=self._timeout_s)
        except subprocess.TimeoutExpired as error:
            self.cancel()
            raise RuntimeSetupError(
                "runtime-silent", f"{self.python} did not answer in {self._timeout_s:.0f} s.", "Choose another Python."
            ) from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise RuntimeSetupError(
                "runtime-no-python",
                f"{self.python} can't be started: {reason}.",
                f"Choose the python executable of an environment that holds {_NAMES}.",
            ) from error
        return parse_report(self.python, output.decode("utf-8", "replace"), errors.decode("utf-8", "replace"))


def spawn(command: list[str], stderr: int) -> subprocess.Popen[bytes]:
    """Start ``command`` as the head of a process group of its own, so that ``kill`` reaches its children."""
    flags = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0) | getattr(subprocess, "CREATE_NO_WINDOW", 0)
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env=process_tree.worker_environment(os.environ, Path(sys.prefix)),
        start_new_session=not _WINDOWS,
        creationflags=flags,
    )
