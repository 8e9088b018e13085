"""Fit the side model (``model/estimate/sides``): ``python -m model.train.side_model``.

Two fits, both of log-likelihoods.  Anatomy: with which weights do the relations of a frame say that of all 16 ways to
exchange groups the one that changes nothing is a body's (multinomial logistic regression)?  Chain: with which costs
are the true mistakes of legs, arms and torso likeliest, given all landmarks of a clip?  That is the likelihood of a
conditional random field (Lafferty et al., 2001); where an exchange would hardly move a group in the picture its state
is left open.
"""

from __future__ import annotations

import argparse
import io
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import softplus
from tqdm import tqdm

from amr_blender.contract.files import written_whole
from model.body import AnnyBody
from model.body.landmarks import LandmarkRegressor
from model.detect import Landmarks, Networks
from model.estimate.sides.anatomy import RELATIONS, SIGNS, facing, pelvis_width, relations_m
from model.estimate.sides.chain import CHANGE, STATES, best_path, posterior
from model.estimate.sides.groups import GROUPS
from model.estimate.sides.motion import Steps, about_trunk, joined, steps
from model.estimate.sides.weights import CAUTION, UNIT_S, SideWeights
from model.paths import WEIGHTS, assets_folder
from model.synth.clips.clip_folder import LANDMARKS, TRUTH, read_landmarks
from model.synth.motion.mocap import read_sequences
from model.synth.scene.outfit import Tailor

from .side_clips import make_clip

Array = NDArray[np.floating]
CLIPS, HELD_OUT_EVERY = 300, 5
CLEAR_M = 0.03
"""An exchange that moves a group's landmarks less than this, on average, is neither right nor wrong."""
LOST_M = 0.25
"""Further from the truth, on average, the detector looks at something else."""
SHARP = 0.4
"""A relation counts as clear beyond this part of its median."""
SHRINK, SHRINK_CHAIN = 1e-4, 0.02
"""Weights of the squares of the parameters."""
EPOCHS, RATE = 150, 0.05
START = {
    "step": [
        [-4.6, -1.5, -0.9, -1.8, -1.7, -0.7], [-3.7, -0.9, -0.6, -0.4, -0.7, 1.3], [-3.9, -0.4, 0.3, -3.4, -1.0, 0.1],
    ],
    "change": [4.0, 4.0, 5.0, 5.5, 5.0, 5.0, 4.0], "mistake": [-0.7] * 7, "trust": [0.0, 0.0],
}  # fmt: skip
"""Logarithms (steps), costs before ``softplus`` (changes), costs."""


@dataclass(frozen=True)
class Example:
    """One clip's T frames with a person."""

    world_m: Array
    steps: list[Steps]
    elapsed_s: Array
    joined: NDArray[np.bool_]
    cues: Array
    mistaken: NDArray[np.int64]
    """(T, 3) 1 where the group's sides are exchanged, 0 where they are right, -1 where that makes no difference."""

    @property
    def lasting_s(self) -> Array:
        return np.append(self.elapsed_s, self.elapsed_s[-1])

    @property
    def allowed(self) -> NDArray[np.bool_]:
        """(T, 8) states that agree with what is known."""
        known = self.mistaken[:, None]
        return np.asarray(((known < 0) | (known == STATES[None])).all(-1))


def example(landmarks: Landmarks, true_px: Array) -> Example | None:
    """What a clip teaches, or None if the detector hardly sees the person."""
    seen = np.flatnonzero(landmarks.present)
    px, world_m, visibility = (getattr(landmarks, n)[seen].astype(np.float64) for n in ("px", "world_m", "visibility"))
    if len(seen) < 6:
        return None
    _, per_metre = about_trunk(px, world_m)

    def away_m(mine: list[int], true: list[int]) -> Array:
        return np.asarray(np.linalg.norm(px[:, mine] - true_px[seen][:, true], axis=-1).mean(1) / per_metre)

    straight = np.stack([away_m(left + right, left + right) for left, right in GROUPS.values()], 1)
    crossed = np.stack([away_m(left + right, right + left) for left, right in GROUPS.values()], 1)
    if np.median(np.minimum(straight, crossed)) > LOST_M:
        return None
    clear = (np.abs(crossed - straight) > CLEAR_M) & (np.minimum(straight, crossed) < LOST_M)
    time_s = landmarks.time_s[seen]
    return Example(
        world_m,
        steps(px, world_m, visibility),
        np.diff(time_s),
        joined(px, world_m, time_s),
        np.stack([facing(world_m), pelvis_width(px, world_m)], 1),
        np.where(clear, crossed < straight, -1).astype(np.int64),
    )


def fit_anatomy(world_m: Array) -> tuple[Array, Array]:
    """Scales (K,) in metres and weights (K,) of the relations, from (N, 33, 3) detected bodies."""
    relations = relations_m(world_m)
    scale_m = SHARP * np.median(np.abs(relations), 0)
    turned = torch.from_numpy(np.tanh(relations / scale_m)[:, None] * SIGNS)
    weight = torch.ones(len(RELATIONS), dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight], max_iter=300)

    def loss() -> Tensor:
        optimiser.zero_grad()
        score = turned @ weight.clamp(min=0)
        value = (torch.logsumexp(score, 1) - score[:, 0]).mean() + SHRINK * (weight**2).sum()
        value.backward()
        return value

    optimiser.step(loss)
    return scale_m, weight.detach().clamp(min=0).numpy()


class Batch:
    """Clips of different length as tensors; what is beyond a clip's end says nothing."""

    def __init__(self, examples: list[Example]) -> None:
        frames = max(len(e.mistaken) for e in examples)

        def padded(values: list[Array], fill: float = 0.0) -> Tensor:
            out = np.full((len(values), frames, *values[0].shape[1:]), fill)
            for row, value in zip(out, values, strict=True):
                row[: len(value)] = value
            return torch.from_numpy(out)

        self.steps = [
            tuple(padded([getattr(e.steps[g], name) for e in examples])[:, :-1] for name in vars(examples[0].steps[g]))
            for g in range(len(GROUPS))
        ]
        self.elapsed_s = padded([e.elapsed_s for e in examples], 1.0)[:, :-1]
        self.joined = padded([e.joined.astype(float) for e in examples])[:, :-1]
        self.lasting = padded([np.minimum(e.lasting_s / UNIT_S, 1.0) for e in examples])
        self.cues = padded([e.cues for e in examples])
        self.allowed = padded([e.allowed.astype(float) for e in examples], 1.0) > 0

    def likelihoods(self, p: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """(N, T, 8) of states and (N, T - 1, 8) of changes: ``SideWeights`` with gradients."""
        states = torch.from_numpy(STATES.astype(np.float64))
        exchange: list[Tensor] = []
        for group, (picture, depth, weight) in enumerate(self.steps):
            total = torch.zeros_like(self.elapsed_s)
            for squared, first in ((picture, 0), (depth, 3)):
                noise, speed, scale = p["step"][group, first : first + 3].exp()
                width2 = (noise**2 + (speed * self.elapsed_s) ** 2)[..., None, None, None]
                surprise = (torch.log1p(squared / width2) * weight[:, :, None, None]).sum((-1, -2))
                total = total + scale * (surprise[..., 1] - surprise[..., 0])
            exchange.append(total)
        zero = torch.zeros(1, dtype=torch.float64)
        change = torch.cat([zero, softplus(p["change"])])
        links = -(torch.stack(exchange, -1) @ states.T + change) * self.joined[..., None]
        torso = (self.cues @ p["trust"])[..., None] * states[:, 2]
        cost = softplus(torch.cat([zero, p["mistake"]]) + torso) * self.lasting[..., None] * (states.sum(1) > 0)
        cost[:, 0] += change
        return -cost, links

    def surprise(self, p: dict[str, Tensor]) -> Tensor:
        """(N,) negative log-likelihood of what is known of the states."""
        frames, links = self.likelihoods(p)
        known = frames.masked_fill(~self.allowed, -1e9)
        return _log_total(frames, links) - _log_total(known, links)


def _log_total(frames: Tensor, links: Tensor) -> Tensor:
    """(N,) logarithm of the summed likelihood of all sequences."""
    change = torch.from_numpy(CHANGE)
    total = frames[:, 0]
    for t in range(links.shape[1]):
        total = torch.logsumexp(total[:, :, None] + links[:, t][:, change], 1) + frames[:, t + 1]
    return torch.logsumexp(total, 1)


def fit_chain(examples: list[Example]) -> dict[str, Array]:
    """The chain's numbers, in the form of ``SideWeights``."""
    start = {name: torch.tensor(values, dtype=torch.float64) for name, values in START.items()}
    p = {name: value.clone().requires_grad_(True) for name, value in start.items()}
    batch, optimiser = Batch(examples), torch.optim.Adam(list(p.values()), RATE)
    for _ in tqdm(range(EPOCHS), desc="fitting the chain", disable=None):
        optimiser.zero_grad()
        moved = sum((((p[name] - start[name]) ** 2).sum() for name in p), torch.zeros(()))
        (batch.surprise(p).sum() + SHRINK_CHAIN * moved).backward()
        optimiser.step()
    numbers = {name: value.detach() for name, value in p.items()}
    zero = np.zeros(1)
    return {
        "step": numbers["step"].exp().numpy(),
        "change": np.append(zero, softplus(numbers["change"]).numpy()),
        "mistake": np.append(zero, numbers["mistake"].numpy()),
        "trust": numbers["trust"].numpy(),
    }


@dataclass(frozen=True)
class Score:
    """Over frames and groups in which it makes a difference."""

    frames: int
    right_before: float
    right_after: float
    spoilt: float
    """Right before, wrong after."""
    calibration: list[tuple[float, float, int]]
    """Mean probability, share that is right, and number, of frames about as sure."""


def judge(examples: list[Example], weights: SideWeights) -> Score:
    """How well the chain finds the detector's mistakes."""
    before, after, sure = [], [], []
    for e in examples:
        frames = weights.of_mistakes(e.cues, e.lasting_s)
        links = weights.of_steps(e.steps, e.elapsed_s, e.joined)
        found = STATES[best_path(weights.of_mistakes(e.cues, e.lasting_s, CAUTION), links)]
        probable = posterior(frames, links) @ STATES
        known = e.mistaken >= 0
        before.append((e.mistaken == 0)[known])
        after.append((e.mistaken == found)[known])
        sure.append(np.where(found, probable, 1 - probable)[known])
    b, a, s = (np.concatenate(x) for x in (before, after, sure))
    bins = np.digitize(s, [0.8, 0.95, 0.99])
    table = [(float(s[bins == k].mean()), float(a[bins == k].mean()), int((bins == k).sum())) for k in np.unique(bins)]
    return Score(len(b), float(b.mean()), float(a.mean()), float((b & ~a).mean()), table)


def collect(folder: Path, count: int) -> list[Example]:
    """Examples of the first ``count`` clips; what is not in ``folder`` yet is drawn."""
    assets = assets_folder()
    body, networks = AnnyBody.load(assets), Networks.load(assets, torch.device("cpu"))
    regressor = LandmarkRegressor.load(WEIGHTS / "landmark_regressor.npz")
    garments, sequences = Tailor.of(body).dress(), read_sequences(split="train")
    found = []
    for number in tqdm(range(count), desc="drawing clips", disable=None):
        clip = folder / f"{number:04d}"
        make_clip(clip, number, body, garments, sequences, regressor, networks)
        landmarks = read_landmarks(clip) if (clip / LANDMARKS).is_file() else None
        if landmarks is None:
            continue
        with np.load(clip / TRUTH, allow_pickle=False) as truth:
            learnt = example(landmarks, truth["landmarks_px"])
        if learnt is not None:
            found.append(learnt)
    return found


def fit(examples: list[Example]) -> SideWeights:
    """Both fits."""
    scale_m, weight = fit_anatomy(np.concatenate([e.world_m for e in examples]))
    return SideWeights(scale_m, weight, **fit_chain(examples))


def save(weights: SideWeights, path: Path) -> None:
    """Write the arrays, the same bytes for the same values."""
    stream = io.BytesIO()
    np.savez(stream, **{f.name: getattr(weights, f.name) for f in fields(SideWeights)})
    with written_whole(path) as out:
        out.write(stream.getvalue())


def _card(weights: SideWeights, fitted: Score, held_out: Score) -> str:
    def row(name: str, s: Score) -> str:
        return f"| {name} | {s.frames} | {s.right_before:.2%} | {s.right_after:.2%} | {s.spoilt:.2%} |\n"

    relations = "".join(
        f"| {name} | {1000 * scale:.0f} | {weight:.2f} |\n"
        for name, scale, weight in zip(RELATIONS, weights.relation_scale_m, weights.relation_weight, strict=True)
    )
    sure = "".join(f"| {mean:.3f} | {share:.3f} | {count} |\n" for mean, share, count in held_out.calibration)
    return f"""# Side model

Log-likelihoods with which `model/estimate/sides` tells left from right: {len(fields(SideWeights))} small arrays,
described in `model/estimate/sides/weights.py`.

- **Made by** `python -m model.train.side_model` from clips drawn by the project itself: dressed Anny bodies in
  captured motion, half of them in one tone and out of focus, seen by BlazePose. No photograph is used.
- **Data**: motion from the CMU Graphics Lab Motion Capture Database (mocap.cs.cmu.edu, NSF EIA-0196217), without
  subjects 03 and 13. Every {HELD_OUT_EVERY}th clip is held out.
- **Licence**: GPL-3.0-or-later, as the project.
- **Limits**: how often a detector errs in drawn clips is not how often it errs in others; a mistake that lasts for a
  whole clip is not found.

## The detector's own mistakes (frames and groups in which an exchange is visible)

| clips | count | right as detected | right after | spoilt |
|---|---|---|---|---|
{row("fitted", fitted)}{row("held out", held_out)}
Held out, by how sure:

| mean probability | right | count |
|---|---|---|
{sure}
## Relations

| relation | clear beyond, mm | weight |
|---|---|---|
{relations}"""


def main() -> None:
    """Draw, fit, judge, and write weights and card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=Path, default=Path("build/sides"))
    parser.add_argument("--count", type=int, default=CLIPS)
    parser.add_argument("--out", type=Path, default=WEIGHTS / "sides.npz")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    examples = collect(arguments.clips, arguments.count)
    held_out = examples[::HELD_OUT_EVERY]
    fitted = [e for k, e in enumerate(examples) if k % HELD_OUT_EVERY]
    weights = fit(fitted)
    save(weights, arguments.out)
    arguments.out.with_suffix(".md").write_text(_card(weights, judge(fitted, weights), judge(held_out, weights)))


if __name__ == "__main__":
    main()
