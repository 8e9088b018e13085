"""Solid shading of the 3D views shows colour attributes while attention is shown, and the animator's own choice after.

Shading belongs to the screen, which undo leaves alone.  So it is never switched step by step but brought in line with
what the scene shows, after an operator as after undo and redo.  What it was is remembered on the screen itself, so that
it comes back in a file that was saved meanwhile.
"""

import bpy

from ..scene import attention

_REMEMBERED = "amr_colour_types"
_SHOWN = "VERTEX"


def bring_in_line():
    """Every visible 3D view shows attributes where its scene shows attention; all others show what they did before."""
    manager = bpy.context.window_manager
    showing = {}
    for window in manager.windows if manager else ():
        showing[window.screen.name] = shows_attention(window.scene)
    for screen in bpy.data.screens:
        if showing.get(screen.name):
            _show(screen)
        elif not any(shows_attention(scene) for scene in bpy.data.scenes) or screen.name in showing:
            _restore(screen)


def shows_attention(scene):
    """Whether any result of ``scene`` shows attention."""
    bodies = (scene.objects.get(entry.mesh) for entry in scene.amr.results if entry.mesh)
    return any(attention.shown(body) for body in bodies)


def _views(screen):
    """``(number of the area, shading)`` of the 3D views."""
    for number, area in enumerate(screen.areas):
        if area.type == "VIEW_3D":
            yield str(number), area.spaces.active.shading


def _show(screen):
    known = dict(screen.get(_REMEMBERED, {}))
    for number, shading in _views(screen):
        if shading.color_type != _SHOWN:
            known.setdefault(number, shading.color_type)
            shading.color_type = _SHOWN
    screen[_REMEMBERED] = known


def _restore(screen):
    known = screen.get(_REMEMBERED)
    if known is None:
        return
    for number, shading in _views(screen):
        if number in known and shading.color_type == _SHOWN:  # what was switched by hand meanwhile stays
            shading.color_type = known[number]
    del screen[_REMEMBERED]
