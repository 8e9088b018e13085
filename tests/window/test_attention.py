"""Attention in a real window: the button shows it, the legend stands over the view, undo and the button take it back.

Pictures for people to look at go to build/window.
"""

import time
from pathlib import Path

import numpy as np
import pytest

from amr_blender.contract.take import save
from amr_blender.scene.colour_map import srgb, stops
from tests.scene.take_factory import wandering_spot

pytestmark = [pytest.mark.window, pytest.mark.slow]
PICTURES = Path(__file__).resolve().parents[2] / "build" / "window"
FRAMES = 48

_BODY = "bpy.data.objects[window_().scene.amr.results[-1].mesh]"
_COLOUR_TYPE = "area_('VIEW_3D').spaces.active.shading.color_type"
_PIECES = """
scene = window_().scene
for name in ("Cube", "Light", "Camera"):
    if name in bpy.data.objects:
        bpy.data.objects.remove(bpy.data.objects[name])
scene.render.fps = 30
window, area, region = sidebar("VIEW_3D")
with bpy.context.temp_override(window=window, area=area):
    bpy.ops.amr.import_take("EXEC_DEFAULT", True, filepath={take!r}, name="spot", baked=False)
scene.frame_end = {frames}
space = area.spaces.active
space.shading.color_type = "OBJECT"
main = next(r for r in area.regions if r.type == "WINDOW")
with bpy.context.temp_override(window=window, area=area, region=main):
    bpy.ops.view3d.view_axis(type="FRONT")
    bpy.ops.view3d.view_all()
settings = scene.amr
out = [settings.results[-1].has_attention, bpy.app.version_string]
"""


@pytest.fixture(scope="module")
def take(assets_folder, tmp_path_factory):
    from model.body import AnnyBody
    from tests.model.body.anny_take import a_motion, a_person, make_take

    anny = AnnyBody.load(assets_folder)
    made = make_take(anny, a_person(anny), a_motion(anny, FRAMES))
    made.attention, made.uncertainty_mm = wandering_spot(made)
    path = tmp_path_factory.mktemp("take") / "spot.npz"
    save(made, path)
    return path


@pytest.fixture(scope="module")
def assets_folder(repo_root):
    return repo_root / "build" / "assets"


@pytest.fixture(scope="module")
def sidebar(window, take):
    """x, top and bottom of the sidebar, the result brought in and the other sections closed."""
    window.run("window_().workspace = bpy.data.workspaces['Layout']")
    time.sleep(1.0)
    window.wait_for("open_sidebar('VIEW_3D')", 20)
    has_attention, version = window.run(_PIECES.format(take=window.share(take), frames=FRAMES))
    assert has_attention and version
    time.sleep(1.0)
    x, top, bottom = window.run("out = place('VIEW_3D')")
    return x, top, bottom


def press(window, sidebar, operator, left=0):
    x, top, bottom = sidebar
    x, y = window.find_button(operator, x - left, top, bottom)
    window.click(x, y)


def shot(window, name):
    window.screenshot(PICTURES / f"{name}.png")
    return PICTURES / f"{name}.png"


def test_the_button_shows_it_and_the_legend(window, sidebar):
    cv2 = pytest.importorskip("cv2")
    window.run("window_().scene.frame_set(6)")
    plain = cv2.imread(str(shot(window, "attention_0_off")))
    press(window, sidebar, "amr.show_attention", left=40)
    assert window.run(f"out = part('scene.attention').shown({_BODY})") == "NOW"
    assert window.run(f"out = {_COLOUR_TYPE}") == "VERTEX"
    early = cv2.imread(str(shot(window, "attention_1_frame_6")))
    assert legend_colours(early) > 0.9 > legend_colours(plain)
    window.run("window_().scene.frame_set(20)")
    later = cv2.imread(str(shot(window, "attention_2_frame_20")))
    middle = (slice(100, 700), slice(300, 1000))
    assert np.abs(early[middle].astype(int) - later[middle]).max() > 60


def legend_colours(picture):
    """Share of the map's colours that stand somewhere in the picture, in BGR."""
    wanted = (255 * srgb(stops())).round().astype(int)[:, ::-1]
    pixels = np.unique(picture.reshape(-1, 3), axis=0).astype(int)
    return np.mean([np.abs(pixels - colour).max(1).min() <= 6 for colour in wanted])


def test_the_worst_frame_and_the_copy(window, sidebar):
    press(window, sidebar, "amr.next_worst")
    worst = window.run("out = [m.frame for m in window_().scene.amr.results[-1].worst]")
    assert window.run("out = window_().scene.frame_current") in worst
    press(window, sidebar, "amr.copy_attention")
    assert window.run(f"out = part('scene.attention').shown({_BODY})") == "PAINTED"
    shot(window, "attention_3_copied")


def test_undo_and_redo_take_the_shading_along(window, sidebar):
    shown = f"part('scene.attention').shown({_BODY})"
    window.move(500, 500)  # over the 3D view, where Ctrl Z is meant
    for _ in range(6):
        window.key("ctrl+z")
        if not window.run(f"out = {shown}"):
            break
    assert window.run(f"out = [{shown}, {_COLOUR_TYPE}]") == ["", "OBJECT"]
    shot(window, "attention_4_undone")
    window.key("ctrl+shift+z")
    assert window.run(f"out = [{shown}, {_COLOUR_TYPE}]") == ["NOW", "VERTEX"]


def test_pressed_again_it_is_hidden(window, sidebar):
    press(window, sidebar, "amr.show_attention", left=40)
    assert window.run(f"out = [part('scene.attention').shown({_BODY}), {_COLOUR_TYPE}]") == ["", "OBJECT"]
    shot(window, "attention_5_hidden")
