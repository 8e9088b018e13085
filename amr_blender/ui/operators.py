"""Operators of the main job: reconstruct, find people, cancel, bring the result in."""

import json
import shutil
from pathlib import Path

import bpy
from bpy.props import BoolProperty, FloatProperty, IntProperty, StringProperty

from ..bridge.process import run_to_end
from ..contract import take as takes
from ..contract.errors import AmrError, WorkerError
from ..contract.messages import Failed
from . import console, gather, problems, redraw, results, runner, thumbnails
from .base import AmrOperator, call


class JobOperator(AmrOperator):
    """A job for the worker: modal from the interface, to the end at once from a script (``'EXEC_DEFAULT'``)."""

    INTERVAL_S = 0.1

    @classmethod
    def poll(cls, context):
        if runner.active:
            cls.poll_message_set("A job is running: wait for it, or press Cancel")
            return False
        try:
            gather.checked_strip(context)
            gather.preferences.worker_python()
        except AmrError as error:
            cls.poll_message_set(f"{error.message} {error.remedy}".rstrip("."))
            return False
        return True

    def invoke(self, context, _event):
        return self.guarded(lambda: self.start(context))

    def start(self, context):
        problems.clear()
        runner.start(self.plan(context))
        try:
            manager = context.window_manager
            self._timer = manager.event_timer_add(self.INTERVAL_S, window=context.window)
            manager.modal_handler_add(self)
        except Exception:  # nobody would look after the worker
            runner.cancel()
            raise
        redraw.tag()
        return {"RUNNING_MODAL"}

    def modal(self, context, event):
        run = runner.active
        if run is None:  # the Cancel button, a file load, the add-on's end
            return self.leave(context, {"CANCELLED"})
        if event.type == "ESC" and event.value == "PRESS":
            runner.cancel()
            self.report({"INFO"}, "Cancelled.")
            return self.leave(context, {"CANCELLED"})
        if event.type == "TIMER":
            redraw.tag()
            if run.poll():
                return self.leave(context, self.guarded(lambda: self.conclude(run)))
        return {"PASS_THROUGH"}

    def cancel(self, context):
        """Blender ends the operator: the window closes, a file is loaded."""
        runner.cancel()
        self.leave(context, set())

    def leave(self, context, result):
        if timer := getattr(self, "_timer", None):
            context.window_manager.event_timer_remove(timer)
        self._timer = None
        redraw.tag()
        return result

    def conclude(self, run):
        """Bring in what the run that has ended has made."""
        diagnostics = runner.finish()
        if isinstance(run.outcome, Failed):
            raise worker_error(run.outcome, run.plan, diagnostics)
        self.deliver(run)

    def run(self, context):
        """To the end, without a timer."""
        problems.clear()
        plan = self.plan(context)
        run = runner.Run(plan, process=None)
        try:
            with console.progress() as show:
                run.outcome = run_to_end(plan.python, plan.job, plan.folder, lambda m: show(run, run.read(m)))
            self.deliver(run)
        except BaseException:
            runner.discard(plan)
            raise
        finally:
            shutil.rmtree(plan.folder, ignore_errors=True)


def worker_error(failed, plan, diagnostics):
    """The worker's last words as an exception that carries the diagnostics."""
    error = WorkerError(failed.code, failed.message, failed.remedy)
    error.details = "\n\n".join(part for part in (plan.job.to_json(), failed.details, diagnostics) if part)
    return error


class AMR_OT_reconstruct(JobOperator, bpy.types.Operator):
    """Turn the person in the chosen strip into an animated body mesh and armature"""

    bl_idname = "amr.reconstruct"
    bl_label = "Reconstruct"

    take_path: StringProperty(
        name="Take",
        description="Where to write the take. Empty: the add-on's own folder",
        subtype="FILE_PATH",
        options={"SKIP_SAVE"},
    )

    def plan(self, context):
        return gather.reconstruct_plan(context, self.take_path)

    def deliver(self, run):
        try:
            told = "\n".join(run.warnings)
            call(bpy.ops.amr.import_take, filepath=run.outcome.take, warnings=told, **run.plan.arguments)
        except Exception:
            runner.discard(run.plan)
            raise
        where = gather.scene_by_uid(run.plan.scene_uid)
        elsewhere = "" if where == bpy.context.scene else f" It is in the scene {where.name}."
        self.report({"INFO"}, f"Reconstructed {run.plan.arguments['name']}.{elsewhere}")


class AMR_OT_find_people(JobOperator, bpy.types.Operator):
    """Look for everybody in the chosen strip, to pick whom to reconstruct"""

    bl_idname = "amr.find_people"
    bl_label = "Find People"

    def plan(self, context):
        return gather.people_plan(context)

    def deliver(self, run):
        call(bpy.ops.amr.import_people, people=json.dumps(run.people), **run.plan.arguments)
        self.report({"INFO"}, f"Found {len(run.people)} {'person' if len(run.people) == 1 else 'people'}.")


class AMR_OT_cancel(AmrOperator, bpy.types.Operator):
    """Stop the running job at once. The scene stays as it is"""

    bl_idname = "amr.cancel"
    bl_label = "Cancel"

    @classmethod
    def poll(cls, _context):
        cls.poll_message_set("Nothing is running")
        return runner.active is not None

    def run(self, _context):
        runner.cancel()
        redraw.tag()


class AMR_OT_import_take(AmrOperator, bpy.types.Operator):
    """Bring a take into the scene: armature, mesh, baked copy and camera"""

    bl_idname = "amr.import_take"
    bl_label = "Import Take"
    bl_options = {"REGISTER", "UNDO"}

    filepath: StringProperty(name="Take", subtype="FILE_PATH", options={"HIDDEN"})
    name: StringProperty(name="Name", default="Take")
    baked: BoolProperty(name="Baked Copy", default=True)
    baked_max_error_mm: FloatProperty(name="Max Vertex Error (mm)", default=5.0, min=0.1, max=100.0)
    clip: StringProperty(description="The strip as JSON; empty: the take's own rate", options={"HIDDEN"})
    scene_uid: IntProperty(description="session_uid of the scene; 0: the window's", options={"HIDDEN"})
    warnings: StringProperty(description="What the worker said meanwhile, one a line", options={"HIDDEN"})

    def run(self, context):
        take = takes.load(Path(bpy.path.abspath(self.filepath)))
        scene = gather.scene_by_uid(self.scene_uid) if self.scene_uid else context.scene
        clip = gather.clip_from_json(self.clip) if self.clip else None
        entry = results.bring_in(context, scene, take, clip, self.name, self.max_error())
        entry.take = self.filepath
        results.add_warnings(entry, self.warnings.splitlines())
        redraw.tag()

    def max_error(self):
        """Millimetres, or None for no baked copy."""
        return self.baked_max_error_mm if self.baked else None


class AMR_OT_import_people(AmrOperator, bpy.types.Operator):
    """Show the people that were found"""

    bl_idname = "amr.import_people"
    bl_label = "Show People"
    bl_options = {"UNDO", "INTERNAL"}

    people: StringProperty(description="The worker's list, as JSON")
    footage_key: StringProperty()
    scene_uid: IntProperty()

    def run(self, _context):
        settings = gather.scene_by_uid(self.scene_uid).amr
        results.show_people(settings, json.loads(self.people), self.footage_key)
        thumbnails.load(person.thumbnail for person in settings.people)


class AMR_OT_choose_strip(AmrOperator, bpy.types.Operator):
    """Reconstruct this strip"""

    bl_idname = "amr.choose_strip"
    bl_label = "Choose Strip"
    bl_options = {"UNDO", "INTERNAL"}

    strip: StringProperty(description="Name; empty: whichever strip is active")

    def run(self, context):
        gather.strip_scene(context).amr.strip_name = self.strip


class AMR_OT_choose_person(AmrOperator, bpy.types.Operator):
    """Reconstruct this person"""

    bl_idname = "amr.choose_person"
    bl_label = "Choose Person"
    bl_options = {"UNDO", "INTERNAL"}

    index: IntProperty(default=-1, description="-1: whoever fills most of the clip")

    @classmethod
    def description(cls, context, properties):
        for person in gather.strip_scene(context).amr.people:
            if person.index == properties.index:
                seen = f"seen in frames {person.frame_start} to {person.frame_end - 1} of the clip"
                return f"Reconstruct person {person.index + 1}: {seen}, filling {person.share:.1%} of the picture"
        return "Reconstruct the person who fills most of the clip"

    def run(self, context):
        gather.strip_scene(context).amr.person = self.index


CLASSES = (
    AMR_OT_reconstruct,
    AMR_OT_find_people,
    AMR_OT_cancel,
    AMR_OT_import_take,
    AMR_OT_import_people,
    AMR_OT_choose_strip,
    AMR_OT_choose_person,
)
