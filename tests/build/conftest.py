"""What the tests of the build share."""

from __future__ import annotations

from pathlib import Path

import pytest

from buildtools import package


@pytest.fixture(scope="session")
def built_zip(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The extension's zip, built and validated by Blender."""
    return package.build(tmp_path_factory.mktemp("dist") / f"amr_blender-{package.version()}.zip")
