"""The body mesh: faces, UVs, skin weights, material."""

from __future__ import annotations

from typing import Any

import bmesh
import bpy
import numpy as np
from numpy.typing import NDArray

from ..contract.take import Take

Array = NDArray[Any]

_SKIN_COLOUR = (0.55, 0.38, 0.30, 1.0)


def make_mesh(take: Take, name: str, vertices_m: Array, material: Any) -> Any:
    """A mesh data-block with the take's faces and UVs, if it has any, smooth, without weights.

    Args:
        vertices_m: (V, 3) rest positions.
    """
    mesh = bpy.data.meshes.new(name)
    quads = np.ascontiguousarray(take.quads, np.int32)
    corners = np.ones(quads.shape, bool)
    corners[:, 3] = quads[:, 3] != quads[:, 2]  # a triangle repeats its third corner
    starts = np.concatenate([[0], np.cumsum(corners.sum(1))])
    mesh.vertices.add(len(vertices_m))
    mesh.vertices.foreach_set("co", np.ascontiguousarray(vertices_m, np.float32).reshape(-1))
    mesh.loops.add(int(starts[-1]))
    mesh.loops.foreach_set("vertex_index", quads[corners])
    mesh.polygons.add(len(quads))
    mesh.polygons.foreach_set("loop_start", starts[:-1].astype(np.int32))
    mesh.polygons.foreach_set("use_smooth", np.ones(len(quads), bool))
    mesh.update(calc_edges=True)
    if take.uvs is not None:
        uvs = mesh.uv_layers.new(name="UVMap", do_init=False)
        uvs.data.foreach_set("uv", np.ascontiguousarray(take.uvs[corners], np.float32).reshape(-1))
    mesh.materials.append(material)
    mesh.validate()
    return mesh


def make_material(name: str) -> Any:
    """A plain skin-like material, so that the body reads well in every viewport and renderer."""
    material = bpy.data.materials.new(name)
    if material.node_tree is None:
        material.use_nodes = True  # on from the start in Blender 5
    shader = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    shader.inputs["Base Color"].default_value = _SKIN_COLOUR
    shader.inputs["Roughness"].default_value = 0.6
    material.diffuse_color = _SKIN_COLOUR
    return material


def make_body(take: Take, name: str, collection: Any, rig: Any, material: Any) -> Any:
    """The skinned body: mesh object, child of ``rig``, with a vertex group per bone and an armature modifier."""
    mesh = make_mesh(take, name, take.vertices_m, material)
    body = bpy.data.objects.new(name, mesh)
    collection.objects.link(body)
    _write_weights(body, take)
    body.parent = rig
    modifier = body.modifiers.new("Armature", "ARMATURE")
    modifier.object = rig
    modifier.use_deform_preserve_volume = False  # linear blend skinning, as in the take
    return body


def _write_weights(body: Any, take: Take) -> None:
    """Fill the vertex groups through a bmesh: one pass over the vertices."""
    used = np.unique(take.skin_bones[take.skin_weights > 0])
    group_of_bone = np.zeros(len(take.bone_names), int)
    for bone in used.tolist():
        group_of_bone[bone] = body.vertex_groups.new(name=str(take.bone_names[bone])).index
    groups = group_of_bone[take.skin_bones].tolist()
    weights = take.skin_weights.tolist()
    work = bmesh.new()
    try:
        work.from_mesh(body.data)
        layer = work.verts.layers.deform.verify()
        for vertex, bones, values in zip(work.verts, groups, weights, strict=True):
            deform = vertex[layer]
            for group, weight in zip(bones, values, strict=True):
                if weight > 0.0:
                    deform[group] = weight
        work.to_mesh(body.data)
    finally:
        work.free()
