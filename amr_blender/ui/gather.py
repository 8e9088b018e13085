"""From what the animator sees to plain data: the strip, the job, the plan.  Reads the scene and changes nothing."""

import dataclasses
import json
import re
import uuid
from datetime import datetime
from pathlib import Path

import bpy

from .. import preferences
from ..contract.errors import SceneError
from ..contract.job import Job
from ..contract.spaces import focal_px_from_lens
from ..scene.strip import StripClip, StripTiming, check_strip, read_strip
from . import runner

FOOTAGE_TYPES = {"MOVIE", "IMAGE"}
TAKES, PICTURES, JOBS = OWN_FOLDERS = ("amr-takes", "amr-pictures", "amr-jobs")
"""Folders inside the cache folder.  Named so that clearing can't hit the animator's own files."""


# --------------------------------------------------------------------------------------------------------- strip


def all_strips(scene):
    """Every strip of ``scene``, those inside meta strips too."""
    editor = scene.sequence_editor if scene else None
    if editor is None:
        return []
    return list(editor.strips_all if hasattr(editor, "strips_all") else editor.sequences_all)  # before Blender 4.4


def footage_strips(scene):
    return [strip for strip in all_strips(scene) if strip.type in FOOTAGE_TYPES]


def strip_scene(context):
    """The scene whose sequencer counts: the one that the sequencer shows, else the window's, else any with footage.

    Since Blender 5.0 the sequencer may show another scene than the window.
    """
    shown = getattr(getattr(context, "workspace", None), "sequencer_scene", None)
    candidates = [scene for scene in (shown, context.scene) if scene]
    for scene in [*candidates, *bpy.data.scenes]:
        if footage_strips(scene):
            return scene
    return candidates[0]


def chosen_strip(scene):
    """The strip named in the panel, else the active one, else the only one with footage.

    Raises:
        SceneError: there is none.
    """
    name = scene.amr.strip_name
    if name:
        for strip in all_strips(scene):
            if strip.name == name:
                return strip
        raise SceneError("no-strip", f"There is no strip '{name}' any more.", "Choose another strip.")
    footage = footage_strips(scene)
    active = scene.sequence_editor.active_strip if scene.sequence_editor else None
    if active and (active.type in FOOTAGE_TYPES or not footage):
        return active
    if len(footage) == 1:
        return footage[0]
    if footage:
        raise SceneError("no-strip", "No strip is selected.", "Click a movie or image strip in the Video Sequencer.")
    raise SceneError(
        "no-strip", "There is no footage in the Video Sequencer.", "Add a movie or an image sequence there."
    )


def checked_strip(context):
    """``(scene, strip)``: the chosen strip, if nothing visible speaks against it.  Quick: for ``poll`` and ``draw``.

    Raises:
        SceneError: no strip, or one that can't be used; the sentence names the reason.
    """
    scene = strip_scene(context)
    strip = chosen_strip(scene)
    check_strip(scene, strip)
    return scene, strip


def footage_key(strip) -> str:
    """Tells whether people were found in this very piece of footage, wherever the strip lies."""
    file = (
        strip.filepath if strip.type == "MOVIE" else strip.directory + "".join(e.filename for e in strip.elements[:1])
    )
    return f"{file}|{strip.frame_final_start - strip.frame_start:g}|{strip.frame_final_duration}"


# ----------------------------------------------------------------------------------------------------------- job


def reconstruct_plan(context, take_path: str = "") -> runner.Plan:
    """Everything that a reconstruction of the chosen strip needs.

    Raises:
        AmrError: no usable strip, no Python for the worker, no body model, a folder that can't be written.
    """
    scene, strip = checked_strip(context)
    clip, settings = read_strip(scene, strip), scene.amr
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    own = _own_folder(TAKES) / f"{_file_name(clip.name)}-{stamp}-{uuid.uuid4().hex[:6]}.npz"
    focal_px = focal_px_from_lens(settings.lens_mm, clip.width, clip.height) if settings.use_lens else None
    known = settings.people_footage == footage_key(strip)
    job = dataclasses.replace(
        _job(clip, Path(bpy.path.abspath(take_path)).resolve() if take_path else own),
        person=settings.person if known and settings.person >= 0 else None,
        actor_height_m=settings.height_m if settings.use_height else None,
        focal_px=focal_px,
        quality=settings.quality,
        body_file=preferences.body_file(),
    )
    arguments = {
        "scene_uid": scene.session_uid,
        "clip": clip_to_json(clip),
        "name": Path(clip.name).stem or "Take",
        "baked": settings.use_baked,
        "baked_max_error_mm": settings.baked_max_error_mm,
    }
    return _plan(scene, job, arguments, keep_out=bool(take_path))


def people_plan(context) -> runner.Plan:
    """What finding the people in the chosen strip needs.  Raises as :func:`reconstruct_plan`."""
    scene, strip = checked_strip(context)
    clip = read_strip(scene, strip)
    job = dataclasses.replace(_job(clip, _own_folder(PICTURES) / uuid.uuid4().hex[:12]), action="people")
    return _plan(scene, job, {"scene_uid": scene.session_uid, "footage_key": footage_key(strip)}, keep_out=False)


def _job(clip: StripClip, out: Path) -> Job:
    return Job(
        video=clip.path,
        out=str(out),
        images=tuple(clip.images),
        image_fps=clip.image_fps,
        frame_start=clip.frame_start,
        frame_end=clip.frame_end,
        range_fps=None if clip.images else clip.timing.source_fps,
        device=preferences.get().device,
        cache=str(preferences.cache_folder()),
    )


def _plan(scene, job, arguments, *, keep_out):
    folder = _own_folder(JOBS) / uuid.uuid4().hex[:12]
    return runner.Plan(job, preferences.worker_python(), folder, scene.session_uid, arguments, keep_out)


def _own_folder(name: str) -> Path:
    return preferences.writable(preferences.cache_folder() / name)


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", Path(name).stem)[:60] or "take"


# --------------------------------------------------------------------------------------------------- plain values


def scene_by_uid(uid: int):
    """The scene with this ``session_uid``.

    Raises:
        SceneError: it was deleted meanwhile.
    """
    for scene in bpy.data.scenes:
        if scene.session_uid == uid:
            return scene
    raise SceneError(
        "scene-gone", "The scene of this clip was deleted while it was computed.", "Reconstruct the clip again."
    )


def clip_to_json(clip: StripClip) -> str:
    """``clip`` as text, to travel through an operator's properties."""
    data = {f.name: getattr(clip, f.name) for f in dataclasses.fields(clip) if f.name != "timing"}
    return json.dumps({**data, "timing": clip.timing.to_json()})


def clip_from_json(text: str) -> StripClip:
    data = json.loads(text)
    timing = StripTiming.from_json(data.pop("timing"))
    return StripClip(**{**data, "images": tuple(data["images"])}, timing=timing)
