"""The process boundary against real processes: whatever happens to the worker, it is told in words."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from tests.bridge.extension import Extension, exists, files_below, follow, wait_for

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="made of POSIX signals and shell scripts")
Make = Callable[..., Extension]

WRITE_TAKE = """
Path(job.out).parent.mkdir(exist_ok=True)
Path(job.out).write_text("take")
return Path(job.out)
"""


def run(extension: Extension, **settings: Any) -> tuple[Any, list[Any]]:
    """Run to the end and check what holds after every end."""
    worker = extension.worker(**settings)
    worker.start()
    pid = worker._process.pid
    messages = follow(worker)
    assert messages[-1].type in ("done", "failed")
    assert [m.type for m in messages[:-1] if m.type in ("done", "failed")] == []
    assert not exists(pid), "a zombie or a living process is left"
    assert worker.poll() == []
    assert not worker.running
    left = [f for f in files_below(extension.scratch.parent) if "user_default" not in f and not f.startswith("takes/")]
    assert left in (["clip.mp4"], ["clip.mp4", "scratch/worker.log"])
    assert ("scratch/worker.log" in left) == (messages[-1].type == "failed" and messages[-1].code != "cancelled")
    if messages[-1].type == "failed":
        assert files_below(extension.scratch.parent / "takes") == []
        for text in (messages[-1].message, messages[-1].remedy):
            assert text.endswith(".")
            assert "Traceback" not in text
            assert "\n" not in text
    return worker, messages


def test_a_job_that_succeeds(extension: Make) -> None:
    made = extension(
        """
        tell_device("cpu")
        for stage in ("read", "detect", "landmarks", "fit", "write"):
            for done in range(4):
                report(stage, done, 3)
        warn("clip-shorter-than-range", "The clip ends early.")
        """,
        WRITE_TAKE,
    )
    worker, messages = run(made)
    assert messages[-1].take == made.job.out
    assert not messages[-1].cached
    assert Path(made.job.out).read_text() == "take"
    hellos = [m for m in messages if m.type == "hello"]
    assert [h.device for h in hellos] == ["", "cpu"]
    assert worker.device == "cpu"
    assert [m.code for m in messages if m.type == "warn"] == ["clip-shorter-than-range"]
    fractions = [m.fraction for m in messages if m.type == "progress"]
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(1.0)


def test_a_reused_result_is_told(extension: Make) -> None:
    _, messages = run(extension('report("reused", 1, 1)', WRITE_TAKE))
    assert messages[-1].cached


def test_people(extension: Make) -> None:
    made = extension("raise AssertionError")
    made.job = type(made.job)(video=made.job.video, out=made.job.out, action="people")
    _, messages = run(made)
    assert [m.people[0]["index"] for m in messages if m.type == "people"] == [0]
    assert messages[-1].take == ""


def test_what_libraries_print_goes_to_the_log(extension: Make) -> None:
    made = extension(
        """
        print("printed garbage", flush=True)
        sys.__stdout__.write("more\\n"); sys.__stdout__.flush()
        os.write(1, b"from C\\n")
        subprocess.run(["echo", "from a child"])
        raise RuntimeError("and now it breaks")
        """
    )
    worker, messages = run(made)
    assert messages[-1].code == "internal"
    log = (made.scratch / "worker.log").read_text()
    for text in ("printed garbage", "more", "from C", "from a child", "Traceback", "and now it breaks"):
        assert text in log
    assert "and now it breaks" in messages[-1].details
    assert "from a child" in worker.diagnostics()
    assert "and now it breaks" in worker.diagnostics()


@pytest.mark.parametrize(
    ("body", "code", "hint"),
    [
        (
            'from amr_blender.contract.errors import VideoError\nraise VideoError("video-x", "No.", "Do.")',
            "video-x",
            "Do.",
        ),
        ('raise KeyError("x")', "internal", "Copy diagnostics"),
        ("bytearray(1 << 50)", "out-of-memory", "shorter range"),
        (
            'raise RuntimeError("DefaultCPUAllocator: can\'t allocate memory: you tried")',
            "out-of-memory",
            "shorter range",
        ),
        ('raise type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory.")', "gpu-memory", "device to CPU"),
        ('raise OSError(errno.ENOSPC, "No space left on device", "/x")', "disk-full", "Free some space"),
        ('raise ModuleNotFoundError("No module named torch", name="torch")', "runtime-package-missing", "Install"),
        ('raise ImportError("libfoo.so: not found", name="cv2.cv2")', "runtime-package-missing", "Install"),
        ("raise SystemExit(3)", "internal", "Copy diagnostics"),
        ("leave_partials(job); raise ValueError", "internal", "Copy diagnostics"),
    ],
)
def test_an_exception_in_the_worker(extension: Make, body: str, code: str, hint: str) -> None:
    _, messages = run(extension(body))
    assert messages[-1].code == code
    assert hint in messages[-1].remedy


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "worker-killed", "memory"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "worker-crashed", "SIGSEGV"),
        ("os.kill(os.getpid(), signal.SIGILL)", "worker-crashed", "instructions"),
        ("os.kill(os.getpid(), signal.SIGTERM)", "worker-killed", "from outside"),
        ("os._exit(3)", "worker-ended", "exit code 3"),
        ("os._exit(0)", "worker-ended", "without a result"),
    ],
)
def test_a_worker_that_dies(extension: Make, body: str, code: str, words: str) -> None:
    """Also half-written files go, and a take that was complete but never reported."""
    _, messages = run(extension("leave_partials(job)\nPath(job.out).touch()\n" + body))
    assert messages[-1].code == code
    assert words in messages[-1].message


def test_an_older_take_survives_a_failure(extension: Make) -> None:
    made = extension("os._exit(3)")
    Path(made.job.out).parent.mkdir()
    Path(made.job.out).write_text("older")
    worker = made.worker()
    worker.start()
    follow(worker)
    assert Path(made.job.out).read_text() == "older"


def test_success_without_a_take(extension: Make) -> None:
    _, messages = run(extension("return Path(job.out)"))
    assert messages[-1].code == "worker-no-take"


def test_a_frozen_worker(extension: Make) -> None:
    made = extension('tell_device("cpu"); leave_partials(job); os.kill(os.getpid(), signal.SIGSTOP)')
    started = time.monotonic()
    _, messages = run(made, silence_s=1.0)
    assert messages[-1].code == "worker-silent"
    assert time.monotonic() - started < 6


def test_a_worker_that_lives_but_does_not_move(extension: Make) -> None:
    made = extension('report("read", 0, 1); time.sleep(1000)')
    _, messages = run(made, stall_s=2.5)
    assert messages[-1].code == "worker-stalled"
    assert any(m.type == "progress" for m in messages)


def test_a_worker_that_only_waits_for_a_slow_disk_is_not_silent(extension: Make) -> None:
    """Silence is short, but the heartbeat comes once a second."""
    made = extension('tell_device("cpu"); time.sleep(3.5)', WRITE_TAKE)
    _, messages = run(made, silence_s=2.0)
    assert messages[-1].type == "done"


def test_blender_was_busy_for_a_while(extension: Make) -> None:
    """Nobody polls while the worker talks a lot: it neither stands still nor floods memory nor counts as silent."""
    made = extension(
        """
        tell_device("cpu")
        for done in range(20000):
            report("fit", done, 20000)
        """,
        WRITE_TAKE,
    )
    worker = made.worker(silence_s=0.3)
    worker.start()
    wait_for(Path(made.job.out).exists)
    time.sleep(1.0)
    messages = follow(worker)
    assert messages[-1].type == "done"
    assert len(messages) < 10


def test_a_flood_of_messages(extension: Make) -> None:
    _, messages = run(extension('for i in range(100000): warn("x", "y" * 1000)\ntime.sleep(1000)'))
    assert messages[-1].code == "worker-garbage"


def test_a_flood_of_text(extension: Make) -> None:
    made = extension('while True: print("x" * 100000)')
    made.process.MAX_LOG_BYTES = 1 << 20
    _, messages = run(made)
    assert messages[-1].code == "worker-garbage"


def test_another_version_of_the_protocol(extension: Make) -> None:
    made = extension(WRITE_TAKE)
    path = made.folder / "contract" / "messages.py"
    path.write_text(path.read_text().replace("PROTOCOL_VERSION = 1", "PROTOCOL_VERSION = 99"))
    _, messages = run(made)
    assert messages[-1].code == "worker-version"


# Cancelling


@pytest.mark.parametrize("delay_s", [0.0, 0.02, 0.05, 0.1, 0.2, 0.5])
def test_cancel_at_any_moment_of_the_start(extension: Make, delay_s: float) -> None:
    made = extension("leave_partials(job)\ntime.sleep(1000)")
    worker = made.worker()
    worker.start()
    time.sleep(delay_s)
    check_cancel(made, worker)


@pytest.mark.parametrize(
    "body",
    [
        "leave_partials(job)\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nready()\ntime.sleep(1000)",
        "leave_partials(job)\nready()\nwhile True: pass",
        'leave_partials(job)\nready()\nwhile True: report("fit", 1, 2)',
        'child = subprocess.Popen(["sleep", "1000"])\nready(child.pid)\ntime.sleep(1000)',
        "ready()\nos.kill(os.getpid(), signal.SIGSTOP)",
        "import torch\nready()\nwhile True: torch.ones(2000, 2000) @ torch.ones(2000, 2000)",
        'ready()\nwhile True: (Path(os.environ["TMPDIR"]) / "scratch.bin").write_bytes(b"x" * 1000000)',
    ],
    ids=["sleeping", "busy", "talking", "with a child", "frozen", "torch", "writing"],
)
def test_cancel_while_working(extension: Make, body: str) -> None:
    mark = 'Path(job.video).with_name("ready")'
    made = extension(f"ready = lambda pid=0: {mark}.write_text(str(pid))\n" + body)
    worker = made.worker()
    worker.start()
    ready = Path(made.job.video).with_name("ready")
    wait_for(lambda: ready.exists() and ready.read_text())
    child = int(ready.read_text())
    ready.unlink()
    worker.poll()
    check_cancel(made, worker)
    assert not child or not exists(child) or Path(f"/proc/{child}/stat").read_text().split()[2] == "Z"


def check_cancel(made: Extension, worker: Any) -> None:
    pid = worker._process.pid
    started = time.monotonic()
    worker.cancel()
    messages = worker.poll()
    assert time.monotonic() - started < 1.0
    assert messages[-1].code == "cancelled"
    assert not exists(pid)
    assert [f for f in files_below(made.scratch.parent) if "user_default" not in f] == ["clip.mp4"]
    worker.cancel()
    assert worker.poll() == []


def test_cancel_before_the_start_and_after_the_end_does_nothing(extension: Make) -> None:
    made = extension(WRITE_TAKE)
    worker = made.worker()
    worker.cancel()
    assert worker.poll() == []
    worker.start()
    assert follow(worker)[-1].type == "done"
    worker.cancel()
    assert worker.poll() == []
    assert Path(made.job.out).exists()


def test_cancel_beats_a_result_that_nobody_has_seen(extension: Make) -> None:
    made = extension(WRITE_TAKE)
    worker = made.worker()
    worker.start()
    wait_for(Path(made.job.out).exists)
    check_cancel(made, worker)


# Blender's own end


@pytest.mark.parametrize("body", ["time.sleep(1000)", "while True: pass"], ids=["sleeping", "busy"])
def test_the_worker_ends_with_blender(extension: Make, tmp_path: Path, body: str) -> None:
    made = extension(f'leave_partials(job)\nPath(job.video).with_name("pid").write_text(str(os.getpid()))\n{body}')
    script = f"""
    import sys, time
    from pathlib import Path
    sys.path.insert(0, {str(Path(__file__).parents[2])!r})
    from tests.bridge.extension import load_extension
    made = load_extension(Path({str(made.folder)!r}), Path({str(tmp_path)!r}))
    worker = made.worker()
    worker.start()
    time.sleep(1000)
    """
    blender = subprocess.Popen([sys.executable, "-c", dedent(script)])
    pid_file = tmp_path / "pid"
    wait_for(lambda: pid_file.exists() and pid_file.read_text())
    pid = int(pid_file.read_text())
    pid_file.unlink()
    blender.kill()
    blender.wait()
    # Whoever adopts the orphan in a container may not reap it: a zombie counts as gone here.
    wait_for(lambda: not exists(pid) or Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z", 3)
    assert [f for f in files_below(tmp_path) if "user_default" not in f] == ["clip.mp4"]


# What is no worker at all


def script(folder: Path, text: str) -> Path:
    path = folder / "python"
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("#!/bin/sh\nyes garbage\n", "worker-garbage"),
        ("#!/bin/sh\nexec cat /dev/zero\n", "worker-garbage"),
        ("#!/bin/sh\nexec cat /dev/urandom\n", "worker-garbage"),
        ("#!/bin/sh\necho 'a line of garbage'\n", "worker-not-started"),
        ('#!/bin/sh\nprintf \'{"type": "done", "take": \'\n', "worker-not-started"),
        ('#!/bin/sh\necho \'{"type": "done", "take": "/etc/passwd"}\'\n', "worker-no-take"),
        ("#!/bin/sh\nexit 7\n", "worker-not-started"),
        ("#!/bin/sh\nexec 1>&-; sleep 1000\n", "worker-silent"),
        ("#!/bin/sh\nsleep 1000\n", "worker-silent"),
    ],
    ids=["lines", "endless line", "noise", "one line", "half a message", "false done", "exit 7", "closed", "silent"],
)
def test_a_program_that_is_no_worker(extension: Make, tmp_path: Path, text: str, code: str) -> None:
    made = extension(WRITE_TAKE)
    (tmp_path / "user_default").mkdir()
    worker = made.worker(script(tmp_path / "user_default", text), silence_s=0.3)
    worker.start()
    messages = follow(worker)
    assert messages[-1].code == code
    assert not exists(worker._process.pid)


def test_a_start_up_script_that_prints_a_little(extension: Make, tmp_path: Path) -> None:
    made = extension(WRITE_TAKE)
    python = script(tmp_path, f'#!/bin/sh\necho "Welcome to conda"\nexec "{sys.executable}" "$@"\n')
    worker = made.worker(python)
    worker.start()
    assert follow(worker)[-1].type == "done"
    assert "Welcome to conda" in worker.diagnostics()


def test_a_full_disk(extension: Make, tmp_path: Path) -> None:
    """No file can grow, not even the log: still told in words."""
    made = extension(
        """
        from amr_blender.contract.files import written_whole
        try:
            with written_whole(Path(job.out)) as stream:
                stream.write(b"x" * 100000)
        except OSError as error:
            assert error.errno == errno.EFBIG
            raise OSError(errno.ENOSPC, "No space left on device") from error
        """
    )
    python = script(tmp_path, f'#!/bin/sh\nulimit -f 0\nexec "{sys.executable}" -B "$@"\n')
    worker = made.worker(python)
    worker.start()
    messages = follow(worker)
    assert messages[-1].code == "disk-full"
    assert files_below(tmp_path / "takes") == []


@pytest.mark.parametrize("kind", ["missing", "not executable", "folder", "no program"])
def test_a_python_that_can_not_be_started(extension: Make, tmp_path: Path, kind: str) -> None:
    made = extension(WRITE_TAKE)
    python = tmp_path / "python"
    if kind == "not executable":
        python.write_text("")
    elif kind == "folder":
        python.mkdir()
    elif kind == "no program":
        script(tmp_path, "\0\0\0\0")
    with pytest.raises(Exception, match="can't be started") as caught:
        made.worker(python).start()
    assert caught.value.code == "worker-not-started"
    assert "Install Runtime" in caught.value.remedy
    assert files_below(made.scratch) == []


def test_a_scratch_folder_that_can_not_be_written(extension: Make) -> None:
    made = extension(WRITE_TAKE)
    made.scratch.write_text("a file in its place")
    with pytest.raises(Exception, match="can't be written") as caught:
        made.worker().start()
    assert caught.value.code == "worker-folder-unwritable"


# Running to the end


def test_run_to_end(extension: Make) -> None:
    made = extension(WRITE_TAKE)
    seen: list[str] = []
    done = made.process.run_to_end(Path(sys.executable), made.job, made.scratch, lambda m: seen.append(m.type))
    assert done.take == made.job.out
    assert seen[0] == "hello"
    assert seen[-1] == "done"


def test_run_to_end_raises_what_the_worker_told(extension: Make) -> None:
    made = extension("raise MemoryError")
    with pytest.raises(Exception, match="memory") as caught:
        made.process.run_to_end(Path(sys.executable), made.job, made.scratch)
    assert type(caught.value).__name__ == "AmrError"
    assert caught.value.code == "out-of-memory"
    assert "Traceback" in caught.value.__notes__[0]


def test_run_to_end_is_interrupted(extension: Make) -> None:
    made = extension(
        'Path(job.video).with_name("pid").write_text(str(os.getpid()))\ntell_device("x"); time.sleep(1000)'
    )

    def interrupt(message: Any) -> None:
        if message.type == "hello" and message.device:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made.process.run_to_end(Path(sys.executable), made.job, made.scratch, interrupt)
    assert not exists(int(Path(made.job.video).with_name("pid").read_text()))


# Surroundings


def test_blenders_environment_stays_outside(extension: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    poison = tmp_path / "user_default"
    poison.mkdir()
    (poison / "json.py").write_text("raise RuntimeError('poisoned')")
    (poison / "sitecustomize.py").write_text("raise RuntimeError('poisoned')")
    monkeypatch.setenv("PYTHONPATH", str(poison))
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    monkeypatch.chdir(poison)
    made = extension(
        """
        assert not [name for name in os.environ if name.startswith("PYTHON")], os.environ
        assert os.environ["TMPDIR"].endswith("scratch")
        assert sys.flags.isolated and sys.flags.utf8_mode
        assert "bpy" not in sys.modules
        """,
        WRITE_TAKE,
    )
    _, messages = run(made)
    assert messages[-1].type == "done", messages[-1]


def test_relative_paths_are_meant_from_here(extension: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = extension(WRITE_TAKE)
    monkeypatch.chdir(tmp_path)
    made.job = type(made.job)(video="clip.mp4", out="takes/here.npz")
    _, messages = run(made)
    assert messages[-1].take == os.path.join(tmp_path, "takes", "here.npz")


def test_diagnostics_at_any_time(extension: Make) -> None:
    made = extension(WRITE_TAKE)
    worker = made.worker()
    assert "not started" in worker.diagnostics()
    worker.start()
    assert str(made.job.video) in worker.diagnostics()
    follow(worker)
    assert "done" in worker.diagnostics()
