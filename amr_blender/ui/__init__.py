"""The interface: properties, operators, panels, the modal runner.  Thin: gather, call, report."""

import atexit

import bpy

from . import (
    attention_operators,
    handlers,
    legend,
    operators,
    panels,
    properties,
    result_operators,
    runner,
    runtime_operators,
    runtime_tasks,
    thumbnails,
)

CLASSES = (
    *properties.CLASSES,
    *operators.CLASSES,
    *result_operators.CLASSES,
    *attention_operators.CLASSES,
    *runtime_operators.CLASSES,
    *panels.CLASSES,
)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.Scene.amr = bpy.props.PointerProperty(type=properties.AMR_PG_settings)
    handlers.register()
    thumbnails.register()
    legend.register()
    atexit.register(_stop_children)


def unregister() -> None:
    _stop_children()
    atexit.unregister(_stop_children)
    legend.unregister()
    thumbnails.unregister()
    handlers.unregister()
    del bpy.types.Scene.amr
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)


def _stop_children() -> None:
    runner.cancel()
    runtime_tasks.stop()
