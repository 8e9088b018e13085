"""Reads a movie or image strip of the sequencer: its file, the part in use, and which picture shows when."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import bpy

from ..contract.errors import SceneError
from .timing import StripTiming

__all__ = ["StripClip", "StripTiming", "check_strip", "read_strip", "selected_strip", "strips_of"]


@dataclass(frozen=True)
class StripClip:
    """What the worker and the camera need to know of a strip, as plain data."""

    path: str
    """Absolute path of the movie, or of the first image."""
    images: tuple[str, ...]
    """File names of an image sequence in playing order; empty for a movie."""
    image_fps: float
    """Rate of an image sequence (the scene's, as Blender plays one image a frame); 24 for a movie, unused."""
    frame_start: int
    """First source frame in use, from 0."""
    frame_end: int
    """One past the last."""
    width: int
    """Pixels as Blender decodes them; 0 when unknown."""
    height: int
    name: str
    timing: StripTiming


def strips_of(editor: Any) -> Any:
    """The top-level strips of a sequence editor: ``strips`` since Blender 4.4, ``sequences`` before."""
    return editor.strips if hasattr(editor, "strips") else editor.sequences


def selected_strip(scene: Any) -> Any:
    """The active strip if it is a selected movie or image strip, else the only selected one.

    Raises:
        SceneError: none, several, or another kind is selected.
    """
    editor = scene.sequence_editor
    remedy = "Select one movie or image-sequence strip in the Video Sequencer."
    chosen = [s for s in strips_of(editor) if s.select] if editor else []
    if not chosen:
        raise SceneError("strip-none", "No strip is selected.", remedy)
    if editor.active_strip in chosen:
        return editor.active_strip
    footage = [s for s in chosen if s.type in {"MOVIE", "IMAGE"}]
    if len(footage) > 1:
        raise SceneError("strip-several", f"{len(footage)} strips are selected.", remedy)
    return footage[0] if footage else chosen[0]


def read_strip(scene: Any, strip: Any) -> StripClip:
    """Everything that the job needs of ``strip``; changes nothing, but opens the file: not for ``draw`` and ``poll``.

    Placement (offset and scale of the picture) is no matter of the footage and is ignored: the whole picture is used.

    Raises:
        SceneError: nothing selected, the wrong kind, a missing file, or a property that the add-on does not follow.
    """
    check_strip(scene, strip)
    path, images = _files(strip)
    timing = _timing(scene, strip, path, images)
    if images:
        images = images[: timing.index_offset + timing.index_max + 1]
    first, end = timing.source_range()
    element = strip.elements[0] if strip.elements else None
    return StripClip(
        path=path,
        images=images,
        image_fps=timing.source_fps if images else 24.0,
        frame_start=first,
        frame_end=end,
        width=element.orig_width if element else 0,
        height=element.orig_height if element else 0,
        name=strip.name,
        timing=timing,
    )


def check_strip(scene: Any, strip: Any) -> None:
    """The part of :func:`read_strip` that opens no file: quick enough for ``poll`` and ``draw``.

    Raises:
        SceneError: nothing selected, the wrong kind, or a property that the add-on does not follow.
    """
    if strip is None:
        raise SceneError("strip-none", "No strip is selected.", "Select a movie or image-sequence strip.")
    if strip.type not in {"MOVIE", "IMAGE"}:
        raise SceneError(
            "strip-type",
            f"'{strip.name}' is a {strip.type.replace('_', ' ').lower()} strip, not footage.",
            "Select a movie or image-sequence strip.",
        )

    def refuse(when: bool, code: str, what: str, remedy: str) -> None:
        if when:
            raise SceneError(code, f"'{strip.name}' {what}.", remedy)

    # Before the search for effects, which looks among the top-level strips only.
    refuse(
        strip.parent_meta() is not None, "strip-in-meta", "lies inside a meta strip", "Take it out of the meta strip."
    )
    crop = strip.crop
    mirrored = strip.use_flip_x or strip.use_flip_y
    refuse(mirrored, "strip-mirrored", "is mirrored", "Turn off Mirror X and Y in the strip's Transform panel.")
    cropped = any((crop.min_x, crop.max_x, crop.min_y, crop.max_y))
    refuse(
        cropped,
        "strip-cropped",
        "is cropped",
        "Set the strip's crop to zero; the whole picture is needed for the lens.",
    )
    refuse(
        abs(strip.transform.rotation) > 1e-4,
        "strip-rotated",
        "is rotated",
        "Set the strip's rotation to zero; footage from a phone is turned upright by itself.",
    )
    refuse(
        len(getattr(strip, "retiming_keys", ())) > 0,
        "strip-retimed",
        "has retiming keys",
        "Reset its retiming (Strip > Retiming > Reset), or render the retimed strip to a movie and use that.",
    )
    refuse(
        any(s.type == "SPEED" and s.input_1 == strip for s in strips_of(scene.sequence_editor)),
        "strip-speed-effect",
        "has a Speed Control effect",
        "Delete the effect, or render its result to a movie and use that.",
    )
    refuse(
        getattr(strip, "stream_index", 0) > 0,
        "strip-stream",
        "plays another than the first video stream of its file",
        "Set Stream Index to 0.",
    )
    refuse(
        scene.render.frame_map_old != scene.render.frame_map_new,
        "scene-time-stretched",
        "plays in a scene with stretched time",
        "Set Old and New to the same value under Output > Frame Range > Time Stretching.",
    )


def _files(strip: Any) -> tuple[str, tuple[str, ...]]:
    """Absolute path of the movie or first image, and the image names."""
    images: tuple[str, ...] = ()
    if strip.type == "MOVIE":
        path = bpy.path.abspath(strip.filepath)
    else:
        images = tuple(element.filename for element in strip.elements)
        path = os.path.join(bpy.path.abspath(strip.directory), images[0]) if images else ""
    path = os.path.normpath(path) if path else ""
    folder = os.path.dirname(path)
    missing = [p for p in ([os.path.join(folder, i) for i in images] or [path]) if not os.path.isfile(p)]
    if missing:
        raise SceneError(
            "strip-file-missing",
            f"The file {missing[0] or 'of the strip'} of '{strip.name}' does not exist.",
            "Find it with File > External Data > Find Missing Files, or add the strip again.",
        )
    return path, images


def _timing(scene: Any, strip: Any, path: str, images: tuple[str, ...]) -> StripTiming:
    scene_fps = scene.render.fps / scene.render.fps_base
    origin = float(strip.frame_start)
    # Scene frames that the untrimmed content spans: what the handles and their offsets leave.
    span = round(strip.frame_final_end + strip.frame_offset_end - origin)
    cut_start, cut_end = int(strip.animation_offset_start), int(strip.animation_offset_end)
    if strip.type == "IMAGE":
        fps, count, rate = scene_fps, max(1, len(images) - cut_start - cut_end), 1.0
    else:
        fps = float(strip.fps)
        file_count = _movie_length(path, strip.name)
        if fps <= 0:
            raise SceneError(
                "strip-rate", f"The frame rate of '{strip.name}' is unknown.", "Convert the footage to mp4."
            )
        count = max(1, file_count - cut_start - cut_end)
        rate = _rate(fps / scene_fps, span, count)
    timing = StripTiming(
        scene_start=int(strip.frame_final_start),
        scene_end=int(strip.frame_final_end) - 1,
        origin=origin + span - 1 if strip.use_reverse_frames else origin,
        rate=rate,
        index_max=count - 1,
        source_fps=fps,
        reverse=bool(strip.use_reverse_frames),
        index_offset=cut_start,
        strobe=max(1.0, float(strip.strobe)),
    )
    if strip.type == "IMAGE" and len(images) > 1:
        _check_images(strip, timing, images)
    return timing


def _rate(media: float, span: int, count: int) -> float:
    """Source frames per scene frame: ``media`` if the strip plays at its media's rate, else 1.

    Blender does not tell which (a box ticked when the strip is added), but the strip's length gives it away. Where it
    does not, because both agree within a frame or the file has changed since, the default of that box counts.
    """
    at_media_rate = abs(span * media - count) <= max(1.0, media)
    return 1.0 if not at_media_rate and abs(span - count) <= 1 else media


def _movie_length(path: str, name: str) -> int:
    """Frames of the file as Blender counts them now (the strip remembers how it was when it was added)."""
    clip = None
    try:
        clip = bpy.data.movieclips.load(path)
        length = int(clip.frame_duration)
    except RuntimeError:
        length = 0
    finally:
        if clip is not None:
            bpy.data.movieclips.remove(clip)
    if length < 1:
        raise SceneError(
            "strip-unreadable",
            f"Blender can't read the footage of '{name}'.",
            "Convert it to mp4 (H.264) and add it again.",
        )
    return length


def _check_images(strip: Any, timing: StripTiming, images: tuple[str, ...]) -> None:
    """Blender tells which image shows when; a disagreement means retiming (unreadable for images in Blender 4.2)."""
    frames = timing.scene_frames
    for scene_frame, picture in zip(frames.tolist(), timing.picture_at(frames).tolist(), strict=True):
        element = strip.strip_elem_from_frame(scene_frame)
        if element is not None and element.filename != images[min(picture, len(images) - 1)]:
            raise SceneError(
                "strip-retimed",
                f"'{strip.name}' does not play its images one after the other.",
                "Reset its retiming (Strip > Retiming > Reset).",
            )
