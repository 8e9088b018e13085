"""Footage whose pictures carry their own number as black and white bars, made by Blender itself."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT, BITS = 64, 32, 8


def write_images(folder: Path, count: int, first: int = 0, name: str = "f_{:04d}.png") -> list[Path]:
    """PNG files with the numbers 0 to ``count`` - 1, whose names count from ``first``."""
    paths = [folder / name.format(first + i) for i in range(count)]
    for number, path in enumerate(paths):
        picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        for bit in range(BITS):
            picture[:, bit * 8 : bit * 8 + 8] = 255 * (number >> bit & 1)
        path.write_bytes(_png(picture))
    return paths


def _png(picture: NDArray[np.uint8]) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, _ = picture.shape
    rows = b"".join(b"\0" + row.tobytes() for row in picture)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def read_number(bpy: Any, path: Path) -> int:
    """The number that a picture carries."""
    image = bpy.data.images.load(str(path))
    width, height = image.size
    pixels = np.empty(width * height * image.channels, np.float32)
    image.pixels.foreach_get(pixels)
    row = pixels.reshape(height, width, -1)[height // 2, :, 0]
    bpy.data.images.remove(image)
    return sum(int(row[int((bit + 0.5) * width / BITS)] > 0.5) << bit for bit in range(BITS))


def strips(scene: Any) -> Any:
    # Blender fits a strip into the render size of the moment when it is added.
    scene.render.resolution_x, scene.render.resolution_y = WIDTH, HEIGHT
    scene.render.resolution_percentage = 100
    scene.sequence_editor_create()
    editor = scene.sequence_editor
    return editor.strips if hasattr(editor, "strips") else editor.sequences


def add_images(scene: Any, paths: list[Path], start: int = 1) -> Any:
    strip = strips(scene).new_image("images", str(paths[0]), 1, start)
    for path in paths[1:]:
        strip.elements.append(path.name)
    return strip


def write_movie(bpy: Any, folder: Path, count: int, fps: int = 30, fps_base: float = 1.001) -> Path:
    """An H.264 movie of ``count`` numbered pictures, written through the sequencer."""
    scene = bpy.context.scene
    strip = add_images(scene, write_images(folder, count))
    render = scene.render
    before = render.fps, render.fps_base, scene.frame_start, scene.frame_end
    render.fps, render.fps_base, scene.frame_start, scene.frame_end = fps, fps_base, 1, count
    if hasattr(render.image_settings, "media_type"):
        render.image_settings.media_type = "VIDEO"
    render.image_settings.file_format = "FFMPEG"
    render.ffmpeg.format, render.ffmpeg.codec, render.ffmpeg.gopsize = "MPEG4", "H264", 10
    render.ffmpeg.constant_rate_factor = "HIGH"
    path = folder / f"numbered_{count}_{fps}.mp4"
    render.filepath, render.use_file_extension = str(path), False
    bpy.ops.render.render(animation=True)
    strips(scene).remove(strip)
    if hasattr(render.image_settings, "media_type"):
        render.image_settings.media_type = "IMAGE"
    render.image_settings.file_format = "PNG"
    render.fps, render.fps_base, scene.frame_start, scene.frame_end = before
    return path


def in_sequencer(bpy: Any) -> Any:
    """A context override in which sequencer operators run."""
    bpy.context.preferences.system.sequencer_proxy_setup = "MANUAL"  # the proxy job crashes the bpy wheel
    window = bpy.context.window_manager.windows[0]
    if hasattr(window.workspace, "sequencer_scene"):
        window.workspace.sequencer_scene = window.scene
    area = window.screen.areas[0]
    area.type = "SEQUENCE_EDITOR"
    region = next(r for r in area.regions if r.type == "WINDOW")
    return bpy.context.temp_override(window=window, area=area, region=region)


def add_movie(bpy: Any, path: Path, start: int, at_media_rate: bool) -> Any:
    """A movie strip as the animator adds it; ``at_media_rate`` is the operator's box (on by default)."""
    scene = bpy.context.scene
    before = set(strips(scene).keys())
    # Moving the strip with the mouse, which Blender 5 starts by itself, needs a mouse.
    extra = {"move_strips": False} if bpy.app.version >= (5, 0, 0) else {}
    with in_sequencer(bpy):
        bpy.ops.sequencer.movie_strip_add(
            filepath=str(path), frame_start=start, channel=1, sound=False, use_framerate=False,
            fit_method="FIT", adjust_playback_rate=at_media_rate, relative_path=False, **extra,
        )  # fmt: skip
    return next(s for s in strips(scene) if s.name not in before)


def shown(bpy: Any, folder: Path, frame: int) -> int:
    """The number of the picture that the sequencer renders on ``frame``."""
    scene = bpy.context.scene
    for strip in strips(scene):
        if strip.type in {"MOVIE", "IMAGE"}:
            strip.invalidate_cache("RAW")  # Blender 5.0 finds neighbouring pictures there
    scene.frame_set(frame)
    scene.render.filepath = str(folder / "shown.png")
    bpy.ops.render.render(write_still=True)
    return read_number(bpy, folder / "shown.png")
