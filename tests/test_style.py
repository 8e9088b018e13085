"""Ruff over everything, mypy in strict mode over what is free of bpy: the same commands as by hand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy", reason="the environment of the old Blender has no linters")


@pytest.mark.parametrize("tool", [["ruff", "check", "."], ["mypy"]], ids=["ruff", "mypy"])
def test_has_no_complaints(tool: list[str], repo_root: Path) -> None:
    result = subprocess.run([sys.executable, "-m", *tool], cwd=repo_root, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]
