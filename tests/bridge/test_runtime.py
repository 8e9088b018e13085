"""Finding a Python for the worker and asking what it holds, with real processes."""

import json
import sys
import time
from pathlib import Path

import pytest

from amr_blender.bridge import runtime
from amr_blender.contract.errors import RuntimeSetupError

GOOD = {
    "python": "3.12.4",
    "torch": "2.13.0",
    "numpy": "1.26.4",
    "cv2": "4.11.0",
    "safetensors": "0.8.0",
    "device": "cuda",
}


def parse(**changes):
    return runtime.parse_report(Path("/p/python"), "noise\nAMR" + json.dumps({**GOOD, **changes}), "")


def test_a_good_answer():
    assert parse().sentence() == "Python 3.12.4, torch 2.13.0 on CUDA, OpenCV 4.11.0"


@pytest.mark.parametrize(
    ("changes", "code", "sentence"),
    [
        ({"python": "3.9.1"}, "runtime-old-python", "is Python 3.9.1, the worker needs 3.11"),
        (
            {"torch": None, "torch_error": "ModuleNotFoundError: No module named 'torch'"},
            "runtime-incomplete",
            "no torch",
        ),
        ({"cv2": None, "cv2_error": "ImportError: libGL.so.1"}, "runtime-incomplete", "does not load .*libGL"),
        (
            {"safetensors": None, "safetensors_error": "ModuleNotFoundError: No module named 'safetensors'"},
            "runtime-incomplete",
            "no safetensors",
        ),
    ],
)
def test_what_is_wrong_is_said(changes, code, sentence):
    with pytest.raises(RuntimeSetupError, match=sentence) as failure:
        parse(**changes)
    assert failure.value.code == code
    assert failure.value.remedy.endswith(".")


def test_no_python_at_all():
    with pytest.raises(RuntimeSetupError, match="did not answer like a Python .it was a cat."):
        runtime.parse_report(Path("/bin/cat"), "meow", "first\nit was a cat\n")


def script(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def ask(python, **options):
    probe = runtime.Probe(python, **options)
    probe.start()
    return probe.wait()


@pytest.mark.skipif(sys.platform == "win32", reason="made of shell scripts")
class TestProbe:
    def test_this_python(self):
        report = ask(Path(sys.executable))
        assert report.python == ".".join(map(str, sys.version_info[:3]))
        assert report.numpy.startswith("1.26")

    def test_a_missing_file(self, tmp_path):
        with pytest.raises(RuntimeSetupError, match="can't be started: No such file"):
            ask(tmp_path / "none")

    def test_a_file_that_is_not_executable(self, tmp_path):
        (tmp_path / "text").write_text("hello")
        with pytest.raises(RuntimeSetupError, match="can't be started: Permission denied"):
            ask(tmp_path / "text")

    def test_a_program_that_hangs_is_killed(self, tmp_path):
        started = time.monotonic()
        with pytest.raises(RuntimeSetupError, match="did not answer in 0 s"):
            ask(script(tmp_path / "slow", "sleep 60"), timeout_s=0.3)
        assert time.monotonic() - started < 5

    def test_polling_does_not_block_and_cancelling_ends_it(self, tmp_path):
        probe = runtime.Probe(script(tmp_path / "slow", "sleep 60"))
        probe.start()
        started = time.monotonic()
        assert probe.poll() is None
        assert time.monotonic() - started < 0.1
        probe.cancel()
        with pytest.raises(RuntimeSetupError):
            probe.wait()
        assert time.monotonic() - started < 5

    def test_blenders_own_python_variables_do_not_reach_it(self, tmp_path, monkeypatch):
        monkeypatch.setenv("PYTHONHOME", "/nowhere")
        monkeypatch.setenv("PYTHONPATH", "/nowhere")
        answer = "AMR" + json.dumps(GOOD).replace("3.12.4", "3.12.$((${#PYTHONHOME} + ${#PYTHONPATH}))")
        report = ask(script(tmp_path / "py", f"cat <<END\n{answer}\nEND"))
        assert report.python == "3.12.0"


def test_the_python_of_a_checkout(tmp_path, repo_root):
    assert runtime.checkout_python(tmp_path / "amr_blender") is None
    python = runtime.venv_python(tmp_path / ".venv")
    python.parent.mkdir(parents=True)
    python.touch()
    assert runtime.checkout_python(tmp_path / "amr_blender") is None, "a .venv beside an installed add-on is somebody's"
    (tmp_path / "build_addon.py").touch()
    assert runtime.checkout_python(tmp_path / "amr_blender") == python
    assert runtime.checkout_python(repo_root / "amr_blender") == runtime.venv_python(repo_root / ".venv")


@pytest.mark.parametrize("python", runtime.SUPPORTED)
@pytest.mark.parametrize("device", runtime.INSTALL_DEVICES)
def test_there_is_a_lock_for_every_python_and_device(python, device, repo_root):
    lock = runtime.find_lock(runtime.locks_folder(repo_root / "amr_blender"), python, device)
    text = lock.read_text()
    for package in ("torch", "numpy", "opencv-python", "safetensors"):
        assert f"\n{package}" in text
    assert "--hash=sha256:" in text


def test_a_python_without_a_lock(repo_root):
    with pytest.raises(RuntimeSetupError, match="no tested set of packages for Python 3.10 with CPU"):
        runtime.find_lock(runtime.locks_folder(repo_root / "amr_blender"), (3, 10), "cpu")


def test_locks_in_the_zip_lie_inside(tmp_path):
    (tmp_path / "extension" / "runtime").mkdir(parents=True)
    assert runtime.locks_folder(tmp_path / "extension") == tmp_path / "extension" / "runtime"
