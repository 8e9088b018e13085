"""The list of results: select, show, look through the camera, forget."""

import pytest


@pytest.fixture
def entry(stage):
    stage.add_strip()
    stage.bpy.ops.amr.reconstruct("EXEC_DEFAULT")
    return stage.settings.results[0]


def test_select(stage, entry):
    stage.bpy.ops.mesh.primitive_cube_add()
    stage.bpy.ops.amr.select_result()
    chosen = [item.name for item in stage.bpy.context.view_layer.objects if item.select_get()]
    assert chosen == [entry.armature]
    assert stage.bpy.context.view_layer.objects.active.name == entry.armature


def test_show_swaps_what_is_seen_and_rendered(stage, entry):
    from amr_blender.ui import results

    context = stage.bpy.context
    assert results.is_visible(entry, "mesh", context)
    assert not results.is_visible(entry, "baked", context)
    stage.bpy.ops.amr.show_result(part="baked")
    stage.bpy.ops.amr.show_result(part="mesh")
    assert results.is_visible(entry, "baked", context)
    assert not results.is_visible(entry, "mesh", context)
    assert stage.bpy.data.objects[entry.mesh].hide_render
    baked = stage.bpy.data.objects[entry.baked]
    assert not baked.hide_render
    assert not any(collection.hide_render for collection in baked.users_collection)
    stage.bpy.ops.amr.show_result(part="baked")
    assert not results.is_visible(entry, "baked", context)


def test_camera(stage, entry):
    stage.bpy.ops.amr.view_camera()
    assert stage.scene.camera.name == entry.camera


def test_a_renamed_object_is_told(stage, entry):
    from amr_blender.ui import results

    stage.bpy.data.objects[entry.armature].name = "Hero"
    with pytest.raises(RuntimeError, match="not in this scene any more. It was renamed or deleted"):
        stage.bpy.ops.amr.select_result()
    stage.bpy.data.objects.remove(stage.bpy.data.objects[entry.mesh])
    assert not results.is_visible(entry, "mesh", stage.bpy.context)


def test_forget_keeps_the_objects(stage, entry):
    before = stage.objects()
    stage.bpy.ops.amr.forget_result()
    assert len(stage.settings.results) == 0
    assert stage.objects() == before
    assert not stage.bpy.ops.amr.forget_result.poll()


def test_a_take_without_a_strip(stage):
    assert stage.bpy.ops.amr.import_take(filepath=str(stage.folder / "take.npz"), name="alone") == {"FINISHED"}
    (entry,) = stage.settings.results
    assert entry.name == "alone"


def test_the_baked_error_can_be_chosen(stage):
    stage.add_strip()
    keys = []
    for error in (20.0, 0.5):
        stage.settings.baked_max_error_mm = error
        stage.bpy.ops.amr.reconstruct("EXEC_DEFAULT")
        entry = stage.settings.results[-1]
        assert entry.baked_error_mm <= error
        keys.append(entry.baked_keys)
    assert keys[0] < keys[1]


def test_the_result_needs_no_add_on(stage, entry, tmp_path):
    import amr_blender

    names = (entry.armature, entry.mesh, entry.baked)
    path = str(tmp_path / "scene.blend")
    stage.bpy.ops.wm.save_as_mainfile(filepath=path)
    amr_blender.unregister()
    stage.bpy.ops.wm.open_mainfile(filepath=path)
    assert stage.scene.frame_current >= 0
    for name in names:
        found = stage.bpy.data.objects[name]
        animation = [
            found.animation_data,
            getattr(found.data, "shape_keys", None) and found.data.shape_keys.animation_data,
        ]
        assert not any(data and data.drivers for data in animation)
    amr_blender.register()
