"""The command line: exit codes mean what they should, errors are one line and a remedy."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from amr_blender.contract.take import load
from buildtools.layout import DEMO_CLIP, ROOT
from model.__main__ import main
from model.console import Bar
from tests.model.clips import grey_frames, write_clip


def test_a_clip_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reconstruct", str(tmp_path / "no.mp4"), "--out", str(tmp_path / "take.npz")]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: There is no file")
    assert error.endswith(".")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", [["--height", "180"], ["--end", "0"], ["--image-fps", "0"], ["--focal", "nan"]])
def test_settings_that_make_no_sense(tmp_path: Path, option: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    clip = write_clip(tmp_path / "clip.mp4", grey_frames(2))
    assert main(["reconstruct", str(clip), "--out", str(tmp_path / "take.npz"), *option]) == 1
    assert "error:" in capsys.readouterr().err
    assert not (tmp_path / "take.npz").exists()


@pytest.mark.parametrize(
    "arguments",
    [[], ["dance"], ["reconstruct"], ["reconstruct", "a.mp4"], ["bench", "--quality", "perfect"], ["people", "a", "b"]],
    ids=" ".join,
)
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: python -m model" in capsys.readouterr().err


def test_a_folder_without_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["people", str(tmp_path)]) == 1
    assert "no images" in capsys.readouterr().err


def test_cancelled(tmp_path: Path, assets: Path) -> None:
    """Ctrl-C in the middle of the work: 130, and nothing is left behind."""
    clip = write_clip(tmp_path / "clip.mp4", grey_frames(600, 320, 240))
    command = [sys.executable, "-m", "model", "reconstruct", str(clip), "--out", str(tmp_path / "out" / "take.npz")]

    def heed() -> None:  # whoever runs the tests in the background may ignore Ctrl-C, which a child inherits
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, preexec_fn=heed)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("detect"):
            break
    time.sleep(0.3)
    os.kill(process.pid, signal.SIGINT)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 130
    assert error.splitlines()[-1] == "cancelled"
    assert not (tmp_path / "out").exists()


def test_a_take_through_the_command_line(tmp_path: Path, assets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "take.npz"
    assert main(["reconstruct", str(DEMO_CLIP), "--out", str(out), "--end", "12", "--height", "1.8"]) == 0
    captured = capsys.readouterr()
    assert captured.out.strip() == str(out)
    assert "detect ..." in captured.err
    take = load(out)
    assert take.frame_count == 12
    assert take.meta["height_source"] == "given"


def test_people_through_the_command_line(tmp_path: Path, assets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["people", str(DEMO_CLIP), "--end", "6", "--out", str(tmp_path / "faces")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("person 0: fills ")
    assert lines[0].endswith("person-0.png")
    assert len(list((tmp_path / "faces").iterdir())) == len(lines)


def test_bench_as_json(assets: Path) -> None:
    command = [sys.executable, "-m", "model", "bench", "--json", "--end", "12", "--device", "cpu"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    figures = json.loads(result.stdout)
    assert figures["device"] == "cpu"
    assert figures["clip"]["frames"] == 12
    assert {"read", "detect", "landmarks", "fit", "write"} <= set(figures["stages"])
    assert all(stage["frames_per_second"] > 0 for stage in figures["stages"].values())
    spent = sum(stage["seconds"] for stage in figures["stages"].values())
    assert spent == pytest.approx(figures["end_to_end"]["seconds"], abs=0.2)
    assert 100 < figures["peak_memory_mb"] < 2500


def test_bench_as_a_table(assets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", str(DEMO_CLIP), "--end", "3"]) == 0
    table = capsys.readouterr().out
    for word in ("demo_clip.mp4", "landmarks", "end to end", "peak memory", "frames/s"):
        assert word in table


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_bar_on_a_terminal() -> None:
    terminal = Terminal()
    with Bar(terminal) as bar:
        for done in range(101):
            bar.report("detect", done, 100)
        bar.warn("x", "Something to know.")
        bar.report("write", 1, 1)
    assert "detect" in terminal.getvalue()
    assert "warning: Something to know." in terminal.getvalue()
    assert "\r" in terminal.getvalue()


def test_lines_where_nobody_looks() -> None:
    stream = io.StringIO()
    with Bar(stream) as bar:
        for stage in ("read", "detect", "landmarks"):
            for done in range(101):
                bar.report(stage, done, 100)
        bar.warn("x", "Something to know.")
    lines = stream.getvalue().splitlines()
    assert [line.split()[0] for line in lines] == ["read", "detect", "landmarks", "warning:"]
