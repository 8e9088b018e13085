"""What a take means, written down once more and slowly: the yardstick for what Blender shows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from amr_blender.contract import rotations as rot
from amr_blender.contract.take import Take

Array = NDArray[Any]


def bone_poses(take: Take, frame: int) -> Array:
    """(B, 4, 4) world matrices of the posed bones."""
    rest = take.bone_rest.astype(float)
    posed = np.empty_like(rest)
    for bone, parent in enumerate(take.bone_parents):
        turn = np.eye(4)
        turn[:3, :3] = rot.matrix_from_quaternion(take.rotations[frame, bone].astype(float))
        above = np.eye(4) if parent < 0 else posed[parent] @ np.linalg.inv(rest[parent])
        posed[bone] = above @ rest[bone] @ turn
        if bone == 0:
            posed[0, :2, 3] += take.translation_m[frame, :2] - rest[1, :2, 3]
        if bone == 1:
            posed[1, :3, 3] = take.translation_m[frame]
    return posed


def vertices(take: Take, frame: int) -> Array:
    """(V, 3) world positions of the skinned mesh, corrective shapes included."""
    matrices = bone_poses(take, frame) @ np.linalg.inv(take.bone_rest.astype(float))
    points = take.vertices_m.astype(float)
    if take.refinement_basis is not None and take.refinement_weights is not None:
        points = points + np.tensordot(take.refinement_weights[frame].astype(float), take.refinement_basis, 1)
    homogeneous = np.concatenate([points, np.ones((len(points), 1))], 1)
    moved = np.zeros((len(points), 3))
    for slot in range(take.skin_bones.shape[1]):
        each = matrices[take.skin_bones[:, slot], :3] @ homogeneous[:, :, None]
        moved += take.skin_weights[:, slot, None] * each[..., 0]
    return moved


def evaluated(bpy: Any, name: str, frame: int) -> Array:
    """(V, 3) world positions of a mesh object as Blender evaluates it on a scene frame."""
    bpy.context.scene.frame_set(frame)
    shown = bpy.data.objects[name].evaluated_get(bpy.context.evaluated_depsgraph_get())
    mesh = shown.to_mesh()
    points = np.empty(len(mesh.vertices) * 3, np.float32)
    mesh.vertices.foreach_get("co", points)
    matrix = np.array(shown.matrix_world)
    shown.to_mesh_clear()
    return points.reshape(-1, 3).astype(float) @ matrix[:3, :3].T + matrix[:3, 3]


def curves(action: Any) -> list[Any]:
    """Every curve of an action, slotted or not."""
    if not hasattr(action, "layers"):
        return list(action.fcurves)
    return [c for layer in action.layers for strip in layer.strips for bag in strip.channelbags for c in bag.fcurves]


def keyed_frames(curve: Any) -> list[float]:
    return [point.co[0] for point in curve.keyframe_points]
