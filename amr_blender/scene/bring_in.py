"""One take becomes a rigged body, a baked one and a camera: all of it, or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bpy

from ..contract.errors import AmrError, SceneError
from ..contract.take import Take, validate
from . import armature, attention, camera, mesh, shape_keys
from .action import ActionWriter, key_hidden
from .attention import AttentionMade
from .reduction import reduce_motion
from .sampling import Motion, sample
from .strip import StripClip
from .timing import StripTiming, timing_without_strip
from .transaction import all_or_nothing

DEFAULT_MAX_ERROR_MM = 5.0


@dataclass
class ImportOptions:
    """What the animator may choose."""

    name: str = ""
    """Of the result; empty takes the footage's."""
    baked: bool = True
    baked_max_error_mm: float = DEFAULT_MAX_ERROR_MM
    footage: StripClip | None = None
    """Put behind the camera; None leaves the camera without a picture."""


@dataclass(frozen=True)
class Result:
    """Names of what was made (names survive undo and reload, references do not)."""

    name: str
    collection: str
    armature: str
    mesh: str
    camera: str
    baked: str
    """Empty if no baked body was asked for."""
    baked_keys: int
    baked_error_mm: float
    frame_start: int
    """First and last keyed scene frame."""
    frame_end: int
    filled: int = 0
    """Keyed scene frames on which nobody was seen: their keys have a type of their own."""
    empty: tuple[tuple[int, int], ...] = ()
    """First and last scene frame of each stretch that is left without keys."""
    warnings: tuple[str, ...] = ()
    refinement_keys: int = 0
    """Corrective shape keys of the rigged body."""
    refinement_error_mm: float = 0.0
    attention: AttentionMade = AttentionMade()


def bring_in(context: Any, take: Take, timing: StripTiming | None, options: ImportOptions | None = None) -> Result:
    """Make everything in ``context.scene``, as new data under new names; what was there stays as it was.

    Neither the scene's frame range, its current frame nor its render settings are touched; the camera becomes the
    scene's only where it has none. Afterwards the armature is active and alone selected, in object mode.

    Args:
        context: whose scene is the one in whose frames ``timing`` counts, with a view layer in which to edit.
        timing: of the strip, from :func:`.strip.read_strip`; None puts the take's first frame on the scene's
            first.

    Raises:
        AmrError: the take or an option makes no sense, or Blender refused a step. The scene is as before.
    """
    options = options or ImportOptions()
    if not 0.01 <= options.baked_max_error_mm <= 1000.0:
        raise SceneError(
            "baked-error-invalid",
            f"A largest vertex error of {options.baked_max_error_mm} mm can't be kept.",
            "Give a value between 0.01 and 1000 mm.",
        )
    validate(take)
    scene = context.scene
    fps = scene.render.fps / scene.render.fps_base
    if timing is None:
        source_fps = float(take.meta.get("source", {}).get("fps") or fps)
        timing = timing_without_strip(take.time_s, source_fps, fps, scene.frame_start)
    motion = sample(take, timing, fps)
    with all_or_nothing(context):
        try:
            return _make(context, take, motion, options)
        except AmrError:
            raise
        except (RuntimeError, ReferenceError, TypeError, ValueError) as error:
            raise SceneError(
                "scene-failed",
                f"Blender could not build the result ({error}).",
                "Copy the diagnostics and report this; the scene is unchanged.",
            ) from error


def _make(context: Any, take: Take, motion: Motion, options: ImportOptions) -> Result:
    scene = context.scene
    name = _free_name(options.name or _footage_name(take))
    for item in context.view_layer.objects:
        item.select_set(False)
    collection = bpy.data.collections.new(name)
    scene.collection.children.link(collection)
    material = mesh.make_material(f"{name} Skin")

    rig = armature.make_armature(context, take, f"{name} Rig", collection)
    armature.animate_armature(rig, take, motion, f"{name} Rig")
    body = mesh.make_body(take, f"{name} Body", collection, rig, material)
    refinement_keys, refinement_error_mm = shape_keys.add_refinement(body, take, motion)
    unsure = attention.add_attention(body, take, motion, name, scene.render.fps / scene.render.fps_base)
    if motion.hidden:
        key_hidden(ActionWriter(body, f"{name} Body"), motion.frames, motion.hidden)

    view = camera.make_camera(scene, take, motion, f"{name} Camera", collection)
    if scene.camera is None:
        scene.camera = view
    warnings = _put_footage(scene, view, take, options)

    baked_name, keys, error_mm = "", 0, 0.0
    if options.baked:
        baked = reduce_motion(take, motion, options.baked_max_error_mm)
        hidden = bpy.data.collections.new(f"{name} Baked")
        collection.children.link(hidden)
        twin = shape_keys.make_baked(take, motion, baked, f"{name} Baked", hidden, material)
        baked_name, keys, error_mm = twin.name, len(baked.shapes), baked.error_mm
        twin["amr_baked_keys"], twin["amr_baked_error_mm"] = keys, error_mm
        twin["amr_baked_max_error_mm"] = options.baked_max_error_mm
        _hide(scene, hidden)
    context.view_layer.update()  # so that a script that asks for matrices next gets them
    collection["amr_source"] = str(take.meta.get("source", {}).get("name", ""))
    return Result(
        name=name,
        collection=collection.name,
        armature=rig.name,
        mesh=body.name,
        camera=view.name,
        baked=baked_name,
        baked_keys=keys,
        baked_error_mm=error_mm,
        frame_start=int(motion.frames[0]),
        frame_end=int(motion.frames[-1]),
        filled=int(motion.marks.filled.sum()),
        empty=tuple(motion.empty),
        warnings=warnings,
        refinement_keys=refinement_keys,
        refinement_error_mm=refinement_error_mm,
        attention=unsure,
    )


def _put_footage(scene: Any, view: Any, take: Take, options: ImportOptions) -> tuple[str, ...]:
    if options.footage is None:
        return ()
    turned = int(take.meta.get("source", {}).get("rotation_deg", 0))
    if camera.add_footage(scene, view, options.footage, camera.footage_size(take), turned):
        return ()
    return ("The images are no numbered sequence, so Blender can't show them behind the camera.",)


def _footage_name(take: Take) -> str:
    stem = str(take.meta.get("source", {}).get("name", "")).rsplit(".", 1)[0]
    return stem or "Take"


def _free_name(wanted: str) -> str:
    """``wanted``, or with a number that no earlier result has; short enough for Blender's names of 63 bytes."""
    base = wanted.encode()[:40].decode(errors="ignore").strip() or "Take"
    taken = {c.name for c in bpy.data.collections} | {o.name.rsplit(" ", 1)[0] for o in bpy.data.objects}
    name, number = base, 2
    while name in taken:
        name, number = f"{base} {number}", number + 1
    return name


def _hide(scene: Any, collection: Any) -> None:
    """Hide ``collection`` in every view layer (its eye in the outliner) and from renders."""
    collection.hide_render = True
    for layer in scene.view_layers:
        _layer_collection(layer.layer_collection, collection).hide_viewport = True


def _layer_collection(root: Any, wanted: Any) -> Any:
    """The layer collection below ``root`` that shows ``wanted``."""
    if root.collection == wanted:
        return root
    for child in root.children:
        found = _layer_collection(child, wanted)
        if found is not None:
            return found
    return None
