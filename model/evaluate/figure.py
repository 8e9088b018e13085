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
"""Of the clip: walking in, and waving."""
SHOWN = ("frame", "initial mesh", "expected error", "error of the skin")
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
    return np.concatenate([*(_row(strip) for strip in rows), _captions(rows[0]), _scale(rows[0])])


def _chosen(strip: Strip) -> list[tuple[str, Picture]]:
    panels = dict(strip.panels)
    return [(name, panels[name]) for name in SHOWN]


def _row(strip: Strip) -> Picture:
    panels = [picture for _, picture in _chosen(strip)]
    gap = np.full((panels[0].shape[0], _GAP_PX, 3), _WHITE, np.uint8)
    parts = [part for panel in panels for part in (panel, gap)][:-1]
    row = np.concatenate(parts, 1)
    return np.concatenate([row, np.full((_GAP_PX, row.shape[1], 3), _WHITE, np.uint8)])


def _captions(strip: Strip) -> Picture:
    width = strip.panels[0][1].shape[1] + _GAP_PX
    line = np.full((_LINE_PX, width * len(SHOWN) - _GAP_PX, 3), _WHITE, np.uint8)
    for number, name in enumerate(SHOWN):
        _write(line, name, width * number + 4)
    return line


def _scale(strip: Strip) -> Picture:
    """The colours from 0 to ``HEAT_MM`` under the panels that have them."""
    width = strip.panels[0][1].shape[1] + _GAP_PX
    total = width * len(SHOWN) - _GAP_PX
    bar, line = (np.full((rows, total, 3), _WHITE, np.uint8) for rows in (_BAR_PX, _LINE_PX))
    bar[:, 2 * width :] = heat_colours(np.linspace(0, 1, total - 2 * width))[None]
    _write(line, "0", 2 * width)
    _write(line, f"{HEAT_MM:.0f} mm", total - 68)
    return np.concatenate([bar, line])


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
