"""The house: who may import whom.  The table is read from the sources, so that a forbidden import fails here first."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
STDLIB = frozenset(sys.stdlib_module_names)
BLENDER = frozenset({"bpy", "bpy_extras", "mathutils", "gpu", "blf", "bmesh", "addon_utils", "idprop"})
INFERENCE = frozenset({"torch", "numpy", "cv2", "safetensors"})

# part: (packages from outside that it may import, parts of the project that it may import)
TABLE: dict[str, tuple[frozenset[str], tuple[str, ...]]] = {
    "amr_blender/__init__.py": (frozenset(), ("amr_blender.ui", "amr_blender.preferences")),
    "amr_blender/contract": (frozenset({"numpy"}), ()),
    "amr_blender/bridge": (frozenset(), ("amr_blender.contract",)),
    "amr_blender/worker": (INFERENCE, ("amr_blender.contract", "model")),
    "amr_blender/scene": (BLENDER | {"numpy"}, ("amr_blender.contract",)),
    "amr_blender/ui": (
        BLENDER | {"numpy"},
        ("amr_blender.contract", "amr_blender.bridge", "amr_blender.scene", "amr_blender.preferences"),
    ),
    "amr_blender/preferences.py": (BLENDER, ("amr_blender.contract", "amr_blender.bridge", "amr_blender.ui")),
    # What the worker runs on an animator's machine: nothing but the runtime's packages.
    "model/__init__.py": (frozenset(), ()),
    "model/body": (INFERENCE, ("amr_blender.contract", "model")),
    # The one file that knows smplx, which only a user's own body file needs; it imports it late.
    "model/body/smpl_family.py": (INFERENCE | {"smplx"}, ("amr_blender.contract", "model")),
    "model/detect": (INFERENCE, ("amr_blender.contract", "model")),
    "model/estimate": (INFERENCE, ("amr_blender.contract", "model")),
    "model/networks": (INFERENCE, ("amr_blender.contract", "model")),
    "model/refine": (INFERENCE, ("amr_blender.contract", "model")),
    "model/*.py": (INFERENCE | {"tqdm"}, ("amr_blender.contract", "model")),
    # What only a checkout has.
    "model/convert": (INFERENCE | {"anny", "tflite"}, ("amr_blender.contract", "model")),
    "model/evaluate": (
        INFERENCE | {"scipy", "statsmodels", "tqdm", "bpy", "mathutils"},
        ("amr_blender.contract", "model"),
    ),
    "model/train": (INFERENCE | {"scipy", "tqdm", "anny"}, ("amr_blender.contract", "model")),
    "model/synth": (INFERENCE | {"scipy", "tqdm", "anny", "bpy", "mathutils"}, ("amr_blender.contract", "model")),
    "build_addon.py": (frozenset(), ("buildtools",)),
    # Its one file that runs in the built environment is the demo, which drives Blender as a person would.
    "buildtools/demo_in_blender.py": (BLENDER, ("amr_blender",)),
    "buildtools": (frozenset(), ("buildtools",)),
}
OWN = frozenset({"amr_blender", "model", "buildtools", "tests"})


def rule_for(path: Path) -> str:
    """The most particular row of the table for ``path``."""
    relative = path.relative_to(ROOT).as_posix()
    rows = [row for row in TABLE if relative == row or relative.startswith(row + "/")]
    if not rows and path.parent == ROOT / "model":
        return "model/*.py"
    assert rows, f"{relative} has no row in the table: say in tests/test_house.py whom it may import"
    return max(rows, key=len)


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Absolute names that ``path`` imports anywhere in it, with their lines.

    ``from .a import b`` gives ``package.a`` and ``package.a.b``: whether b is a module is no matter.
    """
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, *(node.module.split(".") if node.module else ())))
            for alias in node.names:
                yield f"{module}.{alias.name}", node.lineno


def forbidden(path: Path) -> list[str]:
    row = rule_for(path)
    outside, inside = TABLE[row]
    own_part = row.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    found = []
    for name, line in imports(path):
        top = name.split(".")[0]
        if top in OWN:
            allowed = any(name == part or name.startswith(part + ".") for part in (*inside, own_part))
        else:
            allowed = top in STDLIB or top in outside
        if not allowed:
            found.append(f"{path.relative_to(ROOT)}:{line} imports {name}")
    return found


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


ALL_SOURCES = [*sources("amr_blender", "model", "buildtools"), ROOT / "build_addon.py"]


def test_the_project_is_there() -> None:
    assert len(ALL_SOURCES) > 30


@pytest.mark.parametrize("path", ALL_SOURCES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_imports_only_what_its_part_of_the_house_may(path: Path) -> None:
    assert forbidden(path) == []


@pytest.mark.parametrize(
    ("where", "statement"),
    [
        ("amr_blender/contract/x.py", "import torch"),
        ("amr_blender/contract/x.py", "import bpy"),
        ("amr_blender/contract/x.py", "from ..bridge import process"),
        ("amr_blender/bridge/x.py", "import numpy"),
        ("amr_blender/bridge/x.py", "from ..scene.strip import read_strip"),
        ("amr_blender/worker/x.py", "import bpy"),
        ("amr_blender/worker/x.py", "from .. import ui"),
        ("amr_blender/scene/x.py", "from amr_blender.bridge import process"),
        ("amr_blender/scene/x.py", "import torch.nn"),
        ("amr_blender/ui/x.py", "def f():\n    import torch"),
        ("amr_blender/ui/x.py", "from ..worker import run"),
        ("amr_blender/ui/x.py", "import model.pipeline"),
        ("model/estimate/x.py", "import bpy"),
        ("model/estimate/x.py", "import smplx"),
        ("model/body/x.py", "from smplx.lbs import lbs"),
        ("model/estimate/x.py", "from amr_blender.scene import strip"),
        ("model/estimate/x.py", "import scipy.optimize"),
        ("buildtools/x.py", "import requests"),
    ],
)
def test_the_table_forbids(where: str, statement: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    path = tmp_path / where
    path.parent.mkdir(parents=True)
    path.write_text(statement)
    assert len(forbidden(path)) == 1


@pytest.mark.parametrize("path", sources("amr_blender"), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_inside_the_add_on_imports_are_relative(path: Path) -> None:
    """An installed extension is called ``bl_ext.user_default.amr_blender``; the worker makes its own names."""
    if "worker" in path.relative_to(ROOT).parts:
        return
    assert [name for name, _ in absolute_own_imports(path)] == []


def absolute_own_imports(path: Path) -> list[tuple[str, int]]:
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(a.name, node.lineno) for a in node.names if a.name.split(".")[0] == "amr_blender"]
        elif isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").split(".")[0] == "amr_blender":
            found.append((node.module or "", node.lineno))
    return found


@pytest.mark.parametrize("path", ALL_SOURCES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_files_keep_to_one_reason(path: Path) -> None:
    """About 400 lines at most; more is two reasons in one file."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 440


def test_bpy_is_imported_late_at_the_package_root() -> None:
    """The worker imports ``amr_blender`` too, and has no bpy: nothing heavy may happen there before register()."""
    tree = ast.parse((ROOT / "amr_blender" / "__init__.py").read_text(encoding="utf-8"))
    top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert all(isinstance(n, ast.ImportFrom) and n.module == "__future__" for n in top)
