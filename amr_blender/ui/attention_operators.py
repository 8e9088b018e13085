"""Operators of attention: show it, paint on it, go to where it is worst."""

import bpy
from bpy.props import EnumProperty

from ..contract.errors import SceneError
from ..scene import attention
from . import redraw, results, shading
from .result_operators import ResultOperator

MODE_ITEMS = (
    ("NOW", "Now", "The current frame's attention: where the network looked and refined"),
    ("MEAN", "Mean", "The mean over the clip"),
    ("MAX", "Max", "The highest over the clip"),
    ("PAINTED", "Editable", "The copy that you can paint on, attribute 'AMR Attention'"),
)

_FBX = "Blender writes no shape keys of a body on which nodes are at work"


class AttentionOperator(ResultOperator):
    @classmethod
    def poll(cls, context):
        if not super().poll(context):
            return False
        cls.poll_message_set("This result has no attention: reconstruct in standard or best quality")
        return results.active(context.scene).has_attention

    def body(self, context):
        return results.part(results.active(context.scene), "mesh", context.scene)


class AMR_OT_show_attention(AttentionOperator, bpy.types.Operator):
    """Show attention on the rigged body, in viewport and render. Press again to hide it"""

    bl_idname = "amr.show_attention"
    bl_label = "Show Attention"

    mode: EnumProperty(items=MODE_ITEMS)

    @classmethod
    def description(cls, _context, properties):
        what = next(text for key, _, text in MODE_ITEMS if key == properties.mode)
        return f"{what}. In viewport and render, until you press this again. Hide it before an FBX export: {_FBX}"

    def run(self, context):
        body = self.body(context)
        wanted = "" if attention.shown(body) == self.mode else self.mode
        attention.show(body, wanted)
        if wanted:
            results.set_visible(body, True, context.view_layer)
        shading.bring_in_line()
        redraw.tag()


class AMR_OT_copy_attention(AttentionOperator, bpy.types.Operator):
    """Copy this frame's attention to the colour attribute 'AMR Attention' for Vertex Paint, over what is there"""

    bl_idname = "amr.copy_attention"
    bl_label = "Copy to Editable Attention"

    def run(self, context):
        attention.copy_current(context, self.body(context))
        shading.bring_in_line()
        redraw.tag()
        self.report({"INFO"}, f"Copied frame {context.scene.frame_current}. Paint on it in Vertex Paint mode.")


class AMR_OT_next_worst(AttentionOperator, bpy.types.Operator):
    """Go to the next of the frames on which the network was least sure, after the last to the first"""

    bl_idname = "amr.next_worst"
    bl_label = "Next Worst Frame"
    # As Blender's own jumps: one step back over any number of them.
    bl_options = {"REGISTER", "UNDO_GROUPED"}
    bl_undo_group = "Frame Change"

    def run(self, context):
        frames = sorted(moment.frame for moment in results.active(context.scene).worst)
        if not frames:
            raise SceneError("attention-even", "No frame stands out in this result.", "There is nothing to go to.")
        current = context.scene.frame_current
        context.scene.frame_set(next((frame for frame in frames if frame > current), frames[0]))


CLASSES = (AMR_OT_show_attention, AMR_OT_copy_attention, AMR_OT_next_worst)
