"""What must happen when a file is loaded: a running job belongs to the old file, the pictures to the new one."""

import bpy
from bpy.app.handlers import persistent

from . import problems, runner, thumbnails


@persistent
def _before_load(*_arguments):
    runner.cancel()
    problems.clear()


@persistent
def _after_load(*_arguments):
    thumbnails.load(person.thumbnail for scene in bpy.data.scenes for person in scene.amr.people)


def register():
    bpy.app.handlers.load_pre.append(_before_load)
    bpy.app.handlers.load_post.append(_after_load)


def unregister():
    for handlers, function in (
        (bpy.app.handlers.load_pre, _before_load),
        (bpy.app.handlers.load_post, _after_load),
    ):
        if function in handlers:
            handlers.remove(function)
