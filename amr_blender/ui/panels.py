"""The AMR tab, in the sidebars of the sequencer and of the 3D viewport.  Drawing reads and never writes."""

import bpy

from .. import preferences
from ..contract.errors import AmrError
from ..scene import attention
from ..scene.strip import check_strip
from . import attention_operators, gather, problems, results, runner, text, thumbnails
from .operators import AMR_OT_choose_person, AMR_OT_find_people, AMR_OT_reconstruct

MOST_GAPS = 4
"""So many empty stretches are listed, the rest is counted."""


class AmrPanel:
    bl_region_type = "UI"
    bl_category = "AMR"


def lines(layout, context, sentence, icon="NONE", alert=False):
    """Draw ``sentence`` broken to the width of the sidebar."""
    column = layout.column(align=True)
    column.scale_y = 0.8
    column.alert = alert
    width = context.region.width if context.region else 250
    for number, line in enumerate(text.wrap(sentence, width, context.preferences.system.ui_scale)):
        column.label(text=line, icon=icon if number == 0 else "BLANK1" if icon != "NONE" else "NONE")


# ------------------------------------------------------------------------------------------------------ the main panel


def draw_main(layout, context):
    scene = gather.strip_scene(context)
    column = layout.column()
    column.enabled = runner.active is None
    _draw_clip(column, context, scene)
    layout.separator(factor=0.5)
    if runner.active:
        _draw_progress(layout, runner.active)
    else:
        row = layout.row()
        row.scale_y = 1.6
        row.operator(AMR_OT_reconstruct.bl_idname, icon="ARMATURE_DATA")
    _draw_runtime(layout, context)
    if problems.last:
        _draw_problem(layout, context, problems.last)


def _draw_clip(layout, context, scene):
    try:
        chosen = gather.chosen_strip(scene)
    except AmrError as error:
        chosen = None
        problem = error
    if chosen or gather.footage_strips(scene):
        text_, icon = (chosen.name, _strip_icon(chosen)) if chosen else ("Choose a strip", "SEQUENCE")
        layout.menu("AMR_MT_strips", text=text_, icon=icon)
    if chosen:
        try:
            check_strip(scene, chosen)
        except AmrError as error:
            problem, chosen = error, None
    if chosen is None:
        lines(layout, context, f"{problem.message} {problem.remedy}", icon="INFO")
        return
    column = layout.column(align=True)
    column.scale_y = 0.85
    column.active = False
    first, last = int(chosen.frame_final_start), int(chosen.frame_final_end) - 1
    column.label(text=f"Frames {first} to {last}" + _picture_size(chosen))
    if scene != context.scene:
        column.label(text=f"The result goes to the scene {scene.name}", icon="SCENE_DATA")


def _strip_icon(strip):
    return {"MOVIE": "FILE_MOVIE", "IMAGE": "FILE_IMAGE"}.get(strip.type, "SEQUENCE")


def _picture_size(strip):
    element = strip.elements[0] if strip.elements else None
    return f",  {element.orig_width} x {element.orig_height}" if element and element.orig_width else ""


def _draw_progress(layout, run):
    column = layout.column(align=True)
    count = f"  {run.done} / {run.total}" if run.total > 1 else ""
    column.progress(factor=run.fraction, text=f"{run.fraction:.0%}")
    row = column.row()
    row.label(text=text.stage(run.stage) + count)
    right = row.row()
    right.alignment = "RIGHT"
    right.label(text=text.time_left(run.eta_s))
    row = layout.row()
    row.scale_y = 1.3
    row.operator("amr.cancel", icon="CANCEL", text="Cancel  (Esc)")


def _draw_runtime(layout, context):
    """Where the worker's Python is missing, the way to it."""
    try:
        preferences.worker_python()
    except AmrError as error:
        box = layout.box()
        lines(box, context, f"{error.message} {error.remedy}", icon="INFO")
        box.operator("amr.open_preferences", icon="PREFERENCES")


def _draw_problem(layout, context, problem):
    box = layout.box()
    row = box.row(align=True)
    row.alert = True
    row.label(text="That did not work", icon="ERROR")
    row.operator("amr.dismiss_problem", text="", icon="X", emboss=False)
    lines(box, context, problem.message)
    lines(box, context, problem.remedy)
    box.operator("amr.copy_diagnostics", icon="COPYDOWN")


# -------------------------------------------------------------------------------------------------------- sub-panels


def draw_person(layout, context):
    scene = gather.strip_scene(context)
    settings = scene.amr
    layout.enabled = runner.active is None
    known = _people_known(scene)
    chosen = settings.person if known else -1
    row = layout.row()
    automatic = AMR_OT_choose_person.bl_idname
    row.operator(automatic, text="Automatic", icon="USER", depress=chosen < 0).index = -1
    if known:
        _draw_people(layout, settings, chosen)
    again = "Find People Again" if known else AMR_OT_find_people.bl_label
    layout.operator(AMR_OT_find_people.bl_idname, text=again, icon="VIEWZOOM")


def _people_known(scene):
    try:
        strip = gather.chosen_strip(scene)
        return bool(scene.amr.people) and scene.amr.people_footage == gather.footage_key(strip)
    except (AmrError, AttributeError):  # no strip, or one without footage
        return False


def _draw_people(layout, settings, chosen):
    grid = layout.grid_flow(row_major=True, columns=0, even_columns=True, even_rows=True, align=False)
    for person in settings.people:
        cell = grid.box().column(align=True)
        icon = thumbnails.icon(person.thumbnail)
        if icon:
            cell.template_icon(icon_value=icon, scale=4.0)
        else:
            cell.label(text="", icon="USER")
        button = cell.operator(
            AMR_OT_choose_person.bl_idname,
            text=f"Person {person.index + 1}",
            depress=person.index == chosen,
        )
        button.index = person.index


def draw_settings(layout, context):
    settings = gather.strip_scene(context).amr
    layout.enabled = runner.active is None
    layout.use_property_split = True
    layout.use_property_decorate = False
    layout.prop(settings, "quality")
    _draw_optional(layout, settings, "Actor Height", "use_height", "height_m")
    _draw_optional(layout, settings, "Lens", "use_lens", "lens_mm")


def _draw_optional(layout, settings, heading, use, value):
    row = layout.row(heading=heading, align=True)
    row.prop(settings, use, text="")
    field = row.row(align=True)
    if getattr(settings, use):
        field.prop(settings, value, text="")
    else:
        field.active = False
        field.label(text="Automatic")


def draw_baked(layout, context):
    settings = gather.strip_scene(context).amr
    layout.enabled = runner.active is None
    layout.active = settings.use_baked
    layout.use_property_split = True
    layout.use_property_decorate = False
    layout.prop(settings, "baked_max_error_mm", text="Max Error (mm)")


class AMR_MT_strips(bpy.types.Menu):
    """Which strip to reconstruct"""

    bl_label = "Strip"

    def draw(self, context):
        layout = self.layout
        scene = gather.strip_scene(context)
        layout.operator("amr.choose_strip", text="Active Strip", icon="RESTRICT_SELECT_OFF").strip = ""
        layout.separator()
        for strip in gather.footage_strips(scene):
            layout.operator("amr.choose_strip", text=strip.name, icon=_strip_icon(strip)).strip = strip.name


# ----------------------------------------------------------------------------------------------------------- results


class AMR_UL_results(bpy.types.UIList):
    """The results of the scene."""

    def draw_item(self, _context, layout, _data, item, _icon, _active_data, _active_property):
        row = layout.row(align=True)
        row.prop(item, "name", text="", emboss=False, icon="OUTLINER_OB_ARMATURE")
        right = row.row()
        right.alignment = "RIGHT"
        right.active = False
        right.label(text=f"{item.frame_start} to {item.frame_end}", icon="ERROR" if item.warnings else "NONE")


def draw_results(layout, context):
    settings = context.scene.amr
    row = layout.row()
    row.template_list("AMR_UL_results", "", settings, "results", settings, "active_result", rows=2)
    row.column(align=True).operator("amr.forget_result", text="", icon="REMOVE")
    entry = results.active(context.scene)
    if entry is not None:
        _draw_entry(layout, context, entry)


def _draw_entry(layout, context, entry):
    row = layout.row(align=True)
    row.operator("amr.select_result", icon="RESTRICT_SELECT_OFF")
    row.operator("amr.view_camera", icon="CAMERA_DATA")
    row = layout.row(align=True)
    for part, label in (("mesh", "Rigged"), ("baked", "Baked")):
        cell = row.row(align=True)
        cell.enabled = bool(getattr(entry, part))
        visible = results.is_visible(entry, part, context)
        icon = "HIDE_OFF" if visible else "HIDE_ON"
        cell.operator("amr.show_result", text=label, icon=icon, depress=visible).part = part
    column = layout.column(align=True)
    column.scale_y = 0.85
    for label, value in facts(entry):
        split = column.split(factor=0.4)
        name = split.row()
        name.alignment = "RIGHT"
        name.active = False
        name.label(text=label)
        split.label(text=value)
    for warning in entry.warnings.splitlines():
        lines(layout, context, warning, icon="ERROR")


def facts(entry):
    """``(label, value)`` of what is known about a result."""
    known = [("Keyed", f"frames {entry.frame_start} to {entry.frame_end}")]
    known.append(("Person seen", f"{entry.frames_seen} of {entry.frames} pictures"))
    empty = entry.frames_empty.splitlines()
    shown = empty[:MOST_GAPS]
    known += [("" if number else "Not seen", f"{frames}, left empty") for number, frames in enumerate(shown)]
    if len(empty) > len(shown):
        known.append(("", f"and {len(empty) - len(shown)} more"))
    if entry.frames_filled:
        known.append(("Filled in", f"{entry.frames_filled} frames"))
    if entry.height_m:
        known.append(("Height", f"{entry.height_m:.2f} m, {'given' if entry.height_given else 'assumed'}"))
    if entry.lens_mm:
        known.append(("Lens", text.lens(entry.lens_mm, entry.lens_low_mm, entry.lens_high_mm, entry.focal_source)))
        known.append(("Camera", text.tilt(entry.looks_down_deg, entry.rolled_deg)))
    if entry.refinement_keys:
        known.append(("Correctives", f"{entry.refinement_keys} keys, within {entry.refinement_error_mm:.1f} mm"))
    if entry.has_attention:
        known.append(("Attention", f"shown within {entry.attention_error:.1%}"))
    if entry.baked:
        known.append(("Baked copy", f"{entry.baked_keys} keys, within {entry.baked_error_mm:.1f} mm"))
    return known


# --------------------------------------------------------------------------------------------------------- attention


def draw_attention(layout, context):
    entry = results.active(context.scene)
    body = context.scene.objects.get(entry.mesh)
    there, showing = attention.modes(body), attention.shown(body)
    row = layout.row(align=True)
    for mode, label, _ in attention_operators.MODE_ITEMS:
        if mode in there:
            row.operator("amr.show_attention", text=label, depress=mode == showing).mode = mode
    if not there:
        lines(layout, context, "The body of this result is gone, or what showed its attention.", icon="INFO")
    layout.operator("amr.copy_attention", icon="BRUSH_DATA")
    worst = [(moment.frame, moment.score) for moment in entry.worst]
    if worst:
        lines(layout, context, f"Least sure on frame {text.moments(worst, entry.worst_in_mm)}")
        layout.operator("amr.next_worst", icon="NEXT_KEYFRAME")


def _has_attention(context):
    entry = results.active(context.scene) if context.scene else None
    return entry is not None and entry.has_attention


# ------------------------------------------------------------------------------------------------------ registration


def _panel(name, label, space, draw, poll=None, draw_header=None):
    """A panel class for one space: Blender wants one class for each place a panel appears in."""
    suffix = {"VIEW_3D": "view3d", "SEQUENCE_EDITOR": "sequencer"}[space]
    members = {
        "__doc__": draw.__doc__,
        "bl_idname": f"AMR_PT_{name}_{suffix}",
        "bl_label": label,
        "bl_space_type": space,
        "draw": lambda self, context: draw(self.layout, context),
    }
    if poll:
        members["poll"] = classmethod(lambda cls, context: poll(context))
    if draw_header:
        members["draw_header"] = lambda self, context: draw_header(self.layout, context)
    return type(members["bl_idname"], (AmrPanel, bpy.types.Panel), members)


def _has_results(context):
    return bool(context.scene and context.scene.amr.results)


def _draw_baked_header(layout, context):
    layout.enabled = runner.active is None
    layout.prop(gather.strip_scene(context).amr, "use_baked", text="")


CLASSES = (
    AMR_UL_results,
    AMR_MT_strips,
    *(
        panel
        for space in ("SEQUENCE_EDITOR", "VIEW_3D")
        for panel in (
            _panel("main", "Reconstruct", space, draw_main),
            _panel("results", "Results", space, draw_results, poll=_has_results),
            _panel("attention", "Where to Clean Up", space, draw_attention, poll=_has_attention),
            _panel("person", "Person", space, draw_person),
            _panel("settings", "Actor and Camera", space, draw_settings),
            _panel("baked", "Baked Copy", space, draw_baked, draw_header=_draw_baked_header),
        )
    ),
)
