"""The worker's code where it may lie: in this checkout, or in the zip as Blender unpacks it."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amr_blender.contract.job import Job
from amr_blender.contract.messages import Message, decode
from buildtools import package

ROOT = Path(__file__).resolve().parents[2]


def checkout() -> Path:
    """The package's folder in the checkout."""
    return ROOT / "amr_blender"


def installed_zip(folder: Path) -> Path:
    """The real zip, unpacked where Blender puts an extension, with another name."""
    package.write_zip(folder / "addon.zip")
    target = folder / "extensions" / "user_default" / "amr_renamed"
    with zipfile.ZipFile(folder / "addon.zip") as archive:
        archive.extractall(target)
    (folder / "addon.zip").unlink()
    return target


@dataclass
class Ran:
    """What a worker said and how it ended."""

    messages: list[Message]
    code: int
    log: str

    @property
    def last(self) -> Any:
        return self.messages[-1]


def run_worker(layout: Path, job: Job | str, folder: Path, *python: str) -> Ran:
    """Run the worker of ``layout`` on ``job`` by its command line alone, without the bridge."""
    job_file = folder / "job.json"
    job_file.write_text(job if isinstance(job, str) else job.to_json())
    command = [*(python or (sys.executable, "-I")), str(layout / "worker" / "__main__.py"), str(job_file)]
    # An open pipe as standard input: the worker leaves when it closes.
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder, text=True
    )
    assert process.stdin and process.stdout and process.stderr
    try:
        lines = process.stdout.read().splitlines()
        log = process.stderr.read()
        code = process.wait(30)
    finally:
        process.kill()
        process.stdin.close()
    return Ran([decode(line) for line in lines], code, log)


def fields(message: Message) -> dict[str, Any]:
    """The message as plain data, to compare layouts."""
    return dict(json.loads(json.dumps(vars(message))))
