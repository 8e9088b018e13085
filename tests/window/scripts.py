"""Python that the window tests run inside the live Blender."""

SETUP = """
import time
MODULE = "bl_ext.user_default.amr_blender"

def window_():
    return bpy.context.window_manager.windows[0]

def area_(kind):
    areas = [a for a in window_().screen.areas if a.type == kind]
    return max(areas, key=lambda a: a.width * a.height)

def sidebar(kind=None):
    global KIND
    KIND = kind or KIND
    area = area_(KIND)
    return window_(), area, next(r for r in area.regions if r.type == "UI")

def open_sidebar(kind):
    window, area, region = sidebar(kind)
    area.spaces.active.show_region_ui = True
    try:
        region.active_panel_category = "AMR"
    except AttributeError:  # until the sidebar has been drawn once
        return False
    area.tag_redraw()
    return region.active_panel_category == "AMR"

def place(kind):
    "x of the sidebar's middle, top and bottom, counted from the top of the screen"
    window, area, region = sidebar(kind)
    top = window.height - region.y - region.height
    return [region.x + region.width // 3, top, top + region.height]

def objects():
    return sorted(o.name for o in bpy.data.objects)

def addon():
    import sys
    return sys.modules[MODULE]

def part(name):
    import importlib
    return importlib.import_module(MODULE + "." + name)

KIND = "SEQUENCE_EDITOR"
"""

NO_SPLASH = """
import bpy
bpy.context.preferences.view.show_splash = False
bpy.ops.wm.save_userpref()
"""

VIDEO_EDITING = """
import os
folder = os.path.join(bpy.utils.system_resource("SCRIPTS"), "startup", "bl_app_templates_system", "Video_Editing")
bpy.ops.workspace.append_activate(idname="Video Editing", filepath=os.path.join(folder, "startup.blend"))
window_().workspace = bpy.data.workspaces["Video Editing"]
"""

ADD_CLIP = """
scene = window_().scene
workspace = window_().workspace
if hasattr(workspace, "sequencer_scene"):
    workspace.sequencer_scene = scene
scene.render.fps = 30
editor = scene.sequence_editor_create()
strip = editor.strips.new_movie("clip", {clip!r}, 1, 1)
strip.frame_final_duration = min(strip.frame_final_duration, {frames})
editor.active_strip = strip
scene.frame_end = int(strip.frame_final_end) - 1
area_("SEQUENCE_EDITOR").tag_redraw()
out = [strip.frame_final_duration, scene.frame_end]
"""

SET_PYTHON = """
preferences = bpy.context.preferences.addons[MODULE].preferences
preferences.python_mode = "EXISTING"
preferences.existing_python = {python!r}
"""

WATCH_RESPONSE = """
def pulse(state={"last": time.monotonic()}):
    now = time.monotonic()
    GAPS.append(now - state["last"])
    state["last"] = now
    return 0.02
GAPS = []
bpy.app.timers.register(pulse, first_interval=0.02)
"""

STATE = """
run = part("ui.runner").active
out = {"stage": run.stage, "fraction": run.fraction, "pid": run.process._process.pid} if run else None
"""

IS_ALIVE = """
import os
try:
    os.kill({pid}, 0)
    out = True
except ProcessLookupError:
    out = False
"""

LEFT_OVER = """
from pathlib import Path
cache = part("preferences").cache_folder()
files = [p.relative_to(cache) for p in cache.rglob("*") if p.is_file()]
out = sorted(str(p) for p in files if p.parts[0].startswith("amr-"))
"""

RESULT = """
entry = window_().scene.amr.results[-1]
kinds = {p: bpy.data.objects[getattr(entry, p)].type for p in ("armature", "mesh", "baked", "camera")}
out = {"kinds": kinds, "frames": [entry.frame_start, entry.frame_end], "keys": entry.baked_keys,
       "error": entry.baked_error_mm, "vertices": len(bpy.data.objects[entry.mesh].data.vertices)}
"""
