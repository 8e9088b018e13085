"""Does made footage fool the detector as real footage does?  ``python -m model.synth.clips.detector_check FOLDER...``.

For made clips and, if given, the balance clips: in how many frames BlazePose finds the person, and the distribution of
its 2D errors by joint, in percent of the person's height (at the joint's distance, so that perspective doesn't count).
Frames in which it has exchanged left and right are counted, and left out of the distribution.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from amr_blender.contract.spaces import project_px
from amr_blender.contract.take import JOINT12_NAMES
from model.body.landmarks import LANDMARK_NAMES
from model.detect import Landmarks, Networks, find_people, track_landmarks
from model.detect.landmarks import OTHER_SIDE
from model.paths import assets_folder
from model.video import Video

from .clip_folder import CONDITIONS, TRUTH, is_made, read_landmarks

Array = NDArray[np.floating]
QUANTILES = (10, 25, 50, 75, 90, 95)
JOINTS = [LANDMARK_NAMES.index(name) for name in JOINT12_NAMES]
_OTHER = [JOINTS.index(int(OTHER_SIDE[index])) for index in JOINTS]
_CLEARLY = 1.5
"""How many times nearer the other side must be before the sides count as exchanged."""
HEIGHT_OF_BALANCE_M = 1.75
"""Assumed: the file does not tell."""


@dataclass(frozen=True)
class Seen:
    """One clip's T frames."""

    found: NDArray[np.bool_]
    """(T,)."""
    errors: Array
    """(T, 12, 2) percent of the height, right and down; NaN where not found, hidden or exchanged."""
    exchanged: NDArray[np.bool_]
    """(T,)."""


def compare(
    landmarks: Landmarks | None, joints_cam_m: Array, K: Array, height_m: float, shown: NDArray[np.bool_]
) -> Seen:
    """Landmarks beside (T, 12, 3) true joints; ``shown`` (T, 12) which of them count."""
    frames = len(joints_cam_m)
    found, px = np.zeros(frames, bool), np.full((frames, 12, 2), np.nan)
    if landmarks is not None:
        kept = landmarks.present & (landmarks.frames < frames)
        found[landmarks.frames[kept]] = True
        px[landmarks.frames[kept]] = landmarks.px[kept][:, JOINTS]
    scale = 100.0 * joints_cam_m[..., 2:] / K[0, 0] / height_m
    true_px = project_px(joints_cam_m, K)
    errors, crossed = (px - true_px) * scale, (px[:, _OTHER] - true_px) * scale
    own, other = (np.nansum(np.linalg.norm(e, axis=-1), axis=1) for e in (errors, crossed))
    exchanged = found & (own > _CLEARLY * other)
    errors[exchanged] = np.nan
    errors[~shown] = np.nan
    return Seen(found, errors, exchanged)


def summary(seen: list[Seen]) -> dict[str, object]:
    """Shares, and quantiles of the error by joint and of all."""
    errors = np.concatenate([one.errors for one in seen])
    size = np.linalg.norm(errors, axis=-1)
    step = np.concatenate([np.diff(one.errors, axis=0) for one in seen])
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


def made(folder: Path) -> tuple[Seen, dict[str, object]]:
    """A made clip, with its conditions; the detector must have run on it."""
    with np.load(folder / TRUTH, allow_pickle=False) as truth:
        joints, K = truth["joints12_cam_m"].astype(float), truth["K"]
        height, shown = float(truth["height_m"]), truth["visible12"]
    return compare(read_landmarks(folder), joints, K, height, shown), json.loads((folder / CONDITIONS).read_text())


def balance(folder: Path, networks: Networks) -> list[Seen]:
    """The balance clips; every joint counts, because the truth does not say which is hidden."""
    seen = []
    with np.load(folder / "balance_truth.npz", allow_pickle=False) as z:
        names = [str(name) for name in z["joint_names"]]
        for camera in z["camera_names"].tolist():
            c = z["camera_names"].tolist().index(camera)
            world = z["joints_world_m"][:, [names.index(name) for name in JOINT12_NAMES]].astype(float)
            valid = z["valid"][:, [names.index(name) for name in JOINT12_NAMES]]
            joints = world @ z["R"][c].T + z["t"][c]
            video = Video(folder / f"balance_{camera}.mp4")
            people = find_people(video, (0, None), networks, _quiet)
            landmarks = track_landmarks(video, people[0], (0, None), networks, _quiet)
            seen.append(compare(landmarks, joints, z["K"][c], HEIGHT_OF_BALANCE_M, valid))
    return seen


def _quiet(stage: str, done: int, total: int) -> None: ...


def main() -> None:
    """Print a table and write everything as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, help="folders of made clips")
    parser.add_argument("--balance", type=Path)
    parser.add_argument("--out", type=Path, default=Path("build/detector_check.json"))
    arguments = parser.parse_args()
    groups: dict[str, list[Seen]] = {}
    for folder in arguments.folders:
        for clip in sorted(path for path in folder.iterdir() if is_made(path)):
            seen, given = made(clip)
            groups.setdefault(f"{folder.name}: all", []).append(seen)
            groups.setdefault(f"{folder.name}: {given['action']}", []).append(seen)
            groups.setdefault(f"{folder.name}: from the {given['facing']}", []).append(seen)
            free = float(str(given["occluded_share"])) < 0.02 and float(str(given["inside_share"])) > 0.98
            if free and float(str(given["person_height_px"])) >= 100:
                groups.setdefault(f"{folder.name}: whole, free, 100 px and more", []).append(seen)
                groups.setdefault(f"{folder.name}: the same, {given.get('light_kind', 'ordinary')} light", []).append(
                    seen
                )
    if arguments.balance:
        groups["balance"] = balance(arguments.balance, Networks.load(assets_folder(), torch.device("cpu")))
    found = {name: summary(seen) for name, seen in groups.items()}
    arguments.out.write_text(json.dumps(found, indent=1))
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
