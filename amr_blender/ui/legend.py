"""The legend of attention, drawn over the 3D view at its lower edge while a result shows it; never in a render."""

import blf
import bpy
import gpu
import numpy as np

from ..scene import attention, colour_map
from . import results

_WIDTH, _HEIGHT, _MARGIN, _TEXT = 240, 12, 18, 11
_STEPS = 48
TITLES = {
    "NOW": "{what}, frame {frame}",
    "MEAN": "{what}, mean over the clip",
    "MAX": "{what}, highest over the clip",
    "PAINTED": "{what}, editable",
}
_handle = None


def words(scene):
    """What the legend says above its bar, and at its ends; None where there is nothing to explain."""
    entry = results.active(scene)
    body = scene.objects.get(entry.mesh) if entry is not None and entry.mesh else None
    mode = attention.shown(body)
    if not mode:
        return None
    low, high = attention.coloured_range(body)
    frame = scene.frame_current
    if attention.in_mm(body):
        low, high = (attention.FULL_MM * end for end in (low, high))
        return TITLES[mode].format(what="Expected error", frame=frame), f"{low:.0f} mm", f"{high:.0f} mm"
    return TITLES[mode].format(what="Attention", frame=frame), f"{low:.2f}  little", f"much  {high:.2f}"


def _draw():
    context = bpy.context
    space, region = context.space_data, context.region
    if space is None or not space.overlay.show_overlays:
        return
    said = words(context.scene)
    if said:
        title, little, much = said
        scale = context.preferences.system.ui_scale
        left, bottom = region.width / 2 - scale * _WIDTH / 2, scale * (_MARGIN + _TEXT + 6)
        _bar(left, bottom, scale * _WIDTH, scale * _HEIGHT)
        _label(title, region.width / 2, bottom + scale * (_HEIGHT + 7), scale)
        for text, place in ((little, left), (much, left + scale * _WIDTH)):
            _label(text, place, bottom - scale * (_TEXT + 4), scale, to_the_left=place > left)


def _bar(left, bottom, width, height):
    """All the colours on a dark rim."""
    places = np.linspace(0, 1, _STEPS)
    _strip((left - 1, left + width + 1), bottom - 1, height + 2, [(0.0, 0.0, 0.0, 0.6)] * 2)
    _strip(left + width * places, bottom, height, colour_map.srgb(colour_map.colours(places)).tolist())


def _strip(edges, bottom, height, colours):
    """Rectangles side by side, of one colour at each edge and shades between."""
    corners = [(x, y) for x in edges for y in (bottom, bottom + height)]
    shape = gpu.types.GPUVertFormat()
    shape.attr_add(id="pos", comp_type="F32", len=2, fetch_mode="FLOAT")
    shape.attr_add(id="color", comp_type="F32", len=4, fetch_mode="FLOAT")
    vertices = gpu.types.GPUVertBuf(shape, len(corners))
    vertices.attr_fill("pos", corners)
    vertices.attr_fill("color", [colour for colour in colours for _ in range(2)])
    gpu.state.blend_set("ALPHA")
    gpu.types.GPUBatch(type="TRI_STRIP", buf=vertices).draw(gpu.shader.from_builtin("SMOOTH_COLOR"))
    gpu.state.blend_set("NONE")


def _label(text, x, y, scale, to_the_left=None):
    """Text from ``x`` on, to the left of it, or about it where that is not said."""
    blf.size(0, _TEXT * scale)
    wide, _ = blf.dimensions(0, text)
    blf.position(0, x - {None: wide / 2, True: wide, False: 0}[to_the_left], y, 0)
    blf.color(0, 1.0, 1.0, 1.0, 1.0)
    blf.enable(0, blf.SHADOW)
    blf.shadow(0, 3, 0.0, 0.0, 0.0, 1.0)
    blf.draw(0, text)
    blf.disable(0, blf.SHADOW)


def register():
    global _handle
    _handle = bpy.types.SpaceView3D.draw_handler_add(_draw, (), "WINDOW", "POST_PIXEL")


def unregister():
    global _handle
    if _handle is not None:
        bpy.types.SpaceView3D.draw_handler_remove(_handle, "WINDOW")
    _handle = None
