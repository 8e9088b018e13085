"""A short film of a result: the body over its footage, beside it body and bones from the side on a grid.

Drawn with Workbench in scenes of its own, which are gone afterwards; put together and encoded by the sequencer.
"""

from __future__ import annotations

import ctypes
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ..contract.errors import SceneError
from . import preview_stage
from .strip import StripClip, strips_of

Array = NDArray[Any]
Report = Callable[[str, int, int], None]
PANEL_HEIGHT_PX = 480
BODY_OPACITY = 0.85
SHEET_FRAMES, SHEET_COLUMNS = 6, 2
_BACKDROP = (0.13, 0.14, 0.15)


@dataclass(frozen=True)
class Layout:
    """Pixels of the film: the footage's panel, then a square one; all even, as H.264 wants it."""

    footage_width: int
    height: int = PANEL_HEIGHT_PX

    @property
    def width(self) -> int:
        return self.footage_width + self.height


def render_preview(
    scene: Any, result: Any, footage: StripClip | None, out_folder: str | Path, report: Report | None = None
) -> tuple[Path, Path]:
    """Draw ``preview.mp4`` and ``preview.png`` of a result that stands in ``scene``.

    The file is left as it was: no data-block, frame or setting of the scene is changed.

    Args:
        result: names ``armature``, ``mesh``, ``camera`` and the scene frames ``frame_start`` to ``frame_end``, as
            :class:`.bring_in.Result` and the panel's list have them.
        footage: what lies under the body; None leaves it on plain grey.
        report: called with a stage, how much of it is done, and of how much.

    Returns:
        Paths of the film and of the contact sheet.

    Raises:
        SceneError: the result's objects are gone, the folder can't be written, or nothing can be drawn on this machine.
    """
    _check_drawing()
    rig, body, camera = (bpy.data.objects.get(name) for name in (result.armature, result.mesh, result.camera))
    if rig is None or body is None or camera is None:
        raise SceneError("preview-gone", "The result is no longer in this file.", "Reconstruct the clip again.")
    out = Path(out_folder)
    first, last = int(result.frame_start), int(result.frame_end)
    say = report or (lambda stage, done, total: None)
    layout = Layout(_even(PANEL_HEIGHT_PX * _aspect(scene, footage)))
    current = scene.frame_current
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="amr-preview-") as folder, preview_stage.removed_afterwards():
            rate = scene.render.fps, scene.render.fps_base
            over, side = Path(folder) / "over", Path(folder) / "side"
            steps = 2 * (last - first + 1)
            with _announced(steps, say):
                through = preview_stage.through_camera(body, rig, camera, (layout.footage_width, layout.height))
                _draw(through, over, first, last, rate)
                beside = preview_stage.from_the_side(body, rig, camera, (layout.height, layout.height), first, last)
                _draw(beside, side, first, last, rate)
            say("encode", 0, 1)
            film = _film(layout, footage, camera, over, side, first, last, rate)
            movie = _encode(film, out / "preview.mp4")
            sheet = _contact_sheet(film, Path(folder), out / "preview.png", layout, first, last)
            say("encode", 1, 1)
    except OSError as error:
        raise SceneError(
            "preview-unwritable",
            f"The preview can't be written to {out}: {error.strerror or error}.",
            "Choose another folder, or free some space.",
        ) from error
    finally:
        if scene.frame_current != current:
            scene.frame_set(current)
    return movie, sheet


def _check_drawing() -> None:
    """Without libEGL Blender's module ends the whole process when it first draws; say so instead."""
    if not (bpy.app.background and sys.platform.startswith("linux")):
        return
    try:
        ctypes.CDLL("libEGL.so.1")
    except OSError as error:
        raise SceneError(
            "preview-no-egl",
            "The preview can't be drawn: the system library libEGL is missing.",
            "Install it, on Debian and Ubuntu with 'apt-get install libegl1 libgl1-mesa-dri'.",
        ) from error


def _aspect(scene: Any, footage: StripClip | None) -> float:
    if footage is not None and footage.width and footage.height:
        return footage.width / footage.height
    return float(scene.render.resolution_x / scene.render.resolution_y)


def _even(size: float) -> int:
    return max(2, 2 * round(size / 2))


@contextmanager
def _announced(steps: int, say: Report) -> Iterator[None]:
    """Report every written picture."""
    done = 0

    def written(*_: Any) -> None:
        nonlocal done
        done += 1
        say("draw", done, steps)

    bpy.app.handlers.render_write.append(written)
    try:
        yield
    finally:
        bpy.app.handlers.render_write.remove(written)


def _draw(scene: Any, folder: Path, first: int, last: int, rate: tuple[int, float]) -> None:
    """Every frame of ``scene`` as PNG with transparency: ``folder/000001.png`` is scene frame 1."""
    folder.mkdir()
    scene.frame_start, scene.frame_end = first, last
    render = scene.render
    render.fps, render.fps_base = rate
    render.image_settings.file_format, render.image_settings.color_mode = "PNG", "RGBA"
    render.image_settings.compression = 10
    render.filepath = str(folder / "######")
    _render(scene, animation=True)


def _render(scene: Any, **how: Any) -> None:
    try:
        finished = bpy.ops.render.render(scene=scene.name, **how)
    except RuntimeError as error:
        raise SceneError(
            "preview-failed", f"Blender could not draw the preview ({error}).", "Copy the diagnostics and report this."
        ) from error
    if "FINISHED" not in finished:
        raise SceneError("preview-cancelled", "The preview was cancelled.", "Start it again.")


def _frame_name(frame: int) -> str:
    return f"{frame:06d}.png" if frame >= 0 else f"-{-frame:05d}.png"


def _film(
    layout: Layout,
    footage: StripClip | None,
    camera: Any,
    over: Path,
    side: Path,
    first: int,
    last: int,
    rate: tuple[int, float],
) -> Any:
    """A scene whose sequencer lays the pictures side by side."""
    scene = bpy.data.scenes.new("AMR Preview Film")
    render = scene.render
    render.resolution_x, render.resolution_y, render.resolution_percentage = layout.width, layout.height, 100
    render.fps, render.fps_base = rate
    scene.frame_start, scene.frame_end = first, last
    scene.view_settings.view_transform = "Standard"
    strips = strips_of(scene.sequence_editor_create())
    ground = strips.new_effect("ground", "COLOR", 1, **_span(strips, first, last))
    ground.color = _BACKDROP
    left = -layout.height / 2  # of the footage panel's middle against the film's, in pixels
    if footage is not None:
        _lay_footage(strips, footage, camera, layout, left, first, last)
    for channel, folder, x, opacity in ((3, over, left, BODY_OPACITY), (4, side, layout.footage_width / 2, 1.0)):
        pictures = strips.new_image(
            folder.name, str(folder / _frame_name(first)), channel, first, fit_method="ORIGINAL"
        )
        for frame in range(first + 1, last + 1):
            pictures.elements.append(_frame_name(frame))
        pictures.frame_final_duration = last - first + 1
        pictures.transform.offset_x = x
        pictures.blend_type, pictures.blend_alpha = "ALPHA_OVER", opacity
    return scene


def _span(strips: Any, first: int, last: int) -> dict[str, int]:
    """Blender 5 asks for an effect's length, Blender 4 for its end."""
    names = strips.bl_rna.functions["new_effect"].parameters.keys()
    if "length" in names:
        return {"frame_start": first, "length": last - first + 1}
    return {"frame_start": first, "frame_end": last + 1}


def _lay_footage(
    strips: Any, footage: StripClip, camera: Any, layout: Layout, left: float, first: int, last: int
) -> None:
    """The footage, each picture on the scene frame where the animator's strip shows it."""
    frames = np.arange(first, last + 1)
    pictures = footage.timing.picture_at(frames)
    turned = camera.data.background_images[0].rotation if len(camera.data.background_images) else 0.0
    for run in np.split(np.arange(len(frames)), np.flatnonzero(np.diff(pictures) != 1) + 1):
        start, picture = int(frames[run[0]]), int(pictures[run[0]])
        if footage.images:
            names = footage.images[picture : picture + len(run)]
            folder = Path(footage.path).parent
            strip = strips.new_image("footage", str(folder / names[0]), 2, start, fit_method="ORIGINAL")
            for name in names[1:]:
                strip.elements.append(name)
        else:
            strip = strips.new_movie("footage", footage.path, 2, start - picture, fit_method="ORIGINAL")
        strip.frame_final_start, strip.frame_final_end = start, start + len(run)
        element = strip.elements[0]
        stored = np.array([element.orig_width or footage.width, element.orig_height or footage.height], float)
        upright = stored[::-1] if abs(np.sin(turned)) > 0.5 else stored
        # The larger of the two, so that rounding to even pixels leaves no gap.
        scale = float((np.array([layout.footage_width, layout.height]) / np.maximum(upright, 1.0)).max())
        strip.transform.scale_x = strip.transform.scale_y = scale
        strip.transform.rotation, strip.transform.offset_x = -turned, left


def _encode(scene: Any, movie: Path) -> Path:
    """H.264 in MP4."""
    render = scene.render
    if hasattr(render.image_settings, "media_type"):  # Blender 5
        render.image_settings.media_type = "VIDEO"
    render.image_settings.file_format = "FFMPEG"
    render.ffmpeg.format, render.ffmpeg.codec, render.ffmpeg.audio_codec = "MPEG4", "H264", "NONE"
    render.ffmpeg.constant_rate_factor, render.ffmpeg.gopsize = "HIGH", 12
    render.use_file_extension, render.filepath = False, str(movie)
    with movie.open("wb"):
        pass  # an OSError here says why; Blender's encoder would not
    _render(scene, animation=True)
    if movie.stat().st_size == 0:
        raise OSError(None, "Blender's encoder wrote nothing")
    return movie


def _contact_sheet(scene: Any, folder: Path, sheet: Path, layout: Layout, first: int, last: int) -> Path:
    """A few frames of the film, evenly spread, in one picture."""
    image_settings = scene.render.image_settings
    if hasattr(image_settings, "media_type"):
        image_settings.media_type = "IMAGE"
    image_settings.file_format, image_settings.color_mode = "PNG", "RGB"
    chosen = np.unique(np.linspace(first, last, SHEET_FRAMES).round().astype(int))
    tiles = []
    for frame in chosen.tolist():
        # As an animation of one frame: a still of the sequencer shows what was drawn last.
        scene.frame_start = scene.frame_end = frame
        scene.render.filepath, scene.render.use_file_extension = str(folder / "sheet_######"), True
        _render(scene, animation=True)
        tiles.append(_pixels(folder / f"sheet_{_frame_name(frame)}"))
    blank = np.zeros_like(tiles[0])
    columns = min(SHEET_COLUMNS, len(tiles))
    tiles += [blank] * (-len(tiles) % columns)
    rows = [np.concatenate(tiles[i : i + columns], 1) for i in range(0, len(tiles), columns)]
    page = np.concatenate(rows[::-1], 0)  # Blender's pictures start at the bottom
    height, width = page.shape[:2]
    image = bpy.data.images.new("AMR Preview Sheet", width, height)
    image.pixels.foreach_set(np.ascontiguousarray(page, np.float32).reshape(-1))
    image.file_format, image.filepath_raw = "PNG", str(sheet)
    try:
        image.save()
    except RuntimeError as error:
        raise OSError(None, str(error).strip()) from error
    return sheet


def _pixels(path: Path) -> Array:
    """(H, W, 4) as Blender stores them: bottom row first, without a change of colour space."""
    image = bpy.data.images.load(str(path))
    width, height = image.size
    pixels = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(pixels)
    bpy.data.images.remove(image)
    return pixels.reshape(height, width, 4)
