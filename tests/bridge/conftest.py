from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.bridge.extension import Extension, forget_extensions, load_extension, write_extension


@pytest.fixture
def extension(tmp_path: Path) -> Iterator[Callable[..., Extension]]:
    """Make an installed extension whose ``reconstruct(job, report, warn, tell_device)`` has the given lines."""

    def make(*body: str) -> Extension:
        # An extension's folder has any name, and users have spaces and umlauts in theirs.
        folder = write_extension(tmp_path / "Jörg's user_default" / "amr blender", *body)
        return load_extension(folder, tmp_path)

    yield make
    forget_extensions()
