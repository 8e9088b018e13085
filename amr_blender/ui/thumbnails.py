"""The pictures of the people that were found, as Blender icons."""

from pathlib import Path

import bpy.utils.previews

_collection = None


def register():
    global _collection
    _collection = bpy.utils.previews.new()


def unregister():
    global _collection
    if _collection is not None:
        bpy.utils.previews.remove(_collection)
    _collection = None


def load(paths):
    """Read the pictures at ``paths``; those that are gone are left out.  Earlier pictures are freed."""
    if _collection is None:
        return
    _collection.clear()
    for path in paths:
        if path and path not in _collection and Path(path).is_file():
            _collection.load(path, path, "IMAGE")


def icon(path):
    """Icon number of the picture at ``path``, 0 if it was not loaded.  Reads nothing: safe in ``draw``."""
    return _collection[path].icon_id if _collection is not None and path in _collection else 0
