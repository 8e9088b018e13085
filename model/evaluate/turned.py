"""Clips with truth filmed again as a camera that turns would film them: ``python -m model.evaluate.turned``.

A turn of the camera is the same for what is near and far, so that the pictures of a still camera, warped, are exactly
those of one that turns (Hartley and Zisserman, Multiple View Geometry, 8.4.2).  Of the two real views and the project's
own clip each is made twice: from a tripod that pans after the person, and from a hand that trembles.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from amr_blender.contract.files import written_whole
from amr_blender.contract.spaces import intrinsics
from model.estimate.camera_turns import CameraTurns
from model.synth.render.film import write_movie
from model.video import Video

from .motion import Array, Motion
from .suites import ROOT, Clip, find_clips

KEPT = 0.8
"""Sides of the picture that a camera which turns sees of that of the still one."""
PAN = (0.11, 0.05)
"""Right and down, from begin to end, in longer sides."""
TREMBLE = ((0.008, 1.3, 0.0), (0.005, 2.9, 1.0)), ((0.007, 1.7, 1.6), (0.004, 2.3, 0.6)), ((0.014, 1.1, 0.0),)
"""Right, down and roll: (amplitude in longer sides or rad, Hz, phase) of each wave.  A hand does that and less."""
FOOTAGE = ("balance", "demo")


def moves(seconds: Array) -> dict[str, CameraTurns]:
    """By name, at (T,) times."""
    part = np.linspace(-0.5, 0.5, len(seconds))
    right, down, roll = (sum(a * np.sin(2 * np.pi * hz * seconds + phase) for a, hz, phase in one) for one in TREMBLE)
    return {
        "pan": CameraTurns(np.outer(part, PAN), np.zeros(len(part))),
        "hand": CameraTurns(np.stack([right, down], -1), np.asarray(roll)),
    }


def turned(truth: Motion, turns: CameraTurns, size_px: tuple[int, int]) -> tuple[dict[str, NDArray[Any]], Array]:
    """A truth as ``suites.made_truth`` reads it, of a camera of ``size_px`` that turns, and the (T, 3, 3) maps from
    pixels of the still camera to its own.

    Raises:
        ValueError: the truth does not know the camera.
    """
    if truth.K is None or truth.camera_to_world is None:
        raise ValueError("only what is filmed by a camera that is known can be filmed again")
    K = intrinsics(float(truth.K[0, 0]), *size_px)
    turn = turns.matrices(K[0, 0] / max(size_px))
    back = np.swapaxes(turn, 1, 2)
    cameras = truth.camera_to_world.copy()
    cameras[:, :3, :3] = cameras[:, :3, :3] @ back
    arrays: dict[str, NDArray[Any]] = {
        "joints12_cam_m": truth.joints12_cam_m @ back,
        "K": K,
        "camera_to_world": cameras,
    }
    if truth.standing is not None:
        arrays["feet_flat"] = truth.standing
    if truth.visible12 is not None:
        arrays["visible12"] = truth.visible12
    return arrays | {"fps": np.array(truth.fps)}, np.asarray(K @ turn @ np.linalg.inv(truth.K), np.float64)


def write(clip: Clip, folder: Path) -> None:
    """Film ``clip`` again, each way, into folders of ``folder``.

    Raises:
        AmrError: the clip can't be read.
    """
    truth, _ = clip.load()
    video = Video(clip.video)
    width, height = (int(KEPT * side) // 2 * 2 for side in (video.info.width, video.info.height))
    for name, turns in moves(np.arange(truth.frame_count) / truth.fps).items():
        arrays, maps = turned(truth, turns, (width, height))
        out = folder / f"{clip.dataset}_{clip.name}_{name}"
        out.mkdir(parents=True, exist_ok=True)
        write_movie(out / "clip.mp4", _warped(video, maps, (width, height)), truth.fps, (width, height))
        with written_whole(out / "truth.npz") as stream:
            np.savez_compressed(stream, **arrays)


def _warped(video: Video, maps: Array, size_px: tuple[int, int]) -> Iterator[NDArray[np.uint8]]:
    for frame in video.frames(0, len(maps)):
        yield np.asarray(cv2.warpPerspective(frame.rgb, maps[frame.index], size_px), np.uint8)


def main() -> None:
    """Make all clips."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "turned")
    arguments = parser.parse_args()
    for suite in FOOTAGE:
        for clip in find_clips(suite, quick=False):
            write(clip, arguments.out)


if __name__ == "__main__":
    main()
