"""Operators of the preferences: check, install, cancel, remove the runtime; clear the cache."""

import shutil
import sys

import bpy

from .. import preferences
from ..bridge import cache, install, runtime
from ..contract.errors import AmrError, RuntimeSetupError
from . import gather, runner, runtime_tasks
from .base import AmrOperator


class AMR_OT_check_python(AmrOperator, bpy.types.Operator):
    """Ask the worker's Python for its versions of torch, numpy and OpenCV"""

    bl_idname = "amr.check_python"
    bl_label = "Check"

    def invoke(self, _context, _event):
        def work():
            runtime_tasks.check(preferences.worker_python())

        return self.guarded(work)

    def run(self, _context):
        python = preferences.worker_python()
        probe = runtime.Probe(python)
        probe.start()
        try:
            report = probe.wait()
        except AmrError as error:
            runtime_tasks.remember(python, error)
            raise
        runtime_tasks.remember(python, report)
        self.report({"INFO"}, report.sentence())


class AMR_OT_install_runtime(AmrOperator, bpy.types.Operator):
    """Make a Python environment with torch, numpy and OpenCV in the add-on's own folder. Goes on where it stopped"""

    bl_idname = "amr.install_runtime"
    bl_label = "Install Runtime"

    @classmethod
    def poll(cls, _context):
        if not bpy.app.online_access:
            cls.poll_message_set("Blender's online access is off: allow it in Preferences > System > Network")
            return False
        if runtime_tasks.installing():
            cls.poll_message_set("The runtime is being installed")
            return False
        return True

    def invoke(self, _context, _event):
        return self.guarded(lambda: runtime_tasks.install(self.task()))

    def run(self, _context):
        task = self.task()
        task.start()
        state = task.wait()
        if state.error:
            raise state.error
        self.report({"INFO"}, state.report.sentence() if state.report else state.text)

    @staticmethod
    def task():
        chosen = preferences.get().install_device
        device = runtime.best_device() if chosen == "auto" else chosen
        if runner.active:
            raise RuntimeSetupError("busy", "A reconstruction is running.", "Wait for it, or cancel it.")
        lock = runtime.find_lock(runtime.locks_folder(preferences.FOLDER), sys.version_info[:2], device)
        return install.Install(preferences.blender_python(), preferences.runtime_folder(), lock, device)


class AMR_OT_cancel_install(AmrOperator, bpy.types.Operator):
    """Stop the installation. What is complete stays; Install Runtime goes on from there"""

    bl_idname = "amr.cancel_install"
    bl_label = "Cancel"

    def run(self, _context):
        runtime_tasks.cancel_install()


class AMR_OT_remove_runtime(AmrOperator, bpy.types.Operator):
    """Delete the runtime that the add-on has installed"""

    bl_idname = "amr.remove_runtime"
    bl_label = "Remove"

    @classmethod
    def poll(cls, _context):
        if runner.active or runtime_tasks.installing():
            cls.poll_message_set("The runtime is in use")
            return False
        return True

    def invoke(self, context, event):
        return context.window_manager.invoke_confirm(self, event)

    def run(self, _context):
        install.remove(preferences.runtime_folder())
        runtime_tasks.forget_installation()


class AMR_OT_clear_cache(AmrOperator, bpy.types.Operator):
    """Delete the kept results and pictures. Scenes are not touched"""

    bl_idname = "amr.clear_cache"
    bl_label = "Clear"

    @classmethod
    def poll(cls, _context):
        if runner.active:
            cls.poll_message_set("A job is running")
            return False
        return True

    def run(self, _context):
        folder = preferences.cache_folder()
        cache.clear_cache(folder)
        for ours in gather.OWN_FOLDERS:
            shutil.rmtree(folder / ours, ignore_errors=True)
        runtime_tasks.forget_sizes()


CLASSES = (
    AMR_OT_check_python,
    AMR_OT_install_runtime,
    AMR_OT_cancel_install,
    AMR_OT_remove_runtime,
    AMR_OT_clear_cache,
)
