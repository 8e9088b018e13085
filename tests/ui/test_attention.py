"""Attention in the panel: show it, hide it, paint on it, go to the worst frame; shading that comes back."""

import pytest

from amr_blender.contract import take as takes
from tests.scene.take_factory import make_take
from tests.ui.test_panels import draw

FRAMES = 40


@pytest.fixture
def entry(stage):
    return bring_in(stage, make_take(FRAMES, fps=24.0, attention=True, refinement=3), "clip")


def bring_in(stage, take, name):
    takes.save(take, stage.folder / f"{name}.npz")
    stage.scene.render.fps = 24
    stage.bpy.ops.amr.import_take(filepath=str(stage.folder / f"{name}.npz"), name=name, baked=False)
    return stage.settings.results[-1]


def body_of(stage, entry):
    return stage.bpy.data.objects[entry.mesh]


def views(stage):
    areas = (area for screen in stage.bpy.data.screens for area in screen.areas)
    return [area.spaces.active.shading for area in areas if area.type == "VIEW_3D"]


@pytest.fixture
def window(stage):
    """The bpy wheel's window, with a 3D view that shows objects in their own colours."""
    if not stage.bpy.context.window_manager.windows:
        pytest.skip("this Blender module has no window")
    area = max(stage.bpy.context.window_manager.windows[0].screen.areas, key=lambda a: a.width * a.height)
    area.type = "VIEW_3D"
    area.spaces.active.shading.color_type = "OBJECT"
    return area.spaces.active.shading


def test_a_result_without_attention_has_no_section(stage):
    from amr_blender.ui import panels

    bring_in(stage, make_take(5, fps=24.0), "plain")
    assert not panels._has_attention(stage.bpy.context)
    assert not stage.bpy.ops.amr.show_attention.poll()
    assert not {"Correctives", "Attention"} & set(dict(panels.facts(stage.settings.results[-1])))


def test_what_the_panel_shows(stage, entry):
    from amr_blender.ui import panels

    assert panels._has_attention(stage.bpy.context)
    drawn = draw(stage, "attention")
    assert drawn.operators == ["amr.show_attention"] * 3 + ["amr.copy_attention", "amr.next_worst"]
    first, second = entry.worst
    assert f"Least sure on frame {first.frame} ({first.score:.0f} mm), {second.frame} (" in drawn.text
    told = dict(panels.facts(entry))
    assert told["Correctives"] == "3 keys, within 0.5 mm"
    assert told["Attention"] == "shown within 0.2%"
    stage.bpy.data.objects.remove(body_of(stage, entry))
    assert "The body of this result is gone" in draw(stage, "attention").text


def test_show_and_hide(stage, entry):
    from amr_blender.scene import attention

    body = body_of(stage, entry)
    for mode in ("MEAN", "NOW"):
        stage.bpy.ops.amr.show_attention(mode=mode)
        assert attention.shown(body) == mode
    stage.bpy.ops.amr.show_attention(mode="NOW")
    assert attention.shown(body) == "" and not body.modifiers["AMR Attention"].show_render


def test_a_hidden_body_is_shown_with_it(stage, entry):
    stage.bpy.ops.amr.show_result(part="mesh")
    assert not body_of(stage, entry).visible_get()
    stage.bpy.ops.amr.show_attention(mode="MAX")
    assert body_of(stage, entry).visible_get() and not body_of(stage, entry).hide_render


def test_copy_to_paint(stage, entry):
    from amr_blender.scene import attention

    stage.scene.frame_set(entry.worst[0].frame)
    stage.bpy.ops.amr.copy_attention()
    assert attention.shown(body_of(stage, entry)) == "PAINTED"
    assert draw(stage, "attention").operators.count("amr.show_attention") == 4


def test_errors_say_what_to_do(stage, entry):
    with pytest.raises(RuntimeError, match="no such attention, or it was deleted. Undo what removed it"):
        stage.bpy.ops.amr.show_attention(mode="PAINTED")
    body_of(stage, entry).modifiers.clear()
    with pytest.raises(RuntimeError, match="no such attention"):
        stage.bpy.ops.amr.copy_attention()
    entry.worst.clear()
    with pytest.raises(RuntimeError, match="No frame stands out"):
        stage.bpy.ops.amr.next_worst()
    stage.bpy.data.objects.remove(body_of(stage, entry))
    with pytest.raises(RuntimeError, match="not in this scene any more"):
        stage.bpy.ops.amr.show_attention(mode="NOW")


def test_next_worst_goes_round(stage, entry):
    frames = sorted(moment.frame for moment in entry.worst)
    assert len(frames) == 2
    stage.scene.frame_set(1)
    visited = []
    for _ in range(3):
        stage.bpy.ops.amr.next_worst()
        visited.append(stage.scene.frame_current)
    assert visited == [*frames, frames[0]]


def test_shading_comes_back(stage, entry, window):
    stage.bpy.ops.amr.show_attention(mode="NOW")
    stage.bpy.ops.amr.show_attention(mode="MAX")
    assert window.color_type == "VERTEX"
    stage.bpy.ops.amr.show_attention(mode="MAX")
    assert window.color_type == "OBJECT"
    assert not [screen for screen in stage.bpy.data.screens if "amr_colour_types" in screen]


def test_shading_that_was_switched_by_hand_stays(stage, entry, window):
    stage.bpy.ops.amr.show_attention(mode="NOW")
    window.color_type = "RANDOM"
    stage.bpy.ops.amr.show_attention(mode="NOW")
    assert window.color_type == "RANDOM"


def test_another_result_still_shows_it(stage, entry, window):
    stage.bpy.ops.amr.show_attention(mode="NOW")
    bring_in(stage, make_take(8, fps=24.0, attention=True), "second")
    stage.bpy.ops.amr.show_attention(mode="MEAN")
    stage.bpy.ops.amr.show_attention(mode="MEAN")
    assert window.color_type == "VERTEX", "the first one does"
    stage.settings.active_result = 0
    stage.bpy.ops.amr.forget_result()
    assert window.color_type == "OBJECT"
    assert not stage.bpy.data.objects["clip Body"].modifiers["AMR Attention"].show_viewport


def test_shading_follows_undo(stage, entry, window):
    """Undo brings the body back but not the screen: the handler does that."""
    from amr_blender.scene import attention
    from amr_blender.ui import handlers

    stage.bpy.ops.amr.show_attention(mode="NOW")
    attention.show(body_of(stage, entry), "")
    handlers._after_undo()
    assert window.color_type == "OBJECT"
    attention.show(body_of(stage, entry), "NOW")
    handlers._after_undo()
    assert window.color_type == "VERTEX"


def test_shading_comes_back_after_reload(stage, entry, window, tmp_path):
    stage.bpy.ops.amr.show_attention(mode="NOW")
    stage.bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    stage.bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "scene.blend"))
    assert "VERTEX" in [shading.color_type for shading in views(stage)]
    stage.bpy.ops.amr.show_attention(mode="NOW")
    assert "OBJECT" in [shading.color_type for shading in views(stage)]
    assert "VERTEX" not in [shading.color_type for shading in views(stage)]


def test_what_the_legend_says(stage, entry):
    from amr_blender.ui import legend

    assert legend.words(stage.scene) is None
    stage.bpy.ops.amr.show_attention(mode="NOW")
    stage.scene.frame_set(17)
    title, little, much = legend.words(stage.scene)
    assert title == "Attention, frame 17"
    assert 0 <= float(little.split()[0]) < float(much.split()[-1]) <= 1
    stage.bpy.ops.amr.show_attention(mode="MEAN")
    assert legend.words(stage.scene)[0] == "Attention, mean over the clip"
    body_of(stage, entry)["amr_attention_in_mm"] = True
    title, little, much = legend.words(stage.scene)
    assert title == "Expected error, mean over the clip"
    assert 0 <= float(little.removesuffix(" mm")) < float(much.removesuffix(" mm")) <= 400
    stage.bpy.data.objects.remove(body_of(stage, entry))
    assert legend.words(stage.scene) is None
