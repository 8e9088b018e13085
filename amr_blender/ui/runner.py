"""The one job that may run at a time, as plain data.  Free of bpy: an undo or a file load leaves nothing stale here.

The modal operator polls :data:`active`; panels read it.  Whoever ends a job calls :func:`cancel` or :func:`finish`.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..bridge.process import WorkerProcess
from ..contract.job import Job
from ..contract.messages import Done, Failed, Message, People, Progress, Warn


@dataclass(frozen=True)
class Plan:
    """All that a job needs from Blender, gathered before it starts, so that nothing of Blender is kept."""

    job: Job
    python: Path
    folder: Path
    """Private scratch folder of this job; removed when it ends."""
    scene_uid: int
    """``session_uid`` of the scene the result belongs to."""
    arguments: dict[str, Any] = field(default_factory=dict)
    """Plain values for the operator that brings the result in."""
    keep_out: bool = False
    """The caller chose ``job.out``: never delete it."""


@dataclass
class Run:
    """A job under way: what the messages so far have said."""

    plan: Plan
    process: Any
    started: float = field(default_factory=time.monotonic)
    stage: str = ""
    done: int = 0
    total: int = 0
    fraction: float = 0.0
    eta_s: float | None = None
    warnings: list[str] = field(default_factory=list)
    people: list[dict[str, Any]] = field(default_factory=list)
    outcome: Done | Failed | None = None

    def poll(self) -> bool:
        """Read what has come; True once the job has ended.  Never blocks."""
        for message in self.process.poll():
            self.read(message)
        return self.outcome is not None

    def read(self, message: Message) -> None:
        if isinstance(message, Progress):
            self.stage, self.done, self.total = message.stage, message.done, message.total
            self.fraction = min(1.0, max(self.fraction, message.fraction))  # a bar never runs backwards
            self.eta_s = message.eta_s
        elif isinstance(message, Warn):
            self.warnings.append(message.message)
        elif isinstance(message, People):
            self.people = message.people
        elif isinstance(message, Done | Failed):
            self.outcome = message


active: Run | None = None


def start(plan: Plan) -> Run:
    """Start the worker for ``plan`` and make it the active run.

    Raises:
        WorkerError: it can't be started; nothing stays behind.
    """
    global active
    process = WorkerProcess(plan.python, plan.job, plan.folder)
    try:
        process.start()
    except BaseException:
        shutil.rmtree(plan.folder, ignore_errors=True)
        raise
    active = Run(plan, process)
    return active


def finish() -> str:
    """Forget the run that has ended; returns its diagnostics."""
    global active
    run, active = active, None
    if run is None:
        return ""
    diagnostics = str(run.process.diagnostics())
    shutil.rmtree(run.plan.folder, ignore_errors=True)
    if not isinstance(run.outcome, Done):
        discard(run.plan)
    return diagnostics


def cancel() -> bool:
    """Kill the active run's process tree, if there is one; True if there was."""
    run = active
    if run is None:
        return False
    run.process.cancel()
    finish()
    return True


def discard(plan: Plan) -> None:
    """Delete what a job has written, unless the caller chose the place."""
    out = Path(plan.job.out)
    if plan.keep_out:
        return
    if plan.job.action == "people":
        shutil.rmtree(out, ignore_errors=True)
    else:
        out.unlink(missing_ok=True)
