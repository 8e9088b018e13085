"""The real button in a real window.  Pictures for people to look at go to build/window."""

import shutil
import time
from pathlib import Path

import pytest

from tests.window import scripts

pytestmark = [pytest.mark.window, pytest.mark.slow]
PICTURES = Path(__file__).resolve().parents[2] / "build" / "window"
FRAMES = 96  # long enough to be watched at work on an idle machine


def shot(window, name):
    window.screenshot(PICTURES / f"{name}.png")


def open_tab(window, space):
    """Open the AMR tab in ``space``; returns where its sidebar is."""
    window.wait_for(f"open_sidebar({space!r})", 20)
    time.sleep(0.5)
    return window.run(f"out = place({space!r})")


def workspace(window, name):
    window.run(f"window_().workspace = bpy.data.workspaces[{name!r}]")
    time.sleep(1.0)


@pytest.fixture(scope="module", autouse=True)
def fresh_pictures(window):
    shutil.rmtree(PICTURES, ignore_errors=True)


@pytest.fixture(scope="module")
def button(window, footage):
    """Where Reconstruct is in the sequencer's sidebar, with a clip chosen."""
    workspace(window, "Video Editing")
    length, _ = window.run(scripts.ADD_CLIP.format(clip=window.share(footage), frames=FRAMES))
    assert length == FRAMES
    return window.find_button("amr.reconstruct", *open_tab(window, "SEQUENCE_EDITOR"))


def test_without_footage_the_panel_says_what_to_do(window):
    workspace(window, "Layout")
    open_tab(window, "VIEW_3D")
    assert not window.run("out = bpy.ops.amr.reconstruct.poll()")
    shot(window, "1_no_footage")


def test_the_python_answers_in_the_preferences(window):
    window.wait_for("part('ui.runtime_tasks').answer(part('preferences').worker_python())", 120)
    answer = window.run("out = part('ui.runtime_tasks').answer(part('preferences').worker_python()).sentence()")
    assert "torch" in answer


def test_people_are_found_and_shown(window, button):
    x, top, bottom = window.run("out = place('SEQUENCE_EDITOR')")
    window.click(*window.find_button("amr.find_people", x, top, bottom))
    window.wait_for("part('ui.runner').active is not None", 10)
    window.wait_for("part('ui.runner').active is None", 120)
    icons = "[part('ui.thumbnails').icon(p.thumbnail) for p in window_().scene.amr.people]"
    assert window.run(f"out = {icons}"), window.run("out = part('ui.problems').last.diagnostics")
    assert all(icon > 0 for icon in window.run(f"out = {icons}"))
    time.sleep(3.0)  # Blender reads pictures in the background
    shot(window, "2_people")


def test_escape_cancels_within_a_second(window, button):
    before, left_before = window.run("out = objects()"), window.run(scripts.LEFT_OVER)
    shot(window, "3_ready")
    window.click(*button)
    window.wait_for("part('ui.runner').active and part('ui.runner').active.fraction > 0.05", 120)
    state = window.run(scripts.STATE)
    shot(window, "4_running")
    assert window.run(scripts.IS_ALIVE.format(pid=state["pid"]))
    started = time.monotonic()
    window.key("Escape")
    window.wait_for("part('ui.runner').active is None", 5)
    # Two commands and one key press through the remote control are part of this second.
    assert time.monotonic() - started < 1.5
    assert not window.run(scripts.IS_ALIVE.format(pid=state["pid"]))
    assert window.run("out = objects()") == before
    assert window.run(scripts.LEFT_OVER) == left_before
    shot(window, "5_cancelled")


def test_a_click_makes_armature_mesh_and_camera(window, button):
    before = window.run("out = objects()")
    window.run(scripts.WATCH_RESPONSE)
    window.click(*button)
    window.wait_for("part('ui.runner').active is not None or len(window_().scene.amr.results)", 10)
    window.run("GAPS.clear()")
    window.wait_for("part('ui.runner').active is None or part('ui.runner').active.outcome", 300)
    gaps = window.run("out = GAPS[:-5]")
    window.wait_for("part('ui.runner').active is None", 60)
    shot(window, "6_done")
    problem = window.run("p = part('ui.problems').last; out = p and p.diagnostics")
    assert problem is None, problem
    assert sorted(gaps)[int(0.99 * len(gaps))] < 1.0, "Blender was not usable while the worker computed"
    result = window.run(scripts.RESULT)
    assert result["kinds"] == {"armature": "ARMATURE", "mesh": "MESH", "baked": "MESH", "camera": "CAMERA"}
    assert result["frames"] == [1, FRAMES]
    assert result["vertices"] == 13718
    assert 0 < result["error"] <= 5.0
    assert len(window.run("out = objects()")) == len(before) + 4


def test_the_result_through_its_camera(window, button):
    workspace(window, "Layout")
    x, top, bottom = open_tab(window, "VIEW_3D")
    window.run("bpy.data.objects.remove(bpy.data.objects['Cube'])")
    window.click(*window.find_button("amr.view_camera", x + 100, top, bottom))
    window.run(f"window_().scene.frame_set({FRAMES // 2}); [a.tag_redraw() for a in window_().screen.areas]")
    time.sleep(2.0)
    shot(window, "7_through_the_camera")
    assert window.run("out = area_('VIEW_3D').spaces.active.region_3d.view_perspective") == "CAMERA"


def test_undo_takes_it_away_and_redo_brings_it_back(window, button):
    workspace(window, "Layout")
    window.move(500, 500)  # over the 3D view, where Ctrl Z is meant
    made = window.run("out = objects()")
    for _ in range(8):
        window.key("ctrl+z")
        if not window.run("out = len(window_().scene.amr.results)"):
            break
    assert set(window.run("out = objects()")) == {"Camera", "Cube", "Light"}
    shot(window, "8_undone")
    for _ in range(8):
        window.key("ctrl+shift+z")
        if window.run("out = len(window_().scene.amr.results)"):
            break
    assert set(made) <= set(window.run("out = objects()"))


def test_the_preferences(window):
    window.run("bpy.ops.amr.open_preferences()")
    time.sleep(2.0)
    shot(window, "9_preferences")


def test_disabling_the_add_on_leaves_nothing(window):
    window.run("import addon_utils; addon_utils.disable(MODULE)")
    left = (
        "[c for c in dir(bpy.types) if c.startswith('AMR_')] + list(filter(lambda k: k == 'amr', dir(bpy.types.Scene)))"
    )
    assert window.run(f"out = {left}") == []
    window.run("addon_utils.enable(MODULE)")
    assert window.run("out = hasattr(bpy.types.Scene, 'amr')")
