"""One job, from its file to the last message."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ..contract.errors import SettingsError
from ..contract.failures import describe
from ..contract.files import remove_partials
from ..contract.job import Job
from ..contract.messages import PROTOCOL_VERSION, Done, Hello, People, Progress, Warn
from .channel import Channel, watch_parent

SUCCESS, FAILURE = 0, 1
RUN_FOLDER_PREFIX = "amr-job-"
"""Folders of this name are made by the bridge for one run and may be removed whole."""


def run(arguments: Sequence[str]) -> int:
    """Do the job in the file named by ``arguments`` and say how it went.  Returns the exit code."""
    parser = argparse.ArgumentParser(prog="worker")
    parser.add_argument("job", type=Path, help="the job as JSON")
    job_file: Path = parser.parse_args(arguments).job
    channel = Channel()
    channel.send(Hello(PROTOCOL_VERSION, os.getpid(), ""))
    channel.start_heartbeat()
    code = FAILURE
    try:
        job = _read(job_file)
        watch_parent(lambda: _clean_up(job, job_file))
        _lower_priority()
        channel.send(_do(job, channel))
        code = SUCCESS
    except BaseException as error:  # the last message must go out whatever happened
        failed = describe(error)
        channel.send(failed)
        with suppress(OSError):  # on a full disk the log can't be written either
            print(failed.details, file=sys.stderr, flush=True)
    # Torn down in the usual way, torch takes its time and has been seen to crash; all that matters is on disk.
    os._exit(code)


def _read(job_file: Path) -> Job:
    try:
        return Job.from_json(job_file.read_text(encoding="utf-8"))
    except OSError as error:
        message = f"The job can't be read ({error.strerror or error})."
        raise SettingsError("settings-invalid", message, "Press Reconstruct again.") from error


def _do(job: Job, channel: Channel) -> Done:
    from model.pipeline import list_people, reconstruct
    from model.progress import Meter

    meter = Meter(lambda step: channel.send_progress(Progress(*step)))

    def warn(code: str, message: str) -> None:
        channel.send(Warn(code, message))

    def tell_device(device: str) -> None:
        channel.send(Hello(PROTOCOL_VERSION, os.getpid(), device))

    if job.action == "people":
        channel.send(People(list_people(job, meter.report, warn, tell_device)))
        return Done("")
    take = reconstruct(job, meter.report, warn, tell_device)
    return Done(str(take), cached=meter.reused)


def _lower_priority() -> None:
    """Leave the processor to Blender first: the animator goes on working while this computes."""
    if hasattr(os, "nice"):  # the bridge asks Windows for the same when it starts the process
        os.nice(5)


def _clean_up(job: Job, job_file: Path) -> None:
    """After Blender died, nobody else removes what this process left half-done."""
    for folder in job.written_folders():
        remove_partials(folder, os.getpid())
    if job_file.parent.name.startswith(RUN_FOLDER_PREFIX):
        shutil.rmtree(job_file.parent, ignore_errors=True)
