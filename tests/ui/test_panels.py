"""What the panel shows in each state, and that showing it changes nothing."""

import time

import pytest

from tests.ui.recorder import Recorder
from tests.ui.test_operators import begin, wait_for_progress


def draw(stage, *parts):
    """Draw the named parts of the tab; the file must be as before."""
    from amr_blender.ui import panels

    layout = Recorder()
    before = fingerprint(stage)
    for part in parts or ("main", "person", "settings", "baked"):
        getattr(panels, f"draw_{part}")(layout, stage.bpy.context)
    assert fingerprint(stage) == before, "drawing has changed the file"
    return layout.drawn


def fingerprint(stage):
    data = stage.bpy.data
    counts = {p.identifier: len(getattr(data, p.identifier)) for p in data.bl_rna.properties if p.type == "COLLECTION"}
    settings = stage.settings
    return counts, settings.strip_name, settings.person, len(settings.people), len(settings.results), stage.left_over()


def test_without_footage(stage):
    drawn = draw(stage)
    assert "There is no footage in the Video Sequencer. Add a movie or an image sequence there." in drawn.text
    assert "amr.reconstruct" in drawn.operators, "the button is there, greyed out, and tells why"


def test_ready(stage):
    stage.add_strip("walk")
    drawn = draw(stage)
    assert "Frames 1 to 10" in drawn.text
    assert drawn.operators == ["amr.reconstruct", "amr.choose_person", "amr.find_people"]
    assert drawn.properties == ["quality", "use_height", "use_lens", "baked_max_error_mm"]


def test_given_height_and_lens_can_be_typed(stage):
    stage.settings.use_height = stage.settings.use_lens = True
    assert {"height_m", "lens_mm"} <= set(draw(stage).properties)


def test_a_strip_that_cannot_be_used(stage):
    stage.add_strip("clip").use_flip_y = True
    assert "'clip' is mirrored. Turn off Mirror X and Y" in draw(stage).text


def test_running(stage):
    stage.add_strip()
    stage.worker_will("hang")
    operator, context, run = begin(stage)
    wait_for_progress(operator, context, run)
    drawn = draw(stage, "main")
    assert drawn.bars == [(0.4, "40%")]
    assert "Finding people 3 / 10" in drawn.text.replace("  ", " ")
    assert "0:01 left" in drawn.text
    assert drawn.operators == ["amr.cancel"]


def test_failed(stage):
    stage.add_strip()
    stage.worker_will("fail")
    with pytest.raises(RuntimeError):
        stage.bpy.ops.amr.reconstruct("EXEC_DEFAULT")
    drawn = draw(stage, "main")
    assert "Nobody is in it. Film somebody." in drawn.text
    assert "Traceback" not in drawn.text
    assert drawn.operators == ["amr.reconstruct", "amr.dismiss_problem", "amr.copy_diagnostics"]
    stage.bpy.ops.amr.dismiss_problem()
    assert "Nobody" not in draw(stage, "main").text


def test_the_runtime_is_missing(stage, monkeypatch):
    from amr_blender import preferences
    from amr_blender.contract.errors import RuntimeSetupError

    def none():
        raise RuntimeSetupError("runtime-missing", "It is not installed.", "Install it.")

    monkeypatch.setattr(preferences, "worker_python", none)
    drawn = draw(stage, "main")
    assert "It is not installed. Install it." in drawn.text
    assert "amr.open_preferences" in drawn.operators


def test_people_can_be_picked(stage):
    stage.add_strip()
    stage.bpy.ops.amr.find_people("EXEC_DEFAULT")
    assert draw(stage, "person").operators.count("amr.choose_person") == 3
    stage.scene.sequence_editor.active_strip.frame_offset_start = 2
    assert draw(stage, "person").operators.count("amr.choose_person") == 1, "those people are of other footage"


def test_results(stage):
    from amr_blender.ui import panels

    assert not panels._has_results(stage.bpy.context)
    stage.add_strip()
    stage.bpy.ops.amr.reconstruct("EXEC_DEFAULT")
    assert panels._has_results(stage.bpy.context)
    stage.settings.results[0].warnings = "Somebody walked through the picture."
    drawn = draw(stage, "results")
    entry = stage.settings.results[0]
    for text in (
        "frames 1 to 10",
        "10 of 10 pictures",
        f"{entry.baked_keys} keys, within {entry.baked_error_mm:.1f} mm",
        "1.75 m",
        "Somebody walked through the picture.",
    ):
        assert text in drawn.text
    assert {"amr.select_result", "amr.view_camera", "amr.show_result"} <= set(drawn.operators)


def test_a_result_tells_gaps_and_camera(stage):
    from amr_blender.contract import take as takes
    from tests.scene.take_factory import make_take

    take = make_take(80, fps=24.0, width=640, height=360, gaps=((0, 1), (20, 30), (40, 60)), filled=((10, 14),))
    take.meta["focal_source"] = "estimated"
    take.meta["camera"] = {"focal_px": 700.0, "focal_low_px": 600.0, "focal_high_px": 800.0}
    takes.save(take, stage.folder / "gaps.npz")
    stage.scene.render.fps = 24
    stage.bpy.ops.amr.import_take(filepath=str(stage.folder / "gaps.npz"), name="gaps")
    told, drawn = facts(stage), draw(stage, "results").text
    assert told["Person seen"] == "45 of 80 pictures"
    assert told["Not seen"] == "1, left empty"
    assert "21 to 30, left empty" in drawn and "41 to 60, left empty" in drawn
    assert told["Filled in"] == "4 frames"
    assert told["Lens"] == "39 mm (34 to 45), estimated"
    assert told["Camera"] == "8° down"


@pytest.mark.parametrize("camera", [None, "no", {"focal_low_px": "a", "focal_high_px": float("inf")}])
def test_a_result_without_more_about_its_camera(stage, camera):
    from amr_blender.contract import take as takes
    from tests.scene.take_factory import make_take

    take = make_take(4, fps=24.0)
    take.meta["camera"] = camera
    takes.save(take, stage.folder / "plain.npz")
    stage.bpy.ops.amr.import_take(filepath=str(stage.folder / "plain.npz"), name="plain")
    told = facts(stage)
    assert told["Lens"] == "39 mm, assumed"
    assert not {"Not seen", "Filled in"} & set(told)


def test_many_gaps_are_counted(stage):
    from amr_blender.ui import panels

    stage.add_strip()
    stage.bpy.ops.amr.reconstruct("EXEC_DEFAULT")
    entry = stage.settings.results[0]
    entry.frames_empty = "\n".join(str(10 * number) for number in range(9))
    listed = [value for _, value in panels.facts(entry) if value.endswith("left empty")]
    assert len(listed) == panels.MOST_GAPS
    assert ("", "and 5 more") in panels.facts(entry)


def facts(stage):
    from amr_blender.ui import panels

    return dict(panels.facts(stage.settings.results[-1]))


def test_diagnostics_are_copied(stage):
    from amr_blender.ui import problems

    assert not stage.bpy.ops.amr.copy_diagnostics.poll()
    stage.add_strip()
    stage.worker_will("die")
    with pytest.raises(RuntimeError):
        stage.bpy.ops.amr.reconstruct("EXEC_DEFAULT")
    stage.bpy.ops.amr.copy_diagnostics()
    for text in ("AttentiveMeshRefine", stage.bpy.app.version_string, '"action": "reconstruct"', "exit code 3"):
        assert text in problems.last.diagnostics


def test_drawing_is_quick(stage):
    for number in range(30):
        stage.add_strip(f"clip {number}")
    stage.bpy.ops.amr.reconstruct("EXEC_DEFAULT")
    started = time.monotonic()
    for _ in range(10):
        draw_all(stage)
    assert (time.monotonic() - started) / 10 < 0.05


def draw_all(stage):
    from amr_blender.ui import panels

    for part in ("main", "person", "settings", "baked", "results"):
        getattr(panels, f"draw_{part}")(Recorder(), stage.bpy.context)
