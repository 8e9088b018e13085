"""What the background of a clip tells of the camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.detect.camera_motion import CameraMotion


@dataclass(frozen=True)
class Background:
    """Of one range of a clip."""

    motion: CameraMotion
    """How the camera moves."""
    lines: NDArray[np.float32]
    """(N, 2, 2) ``SceneLines.segments``."""
