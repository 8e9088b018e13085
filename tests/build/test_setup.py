"""The set-up: what it says when something is missing or broken, and that it goes on where it stopped."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import build_addon
from buildtools import assets, environment, system
from buildtools.console import BuildError, CommandFailed
from buildtools.environment import Environment, explain_pip

ROOT = Path(__file__).resolve().parents[2]
# A machine without any package index: nothing listens on port 9.
OFFLINE = {
    "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
    "PIP_EXTRA_INDEX_URL": "",
    "PIP_FIND_LINKS": "",
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_NO_CACHE_DIR": "1",
}


def checkout(folder: Path) -> Path:
    """As much of a fresh clone as the set-up reads."""
    for name in ("build_addon.py", "pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for name in ("buildtools", "requirements", "amr_blender", "model"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def test_offline_is_told_in_one_line(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, str(checkout(tmp_path) / "build_addon.py"), "setup"],
        env={**os.environ, **OFFLINE},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert result.returncode == 1
    errors = result.stderr.strip().splitlines()
    assert len(errors) == 1 and errors[0].startswith("Error: ")
    assert "Check the connection and run the same command again" in errors[0]
    assert "Traceback" not in result.stdout + result.stderr
    assert not (tmp_path / ".venv" / "amr-setup.json").exists(), "half an environment must not count as ready"


def test_another_python_is_told_which_one_to_use() -> None:
    code = f"import sys; sys.version_info = (3, 9, 0); sys.path.insert(0, {str(ROOT)!r}); import build_addon"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.startswith("This needs Python 3.11") and "Traceback" not in result.stderr


def test_a_video_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert build_addon.main(["demo", "/no/such/clip.mp4"]) == 1
    assert capsys.readouterr().err == "Error: There is no video at /no/such/clip.mp4. Give the path of a movie.\n"


def test_a_broken_download_of_the_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheel of the right name with wrong bytes: refused by its hash, and not kept."""
    offered = tmp_path / "offered"
    offered.mkdir()
    for platform in ("manylinux_2_28_x86_64", "macosx_11_0_universal2", "win_amd64"):
        (offered / f"mediapipe-0.10.21-cp311-cp311-{platform}.whl").write_bytes(b"broken on the way")
    monkeypatch.setattr(assets, "DOWNLOADS", tmp_path / "downloads")
    monkeypatch.setattr(assets, "UNPACKED", tmp_path / "downloads" / "unpacked")
    monkeypatch.setattr(assets, "LOGS", tmp_path / "logs")
    for name, value in {**OFFLINE, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(offered)}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(BuildError, match="is not the file we tested"):
        assets.fetch_networks()
    assert not list((tmp_path / "downloads").glob("*.whl"))


def test_an_earlier_broken_download_is_thrown_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    broken = downloads / "mediapipe-0.10.21-cp311-cp311-manylinux_2_28_x86_64.whl"
    broken.write_bytes(b"half")
    monkeypatch.setattr(assets, "DOWNLOADS", downloads)
    monkeypatch.setattr(assets, "UNPACKED", downloads / "unpacked")
    monkeypatch.setattr(assets, "LOGS", tmp_path / "logs")
    for name, value in OFFLINE.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(BuildError, match="Check the connection"):
        assets.fetch_networks()
    assert not broken.exists()


@pytest.mark.parametrize(
    ("printed", "told"),
    [
        (["ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device"], "disk is full"),
        (
            ["ERROR: THESE PACKAGES DO NOT MATCH THE HASHES", "    torch==2.13.0 from http://x:"],
            "torch==2.13.0 that was",
        ),
        (["ReadTimeoutError(...)", "ERROR: something"], "Check the connection"),
        (["ERROR: No matching distribution found for bpy==5.0.1"], "has no bpy==5.0.1"),
        (["ERROR: whatever else"], "whatever else"),
        ([], "no output"),
    ],
)
def test_pip_in_one_sentence(printed: list[str], told: str, tmp_path: Path) -> None:
    message = str(explain_pip(CommandFailed("pip failed", printed), tmp_path / "log"))
    assert told in message and "\n" not in message


def test_a_missing_library_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(system, "LIBRARIES", {**system.LIBRARIES, "libnosuchthing.so.7": "libnosuchthing7"})
    with pytest.raises(BuildError, match=r"apt-get install libnosuchthing7$"):
        system.ensure_libraries()


def test_a_missing_opengl_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "_opengl_driver", lambda: False)
    assert system.missing_packages() == ["libgl1-mesa-dri"]


def test_under_ci_libraries_are_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """apt-get is played by a script that makes the missing thing appear."""
    appeared = tmp_path / "installed"
    apt = tmp_path / "apt-get"
    apt.write_text(f'#!/bin/sh\nfor word in "$@"; do [ "$word" = install ] && echo "$@" > {appeared}; done; exit 0\n')
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("CI", "true")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(system, "LOGS", tmp_path / "logs")
    monkeypatch.setattr(system, "missing_packages", lambda: [] if appeared.exists() else ["libx11-6", "libegl1"])
    system.ensure_libraries()
    assert "install libx11-6 libegl1" in appeared.read_text()


def test_a_folder_that_is_no_environment_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / ".venv"
    folder.mkdir()
    (folder / "precious.txt").write_text("mine")
    with pytest.raises(BuildError, match="no virtual environment"):
        Environment(folder, ("test.txt",), with_project=False).ensure()
    assert (folder / "precious.txt").read_text() == "mine"


def test_an_environment_is_ready_only_for_its_own_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.txt").write_text("six==1.16.0")
    monkeypatch.setattr(environment, "REQUIREMENTS", tmp_path)
    made = Environment(tmp_path / "venv", ("a.txt",), with_project=False)
    monkeypatch.setattr(Environment, "_install", lambda self, name, log: None)
    assert not made.is_ready()
    made.ensure()
    assert made.is_ready()
    (tmp_path / "a.txt").write_text("six==1.17.0")
    assert not made.is_ready()
