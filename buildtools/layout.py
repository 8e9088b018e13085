"""Where things lie in a checkout."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
ASSETS = BUILD / "assets"
STAMPS = BUILD / "stamps"
DOWNLOADS = BUILD / "downloads"
LOGS = BUILD / "logs"
DIST = ROOT / "dist"
REQUIREMENTS = ROOT / "requirements"
MANIFEST = ROOT / "addon_manifest"
DEMO_CLIP = ROOT / "tests" / "data" / "demo_clip.mp4"


def venv_python(folder: Path) -> Path:
    """The interpreter of the virtual environment in ``folder``."""
    return folder / "Scripts" / "python.exe" if sys.platform == "win32" else folder / "bin" / "python"


def shown(path: Path) -> str:
    """``path`` as a person at the root of the checkout would type it."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
