"""Does made footage fool the detector as real footage does?  ``python -m model.synth.clips.detector_check FOLDER...``.

For made clips and, if given, the balance clips: in how many frames BlazePose finds the person, the distribution of
its 2D errors by joint, also as a picture, and what the errors are made of (:mod:`detector_noise`).  Frames in which it
has exchanged left and right are counted, and left out of the distribution.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from amr_blender.contract.take import JOINT12_NAMES
from model.detect import Networks
from model.paths import assets_folder

from .clip_folder import is_made
from .detector_errors import Seen, balance, made
from .detector_noise import KEYS, OUTLIER, noise

Array = NDArray[np.floating]
QUANTILES = (10, 25, 50, 75, 90, 95)
FREE = "whole, free, 100 px and more"
GROUPS = {
    "made_shown": "made clips of whole, free people of 100 px and more: landmarks that the camera sees",
    "made_hidden": "the same clips: landmarks that the body itself hides",
    "made": "the same clips: both",
    "made_easy": "those of them in ordinary light and from a level camera, as the balance clips are; what is seen",
    "made_every_clip": "all made clips, with people hidden by things, cut off and small",
    "balance": "the balance clips, every other frame; the truth's own error of about 15 mm (0.9 %) is in it",
    "balance_60_fps": "the same, every frame",
}
EASY, LEVEL_DEG = "the same, ordinary light, level camera", 20.0
_BINS, _WIDEST = 40, 6.0
"""Of the histograms, percent of the height."""
_COLOURS = ((0, 94, 213), (115, 158, 0), (178, 114, 0))
"""BGR, told apart by the colour-blind too."""


def summary(seen: list[Seen]) -> dict[str, object]:
    """Shares, and quantiles of the error by joint and of all."""
    errors = np.concatenate([one.counted for one in seen])
    size = np.linalg.norm(errors, axis=-1)
    step = np.concatenate([np.diff(one.counted, axis=0) for one in seen])
    by_joint = {name: _quantiles(size[:, i]) for i, name in enumerate(JOINT12_NAMES)}
    return {
        "clips": len(seen),
        "frames": int(sum(len(one.found) for one in seen)),
        "found_share": float(np.concatenate([one.found for one in seen]).mean()),
        "exchanged_share": float(np.concatenate([one.exchanged for one in seen]).mean()),
        "error_percent": _quantiles(size),
        "error_mean_percent": float(np.nanmean(size)),
        "jitter_percent": _quantiles(np.linalg.norm(step, axis=-1))["50"],
        "by_joint": by_joint,
    }


def _quantiles(values: Array) -> dict[str, float]:
    values = values[np.isfinite(values)]
    return {str(q): round(float(np.percentile(values, q)), 3) if len(values) else float("nan") for q in QUANTILES}


def histograms(groups: Mapping[str, list[Seen]]) -> NDArray[np.uint8]:
    """A picture (H, W, 3) BGR: the distribution of the errors by joint, of up to three groups over one another."""
    width, height, pad = 310, 190, 34
    canvas = np.full((4 * height + pad, 3 * width, 3), 255, np.uint8)
    errors = {name: np.linalg.norm(np.concatenate([o.counted for o in seen]), axis=-1) for name, seen in groups.items()}
    edges = np.linspace(0, _WIDEST, _BINS + 1)
    for i, joint in enumerate(JOINT12_NAMES):
        left, base = i % 3 * width + 16, pad + (i // 3 + 1) * height - 26
        shares = [np.histogram(e[:, i], edges)[0] / max(np.isfinite(e[:, i]).sum(), 1) for e in errors.values()]
        top = max(float(share.max()) for share in shares)
        for share, colour in zip(shares, _COLOURS, strict=False):
            x = left + np.repeat(edges / _WIDEST, 2)[1:-1] * (width - 42)
            y = base - np.repeat(share / top, 2) * (height - 60)
            points = np.stack([x, y], 1).round().astype(np.int32)
            cv2.polylines(canvas, [points[:, None]], False, colour, 1, cv2.LINE_AA)
        cv2.line(canvas, (left, base), (left + width - 42, base), (0, 0, 0), 1)
        for value in range(0, int(_WIDEST) + 1, 2):
            _write(canvas, f"{value} %", (left + int(value / _WIDEST * (width - 42)) - 8, base + 16))
        _write(canvas, joint, (left + 130, base - height + 66))
    for n, (name, colour) in enumerate(zip(errors, _COLOURS, strict=False)):
        _write(canvas, f"{name} ({len(errors[name])} frames)", (16 + 290 * n, 20), colour)
    return canvas


def _write(canvas: NDArray[np.uint8], text: str, at: tuple[int, int], bgr: tuple[int, int, int] = (0, 0, 0)) -> None:
    cv2.putText(canvas, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, bgr, 1, cv2.LINE_AA)


def main() -> None:
    """Print a table and write everything as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, help="folders of made clips")
    parser.add_argument("--balance", type=Path)
    parser.add_argument("--out", type=Path, default=Path("build/detector_check.json"))
    parser.add_argument("--noise", type=Path, default=Path("build/detector_noise.json"))
    arguments = parser.parse_args()
    groups: dict[str, list[Seen]] = {}
    free: list[Seen] = []
    easy: list[Seen] = []
    for folder in arguments.folders:
        for clip in sorted(path for path in folder.iterdir() if is_made(path)):
            seen, given = made(clip)
            labels = ["all", given["action"], f"from the {given['facing']}"]
            if given["occluded_share"] < 0.02 and given["inside_share"] > 0.98 and given["person_height_px"] >= 100:
                labels += [FREE, f"the same, {given.get('light_kind', 'ordinary')} light"]
                free.append(seen)
                if given.get("light_kind", "ordinary") == "ordinary" and abs(given["camera_tilt_deg"]) < LEVEL_DEG:
                    easy.append(seen)
                    labels.append(EASY)
            for label in labels:
                groups.setdefault(f"{folder.name}: {label}", []).append(seen)
    every = [one for name, seen in groups.items() if name.endswith(": all") for one in seen]
    models = {"made_shown": noise(free, "shown"), "made_hidden": noise(free, "hidden"), "made": noise(free, "all")}
    models |= {"made_every_clip": noise(every, "all")}
    if easy:
        models["made_easy"] = noise(easy, "shown")
    drawn = {"made": free, "made, easy": easy}
    if arguments.balance:
        groups["balance"] = balance(arguments.balance, Networks.load(assets_folder(), torch.device("cpu")))
        drawn["balance"] = groups["balance"]
        models["balance_60_fps"] = noise(groups["balance"], "shown")
        models["balance"] = noise([half for one in groups["balance"] for half in one.every_other()], "shown")
    found = {name: summary(seen) for name, seen in groups.items()}
    arguments.out.write_text(json.dumps({"groups": found, "noise": models}, indent=1))
    table = {"keys": KEYS, "outlier": OUTLIER, "groups": GROUPS, **models}
    arguments.noise.write_text(json.dumps(table, indent=1))
    cv2.imwrite(str(arguments.out.with_suffix(".png")), histograms(drawn))
    print(f"{'':44s} clips frames  found swapped   10%   50%   90%  mean jitter")
    for name, row in found.items():
        q = row["error_percent"]
        assert isinstance(q, dict)
        print(
            f"{name:44s} {row['clips']:5d} {row['frames']:6d} {row['found_share']:6.3f} {row['exchanged_share']:7.3f}"
            f" {q['10']:5.2f} {q['50']:5.2f} {q['90']:5.2f} {row['error_mean_percent']:5.2f}"
            f" {row['jitter_percent']:6.2f}"
        )


if __name__ == "__main__":
    main()
