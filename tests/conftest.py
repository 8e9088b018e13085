"""What every test shares.  Free of bpy, torch and cv2 at import: the scene tests also run where only bpy is."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Before anything imports bpy: no test may read or change the settings of a Blender that is installed on this machine.
_USER_RESOURCES = tempfile.mkdtemp(prefix="amr-test-blender-")
os.environ["BLENDER_USER_RESOURCES"] = _USER_RESOURCES


def pytest_unconfigure() -> None:
    shutil.rmtree(_USER_RESOURCES, ignore_errors=True)


@pytest.fixture(scope="session")
def repo_root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def assets() -> Path:
    """The folder with the converted networks and the body, as ``build_addon.py setup`` makes it."""
    folder = ROOT / "build" / "assets"
    if not (folder / "anny.npz").is_file():
        pytest.fail("build/assets is incomplete: run 'python3.11 build_addon.py setup' first.", pytrace=False)
    return folder


@pytest.fixture
def blender() -> Iterator[ModuleType]:
    """The module bpy with an empty scene; whatever the test made is gone afterwards."""
    import bpy

    bpy.ops.wm.read_factory_settings(use_empty=True)
    yield bpy
    bpy.ops.wm.read_factory_settings(use_empty=True)
