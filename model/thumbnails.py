"""Small pictures of the people in a clip, for the panel to pick from."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from amr_blender.contract.errors import TakeError
from amr_blender.contract.files import written_whole


def write_thumbnail(rgb: NDArray[np.uint8], path: Path) -> Path:
    """Write an (H, W, 3) picture as PNG.

    Raises:
        TakeError: the folder can't be written.
    """
    _, png = cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    try:
        # Through Python's own file: OpenCV can't open every path on Windows.
        with written_whole(path) as stream:
            stream.write(png.tobytes())
    except OSError as error:
        raise TakeError(
            "thumbnail-unwritable",
            f"The pictures of the people can't be written to {path.parent} ({error.strerror or error}).",
            "Free some space, or choose another cache folder in the add-on's preferences.",
        ) from error
    return path
