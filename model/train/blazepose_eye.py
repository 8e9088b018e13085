"""BlazePose on single pictures exactly as the pipeline uses it on a clip of one frame, for fitting and judging."""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from amr_blender.contract.errors import PersonError
from model.detect import Networks, find_people, track_landmarks
from model.video import Video

from .landmark_images import See


def _silent(stage: str, done: int, total: int) -> None: ...


def blazepose_eye(assets: Path) -> See:
    """A function from an upright RGB picture to (33, 2) pixels and (33,) visibility of the surest person, or None.

    Raises:
        RuntimeSetupError: the networks are missing.
    """
    networks = Networks.load(assets, torch.device("cpu"))

    def see(rgb: NDArray[np.uint8]) -> tuple[NDArray[np.floating], NDArray[np.floating]] | None:
        with tempfile.TemporaryDirectory(prefix="amr-eye-") as folder:
            path = Path(folder) / "picture.png"
            cv2.imwrite(str(path), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 1])
            video = Video(path)
            try:
                person = find_people(video, (0, None), networks, _silent)[0]
                landmarks = track_landmarks(video, person, (0, None), networks, _silent)
            except PersonError:
                return None
        return landmarks.px[0].astype(np.float64), landmarks.visibility[0].astype(np.float64)

    return see
