"""The rigged skeleton and its motion."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
from mathutils import Matrix

from ..contract.take import Take
from .action import ActionWriter
from .sampling import Motion
from .skinning import bone_locations

MIN_BONE_LENGTH_M = 1e-3
_STILL = 1e-6


def make_armature(context: Any, take: Take, name: str, collection: Any) -> Any:
    """An armature object at the origin whose rest pose is the take's, in object mode, active and selected.

    The edit bones need Blender's edit mode, so the object must come into the current view layer.

    Args:
        context: with a view layer that shows ``collection``, in object mode.
        collection: where the object is linked.
    """
    data = bpy.data.armatures.new(name)
    rig = bpy.data.objects.new(name, data)
    collection.objects.link(rig)
    context.view_layer.objects.active = rig
    rig.select_set(True)
    data.display_type = "STICK"
    rig.show_in_front = True
    with context.temp_override(active_object=rig, object=rig, selected_objects=[rig]):
        bpy.ops.object.mode_set(mode="EDIT")
        try:
            _fill_edit_bones(data, take)
        finally:
            bpy.ops.object.mode_set(mode="OBJECT")
    _fill_collections(data, take)
    for pose_bone in rig.pose.bones:
        pose_bone.rotation_mode = "QUATERNION"
    return rig


def _fill_edit_bones(data: Any, take: Take) -> None:
    bones: list[Any] = []
    for name, parent, rest, length in zip(
        take.bone_names.tolist(), take.bone_parents.tolist(), take.bone_rest, take.bone_length_m.tolist(), strict=True
    ):
        bone = data.edit_bones.new(name)
        # A bone without length is deleted on leaving edit mode; the matrix keeps the length that is set before.
        bone.head, bone.tail = (0.0, 0.0, 0.0), (0.0, max(length, MIN_BONE_LENGTH_M), 0.0)
        bone.matrix = Matrix(rest.tolist())
        bone.use_connect = False
        if parent >= 0:
            bone.parent = bones[parent]
        bones.append(bone)


def _fill_collections(data: Any, take: Take) -> None:
    groups: dict[str, Any] = {}
    for name, group in zip(take.bone_names.tolist(), take.bone_groups.tolist(), strict=True):
        if group not in groups:
            groups[group] = data.collections.new(group)
        groups[group].assign(data.bones[name])
    # The root bone moves the body and has no weights of its own.
    data.bones[str(take.bone_names[0])].use_deform = False


def animate_armature(rig: Any, take: Take, motion: Motion, name: str) -> Any:
    """Key the pose bones on every frame of ``motion``; returns the action.

    A bone that never leaves its rest pose gets no keys, one that holds another pose gets a single key.
    """
    writer = ActionWriter(rig, name)
    names = take.bone_names.tolist()
    frames = motion.frames
    for bone, location in enumerate(bone_locations(take, motion.translation_m)):
        writer.curves(_path(rig, names[bone], "location"), frames, location, names[bone], motion.marks)
    spread = np.ptp(motion.rotations, axis=0).max(-1)
    turned = np.abs(motion.rotations[0, :, 1:]).max(-1)
    for bone in range(1, len(names)):
        quaternions = motion.rotations[:, bone]
        path = _path(rig, names[bone], "rotation_quaternion")
        if bone == 1 or spread[bone] > _STILL:
            writer.curves(path, frames, quaternions, names[bone], motion.marks)
        elif turned[bone] > _STILL:
            writer.curves(path, frames[:1], quaternions[:1], names[bone])
    return writer.action


def _path(rig: Any, bone: str, prop: str) -> str:
    return f'pose.bones["{bpy.utils.escape_identifier(bone)}"].{prop}'
