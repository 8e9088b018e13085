"""Writes animation curves in bulk: a slotted action since Blender 4.4, a legacy one before."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from .sampling import Marks

Array = NDArray[Any]

CONSTANT, LINEAR = 0, 1
_AUTO_CLAMPED = 4
_FILLED_TYPES = ("GENERATED", "JITTER")
"""Key types that set filled-in frames apart in the dope sheet, the better one first: old Blenders have no such type."""


class ActionWriter:
    """Fills one action that animates one data-block."""

    def __init__(self, owner: Any, name: str) -> None:
        """Make a new action and assign it.

        Args:
            owner: an ID without animation (an object, a camera, shape keys).
            name: of the action.
        """
        self.action = bpy.data.actions.new(name)
        animation = owner.animation_data_create()
        self._groups: dict[str, Any] = {}
        if hasattr(self.action, "slots"):
            slot = self.action.slots.new(id_type=owner.id_type, name=owner.name)
            strip = self.action.layers.new("Layer").strips.new(type="KEYFRAME")
            self._bag = strip.channelbag(slot, ensure=True)
            animation.action = self.action
            animation.action_slot = slot
        else:
            self._bag = self.action
            animation.action = self.action

    def curve(
        self,
        data_path: str,
        index: int,
        frames: Array,
        values: Array,
        group: str = "",
        interpolation: int = LINEAR,
        marks: Marks | None = None,
    ) -> None:
        """Add one curve.

        Args:
            data_path: property relative to the owner.
            index: of the property's array, 0 if it has none.
            frames: (N,) scene frames, increasing.
            values: (N,).
            group: name under which the curve is shown.
            interpolation: ``LINEAR`` or ``CONSTANT``.
            marks: of the N keys: those that hold are constant, those that are filled in get a type of their own.
        """
        curve = self._bag.fcurves.new(data_path, index=index)
        if group:
            if group not in self._groups:
                self._groups[group] = self._bag.groups.new(group)
            curve.group = self._groups[group]
        points = curve.keyframe_points
        count = len(frames)
        points.add(count)
        co = np.empty((count, 2), np.float32)
        co[:, 0], co[:, 1] = frames, values
        points.foreach_set("co", co.reshape(-1))
        kinds = np.full(count, interpolation, np.int32)
        if marks is not None:
            kinds[marks.held] = CONSTANT
            if marks.filled.any():
                points.foreach_set("type", np.where(marks.filled, _filled_type(), 0).astype(np.int32))
        points.foreach_set("interpolation", kinds)
        # Handles lie idle while keys are linear; automatic ones are what the animator expects on changing to Bezier.
        handles = np.full(count, _AUTO_CLAMPED, np.int32)
        points.foreach_set("handle_left_type", handles)
        points.foreach_set("handle_right_type", handles)
        curve.update()

    def curves(self, data_path: str, frames: Array, values: Array, group: str = "", marks: Marks | None = None) -> None:
        """Add a linear curve for each column of ``values`` (N, C)."""
        for index in range(values.shape[1]):
            self.curve(data_path, index, frames, values[:, index], group, marks=marks)


def _filled_type() -> int:
    known = bpy.types.Keyframe.bl_rna.properties["type"].enum_items
    return int(next(known[name].value for name in _FILLED_TYPES if name in known))


def key_hidden(writer: ActionWriter, frames: Array, gaps: list[tuple[int, int]]) -> None:
    """Key ``hide_viewport`` and ``hide_render`` of an object so that it vanishes in ``gaps``.

    Args:
        frames: (N,) keyed frames of the object.
        gaps: first and last scene frame of each.
    """
    if not gaps:
        return
    switches = {int(frames[0]): 0.0}
    for first, last in gaps:
        switches[first] = 1.0
        switches[last + 1] = 0.0
    moments = sorted(switches)
    for path in ("hide_viewport", "hide_render"):
        writer.curve(path, 0, np.array(moments), np.array([switches[m] for m in moments]), "Seen", CONSTANT)
