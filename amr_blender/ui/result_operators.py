"""Operators of the list of results and of the error box."""

import bpy
from bpy.props import EnumProperty

from .. import preferences
from ..scene import attention
from . import problems, redraw, results, shading
from .base import AmrOperator

SHOWN_PARTS = (
    ("mesh", "Rigged", "The body mesh on its armature"),
    ("baked", "Baked", "The copy that moves by shape keys alone"),
)


class ResultOperator(AmrOperator):
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        cls.poll_message_set("No result is chosen in the list")
        return bool(context.scene) and results.active(context.scene) is not None


class AMR_OT_select_result(ResultOperator, bpy.types.Operator):
    """Select the armature of this result, and nothing else"""

    bl_idname = "amr.select_result"
    bl_label = "Select"

    def run(self, context):
        armature = results.part(results.active(context.scene), "armature", context.scene)
        results.set_visible(armature, True, context.view_layer)
        for other in context.view_layer.objects:
            other.select_set(other == armature)
        context.view_layer.objects.active = armature


class AMR_OT_show_result(ResultOperator, bpy.types.Operator):
    """Show or hide this part of the result"""

    bl_idname = "amr.show_result"
    bl_label = "Show"

    part: EnumProperty(items=SHOWN_PARTS)

    @classmethod
    def description(cls, _context, properties):
        shown = {key: description for key, _, description in SHOWN_PARTS}
        return f"Show or hide: {shown[properties.part].lower()}"

    def run(self, context):
        entry = results.active(context.scene)
        found = results.part(entry, self.part, context.scene)
        results.set_visible(found, not results.is_visible(entry, self.part, context), context.view_layer)


class AMR_OT_view_camera(ResultOperator, bpy.types.Operator):
    """Look through the camera of this result, in which the body covers the person in the footage"""

    bl_idname = "amr.view_camera"
    bl_label = "Camera"

    def run(self, context):
        scene = context.scene
        scene.camera = results.part(results.active(scene), "camera", scene)
        screen = getattr(context, "screen", None)
        for area in screen.areas if screen else ():
            if area.type == "VIEW_3D":
                area.spaces.active.region_3d.view_perspective = "CAMERA"


class AMR_OT_forget_result(ResultOperator, bpy.types.Operator):
    """Take this entry off the list. The objects stay, without their attention shown"""

    bl_idname = "amr.forget_result"
    bl_label = "Take Off the List"

    def run(self, context):
        settings = context.scene.amr
        body = context.scene.objects.get(results.active(context.scene).mesh)
        if attention.shown(body):  # nothing else would offer to hide it
            attention.show(body, "")
        settings.results.remove(settings.active_result)
        settings.active_result = max(0, min(settings.active_result, len(settings.results) - 1))
        shading.bring_in_line()


class AMR_OT_copy_diagnostics(AmrOperator, bpy.types.Operator):
    """Copy what a maintainer needs to know to the clipboard: versions, settings, the worker's log"""

    bl_idname = "amr.copy_diagnostics"
    bl_label = "Copy Diagnostics"

    @classmethod
    def poll(cls, _context):
        cls.poll_message_set("Nothing has gone wrong")
        return problems.last is not None

    def run(self, context):
        context.window_manager.clipboard = problems.last.diagnostics
        self.report({"INFO"}, "Diagnostics copied.")


class AMR_OT_dismiss_problem(AmrOperator, bpy.types.Operator):
    """Close this message"""

    bl_idname = "amr.dismiss_problem"
    bl_label = "Close"

    def run(self, _context):
        problems.clear()
        redraw.tag()


class AMR_OT_open_preferences(AmrOperator, bpy.types.Operator):
    """Open the add-on's preferences"""

    bl_idname = "amr.open_preferences"
    bl_label = "Open Preferences"

    def run(self, _context):
        bpy.ops.screen.userpref_show("INVOKE_DEFAULT", section="ADDONS")
        bpy.ops.preferences.addon_show("INVOKE_DEFAULT", module=preferences.PACKAGE)


CLASSES = (
    AMR_OT_select_result,
    AMR_OT_show_result,
    AMR_OT_view_camera,
    AMR_OT_forget_result,
    AMR_OT_copy_diagnostics,
    AMR_OT_dismiss_problem,
    AMR_OT_open_preferences,
)
