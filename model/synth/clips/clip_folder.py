"""A made clip on disk: footage, truth, conditions, and what the real detector sees in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amr_blender.contract.errors import PersonError
from amr_blender.contract.files import written_whole
from model.body.landmarks import LandmarkRegressor
from model.detect import Landmarks, Networks, find_people, track_landmarks
from model.video import Video

from ..render.film import Film, write_movie
from .truth import clip_conditions, clip_truth, frame_conditions

Array = NDArray[np.floating]
CLIP, TRUTH, CONDITIONS, LANDMARKS = "clip.mp4", "truth.npz", "conditions.json", "landmarks.npz"


def is_made(folder: Path) -> bool:
    """The conditions are written last."""
    return (folder / CONDITIONS).is_file()


def write_clip(
    folder: Path, film: Film, shape: Array, regressor: LandmarkRegressor, facing: str, labels: dict[str, Any]
) -> None:
    """Draw and measure ``film``; ``labels`` go into the conditions beside the numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures: list[NDArray[np.uint8]] = []

    def kept() -> Iterator[NDArray[np.uint8]]:
        for picture in film.frames():
            pictures.append(picture)
            yield picture

    write_movie(folder / CLIP, kept(), film.motion.fps, film.camera.size_px)
    truth = clip_truth(film, shape, regressor, facing)
    truth |= frame_conditions(film, truth, pictures)
    with written_whole(folder / TRUTH) as stream:
        np.savez_compressed(stream, **truth)
    with written_whole(folder / CONDITIONS) as stream:
        stream.write(json.dumps({**labels, "facing": facing, **clip_conditions(film, truth)}, indent=1).encode())


def detect_clip(folder: Path, networks: Networks) -> None:
    """Run the detector on the clip as on any footage; ``landmarks.npz`` stays away where it finds nobody."""
    video = Video(folder / CLIP)
    try:
        people = find_people(video, (0, None), networks, _quiet)
    except PersonError:
        return
    landmarks = track_landmarks(video, people[0], (0, None), networks, _quiet)
    with written_whole(folder / LANDMARKS) as stream:
        np.savez_compressed(stream, **{f.name: np.asarray(getattr(landmarks, f.name)) for f in fields(Landmarks)})


def _quiet(stage: str, done: int, total: int) -> None: ...


def read_landmarks(folder: Path) -> Landmarks | None:
    """What :func:`detect_clip` found; None where it found nobody."""
    path = folder / LANDMARKS
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as archive:
        values = {name: archive[name] for name in archive.files}
    values["size_px"] = tuple(int(v) for v in values["size_px"])
    return Landmarks(**values)
