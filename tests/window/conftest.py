"""One Blender 5.2 in a window, with the built zip installed, for all window tests."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.window import scripts
from tests.window.blender_window import BlenderWindow, python_places, why_impossible

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def window_root() -> Path:
    root = Path(os.environ.get("AMR_WINDOW_ROOT") or ROOT / "build" / "window-root").resolve()
    if reason := why_impossible(root):
        pytest.skip(f"no Blender window: {reason}")
    return root


@pytest.fixture(scope="session")
def built_zip() -> Path:
    command = [sys.executable, str(ROOT / "build_addon.py"), "package"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return max((ROOT / "dist").glob("amr_blender-*.zip"), key=lambda path: path.stat().st_mtime)


@pytest.fixture(scope="session")
def footage() -> Path:
    """The clip that the project made itself; ``AMR_WINDOW_CLIP`` names another one to look at."""
    if chosen := os.environ.get("AMR_WINDOW_CLIP"):
        return Path(chosen)
    clips = sorted((ROOT / "tests" / "data").glob("*.mp4"))
    assert clips, "there is no clip in tests/data"
    return clips[0]


@pytest.fixture(scope="module")
def window(window_root, built_zip):
    """Blender in a window, the add-on enabled and pointed at the Python that runs this test."""
    python = Path(sys.prefix) / "bin" / "python"
    with BlenderWindow(window_root, python_places(python)) as made:
        zip_inside = made.share(built_zip)
        made.command_line("--command", "extension", "install-file", "-r", "user_default", "--enable", zip_inside)
        made.command_line("-b", "--python-expr", scripts.NO_SPLASH)
        made.open()
        made.run(scripts.SETUP)
        made.run(scripts.SET_PYTHON.format(python=str(python)))
        made.run(scripts.VIDEO_EDITING)
        yield made
