"""The demo, inside Blender: what an animator does by hand.  ``.venv/bin/python demo_in_blender.py VIDEO FOLDER``.

Adds the movie to the sequencer of an empty scene, calls the operator behind the button Reconstruct, and saves what came
of it: take.npz, scene.blend, preview.mp4, preview.png.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import bpy

import amr_blender
from amr_blender.contract.errors import AmrError
from amr_blender.scene.preview import render_preview
from amr_blender.scene.strip import read_strip

LOG = Path(__file__).resolve().parent.parent / "build" / "logs" / "demo.log"


def add_movie(scene: bpy.types.Scene, video: Path) -> bpy.types.Strip:
    """The movie as a strip from frame 1; the scene takes its rate and length, as Blender's own import does."""
    editor = scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences  # before Blender 4.4
    strip = strips.new_movie(name=video.stem, filepath=str(video), channel=1, frame_start=1)
    rate = strip.fps or 24.0
    scene.render.fps = max(1, round(rate))
    scene.render.fps_base = scene.render.fps / rate
    element = strip.elements[0]
    if element.orig_width and element.orig_height:
        scene.render.resolution_x, scene.render.resolution_y = element.orig_width, element.orig_height
    scene.frame_start, scene.frame_end = 1, max(1, strip.frame_final_duration)
    editor.active_strip = strip
    return strip


def main(video: Path, folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    log_to_file()
    amr_blender.register()
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    if hasattr(bpy.context.workspace, "sequencer_scene"):
        bpy.context.workspace.sequencer_scene = scene
    strip = add_movie(scene, video)
    started = time.monotonic()
    try:
        with without_blenders_chatter():
            bpy.ops.amr.reconstruct("EXEC_DEFAULT", take_path=str(folder / "take.npz"))
    except RuntimeError as error:  # how Blender hands on what an operator reported
        print(f"{str(error).strip()} Details: {LOG}", file=sys.stderr)
        with suppress(OSError):
            folder.rmdir()  # only if there is nothing in it
        return 1
    if not scene.amr.results:
        print("Error: Reconstruct made nothing.", file=sys.stderr)
        return 1
    result = scene.amr.results[-1]
    print(f"Reconstructed {result.frames} frames in {time.monotonic() - started:.0f} s.", flush=True)
    bpy.context.preferences.filepaths.save_version = 0  # no scene.blend1 beside it, when run again
    try:
        with without_blenders_chatter():
            bpy.ops.wm.save_as_mainfile(filepath=str(folder / "scene.blend"), compress=True)
            render_preview(scene, result, read_strip(scene, strip), folder, progress_line())
    except (AmrError, RuntimeError) as error:
        print(f"Error: {str(error).strip().removeprefix('Error: ')}", file=sys.stderr)
        return 1
    print(f"See {folder}: take.npz, scene.blend, preview.mp4, preview.png")
    return 0


def log_to_file() -> None:
    """Traces, the worker's last words and the graphics driver's murmurs are for the log.

    The person at the terminal gets a sentence: Python keeps the terminal, what lies below it writes to the log.
    """
    LOG.parent.mkdir(parents=True, exist_ok=True)
    sys.stderr = os.fdopen(os.dup(2), "w", encoding="utf-8", errors="replace")
    with LOG.with_name("demo-native.log").open("wb") as native:
        os.dup2(native.fileno(), 2)
    log = logging.getLogger("amr_blender")
    log.addHandler(logging.FileHandler(LOG, mode="w", encoding="utf-8"))
    log.propagate = False


@contextmanager
def without_blenders_chatter() -> Iterator[None]:
    """Blender prints reports, and a line or more for every frame it renders, below Python to standard output."""
    sys.stdout.flush()
    kept = os.dup(1)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def progress_line() -> Callable[[str, int, int], None]:
    """Shows how far the preview is: a moving line in a terminal, a line a stage elsewhere."""
    said = ""

    def show(stage: str, done: int, total: int) -> None:
        nonlocal said
        title = {"draw": "Drawing the preview", "encode": "Encoding the preview"}.get(stage, stage)
        if sys.stderr.isatty():
            end = "\n" if stage == "encode" and done == total else ""
            print(f"\r{title:<22} {done}/{total}   ", end=end, file=sys.stderr, flush=True)
        elif title != said:
            print(title, file=sys.stderr, flush=True)
        said = title

    return show


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
