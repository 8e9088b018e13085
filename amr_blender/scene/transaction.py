"""All or nothing: what a failed step has made is removed again, and the scene's selection comes back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import bpy


def _blocks() -> dict[int, Any]:
    """Every data-block of the file by its address."""
    found: dict[int, Any] = {}
    for prop in bpy.data.bl_rna.properties:
        if prop.type == "COLLECTION":
            for block in getattr(bpy.data, prop.identifier):
                found[block.as_pointer()] = block
    return found


@contextmanager
def all_or_nothing(context: Any) -> Iterator[None]:
    """Remove every data-block made inside the ``with`` if it ends in an exception, and restore mode and selection."""
    before = set(_blocks())
    layer = context.view_layer
    active, selected = layer.objects.active, [o for o in layer.objects if o.select_get()]
    mode = active.mode if active else "OBJECT"
    try:
        if mode != "OBJECT":
            _set_mode(context, active, "OBJECT")
        yield
    except BaseException:
        current = layer.objects.active
        if current is not None and current.mode != "OBJECT":
            _set_mode(context, current, "OBJECT")
        bpy.data.batch_remove([block for address, block in _blocks().items() if address not in before])
        layer.update()  # until then the layer still lists what is gone
        for item in layer.objects:
            item.select_set(item in selected)
        layer.objects.active = active
        if active is not None and mode != "OBJECT":
            _set_mode(context, active, mode)
        raise


def _set_mode(context: Any, active: Any, mode: str) -> None:
    with context.temp_override(active_object=active, object=active):
        bpy.ops.object.mode_set(mode=mode)
