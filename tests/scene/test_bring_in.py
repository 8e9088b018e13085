"""The whole result: what stands in the scene, what it takes, and that nothing is left when it fails."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from amr_blender.contract.errors import AmrError, SceneError, TakeError
from amr_blender.contract.take import Take
from amr_blender.scene import action, armature, bring_in, camera, mesh, shape_keys
from amr_blender.scene.bring_in import ImportOptions
from amr_blender.scene.strip import read_strip
from amr_blender.scene.timing import StripTiming

from . import reference
from .numbered_footage import add_images, write_images
from .take_factory import make_take


def _contents(bpy: ModuleType) -> dict[str, list[str]]:
    """Names of every data-block of the file, by kind."""
    kinds = [p.identifier for p in bpy.data.bl_rna.properties if p.type == "COLLECTION"]
    return {kind: sorted(block.name for block in getattr(bpy.data, kind)) for kind in kinds}


def _timing(take: Take, scene_start: int = 1) -> StripTiming:
    fps = float(take.meta["source"]["fps"])
    return StripTiming(scene_start, scene_start + take.frame_count - 1, scene_start, 1.0, take.frame_count - 1, fps)


def _import(bpy: ModuleType, take: Take, **options: Any) -> bring_in.Result:
    bpy.context.scene.render.fps = round(take.meta["source"]["fps"])
    return bring_in.bring_in(bpy.context, take, _timing(take), ImportOptions(**options))


@pytest.mark.parametrize("refinement", [0, 3])
def test_mesh_equals_the_take(blender: ModuleType, refinement: int) -> None:
    take = make_take(20, refinement=refinement)
    result = _import(blender, take)
    for frame in (0, 7, 19):
        wanted = reference.vertices(take, frame)
        rigged = reference.evaluated(blender, result.mesh, frame + 1)
        assert np.abs(rigged - wanted).max() < 1e-4
        baked = reference.evaluated(blender, result.baked, frame + 1)
        assert np.linalg.norm(baked - wanted, axis=1).max() <= result.baked_error_mm / 1000 + 1e-5


def test_baked_error_is_the_largest_over_all_frames(blender: ModuleType) -> None:
    take = make_take(40)
    result = _import(blender, take, baked_max_error_mm=12.0)
    errors = [
        np.linalg.norm(reference.evaluated(blender, result.baked, f + 1) - reference.vertices(take, f), axis=1).max()
        for f in range(take.frame_count)
    ]
    assert 1000 * max(errors) == pytest.approx(result.baked_error_mm, abs=0.01)
    assert 0 < result.baked_error_mm <= 12.0
    twin = blender.data.objects[result.baked]
    assert twin["amr_baked_keys"] == result.baked_keys == len(twin.data.shape_keys.key_blocks) - 1
    assert twin["amr_baked_error_mm"] == pytest.approx(result.baked_error_mm)
    assert _import(blender, take, baked_max_error_mm=1.0).baked_keys > result.baked_keys


def test_what_stands_in_the_scene(blender: ModuleType) -> None:
    take = make_take(12, refinement=2)
    result = _import(blender, take, name="Shot 7")
    scene = blender.context.scene
    collection = scene.collection.children[result.collection]
    assert {o.name for o in collection.objects} == {result.armature, result.mesh, result.camera}
    hidden = collection.children[f"{result.name} Baked"]
    assert [o.name for o in hidden.objects] == [result.baked]
    assert hidden.hide_render
    assert not blender.data.objects[result.baked].visible_get()
    assert blender.data.objects[result.mesh].visible_get()
    twin = blender.data.objects[result.baked]
    assert twin.parent is None
    assert not twin.modifiers
    assert not twin.vertex_groups
    assert blender.context.view_layer.objects.active == blender.data.objects[result.armature]
    assert blender.context.mode == "OBJECT"
    assert (result.frame_start, result.frame_end) == (1, 12)
    # Nothing needs the add-on: no drivers, no handlers.
    assert not any(o.animation_data and o.animation_data.drivers for o in blender.data.objects)
    assert not blender.app.handlers.frame_change_post


def test_scene_settings_stay(blender: ModuleType) -> None:
    scene = blender.context.scene
    scene.frame_start, scene.frame_end, scene.render.resolution_x = 5, 9, 333
    scene.frame_set(7)
    mine = blender.data.objects.new("mine", blender.data.cameras.new("mine"))
    scene.camera = mine
    _import(blender, make_take(30))
    assert (scene.frame_start, scene.frame_end, scene.frame_current, scene.render.resolution_x) == (5, 9, 7, 333)
    assert scene.camera == mine


def test_camera_of_a_scene_without_one(blender: ModuleType) -> None:
    first = _import(blender, make_take(2))
    assert blender.context.scene.camera.name == first.camera
    _import(blender, make_take(2))
    assert blender.context.scene.camera.name == first.camera


def test_second_run_makes_a_new_result(blender: ModuleType) -> None:
    take = make_take(8)
    first = _import(blender, take)
    rig = blender.data.objects[first.armature]
    rig.pose.bones["head"].scale = (2, 2, 2)
    before = reference.evaluated(blender, first.mesh, 3)
    second = _import(blender, take)
    names = lambda r: {r.name, r.collection, r.armature, r.mesh, r.baked, r.camera}  # noqa: E731
    assert not names(first) & names(second)
    np.testing.assert_array_equal(reference.evaluated(blender, first.mesh, 3), before)
    assert blender.data.objects[first.mesh].data != blender.data.objects[second.mesh].data


def test_without_baked(blender: ModuleType) -> None:
    result = _import(blender, make_take(5), baked=False)
    assert (result.baked, result.baked_keys) == ("", 0)
    assert not any("Baked" in c.name for c in blender.data.collections)


def test_one_frame(blender: ModuleType) -> None:
    take = make_take(1)
    result = _import(blender, take)
    np.testing.assert_allclose(
        reference.evaluated(blender, result.mesh, 1), reference.vertices(take, 0), rtol=0, atol=1e-4
    )
    assert (result.frame_start, result.frame_end) == (1, 1)


def test_keys_match_the_picture_at_another_rate(blender: ModuleType, tmp_path: Path) -> None:
    """A 30 fps take under a 24 fps scene: whole scene frames, between the takes' frames."""
    take = make_take(40, fps=30)
    blender.context.scene.render.fps = 24
    timing = StripTiming(11, 42, 11.0, 30 / 24, 39, 30.0)
    result = bring_in.bring_in(blender.context, take, timing, ImportOptions(baked=False))
    assert (result.frame_start, result.frame_end) == (11, 42)
    for scene_frame in (11, 15, 39):  # where the picture is a whole source frame
        source = (scene_frame - 11) * 30 / 24
        assert source == int(source)
        wanted = reference.vertices(take, int(source))
        assert np.abs(reference.evaluated(blender, result.mesh, scene_frame) - wanted).max() < 1e-4
    location = next(
        c
        for c in reference.curves(blender.data.objects[result.armature].animation_data.action)
        if c.data_path.endswith("location")
    )
    assert reference.keyed_frames(location) == list(range(11, 43))
    rig = blender.data.objects[result.armature]
    blender.context.scene.frame_set(12)
    head = rig.pose.bones["hips"].head
    halfway = 0.75 * take.translation_m[1] + 0.25 * take.translation_m[2]
    assert np.abs(np.array(head) - halfway).max() < 1e-5


def test_gap_has_no_keys_and_hides_the_body(blender: ModuleType) -> None:
    take = make_take(90, fps=30, gaps=((10, 14), (40, 70)))
    result = _import(blender, take)
    rig, body = blender.data.objects[result.armature], blender.data.objects[result.mesh]
    seen = [f + 1.0 for f in range(90) if take.present[f]]
    for curve in reference.curves(rig.animation_data.action):
        assert reference.keyed_frames(curve) in (seen, seen[:1])
    for name in (result.mesh, result.baked):
        shown = {}
        for frame in (1, 12, 40, 41, 55, 70, 71, 90):
            blender.context.scene.frame_set(frame)
            item = blender.data.objects[name]
            shown[frame] = (not item.hide_viewport, not item.hide_render)
        assert shown == {f: (f not in (41, 55, 70),) * 2 for f in shown}
    assert body.animation_data.action != rig.animation_data.action


@pytest.mark.parametrize("refinement", [0, 2])
def test_the_last_key_before_an_empty_stretch_holds(blender: ModuleType, refinement: int) -> None:
    """On the armature, the correctives and the baked twin; the key behind the stretch is where it was."""
    take = make_take(60, gaps=((20, 30), (40, 58)), refinement=refinement)
    result = _import(blender, take)
    assert result.empty == ((21, 30), (41, 58)) and result.filled == 0
    for first, last in result.empty:
        for name in (result.mesh, result.baked):
            before = reference.evaluated(blender, name, first - 1)
            for frame in (first, last):
                np.testing.assert_array_equal(reference.evaluated(blender, name, frame), before)
        after = reference.evaluated(blender, result.mesh, last + 1)
        assert np.abs(after - reference.vertices(take, last)).max() < 1e-4


@pytest.mark.parametrize("expected", ["GENERATED", "JITTER"])
def test_filled_frames_are_keyed_and_marked(
    blender: ModuleType, monkeypatch: pytest.MonkeyPatch, expected: str
) -> None:
    """Whoever looks at the dope sheet sees them by the type of their keys, in a Blender without "Generated" too."""
    if expected == "JITTER":
        monkeypatch.setattr(action, "_FILLED_TYPES", ("OF_A_LATER_BLENDER", "JITTER"))
    take = make_take(40, filled=((10, 14),), gaps=((20, 38),), refinement=1)
    result = _import(blender, take)
    assert result.filled == 4 and result.empty == ((21, 38),)
    checked = 0
    for made in blender.data.actions:
        for curve in reference.curves(made):
            types = {point.co[0]: point.type for point in curve.keyframe_points}
            if len(types) > 4:
                checked += 1
                assert {frame for frame, kind in types.items() if kind == expected} == {11, 12, 13, 14}
                assert set(types.values()) == {"KEYFRAME", expected}
    assert checked > 60
    shown = reference.evaluated(blender, result.mesh, 12)
    assert np.abs(shown - reference.vertices(take, 11)).max() < 1e-4


def test_nobody_in_the_strip(blender: ModuleType) -> None:
    take = make_take(30, gaps=((0, 20),))
    before = _contents(blender)
    with pytest.raises(SceneError) as caught:
        bring_in.bring_in(blender.context, take, dataclasses.replace(_timing(take), scene_end=15), ImportOptions())
    assert caught.value.code == "person-not-in-strip"
    assert _contents(blender) == before


def test_without_strip_the_take_starts_with_the_scene(blender: ModuleType) -> None:
    take = make_take(31, fps=30, first_frame=100)
    blender.context.scene.render.fps, blender.context.scene.frame_start = 60, 7
    result = bring_in.bring_in(blender.context, take, None, ImportOptions(baked=False))
    assert (result.frame_start, result.frame_end) == (7, 67)
    for frame in (0, 30):
        shown = reference.evaluated(blender, result.mesh, 7 + 2 * frame)
        assert np.abs(shown - reference.vertices(take, frame)).max() < 1e-4


_STEPS = [
    (armature, "make_armature"),
    (armature, "_fill_edit_bones"),
    (armature, "_fill_collections"),
    (armature, "animate_armature"),
    (mesh, "make_material"),
    (mesh, "make_body"),
    (mesh, "_write_weights"),
    (shape_keys, "add_refinement"),
    (shape_keys, "key_values"),
    (shape_keys, "make_baked"),
    (camera, "make_camera"),
    (camera, "add_footage"),
    (bring_in, "reduce_motion"),
    (bring_in, "_hide"),
    (bring_in, "Result"),
]


@pytest.mark.parametrize("after", [False, True], ids=["instead", "afterwards"])
@pytest.mark.parametrize(("module", "step"), _STEPS, ids=[s for _, s in _STEPS])
def test_failure_leaves_the_scene_as_it_was(
    blender: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Any, step: str, after: bool
) -> None:
    scene = blender.context.scene
    mesh_data = blender.data.meshes.new("mine")
    mine = blender.data.objects.new("mine", mesh_data)
    scene.collection.objects.link(mine)
    blender.context.view_layer.objects.active = mine
    mine.select_set(True)
    blender.ops.object.mode_set(mode="EDIT")
    footage = read_strip(scene, add_images(scene, write_images(tmp_path, 8)))
    before = _contents(blender)
    original = getattr(module, step)

    def failing(*args: Any, **kwargs: Any) -> Any:
        if after:
            original(*args, **kwargs)
        raise RuntimeError("injected")

    monkeypatch.setattr(module, step, failing)
    with pytest.raises(AmrError) as caught:
        _import(blender, make_take(8, refinement=1, gaps=((3, 5),)), footage=footage)
    assert "injected" in caught.value.message
    assert _contents(blender) == before
    assert blender.context.view_layer.objects.active == mine
    assert mine.select_get()
    assert mine.mode == "EDIT"
    blender.ops.object.mode_set(mode="OBJECT")


def test_programming_errors_also_leave_the_scene_as_it_was(
    blender: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _contents(blender)

    def broken(*args: Any) -> None:
        raise KeyError("a mistake of ours")

    monkeypatch.setattr(camera, "make_camera", broken)
    with pytest.raises(KeyError):
        _import(blender, make_take(4))
    assert _contents(blender) == before


def test_undo_takes_everything_away(blender: ModuleType) -> None:
    """As one undoable operator would: a step before, the import, a step after."""
    before = _contents(blender)
    blender.ops.ed.undo_push(message="before")
    _import(blender, make_take(6))
    blender.ops.ed.undo_push(message="import")
    assert _contents(blender) != before
    blender.ops.ed.undo()
    assert _contents(blender) == before


def test_broken_take_and_options(blender: ModuleType) -> None:
    before = _contents(blender)
    take = make_take(5)
    take.translation_m[2, 1] = np.nan
    with pytest.raises(TakeError):
        _import(blender, take)
    with pytest.raises(SceneError) as caught:
        _import(blender, make_take(5), baked_max_error_mm=0.0)
    assert caught.value.code == "baked-error-invalid"
    assert _contents(blender) == before


@pytest.mark.parametrize("name", ["", "a" * 300, "Größe " * 12, "  ", "with/slash"])
def test_odd_names(blender: ModuleType, name: str) -> None:
    first, second = _import(blender, make_take(2), name=name), _import(blender, make_take(2), name=name)
    assert first.name != second.name
    assert blender.data.objects[first.mesh].name.startswith(first.name)


def test_in_pose_mode_of_another_armature(blender: ModuleType) -> None:
    first = _import(blender, make_take(3), baked=False)
    blender.ops.object.mode_set(mode="POSE")
    second = _import(blender, make_take(3), baked=False)
    assert blender.context.view_layer.objects.active.name == second.armature
    assert blender.data.objects[first.armature].mode == "OBJECT"


@pytest.mark.slow
def test_thousand_frames_in_time(blender: ModuleType) -> None:
    """13,000 vertices, 1,000 frames, everything; the limit is generous because this machine may be busy."""
    take = make_take(1000, rings=81)
    assert len(take.vertices_m) > 13_000
    start = time.process_time()
    result = _import(blender, take)
    assert time.process_time() - start < 8.0
    assert result.baked_error_mm <= 5.0
