"""How varied the training poses are, beside the raw capture: ``python -m model.synth.variety --out build/variety``.

Writes ``variety.json`` and a contact sheet.  Distances between poses are root mean squares over the joints' places on
the average body, hips at the origin and headings taken away, in millimetres.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from model.body import AnnyBody
from model.body.landmarks import LandmarkRegressor
from model.estimate.pose_space import PoseSpace
from model.paths import WEIGHTS, assets_folder

from .clips.made_clips import BY_HAND, puppet_of
from .motion.enrich import Poses, joined, taken
from .motion.floor_acts import KEYED, play
from .motion.overlap import Overlap
from .motion.places import places_m
from .motion.pose_bank import GROUPS, PoseBank, captured_poses
from .pictures import PictureMaker
from .splits import seeds

Array = NDArray[np.floating]


def nearest_mm(pool: Array, asked: Array) -> Array:
    """(M,) root mean square distance of each asked pose to its nearest in the pool."""
    wanted, best = torch.from_numpy(asked), np.full(len(asked), np.inf)
    for some in torch.from_numpy(pool).split(5000):
        best = np.minimum(best, torch.cdist(wanted, some).amin(1).numpy())
    return np.asarray(best / np.sqrt(pool.shape[1] / 3) * 1000)


def within_limits(space: PoseSpace, angles: Array) -> NDArray[np.bool_]:
    """(N,) hinges and twists within the pose space's limits, balls within what people's joints do.

    Hips, shoulders and the spine are measured by the size of their whole rotation from rest: rough, but a limb that has
    turned over is found.  Ranges: American Academy of Orthopaedic Surgeons, Joint Motion, 1965, with ten degrees more.
    """
    lower, upper = space.lower.numpy() - 0.02, space.upper.numpy() + 0.02
    good = ((angles >= lower) & (angles <= upper)).all(1)
    most_deg = {
        "hip": 155,
        "shoulder": 190,
        "waist": 75,
        "chest": 75,
        "neck": 60,
        "head": 60,
        "wrist": 100,
        "ankle": 75,
    }
    for joint, most in most_deg.items():
        for side in ("", ".L", ".R"):
            columns = [
                i for i, name in enumerate(space.names) if name[:-2] == joint + side and name[-2:] in (".x", ".y", ".z")
            ]
            if columns:
                good &= np.linalg.norm(angles[:, columns], axis=1) < np.deg2rad(most)
    return np.asarray(good)


def hand_made(body: AnnyBody) -> Array:
    """(N, B, 3, 3) frames of the motions that are made by hand for testing, ten a second."""
    first, _ = seeds("test")["poses"]
    rest = body.rest(body.default_shape())
    rngs = (np.random.default_rng([first, number]) for number in range(1000))
    made = [play(body, rest, keys(next(rngs))) for keys in KEYED.values()]
    made += [act(puppet_of(body, rest), next(rngs)) for act in BY_HAND.values()]
    return np.concatenate([motion.local[::3] for motion in made])


def locals_of(space: PoseSpace, poses: Poses) -> Array:
    return np.asarray(space.local_rotations(poses.orientation, poses.angles).numpy())


def main() -> None:
    """Measure and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/variety"))
    parser.add_argument("--bank", type=int, default=12_000, help="drawn poses that the bank keeps")
    parser.add_argument("--count", type=int, default=60_000, help="poses drawn from it")
    parser.add_argument("--deep", type=int, default=300, help="poses that are searched for parts in one another")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    body = AnnyBody.load(assets_folder())
    space = PoseSpace(body, LandmarkRegressor.load(WEIGHTS / "landmark_regressor.npz"))
    rng = np.random.default_rng(0)
    captured = captured_poses(space, "train")
    bank = PoseBank(space, captured, arguments.bank)
    parts = [bank.draw(rng, 1000) for _ in tqdm(range(arguments.count // 1000), desc="poses", disable=None)]
    drawn, raw = joined(parts), places_m(space, locals_of(space, captured))
    made = np.concatenate([places_m(space, locals_of(space, part)) for part in parts])
    same = made[: len(raw)]
    test = captured_poses(space, "test")
    held_out = {
        group: places_m(space, locals_of(space, taken(test, np.flatnonzero(test.category == group))))
        for group in np.unique(test.category).tolist()
    } | {
        "by hand": places_m(space, hand_made(body)),
    }
    held_out["all"] = np.concatenate(list(held_out.values()))
    few = torch.from_numpy(locals_of(space, parts[0])[: arguments.deep])
    depth_mm = 1000 * Overlap(body).depth_m(few).numpy()
    found: dict[str, object] = {
        "shares": {name: float(np.isin(drawn.category, kinds).mean()) for name, kinds in GROUPS.items()},
        "within_limits": float(within_limits(space, drawn.angles.numpy()).mean()),
        "deeper_than_1_cm": float((depth_mm > 10).mean()),
        "depth_mm_quantiles": {str(q): round(float(np.percentile(depth_mm, q)), 1) for q in (50, 75, 90, 95, 99)},
        "poses": {"raw": len(raw), "made": len(made), "made, as many as raw": len(same)},
        "held_out": {name: len(asked) for name, asked in held_out.items()},
        "median_nearest_mm": {
            name: {
                label: round(float(np.median(nearest_mm(pool, asked))), 2)
                for label, pool in (("raw", raw), ("made", made), ("made, as many as raw", same))
            }
            for name, asked in held_out.items()
        },
    }
    (arguments.out / "variety.json").write_text(json.dumps(found, indent=1))
    print(json.dumps(found, indent=1))
    images = PictureMaker(body, bank, seeds("train")).batch(0, 96).images.numpy()
    sheet = images.reshape(8, 12, 128, 128, 3).transpose(0, 2, 1, 3, 4).reshape(8 * 128, 12 * 128, 3)
    cv2.imwrite(str(arguments.out / "sheet.png"), sheet[..., ::-1])


if __name__ == "__main__":
    main()
