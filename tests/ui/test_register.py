"""Registration: cheap, symmetric, and named as Blender's reviewers want it.  Runs on the oldest Blender too."""

import ast
import inspect
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def census(bpy):
    """All that registering could leave behind."""
    from amr_blender.ui import runtime_tasks

    handlers = {
        name: len(value) for name in dir(bpy.app.handlers) if isinstance(value := getattr(bpy.app.handlers, name), list)
    }
    return {
        "types": sorted(name for name in dir(bpy.types) if name.startswith("AMR_")),
        "operators": sorted(dir(bpy.ops.amr)),
        "scene": hasattr(bpy.types.Scene, "amr"),
        "handlers": handlers,
        "timer": bpy.app.timers.is_registered(runtime_tasks._tick),
    }


def test_register_unregister_register(blender):
    import amr_blender
    from amr_blender.ui import legend, thumbnails

    before = census(blender)
    amr_blender.register()
    registered = census(blender)
    assert registered["scene"]
    assert registered["types"]
    amr_blender.unregister()
    assert census(blender) == before
    assert thumbnails._collection is None and legend._handle is None
    amr_blender.register()
    assert census(blender) == registered
    amr_blender.unregister()


def test_unregistering_stops_the_timer_and_its_child(stage, monkeypatch):
    import amr_blender
    from amr_blender.bridge import runtime
    from amr_blender.ui import runtime_tasks

    monkeypatch.setattr(runtime, "_PROBE", "import time; time.sleep(60)")
    runtime_tasks.check(Path(sys.executable))
    probe = runtime_tasks._probe
    assert stage.bpy.app.timers.is_registered(runtime_tasks._tick)
    amr_blender.unregister()
    assert not stage.bpy.app.timers.is_registered(runtime_tasks._tick)
    probe._thread.join(5.0)
    assert not probe._thread.is_alive(), "the child lives on"
    amr_blender.register()


def test_nothing_is_written_and_no_torch_is_loaded(blender, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    import amr_blender

    amr_blender.register()
    assert list(tmp_path.iterdir()) == []
    assert "torch" not in {name for name, module in sys.modules.items() if "amr_blender" in str(module)}
    amr_blender.unregister()


@pytest.mark.parametrize("module", ["amr_blender", "amr_blender.contract.take", "amr_blender.bridge.install"])
def test_what_the_worker_shares_imports_without_bpy(module):
    program = f"import sys; sys.modules['bpy'] = None; import {module}"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


def classes():
    from amr_blender import ui

    return ui.CLASSES


def test_names(blender):
    kinds = {
        "Operator": "AMR_OT_",
        "Panel": "AMR_PT_",
        "UIList": "AMR_UL_",
        "PropertyGroup": "AMR_PG_",
        "Menu": "AMR_MT_",
    }
    for cls in classes():
        prefix = next(prefix for kind, prefix in kinds.items() if issubclass(cls, getattr(blender.types, kind)))
        assert cls.__name__.startswith(prefix)
        if prefix == "AMR_OT_":
            assert cls.bl_idname == "amr." + cls.__name__.removeprefix("AMR_OT_")
            assert cls.__doc__, f"{cls.__name__} has no tooltip"
            assert not cls.__doc__.rstrip().endswith("."), f"{cls.__name__}: Blender adds the full stop itself"


def test_operators_gather_call_and_report(blender):
    for cls in classes():
        if issubclass(cls, blender.types.Operator):
            for name, member in vars(cls).items():
                if inspect.isfunction(member):
                    tree = ast.parse(textwrap.dedent(inspect.getsource(member)))
                    length = tree.body[0].end_lineno
                    assert length < 25, f"{cls.__name__}.{name} has {length} lines"


def test_operators_that_write_data_can_be_undone(blender):
    writers = {"import_take", "import_people", "choose_person", "choose_strip", "select_result", "show_result"}
    writers |= {"view_camera", "forget_result", "show_attention", "copy_attention"}
    undoable = {c.bl_idname[4:] for c in classes() if issubclass(c, blender.types.Operator) and "UNDO" in c.bl_options}
    assert undoable == writers
