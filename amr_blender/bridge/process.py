"""The worker as the add-on sees it: start, poll, cancel.  Whatever happens to the process, it is told in words.

Nothing here waits: :meth:`WorkerProcess.poll` is called from Blender's timer ten times a second.  A worker ends
whole, with all its children, and what it left half-written goes with it.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ..contract.errors import AmrError, WorkerError
from ..contract.files import remove_partials
from ..contract.job import Job
from ..contract.messages import Done, Failed, Message
from ..contract.version import VERSION
from . import endings, process_tree
from .mailbox import Mailbox

ENTRY = Path(__file__).resolve().parent.parent / "worker" / "__main__.py"
RUN_FOLDER_PREFIX = "amr-job-"  # the worker knows it too: it removes such a folder when Blender dies
LOG_NAME = "worker.log"
MAX_LOG_BYTES = 64 << 20
# Loading torch from a slow disk holds Python's lock, and with it the heartbeat, for a good while.
STARTUP_PATIENCE = 5
# A worker that has said its last word gets so long to leave; one whose child holds the pipe, so long to be read.
FAREWELL_S = 2.0


class WorkerProcess:
    """One job in a process of its own.

    Args:
        python: the interpreter that has torch, numpy and cv2.
        job: what to do; relative paths are meant from here.
        folder: for this job's scratch files.  Afterwards it holds nothing of the job, but for ``worker.log`` if the
            job failed.
        silence_s: seconds without a sign of life after which the worker counts as frozen.
        stall_s: seconds without progress after which it counts as stuck, though alive.
    """

    def __init__(self, python: Path, job: Job, folder: Path, silence_s: float = 60.0, stall_s: float = 1800.0) -> None:
        self.job = replace(
            job,
            video=_absolute(job.video),
            out=_absolute(job.out),
            cache=_absolute(job.cache),
            assets=_absolute(job.assets),
        )
        self._python, self._folder = Path(python), Path(folder).absolute()
        self._silence_s, self._stall_s = silence_s, stall_s
        self._lock = threading.RLock()
        self._process: subprocess.Popen[bytes] | None = None
        self._mailbox: Mailbox | None = None
        self._run_folder: Path | None = None
        self._last_poll = self._patient_from = 0.0
        self._farewell_from: float | None = None
        self._take_was_there = False
        self._end: Done | Failed | None = None
        self._end_fetched = False
        self._log_tail = ""

    @property
    def running(self) -> bool:
        """Started, and the last message is still to come."""
        return self._process is not None and not self._end_fetched

    @property
    def device(self) -> str:
        """What the worker computes on; empty until it has chosen."""
        return self._mailbox.device if self._mailbox else ""

    def start(self) -> None:
        """Start the process; returns at once.

        Raises:
            WorkerError: the scratch folder can't be written, or the Python can't be started.
        """
        with self._lock:
            if self._process is not None:
                raise RuntimeError("a WorkerProcess runs one job once")
            self._take_was_there = Path(self.job.out).exists()
            run_folder = self._make_run_folder()
            try:
                with open(run_folder / LOG_NAME, "ab") as log:
                    self._process = process_tree.start(
                        [str(self._python), "-I", "-X", "utf8", str(ENTRY), str(run_folder / "job.json")],
                        self._environment(run_folder),
                        run_folder,
                        log,
                    )
            except OSError as error:
                shutil.rmtree(run_folder, ignore_errors=True)
                raise WorkerError(
                    "worker-not-started",
                    f"The Python at {self._python} can't be started ({error.strerror or error}).",
                    "Check the Python in the add-on's preferences, or press Install Runtime there.",
                ) from error
            assert self._process.stdout is not None
            self._mailbox = Mailbox(self._process.stdout)
            self._last_poll = time.monotonic()

    def _make_run_folder(self) -> Path:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            (self._folder / LOG_NAME).unlink(missing_ok=True)
            self._run_folder = Path(tempfile.mkdtemp(prefix=RUN_FOLDER_PREFIX, dir=self._folder))
            (self._run_folder / "scratch").mkdir()
            (self._run_folder / "job.json").write_text(self.job.to_json(), encoding="utf-8")
        except OSError as error:
            if self._run_folder is not None:
                shutil.rmtree(self._run_folder, ignore_errors=True)
            raise WorkerError(
                "worker-folder-unwritable",
                f"The folder {self._folder} can't be written to ({error.strerror or error}).",
                "Free some space, or check the permissions of Blender's user folder.",
            ) from error
        return self._run_folder

    def _environment(self, run_folder: Path) -> dict[str, str]:
        environment = process_tree.worker_environment(os.environ, Path(sys.prefix))
        return environment | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(run_folder / "scratch"))

    def poll(self) -> list[Message]:
        """What the worker said since the last call.  Never blocks, never raises.

        The last message is :class:`Done` or :class:`Failed`, whatever happened to the process; the process is dead
        and its scratch files are gone by then.  After it, and before :meth:`start`, the list is empty.
        """
        with self._lock:
            if self._process is None or self._mailbox is None or self._end_fetched:
                return []
            messages = self._mailbox.fetch()
            if self._end is None:
                try:
                    verdict = self._verdict(self._process, self._mailbox)
                except Exception as error:  # a timer that raises would vanish and leave the process alone
                    verdict = endings.unexpected(error)
                if verdict is not None:
                    self._finish(verdict)
            if self._end is not None:
                messages += [*self._mailbox.fetch(), self._end]
                self._end_fetched = True
            return messages

    def cancel(self) -> None:
        """End the process tree now and remove what it left; :meth:`poll` then ends with ``Failed('cancelled')``.

        Safe at any moment and as often as one likes; after the end it does nothing.
        """
        with self._lock:
            if self._process is not None and self._end is None:
                self._finish(endings.cancelled())

    def diagnostics(self) -> str:
        """Text for "Copy diagnostics": versions, the job, how it ended, what it said and the end of its log."""
        mailbox, end = self._mailbox, self._end
        lines = [
            f"AttentiveMeshRefine {VERSION} on {platform.platform()}, Python {platform.python_version()}",
            f"worker: {self._python}, process {self._process.pid if self._process else 'not started'}, "
            f"device {self.device or 'not chosen'}",
            f"job: {self.job.to_json()}",
        ]
        if isinstance(end, Failed):
            lines += [f"failed: {end.code}: {end.message} {end.remedy}", end.details.rstrip()]
        elif end is not None:
            lines.append("done")
        if mailbox and mailbox.garbage:
            lines += ["not understood:", *mailbox.garbage[-20:]]
        log = self._log_tail or self._read_log()
        return "\n".join([*filter(None, lines), "log:", log.rstrip()]) + "\n"

    def _verdict(self, process: subprocess.Popen[bytes], mailbox: Mailbox) -> Done | Failed | None:
        """How the job ended, or None while it runs."""
        now = time.monotonic()
        if now - self._last_poll > max(5.0, self._silence_s / 2):
            # Nobody polled for long: Blender was busy, or the computer slept and the worker with it.
            self._patient_from = now
        self._last_poll = now
        if mailbox.broken:
            return mailbox.last
        exit_code = process.poll()
        if mailbox.last is not None or exit_code is not None:
            if self._farewell_from is None:
                self._farewell_from = now
            if (exit_code is None or not mailbox.at_end) and now - self._farewell_from < FAREWELL_S:
                return None
            if isinstance(mailbox.last, Done) and self.job.action == "reconstruct":
                whole = mailbox.last.take == self.job.out and Path(self.job.out).is_file()
                return mailbox.last if whole else endings.without_take()
            return mailbox.last or endings.ended(exit_code or 0, mailbox.pid is not None)
        heard_at, moved_at = mailbox.signs()
        silence_s = self._silence_s if mailbox.device else self._silence_s * STARTUP_PATIENCE
        if now - max(heard_at, self._patient_from) > silence_s:
            return endings.silent(silence_s)
        if now - max(moved_at, self._patient_from) > self._stall_s:
            return endings.stalled(self._stall_s)
        assert self._run_folder is not None
        if (self._run_folder / LOG_NAME).stat().st_size > MAX_LOG_BYTES:
            return endings.garbage("an endless log")
        return None

    def _finish(self, end: Done | Failed) -> None:
        """Leave no process, no pipe and no half-written file behind.  Never raises."""
        process, mailbox, run_folder = self._process, self._mailbox, self._run_folder
        assert process is not None and mailbox is not None and run_folder is not None
        self._end = end
        process_tree.kill(process)
        mailbox.wait_end(0.2)
        for stream in (process.stdin, process.stdout if mailbox.at_end else None):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        for folder in self.job.written_folders():
            for pid in {process.pid, mailbox.pid or process.pid}:  # they differ behind Windows' launcher of a venv
                remove_partials(folder, pid)
        self._log_tail = self._read_log()
        if isinstance(end, Failed):
            self._remove_orphaned_take()
            if end.code != "cancelled":
                with suppress(OSError):
                    os.replace(run_folder / LOG_NAME, self._folder / LOG_NAME)
        shutil.rmtree(run_folder, ignore_errors=True)

    def _remove_orphaned_take(self) -> None:
        # Killed between the last byte of the take and the message about it.
        if self.job.action == "reconstruct" and not self._take_was_there:
            with suppress(OSError):
                Path(self.job.out).unlink(missing_ok=True)

    def _read_log(self, size: int = 8000) -> str:
        if self._run_folder is None:
            return ""
        try:
            with open(self._run_folder / LOG_NAME, "rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - size))
                return log.read(size).decode("utf-8", "replace")
        except OSError:
            return ""


def _absolute(path: str) -> str:
    return str(Path(path).absolute()) if path else ""


def run_to_end(python: Path, job: Job, folder: Path, on_message: Callable[[Message], None] | None = None) -> Done:
    """Do ``job`` in a worker and wait for it, for scripts and for Blender without a window.

    Args:
        python, job, folder: see :class:`WorkerProcess`.
        on_message: is called with every message; if it raises, the job is cancelled.

    Raises:
        AmrError: what went wrong; ``args`` and attributes as the worker told it.
    """
    worker = WorkerProcess(python, job, folder)
    worker.start()
    try:
        while True:
            for message in worker.poll():
                if on_message is not None:
                    on_message(message)
                if isinstance(message, Done):
                    return message
                if isinstance(message, Failed):
                    error = AmrError(message.code, message.message, message.remedy)
                    error.add_note(worker.diagnostics())
                    raise error
            time.sleep(0.02)
    finally:
        worker.cancel()
