"""Ask Blender to redraw where the add-on shows something."""

import bpy

_AREAS = {"VIEW_3D", "SEQUENCE_EDITOR", "PREFERENCES"}


def tag():
    manager = getattr(bpy.context, "window_manager", None)
    for window in manager.windows if manager else ():
        for area in window.screen.areas:
            if area.type in _AREAS:
                area.tag_redraw()
