"""The demo as a person types it, on the project's own clip: everything it promises is there, whole and readable."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from amr_blender.contract import take as takes
from buildtools.layout import DEMO_CLIP

pytestmark = pytest.mark.slow

_LOOK_INSIDE = """
import sys, bpy
bpy.ops.wm.open_mainfile(filepath=sys.argv[1])
kinds = sorted({o.type for o in bpy.data.objects})
rig = next(o for o in bpy.data.objects if o.type == "ARMATURE")
assert {"ARMATURE", "CAMERA", "MESH"} <= set(kinds), kinds
assert rig.animation_data.action, "the armature has no action"
"""


@pytest.fixture(scope="module")
def demo(assets: Path, repo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    command = [sys.executable, str(repo_root / "build_addon.py"), "demo", "--out", str(folder)]
    # A cache of its own: a result of an earlier run would prove nothing.
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache"))}
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=900)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    assert "Traceback" not in result.stdout + result.stderr
    return folder


def test_a_broken_movie_is_told_in_one_line(assets: Path, repo_root: Path, tmp_path: Path) -> None:
    """Half of the clip: the place where it breaks is named, nothing is left, and no trace is shown."""
    broken = tmp_path / "half.mp4"
    content = DEMO_CLIP.read_bytes()
    broken.write_bytes(content[: len(content) // 2])
    command = [sys.executable, str(repo_root / "build_addon.py"), "demo", str(broken), "--out", str(tmp_path / "out")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 1
    errors = [line for line in (result.stdout + result.stderr).splitlines() if line.startswith("Error")]
    assert len(errors) == 1 and "half" in errors[0]
    assert "Traceback" not in result.stdout + result.stderr
    assert not (tmp_path / "out").exists()


def test_writes_what_it_promises(demo: Path) -> None:
    assert {"take.npz", "scene.blend", "preview.mp4", "preview.png"} == {path.name for path in demo.iterdir()}


def test_the_take_covers_the_clip(demo: Path) -> None:
    import cv2

    take = takes.load(demo / "take.npz")
    clip = cv2.VideoCapture(str(DEMO_CLIP))
    assert take.frame_count == int(clip.get(cv2.CAP_PROP_FRAME_COUNT))
    assert take.present.mean() > 0.9, "the person of our own clip was lost"


def test_the_scene_opens_and_moves(demo: Path) -> None:
    command = [sys.executable, "-c", _LOOK_INSIDE, str(demo / "scene.blend")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_preview_plays(demo: Path) -> None:
    """As many pictures as the take has frames, and not all the same."""
    import cv2

    movie = cv2.VideoCapture(str(demo / "preview.mp4"))
    pictures = []
    while (read := movie.read())[0]:
        pictures.append(read[1][::8, ::8].astype(int))
    assert len(pictures) == takes.load(demo / "take.npz").frame_count
    assert abs(pictures[0] - pictures[len(pictures) // 2]).mean() > 0.5
    assert cv2.imread(str(demo / "preview.png")).std() > 5
