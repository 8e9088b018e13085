"""From the panel to plain data: which strip, which scene, which numbers."""

import pytest

from amr_blender.contract.errors import SceneError
from tests.ui.conftest import FRAMES


def why_disabled(stage):
    """What Blender shows on the greyed-out button."""
    assert not stage.bpy.ops.amr.reconstruct.poll()
    with pytest.raises(RuntimeError) as failure:
        stage.bpy.ops.amr.reconstruct("EXEC_DEFAULT")
    return str(failure.value)


def test_no_footage_at_all(stage):
    assert "Add a movie or an image sequence" in why_disabled(stage)


def test_no_strip_is_selected_among_several(stage):
    stage.add_strip("a")
    stage.add_strip("b")
    stage.scene.sequence_editor.active_strip = None
    assert "No strip is selected. Click a movie or image strip" in why_disabled(stage)


def test_a_strip_that_is_no_footage(stage):
    editor = stage.scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    length = {"length": 10} if "length" in strips.bl_rna.functions["new_effect"].parameters else {"frame_end": 11}
    editor.active_strip = strips.new_effect("colour", "COLOR", 1, 1, **length)
    assert "not footage" in why_disabled(stage)


def test_a_mirrored_strip_is_refused_by_name(stage):
    stage.add_strip("clip").use_flip_x = True
    assert "'clip' is mirrored" in why_disabled(stage)


def test_a_named_strip_that_is_gone(stage):
    stage.add_strip("clip")
    stage.settings.strip_name = "other"
    assert "no strip 'other' any more" in why_disabled(stage)


def test_a_file_that_is_gone(stage):
    stage.add_strip("clip")
    for picture in (stage.folder / "images").iterdir():
        picture.unlink()
    with pytest.raises(RuntimeError, match="does not exist"):
        stage.bpy.ops.amr.reconstruct("EXEC_DEFAULT")
    assert len(stage.settings.results) == 0


def test_the_runtime_is_missing(stage, monkeypatch):
    from amr_blender import preferences
    from amr_blender.contract.errors import RuntimeSetupError

    def none():
        raise RuntimeSetupError("runtime-missing", "It is not installed.", "Install it.")

    stage.add_strip()
    monkeypatch.setattr(preferences, "worker_python", none)
    assert "It is not installed. Install it" in why_disabled(stage)


def test_the_active_strip_counts_unless_another_is_named(stage):
    from amr_blender.ui import gather

    stage.add_strip("a")
    stage.add_strip("b")
    assert gather.chosen_strip(stage.scene).name == "b"
    stage.bpy.ops.amr.choose_strip("EXEC_DEFAULT", strip="a")
    assert gather.chosen_strip(stage.scene).name == "a"
    stage.bpy.ops.amr.choose_strip("EXEC_DEFAULT", strip="")
    assert gather.chosen_strip(stage.scene).name == "b"


def test_footage_in_another_scene_is_found_and_the_result_stands_there(stage, capfd):
    edit = stage.scene
    stage.add_strip()
    stage.bpy.context.window.scene = stage.bpy.data.scenes.new("Other")
    assert stage.bpy.ops.amr.reconstruct("EXEC_DEFAULT") == {"FINISHED"}
    assert len(edit.amr.results) == 1
    assert edit.objects.get(edit.amr.results[0].armature)
    assert len(stage.scene.objects) == 0
    assert f"It is in the scene {edit.name}." in capfd.readouterr().out


def test_a_strip_is_the_same_footage_wherever_it_lies(stage):
    from amr_blender.ui import gather

    strip = stage.add_strip()
    key = gather.footage_key(strip)
    strip.frame_start += 20
    assert gather.footage_key(strip) == key
    strip.frame_offset_end = 2
    assert gather.footage_key(strip) != key


def test_a_clip_travels_as_text(stage):
    from amr_blender.scene.strip import read_strip
    from amr_blender.ui import gather

    clip = read_strip(stage.scene, stage.add_strip())
    assert len(clip.images) == FRAMES
    assert gather.clip_from_json(gather.clip_to_json(clip)) == clip


def test_the_body_model_goes_into_the_job(stage, monkeypatch):
    import dataclasses

    from amr_blender import preferences

    stage.add_strip()
    assert stage.bpy.ops.amr.reconstruct("EXEC_DEFAULT") == {"FINISHED"}
    assert stage.job["body_file"] == ""
    (stage.folder / "SMPL_NEUTRAL.pkl").touch()
    chosen = dataclasses.replace(preferences.get(), body="SMPL", body_file=str(stage.folder / "SMPL_NEUTRAL.pkl"))
    monkeypatch.setattr(preferences, "get", lambda: chosen)
    assert stage.bpy.ops.amr.reconstruct("EXEC_DEFAULT") == {"FINISHED"}
    assert stage.job["body_file"] == str(stage.folder / "SMPL_NEUTRAL.pkl")
    (stage.folder / "SMPL_NEUTRAL.pkl").unlink()
    with pytest.raises(RuntimeError, match="There is no body model at"):
        stage.bpy.ops.amr.reconstruct("EXEC_DEFAULT")
    assert stage.bpy.ops.amr.find_people("EXEC_DEFAULT") == {"FINISHED"}, "people are found without a body"


def test_a_scene_that_is_gone():
    from amr_blender.ui import gather

    with pytest.raises(SceneError, match="was deleted"):
        gather.scene_by_uid(-1)
