"""Figure 2 of the README, from the project's own clip: ``python -m model.evaluate.figure``.

What is estimated, by how much the attention network expects it to be off, and by how much it is.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from amr_blender.contract.files import written_whole

from .command import CACHE
from .context import Context
from .figures import HEAT_MM, Picture, Strip, heat_colours, strips
from .methods import METHODS
from .suites import ROOT, find_clips

METHOD = "amr"
FRAMES = (40, 110)
"""Of the clip: walking in, and squatting."""
COLOURED = ("expected error", "error of the skin")
SHOWN = ("frame", "initial mesh", *COLOURED)
_LINE_PX, _BAR_PX, _GAP_PX = 26, 12, 4
_WHITE, _INK = 255, (40, 40, 40)


def figure(context: Context) -> Picture:
    """(H, W, 3) the rows of the frames, with captions and the scale of the colours.

    Raises:
        AmrError: the clip or the networks are missing.
    """
    (clip,) = find_clips("demo", False)
    truth, _ = clip.load()
    estimate = METHODS[METHOD].run(clip, truth, context)
    errors = np.zeros(truth.frame_count)
    rows = strips(clip, truth, estimate, METHOD, errors, [(frame, "") for frame in FRAMES])
    pictures = [_row(strip) for strip in rows]
    width = pictures[0].shape[1]
    return np.concatenate([*pictures, _captions(width), _scale(width)])


def _row(strip: Strip) -> Picture:
    """The panels side by side, with a gap behind each and below."""
    panels = dict(strip.panels)
    gaps = ((0, _GAP_PX), (0, _GAP_PX), (0, 0))
    return np.concatenate([np.pad(panels[name], gaps, constant_values=_WHITE) for name in SHOWN], 1)


def _captions(width: int) -> Picture:
    """Names under the panels of a row so wide."""
    line = _blank(_LINE_PX, width)
    for number, name in enumerate(SHOWN):
        _write(line, name, width * number // len(SHOWN) + _GAP_PX)
    return line


def _scale(width: int) -> Picture:
    """The colours from 0 to ``HEAT_MM`` under the panels that have them."""
    left = width * SHOWN.index(COLOURED[0]) // len(SHOWN)
    bar, line = _blank(_BAR_PX, width), _blank(_LINE_PX, width)
    bar[:, left:-_GAP_PX] = heat_colours(np.linspace(0, 1, width - _GAP_PX - left))
    _write(line, "0", left)
    _write(line, f"{HEAT_MM:.0f} mm", width - _GAP_PX - 68)
    return np.concatenate([bar, line])


def _blank(height: int, width: int) -> Picture:
    return np.full((height, width, 3), _WHITE, np.uint8)


def _write(line: Picture, text: str, left: int) -> None:
    cv2.putText(line, text, (left, _LINE_PX - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.5, _INK, 1, cv2.LINE_AA)


def main() -> None:
    """Draw it and write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images" / "figure2.jpg")
    arguments = parser.parse_args()
    picture = figure(Context(CACHE.absolute(), ""))
    data = cv2.imencode(".jpg", np.ascontiguousarray(picture[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
    with written_whole(arguments.out) as stream:
        stream.write(data.tobytes())


if __name__ == "__main__":
    main()
