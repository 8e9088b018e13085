"""The add-on registered in real Blender, with footage in the sequencer and a worker that only pretends to compute."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from tests.scene.take_factory import make_take

FRAMES = 10


class Stage:
    """What a test of the interface needs: Blender, the scene, the strip and the pretended worker."""

    def __init__(self, bpy, folder):
        self.bpy, self.folder = bpy, folder
        self.cache = folder / "user" / "amr_blender" / "cache"

    @property
    def scene(self):
        return self.bpy.context.scene

    @property
    def settings(self):
        return self.scene.amr

    @property
    def job(self):
        """The job that the worker was given last."""
        return json.loads((self.folder / "job.json").read_text())

    def worker_will(self, end):
        """``finish``, ``fail``, ``die``, ``hang``, or write a ``truncated`` take."""
        (self.folder / "behaviour.json").write_text(json.dumps({"end": end}))

    def add_strip(self, name="clip"):
        editor = self.scene.sequence_editor_create()
        strips = editor.strips if hasattr(editor, "strips") else editor.sequences
        strip = strips.new_image(name, str(self.folder / "images" / "f0000.png"), 1, 1)
        for number in range(1, FRAMES):
            strip.elements.append(f"f{number:04}.png")
        strip.frame_final_duration = FRAMES
        editor.active_strip = strip
        return strip

    def objects(self):
        return sorted(item.name for item in self.bpy.data.objects)

    def left_over(self):
        """Files that the add-on has written and not removed."""
        return sorted(str(p.relative_to(self.cache)) for p in self.cache.rglob("*") if p.is_file())


@pytest.fixture
def stage(blender, tmp_path, monkeypatch):
    import amr_blender
    from amr_blender import preferences
    from amr_blender.bridge import process
    from amr_blender.contract import take
    from amr_blender.ui import problems, runner

    # What the operating system would name as the place for caches, on every system.
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "user"))
    shutil.copy(Path(__file__).with_name("fake_worker.py"), tmp_path)
    monkeypatch.setattr(process, "ENTRY", tmp_path / "fake_worker.py")
    monkeypatch.setattr(preferences, "worker_python", lambda: Path(sys.executable))
    made = Stage(blender, tmp_path)
    take.save(make_take(FRAMES, fps=24.0, width=64, height=36), tmp_path / "take.npz")
    (tmp_path / "images").mkdir()
    picture = blender.data.images.new("picture", 64, 36)
    for number in range(FRAMES):
        picture.save(filepath=str(tmp_path / "images" / f"f{number:04}.png"))
    shutil.copy(tmp_path / "images" / "f0000.png", tmp_path / "face.png")
    blender.data.images.remove(picture)
    made.worker_will("finish")
    amr_blender.register()
    yield made
    runner.cancel()
    problems.clear()
    amr_blender.unregister()


class Operator:
    """Stands in for what Blender gives an operator instance: a place for reports.  Modal operators do not run in the
    bpy wheel, so their methods are called here as Blender's event loop would."""

    def __init__(self, operator):
        self.reports = []
        self._operator = operator
        self.take_path = ""

    def __getattr__(self, name):
        value = getattr(self._operator, name)
        return value.__get__(self) if callable(value) and not isinstance(value, type) else value

    def report(self, kinds, text):
        self.reports.append((next(iter(kinds)), text))


class Manager:
    """Timers and modal handlers as a window would keep them."""

    def __init__(self):
        self.timers, self.handlers = [], []

    def event_timer_add(self, seconds, window=None):
        self.timers.append(seconds)
        return seconds

    def event_timer_remove(self, timer):
        self.timers.remove(timer)

    def modal_handler_add(self, operator):
        self.handlers.append(operator)
        return True


class Context:
    """The live context, with a window manager that keeps timers."""

    def __init__(self, bpy):
        self.window_manager, self._bpy = Manager(), bpy

    def __getattr__(self, name):
        return getattr(self._bpy.context, name)


class Event:
    def __init__(self, kind, value="NOTHING"):
        self.type, self.value = kind, value
