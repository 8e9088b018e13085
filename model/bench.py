"""How fast the pipeline is here: frames per second of each stage, peak memory, device."""

from __future__ import annotations

import platform
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from amr_blender.contract import take as takes
from amr_blender.contract.errors import VideoError
from amr_blender.contract.job import Job
from amr_blender.contract.version import VERSION
from model.cache import Warn
from model.pipeline import reconstruct
from model.progress import Report

LOADING = "load"
"""Between the look at the clip and the first stage: importing torch, reading the networks."""


def default_clip() -> Path:
    """The project's own test clip.

    Raises:
        VideoError: this is not a checkout.
    """
    clips = sorted((Path(__file__).resolve().parent.parent / "tests" / "data").glob("*.mp4"))
    if not clips:
        raise VideoError("video-missing", "The project's test clip is not here.", "Name a clip: bench VIDEO.")
    return clips[0]


class StageClock:
    """Time of each stage, from the reports of the pipeline: a stage runs from its first report to the next one's."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        """Of the wall clock."""
        self.cpu_seconds: dict[str, float] = {}
        """Of all processor cores together, which other programs on the machine do not lengthen."""
        self._stage, self._since, self._cpu_since = LOADING, time.perf_counter(), time.process_time()

    def report(self, stage: str, done: int, total: int) -> None:
        """Receive one report."""
        if stage != self._stage:
            self.switch(stage)
        if stage == "read" and done >= total:
            self.switch(LOADING)

    def switch(self, stage: str) -> None:
        """Book the time until now and go on with ``stage``."""
        now, cpu_now = time.perf_counter(), time.process_time()
        self.seconds[self._stage] = self.seconds.get(self._stage, 0.0) + now - self._since
        self.cpu_seconds[self._stage] = self.cpu_seconds.get(self._stage, 0.0) + cpu_now - self._cpu_since
        self._stage, self._since, self._cpu_since = stage, now, cpu_now


def bench(job: Job, report: Report, warn: Warn) -> dict[str, Any]:
    """Run ``job`` without a cache and measure it.

    Returns:
        JSON-able figures: ``device``, ``clip``, ``stages`` (each with ``seconds``, ``cpu_seconds`` and
        ``frames_per_second``), ``end_to_end``, ``peak_memory_mb``, ``peak_gpu_memory_mb`` on CUDA, versions.

    Raises:
        AmrError: as :func:`model.pipeline.reconstruct`.
    """
    clock, devices = StageClock(), [""]
    started = time.perf_counter()

    def listen(stage: str, done: int, total: int) -> None:
        clock.report(stage, done, total)
        report(stage, done, total)

    path = reconstruct(replace(job, cache=""), listen, warn, devices.append)
    seconds = time.perf_counter() - started
    clock.switch(LOADING)
    import torch

    take = takes.load(path)
    frames, source = take.frame_count, take.meta["source"]
    figures: dict[str, Any] = {
        "version": VERSION,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": devices[-1],
        "threads": torch.get_num_threads(),
        "clip": {"name": source["name"], "width": source["width"], "height": source["height"], "frames": frames},
        "quality": job.quality,
        "stages": {name: _rate(frames, spent, clock.cpu_seconds[name]) for name, spent in clock.seconds.items()},
        "end_to_end": _rate(frames, seconds, sum(clock.cpu_seconds.values())),
        "peak_memory_mb": round(peak_memory_bytes() / 2**20),
    }
    spent = take.meta.get("refinement")
    if spent is not None:
        figures["refinement"] = {
            name: round(sum(spent[name]) / len(spent[name]), 3) for name in ("complexity", "active_share")
        }
    if devices[-1].startswith("cuda"):
        figures["device"] = f"{devices[-1]} ({torch.cuda.get_device_name()})"
        figures["peak_gpu_memory_mb"] = round(torch.cuda.max_memory_allocated() / 2**20)
    return figures


def _rate(frames: int, seconds: float, cpu_seconds: float) -> dict[str, float]:
    rate = frames / max(seconds, 1e-9)
    return {"seconds": round(seconds, 3), "cpu_seconds": round(cpu_seconds, 3), "frames_per_second": round(rate, 2)}


def format_table(figures: dict[str, Any]) -> str:
    """The figures for reading."""
    clip = figures["clip"]
    lines = [
        f"{clip['name']}: {clip['frames']} frames of {clip['width']}x{clip['height']}, quality {figures['quality']}",
        f"on {figures['device']}, {figures['threads']} threads, torch {figures['torch']}",
        "",
        f"{'stage':<12}{'seconds':>10}{'cpu s':>10}{'frames/s':>12}",
    ]
    for name, rate in {**figures["stages"], "end to end": figures["end_to_end"]}.items():
        lines.append(
            f"{name:<12}{rate['seconds']:>10.2f}{rate['cpu_seconds']:>10.2f}{rate['frames_per_second']:>12.1f}"
        )
    lines += ["", f"peak memory {figures['peak_memory_mb']} MB"]
    if "refinement" in figures:
        active, hard = (figures["refinement"][name] for name in ("active_share", "complexity"))
        lines.append(f"refined {100 * active:.0f} % of the vertices, scene complexity {hard:.2f}")
    if "peak_gpu_memory_mb" in figures:
        lines.append(f"peak memory on the graphics card {figures['peak_gpu_memory_mb']} MB")
    return "\n".join(lines)


def peak_memory_bytes() -> int:
    """The most memory that this process has held at once."""
    if sys.platform == "win32":
        return _peak_memory_windows()
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _peak_memory_windows() -> int:
    import ctypes
    from ctypes import wintypes

    class Counters(ctypes.Structure):
        _fields_ = [
            ("cb", wintypes.DWORD),
            ("PageFaultCount", wintypes.DWORD),
            *((name, ctypes.c_size_t) for name in ("PeakWorkingSetSize", "WorkingSetSize")),
            *((f"quota_{number}", ctypes.c_size_t) for number in range(4)),
            *((name, ctypes.c_size_t) for name in ("PagefileUsage", "PeakPagefileUsage")),
        ]

    counters = Counters()
    counters.cb = ctypes.sizeof(counters)
    kernel = ctypes.WinDLL("kernel32")  # type: ignore[attr-defined]
    kernel.GetCurrentProcess.restype = wintypes.HANDLE
    kernel.K32GetProcessMemoryInfo.argtypes = [wintypes.HANDLE, ctypes.POINTER(Counters), wintypes.DWORD]
    kernel.K32GetProcessMemoryInfo(kernel.GetCurrentProcess(), ctypes.byref(counters), counters.cb)
    return int(counters.PeakWorkingSetSize)
