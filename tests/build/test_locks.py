"""The locks: complete, hashed, and of versions that fit each other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PIN = re.compile(r"^(?P<name>[\w.-]+)==(?P<version>[^\s;\\]+)(?: ; (?P<marker>[^\\]+))?", re.MULTILINE)
RUNTIME = [f"py3{minor}-{device}" for minor in (11, 12, 13, 14) for device in ("cpu", "cuda", "mps")]
LOCKS = [
    *(ROOT / "requirements" / f"{name}.txt" for name in ("test", "torch", "bpy42", "mediapipe")),
    *(ROOT / "addon_manifest" / "runtime" / f"{name}.txt" for name in RUNTIME),
]


def pins(lock: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for match in PIN.finditer(lock.read_text()):
        found.setdefault(match["name"], set()).add(match["version"])
    return found


@pytest.mark.parametrize("lock", LOCKS, ids=lambda p: p.stem)
def test_every_pin_has_hashes(lock: Path) -> None:
    blocks = re.split(r"\n(?=\S)", lock.read_text())
    requirements = [block for block in blocks if not block.startswith(("#", "-"))]
    assert requirements
    for block in requirements:
        assert PIN.match(block), block.splitlines()[0]
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", block), block.splitlines()[0]


@pytest.mark.parametrize("name", RUNTIME)
def test_runtime_holds_what_the_worker_imports(name: str) -> None:
    lock = pins(ROOT / "addon_manifest" / "runtime" / f"{name}.txt")
    assert {"torch", "numpy", "opencv-python-headless"} <= set(lock)
    assert all(version.startswith("2.13.0") for version in lock["torch"])
    old_python = name.startswith(("py311", "py312"))
    assert lock["numpy"] == ({"1.26.4"} if old_python else {"2.4.1"})


@pytest.mark.parametrize("minor", [11, 12, 13, 14])
def test_cpu_runtime_avoids_the_cuda_build(minor: int) -> None:
    text = (ROOT / "addon_manifest" / "runtime" / f"py3{minor}-cpu.txt").read_text()
    assert "--extra-index-url https://download.pytorch.org/whl/cpu" in text
    assert 'torch==2.13.0+cpu ; sys_platform != "darwin"' in text
    assert "nvidia" not in text


@pytest.mark.parametrize("minor", [11, 12, 13, 14])
def test_cuda_runtime_serves_linux_and_windows(minor: int) -> None:
    text = (ROOT / "addon_manifest" / "runtime" / f"py3{minor}-cuda.txt").read_text()
    assert 'torch==2.13.0 ; sys_platform == "linux"' in text
    assert re.search(r'torch==2\.13\.0\+cu\d+ ; sys_platform == "win32"', text)


def test_the_test_environment_fits_bpy() -> None:
    lock = pins(ROOT / "requirements" / "test.txt")
    assert lock["numpy"] == {"1.26.4"} and lock["opencv-python"] == {"4.11.0.86"}
    assert tuple(map(int, min(lock["ml-dtypes"]).split(".")[:2])) < (0, 6)
    assert "torch" not in lock, "torch has a lock and an index of its own"


def test_locks_hold_the_lists_they_are_made_from() -> None:
    for name in ("test", "bpy42", "mediapipe"):
        listed = {m["name"]: m["version"] for m in PIN.finditer((ROOT / "requirements" / f"{name}.in").read_text())}
        locked = pins(ROOT / "requirements" / f"{name}.txt")
        assert {n.lower().replace(".", "-"): {v} for n, v in listed.items()} == {
            n.lower().replace(".", "-"): v for n, v in locked.items()
        }, f"run buildtools/lock.py: {name}.txt is older than {name}.in"
