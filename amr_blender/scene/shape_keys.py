"""Shape keys with keyed values: the refinement on the rigged body, and the whole motion on the baked one."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ..contract.take import Take
from .action import ActionWriter, key_hidden
from .mesh import make_mesh
from .reduction import BakedMotion
from .sampling import Motion

Array = NDArray[Any]

SLIDER_LIMIT = 10.0
"""Blender's own hard limit of a shape key's slider."""


def add_shape_keys(owner: Any, names: list[str], rest_m: Array, shapes: Array, limits: Array) -> Any:
    """Add a basis and a key per shape; returns the ``Key`` data-block.

    Args:
        owner: mesh object without shape keys.
        rest_m: (V, 3).
        shapes: (K, V, 3) offsets.
        limits: (K,) largest absolute values that will be keyed, at most ``SLIDER_LIMIT``.
    """
    owner.shape_key_add(name="Basis", from_mix=False)
    for name, shape, limit in zip(names, shapes, limits.tolist(), strict=True):
        key = owner.shape_key_add(name=name, from_mix=False)
        key.data.foreach_set("co", np.ascontiguousarray(rest_m + shape, np.float32).reshape(-1))
        # Outside the slider's range Blender would clamp the keyed value.
        key.slider_min, key.slider_max = -limit, limit
    keys = owner.data.shape_keys
    keys.name = owner.name
    return keys


def key_values(keys: Any, names: list[str], motion: Motion, values: Array, action: str) -> None:
    """Key ``values`` (N, K) of the shape keys ``names`` on the N frames of ``motion``."""
    if not names:
        return
    writer = ActionWriter(keys, action)
    for name, column in zip(names, values.T, strict=True):
        path = f'key_blocks["{bpy.utils.escape_identifier(name)}"].value'
        writer.curve(path, 0, motion.frames, column, marks=motion.marks)


def add_refinement(body: Any, take: Take, motion: Motion) -> tuple[int, float]:
    """Corrective shape keys of a take that holds a refinement; they act before the armature, in the rest pose.

    How many there are and by how many millimetres a vertex may be off is told by the body's custom properties, too.

    Returns:
        Their number and that error in mm; zeros for a take without.
    """
    if take.refinement_basis is None or motion.refinement is None:
        return 0, 0.0
    largest = np.abs(motion.refinement).max(0)
    scale = np.maximum(largest, 1e-9)  # into -1..1, whatever the units of the take's weights
    names = [f"AMR Corrective {i + 1:02d}" for i in range(len(take.refinement_basis))]
    shapes = take.refinement_basis * scale[:, None, None]
    keys = add_shape_keys(body, names, take.vertices_m, shapes, np.ones(len(names)))
    key_values(keys, names, motion, motion.refinement / scale, f"{body.name} Correctives")
    error_mm = 0.0 if take.refinement_error_mm is None else float(take.refinement_error_mm)
    body["amr_refinement_keys"], body["amr_refinement_error_mm"] = len(names), error_mm
    return len(names), error_mm


def make_baked(take: Take, motion: Motion, baked: BakedMotion, name: str, collection: Any, material: Any) -> Any:
    """The animation without bones: object motion and keyed shape keys."""
    mesh = make_mesh(take, name, baked.rest_m, material)
    body = bpy.data.objects.new(name, mesh)
    collection.objects.link(body)
    body.rotation_mode = "QUATERNION"
    writer = ActionWriter(body, name)
    writer.curves("location", motion.frames, baked.location_m, "Hips", motion.marks)
    writer.curves("rotation_quaternion", motion.frames, baked.quaternions, "Hips", motion.marks)
    key_hidden(writer, motion.frames, motion.hidden)
    names = [f"Motion {i + 1:03d}" for i in range(len(baked.shapes))]
    if names:
        keys = add_shape_keys(body, names, baked.rest_m, baked.shapes, np.ones(len(names)))
        key_values(keys, names, motion, baked.values, f"{name} Shapes")
    return body
