"""Clips without people, made on the spot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]


def grey_frames(count: int, width: int = 64, height: int = 48) -> Iterator[Picture]:
    """(H, W, 3) pictures of an even grey that grows lighter."""
    for index in range(count):
        yield np.full((height, width, 3), 60 + index % 120, np.uint8)


def write_clip(path: Path, frames: Iterable[Picture], fps: float = 25.0) -> Path:
    """Write RGB pictures as a movie; returns ``path``."""
    writer: cv2.VideoWriter | None = None
    for rgb in frames:
        if writer is None:
            writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, (rgb.shape[1], rgb.shape[0]))
            assert writer.isOpened()
        writer.write(np.ascontiguousarray(rgb[..., ::-1]))
    if writer is not None:
        writer.release()
    return path
