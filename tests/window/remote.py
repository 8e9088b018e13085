"""Runs inside the live Blender: takes Python from ``$REMOTE_DIR/command.py``, runs it, answers in ``answer.json``."""

import json
import os
import traceback
from pathlib import Path

import bpy

FOLDER = Path(os.environ["REMOTE_DIR"])
NAMES = {"bpy": bpy}


def tick():
    command = FOLDER / "command.py"
    if command.exists():
        source = command.read_text()
        command.unlink()
        NAMES["out"] = None
        try:
            exec(compile(source, "command", "exec"), NAMES)  # the whole point: the test says what to do
            answer = {"ok": True, "out": NAMES["out"]}
        except Exception:
            answer = {"ok": False, "out": traceback.format_exc()}
        partial = FOLDER / "answer.partial"
        partial.write_text(json.dumps(answer, default=str))
        partial.rename(FOLDER / "answer.json")
    return 0.05


bpy.app.timers.register(tick, first_interval=0.0, persistent=True)
