"""The button: from a strip to a result, and every way in which it can go wrong, with a real child process."""

import dataclasses
import os
import time
from pathlib import Path

import pytest

from tests.ui.conftest import FRAMES, Context, Event, Operator


def reconstruct(stage, **arguments):
    # True: with an undo step, as from a button; Blender gives scripts none unless they ask.
    return stage.bpy.ops.amr.reconstruct("EXEC_DEFAULT", True, **arguments)


def test_a_script_reconstructs_to_the_end(stage):
    stage.add_strip("walk.mp4")
    assert reconstruct(stage) == {"FINISHED"}
    (entry,) = stage.settings.results
    kinds = {
        part: stage.bpy.data.objects[getattr(entry, part)].type for part in ("armature", "mesh", "baked", "camera")
    }
    assert kinds == {"armature": "ARMATURE", "mesh": "MESH", "baked": "MESH", "camera": "CAMERA"}
    assert (entry.name, entry.frame_start, entry.frame_end) == ("walk", 1, FRAMES)
    assert entry.frames == entry.frames_seen == FRAMES
    assert entry.baked_keys >= 1
    assert 0 < entry.baked_error_mm <= 5.0
    assert Path(entry.take).is_file()
    assert entry.warnings == "The cache is full."
    assert stage.left_over() == [str(Path(entry.take).relative_to(stage.cache))], "scratch files stay"


def test_the_job_is_what_the_panel_says(stage):
    strip = stage.add_strip()
    strip.frame_offset_start, strip.frame_offset_end = 2, 3
    stage.settings.quality, stage.settings.use_height, stage.settings.height_m = "best", True, 1.6
    stage.settings.use_lens, stage.settings.lens_mm = True, 50.0
    reconstruct(stage)
    job = stage.job
    assert (job["action"], job["quality"], job["person"]) == ("reconstruct", "best", None)
    assert (job["frame_start"], job["frame_end"]) == (2, FRAMES - 3)
    assert job["actor_height_m"] == pytest.approx(1.6)
    assert job["focal_px"] == pytest.approx(50 / 36 * 64)
    assert len(job["images"]) >= FRAMES - 3
    assert Path(job["video"]).is_absolute()


def test_automatic_settings_stay_open_for_the_worker(stage):
    stage.add_strip()
    reconstruct(stage)
    assert stage.job["actor_height_m"] is None
    assert stage.job["focal_px"] is None


def test_a_script_may_choose_where_the_take_goes(stage, tmp_path):
    stage.add_strip()
    reconstruct(stage, take_path=str(tmp_path / "here.npz"))
    assert (tmp_path / "here.npz").is_file()
    assert stage.left_over() == []
    assert Path(stage.settings.results[0].take) == tmp_path / "here.npz"


def test_undo_takes_everything_away_and_redo_brings_it_back(stage):
    stage.add_strip()
    stage.bpy.ops.ed.undo_push(message="before")
    before = stage.objects()
    reconstruct(stage)
    after = stage.objects()
    assert len(after) > len(before)
    stage.bpy.ops.ed.undo()
    assert stage.objects() == before
    assert len(stage.settings.results) == 0
    stage.bpy.ops.ed.redo()
    assert stage.objects() == after
    assert len(stage.settings.results) == 1


def test_a_second_run_makes_a_second_result(stage):
    stage.add_strip()
    reconstruct(stage)
    first = stage.objects()
    reconstruct(stage)
    assert set(first) < set(stage.objects())
    one, two = stage.settings.results
    assert one.armature != two.armature
    assert stage.settings.active_result == 1


def test_without_a_baked_copy(stage):
    stage.add_strip()
    stage.settings.use_baked = False
    reconstruct(stage)
    assert stage.settings.results[0].baked == ""


@pytest.mark.parametrize(
    ("end", "sentence"),
    [("fail", "Nobody is in it. Film somebody."), ("die", "exit code 3"), ("truncated", "damaged")],
)
def test_a_failure_is_told_and_nothing_changes(stage, end, sentence):
    from amr_blender.ui import problems

    stage.add_strip()
    before = stage.objects()
    stage.worker_will(end)
    with pytest.raises(RuntimeError) as failure:
        reconstruct(stage)
    assert sentence in str(failure.value)
    assert "Traceback" not in str(failure.value)
    assert stage.objects() == before
    assert len(stage.settings.results) == 0
    assert stage.left_over() == []
    assert sentence in problems.last.text
    assert problems.last.remedy.endswith(".")
    assert "Traceback" in problems.last.diagnostics


def test_a_take_the_caller_chose_is_never_deleted(stage, tmp_path):
    stage.add_strip()
    stage.worker_will("truncated")
    with pytest.raises(RuntimeError):
        reconstruct(stage, take_path=str(tmp_path / "here.npz"))
    assert (tmp_path / "here.npz").is_file()


def test_an_unexpected_exception_is_one_sentence(stage, monkeypatch):
    from amr_blender.ui import gather, problems

    stage.add_strip()
    monkeypatch.setattr(gather, "reconstruct_plan", lambda *_: 1 / 0)
    with pytest.raises(RuntimeError) as failure:
        reconstruct(stage)
    assert "did not expect" in str(failure.value)
    assert "Traceback" not in str(failure.value)
    assert "ZeroDivisionError" in problems.last.diagnostics


def test_an_unwritable_cache_folder(stage, monkeypatch, tmp_path):
    from amr_blender import preferences

    stage.add_strip()
    (tmp_path / "file").write_text("a file where a folder should be")
    chosen = dataclasses.replace(preferences.Defaults(), cache_folder=str(tmp_path / "file"))
    monkeypatch.setattr(preferences, "get", lambda: chosen)
    with pytest.raises(RuntimeError, match="choose another cache folder"):
        reconstruct(stage)
    assert len(stage.settings.results) == 0


# ------------------------------------------------------------------------------------------------- in a window


def begin(stage, operator_name="AMR_OT_reconstruct"):
    """Press the button: the operator, a context with timers, and the run."""
    from amr_blender.ui import operators, runner

    operator, context = Operator(getattr(operators, operator_name)), Context(stage.bpy)
    assert operator.invoke(context, None) == {"RUNNING_MODAL"}
    assert context.window_manager.timers == [0.1]
    assert context.window_manager.handlers == [operator]
    return operator, context, runner.active


def play(operator, context, seconds=20.0):
    """Let the timer tick until the operator ends; returns how."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        result = operator.modal(context, Event("TIMER"))
        if result != {"PASS_THROUGH"}:
            assert context.window_manager.timers == [], "the timer stays"
            return result
        time.sleep(0.02)
    raise AssertionError("it never ended")


def wait_for_progress(operator, context, run):
    end = time.monotonic() + 20.0
    while run.stage != "detect":
        assert operator.modal(context, Event("TIMER")) == {"PASS_THROUGH"}
        assert time.monotonic() < end
        time.sleep(0.02)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_button_ends_in_a_result(stage):
    stage.add_strip()
    operator, context, _ = begin(stage)
    assert play(operator, context) == {"FINISHED"}
    assert len(stage.settings.results) == 1
    assert operator.reports == [("INFO", "Reconstructed clip.")]


def test_blender_stays_usable_while_it_runs(stage):
    stage.add_strip()
    stage.worker_will("hang")
    operator, context, run = begin(stage)
    wait_for_progress(operator, context, run)
    for kind in ("MOUSEMOVE", "LEFTMOUSE", "A", "TIMER"):
        started = time.monotonic()
        assert operator.modal(context, Event(kind, "PRESS")) == {"PASS_THROUGH"}
        assert time.monotonic() - started < 0.1
    assert (run.done, run.total, run.fraction) == (3, 10, 0.4)
    assert not stage.bpy.ops.amr.reconstruct.poll()


@pytest.mark.parametrize("how", ["escape", "button", "load", "window closed", "unregister"])
def test_cancelled_within_a_second_and_nothing_left(stage, how):
    import amr_blender
    from amr_blender.ui import runner

    stage.add_strip()
    before = stage.objects()
    stage.worker_will("hang")
    operator, context, run = begin(stage)
    wait_for_progress(operator, context, run)
    pid, started = run.process._process.pid, time.monotonic()
    if how == "escape":
        assert operator.modal(context, Event("ESC", "PRESS")) == {"CANCELLED"}
    elif how == "button":
        stage.bpy.ops.amr.cancel()
        assert operator.modal(context, Event("TIMER")) == {"CANCELLED"}
    elif how == "load":
        stage.bpy.ops.wm.read_homefile(use_empty=True)
        before = []
    elif how == "window closed":
        operator.cancel(context)
        assert context.window_manager.timers == []
    else:
        amr_blender.unregister()
        amr_blender.register()
    assert time.monotonic() - started < 1.0
    assert not alive(pid)
    assert runner.active is None
    assert stage.objects() == before
    assert stage.left_over() == []


def test_a_failure_in_the_window_is_told(stage):
    from amr_blender.ui import problems, runner

    stage.add_strip()
    stage.worker_will("fail")
    operator, context, _ = begin(stage)
    assert play(operator, context) == {"CANCELLED"}
    assert operator.reports == [("ERROR", "Nobody is in it. Film somebody.")]
    assert "secret" in problems.last.diagnostics
    assert "secret" not in problems.last.text
    assert runner.active is None


def test_the_scene_is_deleted_meanwhile(stage):
    strip_scene = stage.scene
    stage.add_strip()
    operator, context, _ = begin(stage)
    stage.bpy.context.window.scene = stage.bpy.data.scenes.new("Other")
    stage.bpy.data.scenes.remove(strip_scene)
    assert play(operator, context) == {"CANCELLED"}
    assert "was deleted" in operator.reports[0][1]
    assert stage.left_over() == []


def test_the_strip_is_deleted_and_the_work_undone_meanwhile(stage):
    stage.bpy.ops.ed.undo_push(message="empty")
    stage.add_strip()
    stage.bpy.ops.ed.undo_push(message="strip")
    operator, context, _ = begin(stage)
    stage.bpy.ops.ed.undo()
    assert play(operator, context) == {"FINISHED"}
    assert len(stage.settings.results) == 1


def test_a_worker_that_cannot_start_is_told(stage, monkeypatch, tmp_path):
    from amr_blender import preferences
    from amr_blender.ui import operators, runner

    stage.add_strip()
    monkeypatch.setattr(preferences, "worker_python", lambda: tmp_path / "none")
    operator = Operator(operators.AMR_OT_reconstruct)
    assert operator.invoke(Context(stage.bpy), None) == {"CANCELLED"}
    assert operator.reports[0][0] == "ERROR"
    assert runner.active is None
    assert stage.left_over() == []


def test_without_a_window_no_worker_is_left_behind(stage):
    from amr_blender.ui import operators, runner

    stage.add_strip()
    stage.worker_will("hang")
    operator, context = Operator(operators.AMR_OT_reconstruct), Context(stage.bpy)
    context.window_manager.event_timer_add = lambda *_, **__: 1 / 0
    assert operator.invoke(context, None) == {"CANCELLED"}
    assert runner.active is None
    assert stage.left_over() == []
