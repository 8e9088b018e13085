"""The preview film: drawn by Workbench, put together by the sequencer, and nothing left behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from amr_blender.contract.errors import SceneError
from tests.scene import numbered_footage
from tests.scene.take_factory import make_take

FRAMES = 6


@pytest.fixture
def result(blender: ModuleType, tmp_path: Path) -> tuple[Any, Any]:
    """A result over numbered footage whose scene starts at frame 11."""
    from amr_blender.scene.bring_in import ImportOptions, bring_in
    from amr_blender.scene.strip import read_strip

    scene = blender.context.scene
    scene.render.fps, scene.render.fps_base = 24, 1.0
    movie = numbered_footage.write_movie(blender, tmp_path, FRAMES, 24, 1.0)
    strip = numbered_footage.strips(scene).new_movie("numbered", str(movie), 1, 11)
    clip = read_strip(scene, strip)
    take = make_take(FRAMES, fps=24.0, width=numbered_footage.WIDTH, height=numbered_footage.HEIGHT, focal_px=70.0)
    return bring_in(blender.context, take, clip.timing, ImportOptions(name="walk", footage=clip)), clip


def _names(blender: ModuleType) -> dict[str, set[str]]:
    kinds = [p.identifier for p in blender.data.bl_rna.properties if p.type == "COLLECTION"]
    return {kind: {block.name for block in getattr(blender.data, kind)} for kind in kinds}


def _frames(blender: ModuleType, movie: Path) -> list[np.ndarray]:
    """The film's pictures as (H, W, 3) 0..1, top row first."""
    cv2 = pytest.importorskip("cv2")
    capture = cv2.VideoCapture(str(movie))
    found = []
    while True:
        ok, picture = capture.read()
        if not ok:
            return found
        found.append(picture[..., ::-1] / 255.0)


def test_film_and_sheet(blender: ModuleType, result: tuple[Any, Any], tmp_path: Path) -> None:
    from amr_blender.scene.preview import PANEL_HEIGHT_PX, render_preview

    scene, (made, clip) = blender.context.scene, result
    before, settings = _names(blender), (scene.frame_current, scene.render.filepath, scene.render.engine, scene.camera)
    told: list[tuple[str, int, int]] = []
    movie, sheet = render_preview(scene, made, clip, tmp_path / "out", lambda *t: told.append(t))

    assert _names(blender) == before
    assert (scene.frame_current, scene.render.filepath, scene.render.engine, scene.camera) == settings
    assert [t for t in told if t[0] == "draw"][-1] == ("draw", 2 * FRAMES, 2 * FRAMES)
    frames = _frames(blender, movie)
    assert len(frames) == FRAMES
    assert frames[0].shape == (PANEL_HEIGHT_PX, 3 * PANEL_HEIGHT_PX, 3)  # footage of 2:1 and a square
    for number, picture in enumerate(frames):  # the bars along the top edge of the footage, above the body
        row = picture[4, : 2 * PANEL_HEIGHT_PX].mean(-1)
        bars = [
            row[int((bit + 0.5) * 2 * PANEL_HEIGHT_PX / numbered_footage.BITS)] > 0.5
            for bit in range(numbered_footage.BITS)
        ]
        assert sum(int(on) << bit for bit, on in enumerate(bars)) == number
    page = blender.data.images.load(str(sheet))
    assert tuple(page.size) == (2 * 3 * PANEL_HEIGHT_PX, 3 * PANEL_HEIGHT_PX)


def test_body_lies_where_the_camera_sees_it(blender: ModuleType, result: tuple[Any, Any], tmp_path: Path) -> None:
    """The orange of the body covers the projected vertices, and hardly anything else."""
    from bpy_extras.object_utils import world_to_camera_view

    from amr_blender.scene.preview import PANEL_HEIGHT_PX, render_preview

    scene, (made, _) = blender.context.scene, result
    movie, _ = render_preview(scene, made, None, tmp_path)
    panel = _frames(blender, movie)[2][
        :, : round(PANEL_HEIGHT_PX * scene.render.resolution_x / scene.render.resolution_y)
    ]
    orange = (panel[..., 0] - panel[..., 2]) > 0.15
    scene.frame_set(made.frame_start + 2)
    body = blender.data.objects[made.mesh].evaluated_get(blender.context.evaluated_depsgraph_get())
    seen = np.array(
        [
            world_to_camera_view(scene, blender.data.objects[made.camera], body.matrix_world @ v.co)
            for v in body.data.vertices
        ]
    )
    rows, columns = np.nonzero(orange)
    height, width = orange.shape
    assert orange.mean() > 0.003
    np.testing.assert_allclose(
        [columns.min() / width, columns.max() / width, 1 - rows.max() / height, 1 - rows.min() / height],
        [seen[:, 0].min(), seen[:, 0].max(), seen[:, 1].min(), seen[:, 1].max()],
        atol=0.03,
    )


def test_refuses_a_result_that_is_gone(blender: ModuleType, result: tuple[Any, Any], tmp_path: Path) -> None:
    from amr_blender.scene.preview import render_preview

    made, clip = result
    blender.data.objects.remove(blender.data.objects[made.mesh])
    with pytest.raises(SceneError, match="no longer in this file"):
        render_preview(blender.context.scene, made, clip, tmp_path)


def test_refuses_a_folder_that_is_a_file(blender: ModuleType, result: tuple[Any, Any], tmp_path: Path) -> None:
    from amr_blender.scene.preview import render_preview

    made, clip = result
    before = _names(blender)
    (tmp_path / "out").write_text("here already")
    with pytest.raises(SceneError, match="can't be written"):
        render_preview(blender.context.scene, made, clip, tmp_path / "out")
    assert _names(blender) == before


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="libEGL is Linux's")
def test_says_when_egl_is_missing(tmp_path: Path, repo_root: Path) -> None:
    """Without libEGL the process would end without a word; a child process shows that it does not."""
    code = (
        "import ctypes, sys; real = ctypes.CDLL\n"
        "def without(name, *rest, **more):\n"
        "    if name and 'EGL' in name: raise OSError(name)\n"
        "    return real(name, *rest, **more)\n"
        "import bpy; ctypes.CDLL = without\n"
        "from amr_blender.contract.errors import SceneError\n"
        "from amr_blender.scene.preview import render_preview\n"
        "try: render_preview(bpy.context.scene, None, None, sys.argv[1])\n"
        "except SceneError as error: print(error.code, error.remedy)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=repo_root, capture_output=True, text=True, check=True
    )
    assert "preview-no-egl" in done.stdout
    assert "apt-get install libegl1" in done.stdout
