"""What must happen when a file is loaded, and after undo.

A running job belongs to the old file, the pictures to the new one; the views' shading follows what undo brings back.
"""

import bpy
from bpy.app.handlers import persistent

from . import problems, runner, shading, thumbnails


@persistent
def _before_load(*_arguments):
    runner.cancel()
    problems.clear()


@persistent
def _after_load(*_arguments):
    thumbnails.load(person.thumbnail for scene in bpy.data.scenes for person in scene.amr.people)


@persistent
def _after_undo(*_arguments):
    shading.bring_in_line()


def _all():
    handlers = bpy.app.handlers
    return (
        (handlers.load_pre, _before_load),
        (handlers.load_post, _after_load),
        (handlers.undo_post, _after_undo),
        (handlers.redo_post, _after_undo),
    )


def register():
    for handlers, function in _all():
        handlers.append(function)


def unregister():
    for handlers, function in _all():
        if function in handlers:
            handlers.remove(function)
