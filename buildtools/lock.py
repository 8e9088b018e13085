"""Makes the locks in requirements/ and addon_manifest/runtime/: ``python3.11 buildtools/lock.py``.

Needs ``uv`` and the network, and is run by a maintainer when a pin changes; nothing else here needs uv.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements"
RUNTIME = ROOT / "addon_manifest" / "runtime"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PYTORCH_INDEX = "https://download.pytorch.org/whl"
WHEEL = re.compile(
    r"torch-(?P<version>[\d.]+(\+(?P<build>\w+))?)-(?P<tag>cp\d+)-cp\d+-(?P<system>macosx|manylinux|win)"
)
HEAD = "# Made by buildtools/lock.py from requirements/{source}.\n"


def hashed(name: str, python: str, marker: str = "") -> str:
    """The pins of the list ``name`` that hold for ``python``, with the hashes of all their files.

    ``marker``: an environment marker for every pin.
    """
    command = ["uv", "pip", "compile", "--quiet", "--no-deps", "--no-header", "--no-annotate", "--generate-hashes"]
    command += ["--python-version", python, "--python-platform", "x86_64-unknown-linux-gnu", str(REQUIREMENTS / name)]
    text = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT).stdout
    return re.sub(r"^(\S+==\S+)", rf"\1 ; {marker}", text, flags=re.MULTILINE) if marker else text


def torch_lines(python: str, builds: dict[str, str]) -> str:
    """The pins of torch's wheels in ``pytorch.sha256`` for ``python``.

    ``builds``: which builds (a pattern) to take where (an environment marker).  macOS has one build, for CPU and MPS.
    """
    tag = "cp" + python.replace(".", "")
    wheels = [line.split() for line in (REQUIREMENTS / "pytorch.sha256").read_text().splitlines()]
    indexes, lines = "", ""
    for pattern, marker in builds.items():
        pins: dict[str, list[str]] = {}
        for digest, wheel in wheels:
            parts = WHEEL.match(wheel)
            if parts and parts["tag"] == tag and re.fullmatch(pattern, f"{parts['build'] or ''} {parts['system']}"):
                pins.setdefault(parts["version"], []).append(digest)
        ((version, digests),) = pins.items()
        if "+" in version:
            indexes += f"--extra-index-url {PYTORCH_INDEX}/{version.split('+')[1]}\n"
        pin = f"torch=={version} ; {marker}"
        lines += " \\\n".join([pin, *(f"    --hash=sha256:{digest}" for digest in sorted(digests))]) + "\n"
    return indexes + lines


def main() -> int:
    if shutil.which("uv") is None:
        print("uv is not installed. Install it with: python3.11 -m pip install uv", file=sys.stderr)
        return 1
    cpu = {"cpu .*": 'sys_platform != "darwin"', " macosx": 'sys_platform == "darwin"'}
    for name in ("test", "bpy42", "mediapipe"):
        (REQUIREMENTS / f"{name}.txt").write_text(HEAD.format(source=f"{name}.in") + hashed(f"{name}.in", "3.11"))
    (REQUIREMENTS / "torch.txt").write_text(HEAD.format(source="pytorch.sha256") + torch_lines("3.11", cpu))
    RUNTIME.mkdir(exist_ok=True)
    for python in PYTHONS:
        shared = hashed("runtime.in", python)
        head = HEAD.format(source="runtime.in and pytorch.sha256")
        cuda = HEAD.format(source="runtime-cuda.in, runtime.in and pytorch.sha256")
        cuda += torch_lines(python, {"cu.* win": 'sys_platform == "win32"'})
        locks = {
            "cpu": head + torch_lines(python, cpu) + shared,
            "mps": head + torch_lines(python, {" macosx": 'sys_platform == "darwin"'}) + shared,
            "cuda": cuda + hashed("runtime-cuda.in", python, marker='sys_platform == "linux"') + shared,
        }
        for device, text in locks.items():
            path = RUNTIME / f"py{python.replace('.', '')}-{device}.txt"
            path.write_text(text)
            print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
