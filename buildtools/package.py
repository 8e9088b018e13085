"""dist/amr_blender-VERSION.zip: the extension, the same bytes each time, checked by Blender's own validation."""

from __future__ import annotations

import os
import subprocess
import tomllib
import zipfile
from pathlib import Path

from .console import BuildError, Step
from .environment import TEST, child_environment
from .layout import ASSETS, DIST, MANIFEST, ROOT, shown

MAX_BYTES = 100 * 1000 * 1000
SHIPPED_SUFFIXES = {".py", ".toml", ".txt", ".md", ".json", ".npz", ".safetensors", ".png", ".svg"}
NOT_SHIPPED = ("model/synth/", "model/train/", "model/evaluate/", "model/convert/", "model/assets/")
_TIMESTAMP = (1980, 1, 1, 0, 0, 0)  # the earliest a zip can hold: the build's own time would change the bytes


def contents() -> dict[str, Path]:
    """Every file of the zip: its name there and where it comes from."""
    files = {"LICENSE": ROOT / "LICENSE"}
    files |= _tree(ROOT / "amr_blender", "")
    files |= _tree(MANIFEST, "")
    files |= {n: p for n, p in _tree(ROOT / "model", "model/").items() if not n.startswith(NOT_SHIPPED)}
    files |= _tree(ASSETS, "model/assets/")
    return files


def _tree(folder: Path, prefix: str) -> dict[str, Path]:
    return {
        prefix + path.relative_to(folder).as_posix(): path
        for path in folder.rglob("*")
        if path.is_file()
        and (path.suffix in SHIPPED_SUFFIXES or path.name == "LICENSE")
        and not any(part.startswith((".", "__pycache__")) for part in path.relative_to(folder).parts)
    }


def version() -> str:
    """The manifest's version, which must be the code's.

    Raises:
        BuildError: they differ.
    """
    manifest: str = tomllib.loads((MANIFEST / "blender_manifest.toml").read_text(encoding="utf-8"))["version"]
    code = (ROOT / "amr_blender" / "contract" / "version.py").read_text(encoding="utf-8")
    if f'VERSION = "{manifest}"' not in code:
        raise BuildError(
            f"addon_manifest/blender_manifest.toml says version {manifest}, amr_blender/contract/version.py another. "
            "Make them equal."
        )
    return manifest


def write_zip(target: Path) -> None:
    """Write the zip to ``target`` in one step."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".partial")
    try:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for name, path in sorted(contents().items()):
                info = zipfile.ZipInfo(name, _TIMESTAMP)
                info.create_system = 3  # Unix, so that the permissions below count, wherever this runs
                info.external_attr = 0o100644 << 16
                info.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(info, path.read_bytes())
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def validate(target: Path) -> None:
    """Run Blender's own extension validation on the zip.

    Raises:
        BuildError: it objects, or the zip is larger than allowed.
    """
    if target.stat().st_size > MAX_BYTES:
        raise BuildError(
            f"{shown(target)} has {target.stat().st_size / 1e6:.1f} MB, allowed are {MAX_BYTES / 1e6:.0f}."
        )
    tools = list(TEST.folder.glob("**/site-packages/bpy/*/scripts/addons_core/bl_pkg/cli/blender_ext.py"))
    if len(tools) != 1:
        raise BuildError("Blender's validation is not in .venv. Run 'python3.11 build_addon.py setup'.")
    command = [str(TEST.python), str(tools[0]), "validate", str(target)]
    result = subprocess.run(command, capture_output=True, text=True, env=child_environment())
    if result.returncode:
        raise BuildError(f"Blender refuses the extension: {(result.stderr or result.stdout).strip()}")


def build(target: Path | None = None) -> Path:
    """Write and validate the zip, by default in dist/; returns its path."""
    path = target or DIST / f"amr_blender-{version()}.zip"
    with Step(f"Packing {shown(path)}"):
        write_zip(path)
    validate(path)
    return path
