"""Run by test_package.py in a Blender of its own: installs a zip, enables and disables it, tells as a line of JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import bpy  # isort: skip  # it makes the next one importable
import addon_utils

MODULE = "bl_ext.user_default.amr_blender"


def classes() -> list[str]:
    return sorted(name for name in dir(bpy.types) if name.startswith(("AMR_OT", "AMR_PT", "AMR_UL", "AMR_PG")))


def files(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts}


told: dict[str, object] = {"before": classes()}
bpy.ops.extensions.package_install_files(filepath=sys.argv[1], repo="user_default", enable_on_install=True)
folder = Path(sys.modules[MODULE].__file__ or "").parent
installed = files(folder)
told["folder"] = str(folder)
told["enabled"] = classes()
addon_utils.disable(MODULE, default_set=True)
told["disabled"] = classes()
told["properties_after_disabling"] = hasattr(bpy.types.Scene, "amr")
addon_utils.enable(MODULE, default_set=True)
told["enabled_again"] = classes()
told["files_added"] = sorted(files(folder) - installed)
told["worker_modules"] = sorted({"torch", "cv2", "model"} & set(sys.modules))
print(json.dumps(told), flush=True)
