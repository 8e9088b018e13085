"""Attention on the body: right vertices, right frames, right colours; shown and hidden; without the add-on, too."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from amr_blender.contract.errors import SceneError
from amr_blender.contract.take import Take
from amr_blender.scene import attention, bring_in
from amr_blender.scene.bring_in import ImportOptions
from amr_blender.scene.colour_map import colours
from amr_blender.scene.timing import StripTiming

from . import reference
from .take_factory import make_take, wandering_spot

FRAMES, START = 40, 11
HALF_STEP = 0.5 / 255 + 1e-4


def _import(bpy: ModuleType, take: Take, baked: bool = False) -> bring_in.Result:
    bpy.context.scene.render.fps = 30
    timing = StripTiming(START, START + take.frame_count - 1, START, 1.0, take.frame_count - 1, 30.0)
    return bring_in.bring_in(bpy.context, take, timing, ImportOptions(baked=baked))


def _values(bpy: ModuleType, body: Any, frame: int, subframe: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """(V,) attention and (V, 4) linear colours as Blender evaluates them."""
    bpy.context.scene.frame_set(frame, subframe=subframe)
    mesh = body.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    values, shown = np.empty(len(mesh.vertices), np.float32), np.empty(4 * len(mesh.vertices), np.float32)
    mesh.attributes["amr_attention"].data.foreach_get("value", values)
    mesh.attributes["AMR Attention Now"].data.foreach_get("color", shown)
    return values, shown.reshape(-1, 4)


def _painted(body: Any, name: str) -> np.ndarray:
    layer = body.data.color_attributes[name]
    assert (layer.domain, layer.data_type) == ("POINT", "BYTE_COLOR")
    out = np.empty(4 * len(body.data.vertices), np.float32)
    layer.data.foreach_get("color", out)
    return out.reshape(-1, 4)


def coloured(body: Any, values: np.ndarray) -> np.ndarray:
    """(V, 4) in the colours of the result's own range."""
    low, high = attention.coloured_range(body)
    return colours((values - low) / (high - low))


@pytest.fixture
def take() -> Take:
    return make_take(FRAMES, attention=True)


@pytest.fixture
def body(blender: ModuleType, take: Take) -> Any:
    return blender.data.objects[_import(blender, take).mesh]


def test_a_take_without_comes_in_as_before(blender: ModuleType) -> None:
    result = _import(blender, make_take(5))
    body = blender.data.objects[result.mesh]
    assert [m.name for m in body.modifiers] == ["Armature"]
    assert not body.data.color_attributes and not blender.data.node_groups and not blender.data.images
    assert result.attention == attention.AttentionMade() and result.refinement_keys == 0
    assert attention.modes(body) == [] and attention.shown(body) == ""
    assert "amr_uncertainty_mm" not in body.data.attributes


def test_mean_and_maximum_are_painted(body: Any, take: Take) -> None:
    values = take.attention.astype(np.float32)
    for name, wanted in (("AMR Attention Mean", values.mean(0)), ("AMR Attention Max", values.max(0))):
        np.testing.assert_allclose(_painted(body, name), coloured(body, wanted), atol=0.006)
    layer = body.data.attributes["amr_uncertainty_mm"]
    assert layer.domain == "POINT"
    found = [layer.data[i].value for i in range(0, len(body.data.vertices), 97)]
    np.testing.assert_allclose(found, take.uncertainty_mm.astype(float).mean(0)[::97], rtol=1e-5)


def test_colours_are_spread_over_what_there_is(blender: ModuleType, take: Take) -> None:
    """A network that says 0.45 to 0.55 gets all of them; one that says the same everywhere, none of its noise."""
    for spread, least in ((0.1, 0.095), (0.0, 0.019)):
        values = (0.5 + spread * (take.attention.astype(np.float32) - 0.5)).astype(np.float16)
        body = blender.data.objects[_import(blender, replace(take, attention=values)).mesh]
        low, high = attention.coloured_range(body)
        assert least * 0.8 < high - low < least * 1.3 and low < 0.5 < high
        painted = _painted(body, "AMR Attention Max")
        np.testing.assert_allclose(painted, coloured(body, values.astype(np.float32).max(0)), atol=0.02)


def test_where_there_is_no_attention_the_uncertainty_is_shown(blender: ModuleType, take: Take) -> None:
    result = _import(blender, replace(take, attention=None))
    body = blender.data.objects[result.mesh]
    assert result.attention.shown and result.attention.worst_in_mm and attention.in_mm(body)
    attention.show(body, "NOW")
    values, shown = _values(blender, body, START + 9)
    np.testing.assert_allclose(attention.FULL_MM * values, take.uncertainty_mm[9].astype(np.float32), atol=1.0)
    np.testing.assert_allclose(shown, coloured(body, values), atol=0.006)


def test_only_frames_on_which_somebody_was_seen_count(blender: ModuleType) -> None:
    take = make_take(FRAMES, attention=True, gaps=((0, 20),))
    body = blender.data.objects[_import(blender, take).mesh]
    wanted = coloured(body, take.attention[20:].astype(np.float32).max(0))
    assert attention.coloured_range(body)[1] <= take.attention[20:].max()
    np.testing.assert_allclose(_painted(body, "AMR Attention Max"), wanted, atol=0.006)


def test_nothing_is_shown_at_first(blender: ModuleType, body: Any) -> None:
    assert [m.name for m in body.modifiers] == ["Armature", "AMR Attention"], "after the armature"
    modifier = body.modifiers["AMR Attention"]
    assert not modifier.show_viewport and not modifier.show_render
    assert body.material_slots[0].material.name.endswith("Skin")
    assert attention.shown(body) == ""
    assert attention.modes(body) == ["NOW", "MEAN", "MAX"]
    assert blender.data.materials["AMR Attention"].users == 1, "ready in the object's slot, so it is saved"


def test_the_frames_attention_is_the_takes(blender: ModuleType, body: Any, take: Take) -> None:
    attention.show(body, "NOW")
    wanted = take.attention.astype(np.float32)
    for index in (0, 9, 30, FRAMES - 1):
        values, shown = _values(blender, body, START + index)
        np.testing.assert_allclose(values, wanted[index], atol=HALF_STEP)
        np.testing.assert_allclose(shown, coloured(body, values), atol=0.006)
    between, _ = _values(blender, body, START + 9, 0.25)
    np.testing.assert_allclose(between, 0.75 * wanted[9] + 0.25 * wanted[10], atol=HALF_STEP)
    for frame, index in ((START - 5, 0), (START + FRAMES + 50, FRAMES - 1)):
        np.testing.assert_allclose(_values(blender, body, frame)[0], wanted[index], atol=HALF_STEP)
    assert body["amr_attention_error"] <= HALF_STEP


def test_a_vertex_keeps_its_attention_when_others_are_deleted(blender: ModuleType, body: Any, take: Take) -> None:
    import bmesh

    work = bmesh.new()
    work.from_mesh(body.data)
    work.verts.ensure_lookup_table()
    bmesh.ops.delete(work, geom=work.verts[:100], context="VERTS")
    work.to_mesh(body.data)
    work.free()
    attention.show(body, "NOW")
    values, _ = _values(blender, body, START + 12)
    np.testing.assert_allclose(values, take.attention[12, 100:].astype(np.float32), atol=HALF_STEP)


def test_the_film_can_be_moved_along_with_the_keys(blender: ModuleType, body: Any, take: Take) -> None:
    group = body.modifiers["AMR Attention"].node_group
    start = next(item for item in group.interface.items_tree if item.name == "Start Frame")
    assert start.default_value == START
    body.modifiers["AMR Attention"][start.identifier] = START + 100.0
    attention.show(body, "NOW")
    np.testing.assert_allclose(_values(blender, body, START + 107)[0], take.attention[7], atol=2e-3)


def test_showing_and_hiding(blender: ModuleType, body: Any) -> None:
    mesh, skin = body.data, body.data.materials[0]
    for mode, layer in (("NOW", "Now"), ("MEAN", "Mean"), ("MAX", "Max")):
        attention.show(body, mode)
        assert attention.shown(body) == mode
        assert mesh.color_attributes.active_color_name == f"AMR Attention {layer}"
        assert mesh.attributes.default_color_name == f"AMR Attention {layer}"
        assert body.modifiers["AMR Attention"].show_viewport == (mode == "NOW")
        assert body.modifiers["AMR Attention"].show_render == (mode == "NOW")
        assert body.material_slots[0].material.name == "AMR Attention"
        assert mesh.materials[0] == skin, "the mesh keeps its own"
    attention.show(body, "")
    assert attention.shown(body) == ""
    assert body.material_slots[0].material == skin
    assert not body.modifiers["AMR Attention"].show_viewport


def test_the_animators_own_material_comes_back(blender: ModuleType, body: Any) -> None:
    own = blender.data.materials.new("Gold")
    body.material_slots[0].link = "OBJECT"
    body.material_slots[0].material = own
    attention.show(body, "MEAN")
    attention.show(body, "NOW")
    assert body.material_slots[0].material.name == "AMR Attention"
    attention.show(body, "")
    assert body.material_slots[0].material == own and body.material_slots[0].link == "OBJECT"
    assert not [key for key in body.keys() if "own_material" in key]  # noqa: SIM118 - an object is no dict


def test_results_share_the_material_only(blender: ModuleType, take: Take) -> None:
    first, second = (blender.data.objects[_import(blender, take).mesh] for _ in range(2))
    assert [m.name for m in blender.data.materials if m.name.startswith("AMR")] == ["AMR Attention"]
    attention.show(first, "NOW")
    assert attention.shown(second) == ""
    assert first.modifiers[1].node_group != second.modifiers[1].node_group


def test_the_current_frame_is_copied_for_painting(blender: ModuleType, body: Any, take: Take) -> None:
    for index in (25, 12):
        blender.context.scene.frame_set(START + index)
        attention.copy_current(blender.context, body)
        wanted = coloured(body, take.attention[index].astype(np.float32))
        np.testing.assert_allclose(_painted(body, "AMR Attention"), wanted, atol=0.012)
    assert attention.shown(body) == "PAINTED" and attention.modes(body)[-1] == "PAINTED"
    assert body.data.color_attributes.active_color.name == "AMR Attention", "what the brush paints on"
    assert not body.modifiers["AMR Attention"].show_viewport


def test_what_can_not_be_shown_or_copied_is_told(blender: ModuleType, body: Any) -> None:
    with pytest.raises(SceneError, match="no such attention"):
        attention.show(body, "PAINTED")
    body.modifiers.new("Subdivision", "SUBSURF")
    with blender.context.temp_override(object=body, active_object=body):
        blender.ops.object.modifier_move_to_index(modifier="Subdivision", index=0)
    with pytest.raises(SceneError, match="changes its vertices"):
        attention.copy_current(blender.context, body)
    assert not body.modifiers["AMR Attention"].show_viewport, "as it was"
    body.modifiers.remove(body.modifiers["Subdivision"])
    body.data.color_attributes.new("AMR Attention", "BYTE_COLOR", "CORNER")
    with pytest.raises(SceneError, match="not a colour attribute of points"):
        attention.copy_current(blender.context, body)
    body.modifiers.remove(body.modifiers["AMR Attention"])
    with pytest.raises(SceneError, match="no such attention"):
        attention.copy_current(blender.context, body)
    assert attention.modes(body) == ["MEAN", "MAX", "PAINTED"]


def test_worst_moments(blender: ModuleType, take: Take) -> None:
    made = _import(blender, take).attention
    assert made.shown and made.worst_in_mm
    scores = take.uncertainty_mm.astype(float).mean(1)
    frame, score = made.worst[0]
    assert frame == START + int(scores.argmax()) and score == pytest.approx(scores.max(), rel=1e-4)
    assert len(made.worst) == 2, "a quarter and three quarters through"
    take.uncertainty_mm = None
    made = _import(blender, take).attention
    assert not made.worst_in_mm and 0 < made.worst[0][1] < 1
    take.attention = None
    assert _import(blender, take).attention == attention.AttentionMade()


def test_a_failed_import_leaves_nothing_of_it(blender: ModuleType, take: Take, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(attention.nodes, "attention_material", fail)
    with pytest.raises(SceneError):
        _import(blender, take)
    for kind in ("objects", "meshes", "images", "node_groups", "materials", "actions"):
        assert len(getattr(blender.data, kind)) == 0, kind


_WITHOUT_THE_ADD_ON = """
import sys
import bpy
import numpy as np
bpy.ops.wm.open_mainfile(filepath=sys.argv[1])
assert not hasattr(bpy.types.Scene, "amr") and not bpy.app.handlers.frame_change_post
scene, body = bpy.context.scene, bpy.data.objects[sys.argv[2]]
scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = "CYCLES", 1, False
scene.render.resolution_x = scene.render.resolution_y = 16
scene.view_settings.view_transform = "Standard"
for frame in (12, 31):
    scene.frame_set(frame)
    values = np.empty(len(body.data.vertices), np.float32)
    evaluated = body.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    evaluated.attributes["amr_attention"].data.foreach_get("value", values)
    np.save(sys.argv[3] + f"/{frame}.npy", values)
    scene.render.filepath = sys.argv[3] + f"/{frame}.png"
    bpy.ops.render.render(write_still=True)
"""


def test_a_saved_file_plays_and_renders_without_the_add_on(
    blender: ModuleType, body: Any, take: Take, tmp_path: Path
) -> None:
    attention.show(body, "NOW")
    blender.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    command = [sys.executable, "-c", _WITHOUT_THE_ADD_ON, str(tmp_path / "scene.blend"), body.name, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    for frame in (12, 31):
        np.testing.assert_allclose(np.load(tmp_path / f"{frame}.npy"), take.attention[frame - START], atol=HALF_STEP)
    pictures = []
    for frame in (12, 31):
        image = blender.data.images.load(str(tmp_path / f"{frame}.png"))
        pictures.append(np.array(image.pixels[:]).reshape(-1, 4)[:, :3])
    red, blue = pictures[0][:, 0], pictures[0][:, 2]
    assert (np.abs(pictures[0] - pictures[1]).max(1) > 0.2).any(), "the colours have changed"
    assert (blue > red + 0.05).any(), "violet where there is none"


def test_the_real_body(blender: ModuleType, assets: Path) -> None:
    """13,718 vertices with correctives and attention: both as in the take, the baked copy has the correctives."""
    torch = pytest.importorskip("torch", reason="the environment of the old Blender has no torch")
    from model.body import AnnyBody
    from tests.model.body.anny_take import a_motion, a_person, make_take

    torch.manual_seed(0)
    anny = AnnyBody.load(assets)
    take = make_take(anny, a_person(anny), a_motion(anny, 24))
    waves = np.random.default_rng(0).standard_normal((6, 3, 3))
    take.refinement_basis = np.stack([0.01 * np.sin(4 * take.vertices_m @ wave) for wave in waves]).astype(np.float32)
    take.refinement_weights = (2.5 * np.sin(np.outer(np.arange(24) / 5, np.arange(1, 7)))).astype(np.float32)
    take.refinement_error_mm = np.array(0.4, np.float32)
    take.attention, take.uncertainty_mm = wandering_spot(take)
    result = _import(blender, take, baked=True)
    body = blender.data.objects[result.mesh]
    attention.show(body, "NOW")
    assert (result.refinement_keys, result.refinement_error_mm) == (6, pytest.approx(0.4))
    assert (body["amr_refinement_keys"], body["amr_refinement_error_mm"]) == (6, pytest.approx(0.4))
    for index in (0, 5, 16, 23):
        wanted = reference.vertices(take, index)
        moved = reference.evaluated(blender, result.mesh, START + index)
        assert np.linalg.norm(moved - wanted, axis=1).max() < 1e-4
        baked = reference.evaluated(blender, result.baked, START + index)
        assert np.linalg.norm(baked - wanted, axis=1).max() <= result.baked_error_mm / 1000 + 1e-5
        np.testing.assert_allclose(_values(blender, body, START + index)[0], take.attention[index], atol=HALF_STEP)
    keys = body.data.shape_keys
    assert all(abs(k.slider_min) >= 1 and k.slider_max >= 1 for k in keys.key_blocks[1:])
    assert not keys.animation_data.drivers
