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


def cv2_read(path: Path) -> np.ndarray:
    return pytest.importorskip("cv2").imread(str(path))[..., ::-1] / 255.0


def _corners(tile: int) -> list[tuple[int, int]]:
    """Top left corners of the sheet's six tiles, which are three squares wide."""
    return [(row * tile, column * 3 * tile) for row in range(3) for column in range(2)]


def _number(picture: np.ndarray) -> int:
    """What the bars along the top edge of the footage's panel say; the body does not reach there."""
    row, bits = picture[4].mean(-1), numbered_footage.BITS
    return sum(int(row[int((bit + 0.5) * len(row) / bits)] > 0.5) << bit for bit in range(bits))


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
    assert [_number(picture[:, : 2 * PANEL_HEIGHT_PX]) for picture in frames] == list(range(FRAMES))
    page = cv2_read(sheet)
    assert page.shape == (3 * PANEL_HEIGHT_PX, 2 * 3 * PANEL_HEIGHT_PX, 3)
    tiles = [page[y : y + PANEL_HEIGHT_PX, x : x + 2 * PANEL_HEIGHT_PX] for y, x in _corners(PANEL_HEIGHT_PX)]
    assert [_number(tile) for tile in tiles] == list(range(FRAMES))


def test_body_lies_where_the_camera_sees_it(blender: ModuleType, result: tuple[Any, Any], tmp_path: Path) -> None:
    """The blue of the body covers the projected vertices, and hardly anything else."""
    from bpy_extras.object_utils import world_to_camera_view

    from amr_blender.scene.preview import PANEL_HEIGHT_PX, render_preview

    scene, (made, _) = blender.context.scene, result
    movie, _ = render_preview(scene, made, None, tmp_path)
    panel = _frames(blender, movie)[2][
        :, : round(PANEL_HEIGHT_PX * scene.render.resolution_x / scene.render.resolution_y)
    ]
    blue = (panel[..., 2] - panel[..., 0]) > 0.12
    scene.frame_set(made.frame_start + 2)
    body = blender.data.objects[made.mesh].evaluated_get(blender.context.evaluated_depsgraph_get())
    seen = np.array(
        [
            world_to_camera_view(scene, blender.data.objects[made.camera], body.matrix_world @ v.co)
            for v in body.data.vertices
        ]
    )
    rows, columns = np.nonzero(blue)
    height, width = blue.shape
    assert blue.mean() > 0.003
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
