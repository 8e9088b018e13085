"""The skeleton: rest pose, collections, keys."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from amr_blender.contract.take import Take
from amr_blender.scene.bring_in import ImportOptions, Result, bring_in
from amr_blender.scene.timing import timing_without_strip

from . import reference
from .take_factory import make_take


def _import(bpy: ModuleType, take: Take) -> Result:
    bpy.context.scene.render.fps = 30
    return bring_in(bpy.context, take, timing_without_strip(take.time_s, 30, 30, 1), ImportOptions(baked=False))


def _random_rest(take: Take, seed: int) -> None:
    """Any orientation, the ones along the axes included, where a roll is easily lost."""
    random = np.random.default_rng(seed)
    axes = [(0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1), (1, 0, 0), (1e-4, -1, 1e-4), (0, -1, 1e-3)]
    for bone in range(1, len(take.bone_rest)):
        y = np.array(axes[bone - 1] if bone <= len(axes) else random.standard_normal(3), float)
        y /= np.linalg.norm(y)
        x = np.cross(y, random.standard_normal(3))
        x /= np.linalg.norm(x)
        take.bone_rest[bone, :3, :3] = np.stack([x, y, np.cross(x, y)], -1)


@pytest.mark.parametrize("seed", [0, 1])
def test_rest_pose_is_the_takes(blender: ModuleType, seed: int) -> None:
    take = make_take(4)
    _random_rest(take, seed)
    take.bone_length_m[5] = 0.0
    result = _import(blender, take)
    bones = blender.data.objects[result.armature].data.bones
    assert sorted(b.name for b in bones) == sorted(take.bone_names.tolist())
    for name, rest, length, parent in zip(
        take.bone_names.tolist(), take.bone_rest, take.bone_length_m, take.bone_parents, strict=True
    ):
        bone = bones[name]
        np.testing.assert_allclose(np.array(bone.matrix_local), rest, rtol=0, atol=2e-5)
        assert bone.length == pytest.approx(max(float(length), 1e-3), abs=1e-5)
        assert not bone.use_connect
        assert (bone.parent.name if bone.parent else "") == ("" if parent < 0 else take.bone_names[parent])


def test_bone_collections_and_symmetric_names(blender: ModuleType) -> None:
    take = make_take(2)
    data = blender.data.objects[_import(blender, take).armature].data
    found = {bone.name: c.name for c in data.collections for bone in c.bones}
    assert found == dict(zip(take.bone_names.tolist(), take.bone_groups.tolist(), strict=True))
    for name in found:
        if name.endswith(".L"):
            assert blender.utils.flip_name(name) in found
    assert not data.bones["root"].use_deform


def test_posed_bones_equal_the_take(blender: ModuleType) -> None:
    take = make_take(15)
    rig = blender.data.objects[_import(blender, take).armature]
    for frame in (0, 8, 14):
        blender.context.scene.frame_set(frame + 1)
        wanted = reference.bone_poses(take, frame)
        for name, matrix in zip(take.bone_names.tolist(), wanted, strict=True):
            np.testing.assert_allclose(np.array(rig.pose.bones[name].matrix), matrix, rtol=0, atol=1e-4)


def test_root_goes_over_the_ground_and_hips_up_and_down(blender: ModuleType) -> None:
    take = make_take(30)
    rig = blender.data.objects[_import(blender, take).armature]
    for frame in (0, 13, 29):
        blender.context.scene.frame_set(frame + 1)
        root, hips = np.array(rig.pose.bones["root"].head), np.array(rig.pose.bones["hips"].head)
        rest = take.bone_rest[1, :3, 3]
        assert root[2] == pytest.approx(0.0, abs=1e-6)
        np.testing.assert_allclose(root[:2], take.translation_m[frame, :2] - rest[:2], atol=1e-5)
        np.testing.assert_allclose(hips, take.translation_m[frame], atol=1e-5)


def _by_bone(bpy: ModuleType, rig: Any) -> dict[tuple[str, str], list[Any]]:
    found: dict[tuple[str, str], list[Any]] = {}
    for curve in reference.curves(rig.animation_data.action):
        _, bone, prop = curve.data_path.split('"')
        found.setdefault((bone, prop.rsplit(".", 1)[1]), []).append(curve)
    return found


def test_keys(blender: ModuleType) -> None:
    take = make_take(25)
    still = take.bone_names.tolist().index("neck")
    take.rotations[:, still] = (np.sqrt(0.5), 0.0, np.sqrt(0.5), 0.0)
    take.rotations[13:] *= -1.0  # the same rotations, on the other half-sphere
    rig = blender.data.objects[_import(blender, take).armature]
    found = _by_bone(blender, rig)
    every = [float(f) for f in range(1, 26)]
    assert {bone for bone, prop in found if prop == "location"} == {"root", "hips"}
    assert len(found["hips", "location"]) == 3
    for (bone, prop), curves in found.items():
        assert [c.array_index for c in curves] == list(range(3 if prop == "location" else 4))
        for curve in curves:
            assert reference.keyed_frames(curve) == (every[:1] if bone == "neck" else every)
            assert {p.interpolation for p in curve.keyframe_points} == {"LINEAR"}
            assert curve.group.name == bone
        if prop == "rotation_quaternion":
            values = np.array([[p.co[1] for p in c.keyframe_points] for c in curves]).T
            np.testing.assert_allclose(np.linalg.norm(values, axis=1), 1.0, atol=1e-5)
            assert ((values[1:] * values[:-1]).sum(1) > 0).all()
    # What never moves is not keyed.
    assert not any(bone.startswith("finger") for bone, _ in found)
    assert {b.rotation_mode for b in rig.pose.bones} == {"QUATERNION"}


def test_slotted_action(blender: ModuleType) -> None:
    rig = blender.data.objects[_import(blender, make_take(3)).armature]
    action = rig.animation_data.action
    if blender.app.version < (4, 4, 0):
        assert len(action.fcurves) > 0
        return
    assert [slot.target_id_type for slot in action.slots] == ["OBJECT"]
    assert rig.animation_data.action_slot == action.slots[0]


def test_weights_groups_and_uvs(blender: ModuleType) -> None:
    take = make_take(2)
    body = blender.data.objects[_import(blender, take).mesh]
    assert body.parent.type == "ARMATURE"
    assert [m.type for m in body.modifiers] == ["ARMATURE"]
    assert len(body.data.polygons) == len(take.quads)
    names = [g.name for g in body.vertex_groups]
    for vertex in (0, 100, len(take.vertices_m) - 1):
        wanted: dict[str, float] = {}
        for bone, weight in zip(take.skin_bones[vertex], take.skin_weights[vertex], strict=True):
            if weight > 0:
                wanted[str(take.bone_names[bone])] = float(weight)
        found = {names[g.group]: g.weight for g in body.data.vertices[vertex].groups}
        assert found == pytest.approx(wanted, abs=1e-6)
    uvs = np.empty(take.uvs.size, np.float32)
    body.data.uv_layers[0].data.foreach_get("uv", uvs)
    np.testing.assert_array_equal(uvs, take.uvs.reshape(-1))
    corners = np.empty(take.quads.size, np.int32)
    body.data.loops.foreach_get("vertex_index", corners)
    np.testing.assert_array_equal(corners, take.quads.reshape(-1))
    assert all(p.use_smooth for p in body.data.polygons)
    assert body.data.materials[0] is not None


def test_triangles_among_quads(blender: ModuleType) -> None:
    take = make_take(2)
    take.quads[::3, 3] = take.quads[::3, 2]
    body = blender.data.objects[_import(blender, take).mesh]
    found = [tuple(p.vertices) for p in body.data.polygons]
    wanted = [tuple(q[:3]) if q[3] == q[2] else tuple(q) for q in take.quads.tolist()]
    assert found == wanted
    assert {len(face) for face in found} == {3, 4}
    assert take.uvs is not None
    layer = body.data.uv_layers[0].data
    for polygon, corners in zip(body.data.polygons, take.uvs, strict=True):
        shown = [tuple(layer[i].uv) for i in polygon.loop_indices]
        np.testing.assert_allclose(shown, corners[: len(shown)], atol=1e-6)


def test_a_body_without_uvs(blender: ModuleType) -> None:
    take = make_take(2)
    take.uvs = None
    body = blender.data.objects[_import(blender, take).mesh]
    assert len(body.data.uv_layers) == 0
    assert len(body.data.polygons) == len(take.quads)


def test_corrective_shape_keys(blender: ModuleType) -> None:
    take = make_take(10, refinement=2)
    body = blender.data.objects[_import(blender, take).mesh]
    keys = body.data.shape_keys
    assert [k.name for k in keys.key_blocks] == ["Basis", "AMR Corrective 01", "AMR Corrective 02"]
    assert take.refinement_weights is not None
    for frame in (0, 4, 9):
        blender.context.scene.frame_set(frame + 1)
        for index, key in enumerate(keys.key_blocks[1:]):
            offset = np.array(key.data[7].co) - np.array(keys.key_blocks[0].data[7].co)
            assert take.refinement_basis is not None
            wanted = take.refinement_weights[frame, index] * take.refinement_basis[index, 7]
            np.testing.assert_allclose(key.value * offset, wanted, atol=1e-5)
