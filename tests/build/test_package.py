"""The zip: its bytes, its content, and what Blender makes of it."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from buildtools import package
from buildtools.console import BuildError

HERE = Path(__file__).resolve().parent


def test_has_the_same_bytes_each_time(built_zip: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.zip"
    package.write_zip(again)
    assert hashlib.sha256(again.read_bytes()).digest() == hashlib.sha256(built_zip.read_bytes()).digest()


def test_is_small_enough(built_zip: Path) -> None:
    assert built_zip.stat().st_size <= 100_000_000


def test_holds_what_running_needs_and_nothing_else(built_zip: Path) -> None:
    with zipfile.ZipFile(built_zip) as archive:
        names = archive.namelist()
    assert names == sorted(names)
    for needed in (
        "__init__.py",
        "blender_manifest.toml",
        "LICENSE",
        "THIRD_PARTY_NOTICES.md",
        "licenses/Apache-2.0.txt",
        "licenses/CC0-1.0.txt",
        "worker/__main__.py",
        "model/pipeline.py",
        "model/assets/anny.npz",
        "model/assets/blazepose_detector.npz",
        "model/assets/blazepose_landmarks.npz",
        "model/weights/landmark_regressor.npz",
        "model/weights/pose_prior.npz",
        "model/weights/sides.npz",
        *(f"runtime/py3{minor}-{device}.txt" for minor in (11, 12, 13, 14) for device in ("cpu", "cuda", "mps")),
    ):
        assert needed in names
    unwanted = ("model/synth/", "model/train/", "model/evaluate/", "model/convert/", "tests/", "buildtools/")
    assert [n for n in names if n.startswith(unwanted) or "__pycache__" in n or n.endswith((".pyc", ".partial"))] == []


def test_members_carry_no_time_and_no_odd_rights(built_zip: Path) -> None:
    with zipfile.ZipFile(built_zip) as archive:
        assert {(info.date_time, info.external_attr) for info in archive.infolist()} == {
            ((1980, 1, 1, 0, 0, 0), 0o100644 << 16)
        }


def test_nothing_shipped_needs_what_is_not(built_zip: Path) -> None:
    """At import time: what a function imports when called may be of a checkout alone."""
    with zipfile.ZipFile(built_zip) as archive:
        modules = {n: archive.read(n) for n in archive.namelist() if n.startswith("model/") and n.endswith(".py")}
    missing = []
    for name, source in modules.items():
        for node in ast.parse(source).body:
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("model."):
                stem = (node.module or "").replace(".", "/")
                if f"{stem}.py" not in modules and f"{stem}/__init__.py" not in modules:
                    missing.append(f"{name} imports {node.module}")
    assert missing == []


def test_notices_name_every_shipped_asset(built_zip: Path) -> None:
    with zipfile.ZipFile(built_zip) as archive:
        notices = archive.read("THIRD_PARTY_NOTICES.md").decode()
        assets = [name for name in archive.namelist() if name.startswith("model/assets/")]
    assert len(assets) >= 3
    assert [name for name in assets if name not in notices] == []


def test_manifest_keeps_to_what_reviewers_check(repo_root: Path) -> None:
    manifest = tomllib.loads((repo_root / "addon_manifest" / "blender_manifest.toml").read_text())
    sentences = [manifest["tagline"], *manifest["permissions"].values()]
    assert all(0 < len(text) <= 64 and not text.endswith(".") for text in sentences)
    assert set(manifest["permissions"]) == {"network", "files"}
    assert manifest["license"] == ["SPDX:GPL-3.0-or-later"]
    assert manifest["blender_version_min"] == "4.2.0"
    assert "blender" not in manifest["name"].lower()
    assert all(manifest.values())


def test_a_version_that_differs_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "blender_manifest.toml").write_text('version = "9.9.9"')
    monkeypatch.setattr(package, "MANIFEST", tmp_path)
    with pytest.raises(BuildError, match="version 9.9.9"):
        package.version()


def test_validation_refuses_a_bad_manifest(built_zip: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.zip"
    with zipfile.ZipFile(built_zip) as archive, zipfile.ZipFile(bad, "w") as target:
        manifest = archive.read("blender_manifest.toml").decode()
        target.writestr("blender_manifest.toml", manifest.replace('type = "add-on"', 'type = "nonsense"'))
        target.writestr("__init__.py", archive.read("__init__.py"))
    with pytest.raises(BuildError, match="Blender refuses"):
        package.validate(bad)


def test_installs_and_registers_symmetrically_in_a_fresh_blender(built_zip: Path, tmp_path: Path) -> None:
    """Install, enable, disable, enable: the same classes each time, none left behind, no file beside the code."""
    user = tmp_path / "user"
    user.mkdir()
    copy = tmp_path / "amr_blender.zip"
    shutil.copy(built_zip, copy)
    result = subprocess.run(
        [sys.executable, str(HERE / "install_in_blender.py"), str(copy)],
        env={**os.environ, "BLENDER_USER_RESOURCES": str(user), "PYTHONPATH": "", "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=180,
    )
    lines = [line for line in result.stdout.splitlines() if line.startswith("{")]
    assert result.returncode == 0 and lines, result.stdout + result.stderr
    told = json.loads(lines[-1])
    assert told["folder"] == str(user / "extensions" / "user_default" / "amr_blender")
    assert told["before"] == [] and told["disabled"] == []
    assert told["enabled"] == told["enabled_again"]
    assert {"AMR_OT_reconstruct", "AMR_OT_import_take"} <= set(told["enabled"])
    assert told["files_added"] == []
    assert told["worker_modules"] == [], "enabling must not load the inference core"
    assert told["properties_after_disabling"] is False
