"""The worker starts the same in the checkout and in the installed zip, and says in words why it can't."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from amr_blender.contract.job import Job
from amr_blender.contract.messages import PROTOCOL_VERSION
from tests.model.clips import grey_frames, write_clip
from tests.worker.layouts import ROOT, checkout, installed_zip, run_worker

ENTRY = ROOT / "amr_blender" / "worker" / "__main__.py"
RUN_ENTRY = "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed_zip(tmp_path_factory.mktemp("zip"))


@pytest.fixture(params=["checkout", "zip"])
def layout(request: pytest.FixtureRequest, unpacked: Path) -> Path:
    return checkout() if request.param == "checkout" else unpacked


def a_text_file(folder: Path) -> Job:
    (folder / "text.mp4").write_text("This is no movie.\n" * 100)
    return Job(video=str(folder / "text.mp4"), out=str(folder / "take.npz"))


def a_movie(folder: Path) -> Job:
    return Job(video=str(write_clip(folder / "grey.mp4", grey_frames(3))), out=str(folder / "take.npz"))


def test_a_job_gets_as_far_in_both_layouts(layout: Path, tmp_path: Path) -> None:
    ran = run_worker(layout, a_text_file(tmp_path), tmp_path)
    hello = ran.messages[0]
    assert hello.type == "hello"
    assert hello.protocol == PROTOCOL_VERSION
    assert ran.last.type == "failed"
    assert ran.last.code == "video-unreadable"
    assert "text.mp4" in ran.last.message
    assert ran.code == 1
    assert "Traceback" in ran.log
    assert not (tmp_path / "take.npz").exists()


def test_the_code_of_its_own_layout_runs(layout: Path, tmp_path: Path) -> None:
    """Not an ``amr_blender`` or a ``model`` that happens to be installed, or to lie in the current folder."""
    for name in ("amr_blender", "model", "cv2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('the wrong one')")
    ran = run_worker(layout, a_text_file(tmp_path), tmp_path)
    assert ran.last.code == "video-unreadable"
    assert str(layout / "worker" / "run.py") in ran.last.details
    model = layout / "model" if (layout / "model").is_dir() else ROOT / "model"
    assert str(model / "pipeline.py") in ran.last.details


def test_a_python_without_the_packages(layout: Path, tmp_path: Path) -> None:
    """-S leaves out site-packages, so neither numpy nor torch nor OpenCV are there."""
    ran = run_worker(layout, a_text_file(tmp_path), tmp_path, sys.executable, "-I", "-S")
    assert ran.last.code == "runtime-package-missing"
    assert "Preferences" in ran.last.remedy
    assert "Install Runtime" in ran.last.remedy
    assert ran.code == 1


@pytest.mark.parametrize("name", ["torch", "numpy", "cv2"])
def test_a_python_with_a_broken_package(name: str, tmp_path: Path) -> None:
    """A package whose own library can't be loaded names neither itself nor its folder in the error."""
    broken = tmp_path / "site" / name
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('libgomp.so.1: cannot open shared object file')")
    start = f"import runpy, sys; sys.path.insert(0, {str(broken.parent)!r}); {RUN_ENTRY}"
    ran = run_worker(checkout(), a_movie(tmp_path), tmp_path, sys.executable, "-I", "-c", start)
    assert ran.last.code == "runtime-package-missing"
    assert {"torch": "torch", "numpy": "numpy", "cv2": "opencv-python"}[name] in ran.last.message


def test_a_python_that_is_too_old(tmp_path: Path) -> None:
    start = f"import runpy, sys; sys.version_info = (3, 10, 4); {RUN_ENTRY}"
    ran = run_worker(checkout(), a_text_file(tmp_path), tmp_path, sys.executable, "-I", "-c", start)
    assert ran.last.code == "worker-python-too-old"
    assert "3.10" in ran.last.message
    assert ran.code == 1


def test_the_entry_can_be_read_by_old_pythons() -> None:
    ast.parse(ENTRY.read_text(), feature_version=(3, 6))


@pytest.mark.parametrize("text", ["", "no JSON", '{"video": "a", "out": "b", "quality": "perfect"}'])
def test_a_job_that_can_not_be_read(tmp_path: Path, text: str) -> None:
    ran = run_worker(checkout(), text, tmp_path)
    assert ran.last.code == "settings-invalid"
    assert ran.code == 1


def test_an_incomplete_installation(tmp_path: Path) -> None:
    package = tmp_path / "amr"
    (package / "worker").mkdir(parents=True)
    (package / "worker" / "__main__.py").write_bytes(ENTRY.read_bytes())
    ran = run_worker(package, a_text_file(tmp_path), tmp_path)
    assert ran.last.code == "worker-incomplete"
    assert ran.code == 1


def test_the_zip_has_all_that_the_worker_imports(unpacked: Path) -> None:
    """Every module below worker, contract and model that the checkout has is in the zip, tools excepted."""
    tools = ("model/synth", "model/train", "model/evaluate", "model/convert")
    for source in [*(ROOT / "amr_blender").rglob("*.py"), *(ROOT / "model").rglob("*.py")]:
        name = source.relative_to(ROOT).as_posix()
        if not name.startswith(tools):
            assert (unpacked / name.removeprefix("amr_blender/")).is_file(), name
