"""Making the worker's Python: real environments, real pip, tiny packages in place of torch, numpy and OpenCV."""

import hashlib
import shutil
import sys
import time
import zipfile
from pathlib import Path

import pytest

from amr_blender.bridge import install, runtime
from amr_blender.contract.errors import RuntimeSetupError

TORCH = """
__version__ = "2.13.0"
class cuda:
    is_available = staticmethod(lambda: False)
class backends:
    mps = cuda
"""
PACKAGES = {
    "torch": ("torch", TORCH),
    "numpy": ("numpy", "__version__ = '1'"),
    "opencv-python": ("cv2", "__version__ = '4'"),
    "safetensors": ("safetensors", "__version__ = '0'"),
}


def wheel(folder, package, module, source):
    """A wheel of one module; returns its line in a lock."""
    name = package.replace("-", "_")
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{module}.py", source)
        archive.writestr(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        archive.writestr(
            f"{name}-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr(f"{name}-1.0.dist-info/RECORD", "")
    return f"{package}==1.0 --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


@pytest.fixture
def lock(tmp_path):
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    lines = [wheel(wheels, package, *module) for package, module in PACKAGES.items()]
    path = tmp_path / "py-cpu.txt"
    path.write_text(f"--no-index\n--find-links {wheels}\n" + "".join(lines))
    return path


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "user folder" / "runtime"


def start(folder, lock, python=None):
    task = install.Install(Path(python or sys.executable), folder, lock, "cpu")
    task.start()
    return task


@pytest.fixture(autouse=True)
def enough_space(monkeypatch):
    monkeypatch.setattr(install, "NEEDED_BYTES", {"cpu": 1})


def test_cancelled_resumed_and_removed(folder, lock):
    task = start(folder, lock)
    while not (folder / "pyvenv.cfg").exists():
        time.sleep(0.01)
    started = time.monotonic()
    task.cancel()
    state = task.wait()
    assert time.monotonic() - started < 1.0
    assert (state.finished, state.error, state.text) == (True, None, "Cancelled")
    assert runtime.installed_python(folder) is None
    assert runtime.half_installed(folder)

    task = start(folder, lock)
    seen = set()
    while not (state := task.poll()).finished:
        seen.add(state.text)
        time.sleep(0.01)
    assert state.error is None, task.diagnostics()
    assert state.report.torch == "2.13.0"
    assert state.fraction == 1.0
    assert any(text.startswith("Installing the packages") for text in seen)
    python = runtime.installed_python(folder)
    assert python == runtime.venv_python(folder)
    assert not runtime.half_installed(folder)
    assert [path.name for path in folder.parent.iterdir()] == ["runtime"], "downloads stay"

    install.remove(folder)
    assert list(folder.parent.iterdir()) == []
    install.remove(folder)


def test_a_changed_package_is_refused(folder, lock):
    with zipfile.ZipFile(next((lock.parent / "wheels").glob("torch*")), "a") as archive:
        archive.writestr("surprise.py", "")
    state = start(folder, lock).wait()
    assert state.error.code == "runtime-hash"
    assert runtime.installed_python(folder) is None


def test_a_python_without_venv(folder, lock, tmp_path):
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\necho 'ensurepip is not available' >&2\nexit 1\n")
    fake.chmod(0o755)
    state = start(folder, lock, fake).wait()
    assert state.error.code == "runtime-venv"
    if sys.platform.startswith("linux"):
        assert "python3-venv" in state.error.remedy
    assert not folder.exists()


def test_no_space(folder, lock, monkeypatch):
    monkeypatch.setattr(install, "NEEDED_BYTES", {"cpu": 1 << 60})
    state = start(folder, lock).wait()
    assert state.error.code == "runtime-no-space"
    assert not folder.exists()


def test_an_unwritable_place(lock, tmp_path):
    (tmp_path / "file").write_text("")
    state = start(tmp_path / "file" / "runtime", lock).wait()
    assert state.error.code == "runtime-install"
    assert "can't be written" in state.error.message


def test_only_our_own_environment_is_removed(tmp_path):
    (tmp_path / "pictures").mkdir()
    with pytest.raises(RuntimeSetupError, match="not an environment"):
        install.remove(tmp_path / "pictures")
    assert (tmp_path / "pictures").is_dir()


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE", "runtime-hash"),
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "runtime-no-space"),
        ("WARNING: Retrying after connection broken by 'NewConnectionError'", "runtime-offline"),
        ("ReadTimeoutError: Read timed out.", "runtime-offline"),
        ("ERROR: No matching distribution found for torch==2.13.0", "runtime-install"),
    ],
)
def test_what_pip_says_in_words(line, code):
    failure = install._pip_failure(["Collecting torch", line])
    assert failure.code == code
    assert failure.remedy.endswith(".")


def test_progress_never_leaves_its_range_and_names_the_package(lock):
    progress = install.PipProgress(lock)
    assert progress.read("Looking in links") == ("Getting the packages", pytest.approx(0.03))
    fractions = []
    for line in (
        "Collecting torch==1.0 (from -r lock)",
        "Progress 0 of 104857600",
        "Progress 52428800 of 104857600",
        "Collecting numpy==1.0",
        "Requirement already satisfied: opencv-python==1.0 in x",
    ):
        text, fraction = progress.read(line)
        fractions.append(fraction)
        if "52428800" in line:
            assert text == "Getting torch, 50 of 100 MB"
    assert fractions == sorted(fractions)
    assert fractions[2] > 0.3, "torch is most of the way"
    assert progress.read("Installing collected packages: torch")[1] == 0.9
    assert progress.read("Successfully installed torch")[1] == 0.9


def test_free_space_is_not_asked_for_twice(folder, lock, monkeypatch):
    """What lies there already counts: a resumed installation needs less than a fresh one."""
    folder.mkdir(parents=True)
    (folder / "pyvenv.cfg").touch()
    monkeypatch.setattr(install, "NEEDED_BYTES", {"cpu": 1 << 60})
    task = install.Install(Path(sys.executable), folder, lock, "cpu")
    task._check_space()
    shutil.rmtree(folder)
    with pytest.raises(RuntimeSetupError, match="GB are free"):
        task._check_space()
