"""From a take to an entry in the panel's list of results; and the other way round, from an entry to its objects."""

import math

import bpy

from ..contract.errors import SceneError
from ..contract.spaces import camera_tilt_deg, lens_from_focal_px
from ..scene.bring_in import ImportOptions
from ..scene.bring_in import bring_in as build
from . import text

PARTS = ("collection", "armature", "mesh", "baked", "camera")


def bring_in(context, scene, take, clip, name, baked_max_error_mm):
    """Build ``take`` in ``scene`` and list it there.  ``clip`` gives footage and timing, or is None.

    Raises:
        AmrError: and leaves the scene as it was.
    """
    options = ImportOptions(
        name=name,
        baked=baked_max_error_mm is not None,
        baked_max_error_mm=baked_max_error_mm or 5.0,
        footage=clip,
    )
    with context.temp_override(scene=scene, view_layer=_view_layer(context, scene)):
        made = build(bpy.context, take, clip.timing if clip else None, options)
    entry = scene.amr.results.add()
    scene.amr.active_result = len(scene.amr.results) - 1
    for part in PARTS:
        setattr(entry, part, getattr(made, part) or "")
    entry.name = made.name
    entry.baked_keys, entry.baked_error_mm = made.baked_keys, made.baked_error_mm
    entry.frame_start, entry.frame_end = made.frame_start, made.frame_end
    entry.frames_filled = made.filled
    entry.frames_empty = "\n".join(text.frame_range(first, last) for first, last in made.empty)
    _describe(entry, take, made.warnings)
    _describe_refinement(entry, made)
    return entry


def _view_layer(context, scene):
    return context.view_layer if context.scene == scene else scene.view_layers[0]


def _describe(entry, take, warnings):
    """What the panel tells about ``take`` without opening it again."""
    entry.frames = take.frame_count
    entry.frames_seen = int(take.present.sum())
    entry.height_m = take.meta.get("actor_height_m") or 0.0
    entry.height_given = take.meta.get("height_source") == "given"
    _describe_camera(entry, take)
    told = [warning["message"] for warning in take.meta.get("warnings", [])]
    entry.warnings = "\n".join([*told, *warnings])


def _describe_refinement(entry, made):
    entry.refinement_keys, entry.refinement_error_mm = made.refinement_keys, made.refinement_error_mm
    entry.has_attention, entry.attention_error = made.attention.shown, made.attention.error
    entry.worst_in_mm = made.attention.worst_in_mm
    for frame, score in made.attention.worst:
        moment = entry.worst.add()
        moment.frame, moment.score = frame, score


def _describe_camera(entry, take):
    source, camera = take.meta.get("source", {}), take.meta.get("camera")
    width, height = source.get("width", 0), source.get("height", 0)
    entry.focal_source = take.meta.get("focal_source", "")
    if width and height:
        entry.lens_mm = lens_from_focal_px(float(take.K[0, 0]), width, height)
        known = camera if isinstance(camera, dict) else {}
        bounds = [known.get(name) for name in ("focal_low_px", "focal_high_px")]
        if all(isinstance(px, int | float) and math.isfinite(px) for px in bounds):
            entry.lens_low_mm, entry.lens_high_mm = (lens_from_focal_px(px, width, height) for px in bounds)
    entry.looks_down_deg, entry.rolled_deg = camera_tilt_deg(take.camera_to_world[0])


def add_warnings(entry, sentences):
    """Add what the take itself does not tell already."""
    known = entry.warnings.splitlines()
    entry.warnings = "\n".join(known + [sentence for sentence in dict.fromkeys(sentences) if sentence not in known])


def show_people(settings, people, footage_key):
    """List ``people``, as the worker told of them, in the panel."""
    settings.people.clear()
    for person in people:
        entry = settings.people.add()
        entry.index, entry.share = person["index"], person["share"]
        entry.frame_start, entry.frame_end = person["frame_start"], person["frame_end"]
        entry.thumbnail = person["thumbnail"]
    settings.people_footage = footage_key
    settings.person = -1


def active(scene):
    """The entry that is highlighted in the list, or None."""
    settings = scene.amr
    return settings.results[settings.active_result] if 0 <= settings.active_result < len(settings.results) else None


def part(entry, name, scene):
    """The object behind a part of ``entry``.

    Raises:
        SceneError: it was renamed, deleted or moved to another scene.
    """
    found = scene.objects.get(getattr(entry, name)) if getattr(entry, name) else None
    if found is None:
        raise SceneError(
            "result-gone",
            f"'{getattr(entry, name) or name}' is not in this scene any more.",
            "It was renamed or deleted: select it by hand, or take the entry off the list.",
        )
    return found


def is_visible(entry, name, context):
    """Whether a part is shown in the window's view layer; False if it is gone."""
    found = context.scene.objects.get(getattr(entry, name)) if getattr(entry, name) else None
    return bool(found and context.view_layer.objects.get(found.name) and found.visible_get())


def set_visible(found, visible, view_layer):
    """Show or hide an object in viewport and render, with the collections that hide it."""
    if visible:
        for layer_collection in _path_to(view_layer.layer_collection, found):
            layer_collection.exclude = False
            layer_collection.hide_viewport = False
            layer_collection.collection.hide_viewport = False
            layer_collection.collection.hide_render = False
        found.hide_viewport = False
    found.hide_render = not visible
    if view_layer.objects.get(found.name):
        found.hide_set(not visible, view_layer=view_layer)


def _path_to(layer_collection, found):
    """The layer collections from the top down to the one that holds ``found``; empty if none does."""
    if found.name in layer_collection.collection.objects:
        return [layer_collection]
    for child in layer_collection.children:
        if path := _path_to(child, found):
            return [layer_collection, *path]
    return []
