"""AttentiveMeshRefine: footage in, animation out.  What runs inside Blender.

The package also serves the worker process, which has no bpy: nothing here imports bpy before it is called.
"""


def register() -> None:
    """Called by Blender when the add-on is enabled.  Cheap: no torch, no network, nothing written."""
    from . import preferences, ui

    preferences.register()
    ui.register()


def unregister() -> None:
    """Called by Blender when the add-on is disabled.  Ends child processes, timers, handlers and previews."""
    from . import preferences, ui

    ui.unregister()
    preferences.unregister()
