"""Train the pose prior and the joint limits: ``python -m model.train.pose_prior``.

A mixture of Gaussians over the angles of the pose space, from motion capture (without the subjects who are held out)
and from drawn poses that captures lack; as many components as explain the held-out subjects best.  Limits are what
these poses keep within, widened; what neither tells is anatomy.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from model.body import AnnyBody
from model.body.landmarks import LandmarkRegressor
from model.estimate.pose_space import PoseSpace
from model.estimate.prior import FILE, PosePrior
from model.paths import WEIGHTS, assets_folder

from .mixture import Mixture, fit
from .pose_data import Material, collect

Array = NDArray[np.floating]
SEED, POSES, DRAWN_SHARE = 2026, 16_000, 0.45
COMPONENTS = (1, 8, 16, 24, 32, 48)
"""What is tried; 1 is the control."""
STEPS, STRENGTH, FLOOR_RAD = 30, 150.0, 0.04
TAILS = (5.0, 10.0, 20.0, 50.0, 100.0, 1000.0)
"""Degrees of freedom of Student's t that are tried."""
REACH, WIDEN_RAD = 0.001, 0.12
"""Limits: the quantile on either side, and what is added to it."""
ANATOMY: dict[str, tuple[float, float]] = {
    "collar.x": (-0.3, 0.3), "collar.y": (-0.6, 0.35), "collar.z": (-0.45, 0.45), "forearm": (-1.6, 1.6),
}  # fmt: skip
"""Of the left side, radians: shrugging (y) goes further up than down.  Hinges have theirs from the pose space."""
POSSIBLE = 0.99
"""A pose is possible that lies as near to a component as this share of the training poses."""
COLOURS = ((60, 60, 60), (200, 120, 40), (60, 160, 60), (60, 60, 220), (180, 60, 180), (30, 170, 200))


@dataclass(frozen=True)
class Curve:
    """Mean log likelihoods after each step, nats a pose: on the training poses, the held-out ones, the drawn ones."""

    train: list[float]
    held_out: list[float]
    drawn: list[float]


def limits(space: PoseSpace, points: Array) -> tuple[Array, Array]:
    """(Q,) lower and upper limits of the angles, mirror-symmetric where ``points`` are."""
    lower, upper = np.quantile(points, REACH, 0) - WIDEN_RAD, np.quantile(points, 1 - REACH, 0) + WIDEN_RAD
    for i, name in enumerate(space.names):
        joint, _, rest = name.partition(".")
        side, _, axis = rest.partition(".")
        low, high = ANATOMY.get(f"{joint}.{axis}" if axis else joint, (None, None))
        if low is not None and high is not None:
            flips = side == "R" and axis != "x"  # the other side turns the other way about all axes but the first
            lower[i], upper[i] = (-high, -low) if flips else (low, high)
        if np.isfinite(float(space.lower[i])) and joint in ("elbow", "knee"):
            lower[i], upper[i] = float(space.lower[i]), float(space.upper[i])
    return lower, upper


def train(
    material: Material, scale: Array, counts: tuple[int, ...] = COMPONENTS, steps: int = STEPS
) -> tuple[dict[int, Mixture], dict[int, Curve]]:
    """A mixture and its curve for each number of components."""
    mixtures, curves = {}, {}
    floor = np.full(material.train.shape[1], FLOOR_RAD**2)
    for count in counts:
        curve = Curve([], [], [])
        with tqdm(total=steps, desc=f"{count} components", disable=None) as bar:

            def watch(step: int, mixture: Mixture, before: float, curve: Curve = curve, bar: tqdm = bar) -> None:
                curve.train.append(before)
                curve.held_out.append(float(mixture.log_likelihood(material.held_out).mean()))
                curve.drawn.append(float(mixture.log_likelihood(material.drawn).mean()))
                bar.update()

            mixtures[count] = fit(material.train, count, scale, floor, STRENGTH, steps, SEED, watch)
        curves[count] = curve
    return mixtures, curves


def save(path: Path, names: list[str], mixture: Mixture, tail: float, lower: Array, upper: Array) -> None:
    """Write the arrays, whole or not at all, the same bytes for the same values."""
    stream = io.BytesIO()
    np.savez(
        stream,
        names=np.array(names),
        log_weights=mixture.log_weights.astype(np.float32),
        means=mixture.means.astype(np.float32),
        precision_factors=mixture.precision_factors().astype(np.float32),
        tail=np.float32(tail),
        lower=lower.astype(np.float32),
        upper=upper.astype(np.float32),
    )
    partial = path.with_suffix(".partial")
    partial.write_bytes(stream.getvalue())
    os.replace(partial, path)


def energy(prior: PosePrior, points: Array) -> Array:
    """(N,) nats."""
    return np.concatenate([prior.linearise(part)[2].numpy() for part in torch.from_numpy(points).split(1000)])


def nearest(prior: PosePrior, points: Array) -> Array:
    """(N,) squared distances from the nearest component."""
    return prior.distances(torch.from_numpy(points)).min(1).values.numpy()


def shuffled(points: Array, rng: np.random.Generator) -> Array:
    """Every angle from another pose: each by itself as likely as before, together no pose."""
    return np.stack([rng.permutation(column) for column in points.T], 1)


def write_curves(path: Path, curves: dict[int, Curve]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["components", "step", "train_nats", "held_out_nats", "drawn_nats"])
        for count, curve in curves.items():
            for step, row in enumerate(zip(curve.train, curve.held_out, curve.drawn, strict=True), 1):
                writer.writerow([count, step, *(f"{value:.4f}" for value in row)])


def plot_curves(path: Path, curves: dict[int, Curve]) -> None:
    """A small picture: held-out log likelihood over the steps (thick), and the training poses' (thin)."""
    width, height, left, bottom, top, right = 720, 400, 56, 44, 34, 150
    image = np.full((height, width, 3), 255, np.uint8)
    values = [v for c in curves.values() for v in (*c.train, *c.held_out)]
    low, high = 5 * np.floor(min(values) / 5), 5 * np.ceil(max(values) / 5)
    steps = max(len(c.train) for c in curves.values())

    def place(step: float, value: float) -> tuple[int, int]:
        x = left + (step - 1) / max(steps - 1, 1) * (width - left - right)
        y = height - bottom - (value - low) / (high - low) * (height - top - bottom)
        return round(x), round(y)

    def write(text: str, x: int, y: int, colour: tuple[int, int, int] = (40, 40, 40)) -> None:
        cv2.putText(image, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour, 1, cv2.LINE_AA)

    for value in np.arange(low, high + 1, 5):
        cv2.line(image, place(1, value), place(steps, value), (225, 225, 225), 1)
        write(f"{value:.0f}", 20, place(1, value)[1] + 4)
    write("nats a pose: thick on people never trained on, thin on the training poses", left, 20)
    write("steps of EM", left, height - 14)
    for row, (count, curve), colour in zip(range(top + 6, height, 20), curves.items(), COLOURS, strict=False):
        for line, thickness in ((curve.train, 1), (curve.held_out, 2)):
            points = np.array([place(i + 1, v) for i, v in enumerate(line)], np.int32)
            cv2.polylines(image, [points], False, colour, thickness, cv2.LINE_AA)
        cv2.line(image, (width - right + 16, row), (width - right + 36, row), colour, 2, cv2.LINE_AA)
        write(f"{count} components" if count > 1 else "1 component", width - right + 42, row + 4)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)


def measure(prior: PosePrior, control: PosePrior, material: Material) -> dict[str, float]:
    """What the card tells: mean log likelihoods, and shares of poses that are possible or beyond a limit."""
    rng = np.random.default_rng(SEED)
    bound = float(np.quantile(nearest(prior, material.train), POSSIBLE))
    lower, upper = prior.lower.numpy(), prior.upper.numpy()
    found = {
        "held-out subjects": -float(energy(prior, material.held_out).mean()),
        "the same, one component": -float(energy(control, material.held_out).mean()),
        "the same, shuffled": -float(energy(prior, shuffled(material.held_out, rng)).mean()),
        "drawn poses of other seeds": -float(energy(prior, material.drawn).mean()),
        "the same drawn, one component": -float(energy(control, material.drawn).mean()),
        "bound": bound,
        "possible: held-out subjects": float((nearest(prior, material.held_out) <= bound).mean()),
        "possible: shuffled": float((nearest(prior, shuffled(material.held_out, rng)) <= bound).mean()),
        "beyond a limit": float(((material.held_out < lower) | (material.held_out > upper)).mean()),
    }
    near = nearest(prior, material.drawn) <= bound
    for category in np.unique(material.drawn_category):
        found[f"possible: {category}"] = float(near[material.drawn_category == category].mean())
    return found


def card(found: dict[str, float], curves: dict[int, Curve], count: int, tail: float, material: Material) -> str:
    """The model card."""
    tried = "\n".join(
        f"| {k} | {c.train[-1]:.2f} | {c.held_out[-1]:.2f} | {c.drawn[-1]:.2f} |" for k, c in curves.items()
    )
    possible = "\n".join(
        f"| {name.removeprefix('possible: ')} | {100 * value:.1f} |"
        for name, value in found.items()
        if name.startswith("possible")
    )
    minutes = ", ".join(f"{g} {s / 60:.1f}" for g, s in sorted(material.train_seconds.items(), key=lambda x: -x[1]))
    minutes = fill(f"Minutes of capture: {minutes}.", 118, initial_indent="  ", subsequent_indent="  ")
    return f"""# Pose prior

How likely a pose is, and how far joints go: a mixture of {count} Gaussians with Student's t tails ({tail:g} degrees of
freedom) over the {material.train.shape[1]} angles of `model/estimate/pose_space.py`, radians.
`names` (Q,), `log_weights` (K,), `means` (K, Q), `precision_factors` (K, Q, Q) lower triangular with L @ L.T the
precision, `tail`, `lower` and `upper` (Q,), float32.

- **Use**: `model/estimate/prior.py` reads it for the solver: the limits always, the density where no network tells the
  pose. The heading and position of the body are not in it.
- **Made by** `python -m model.train.pose_prior` (seed {SEED}) from {POSES} poses and their mirror images:
  {100 * (1 - DRAWN_SHARE):.0f} % motion capture, retargeted by `model/body/retarget.py`, each kind of action counted
  with the root of its length; {100 * DRAWN_SHARE:.0f} % drawn by `model.synth.motion.enrich` (sitting, kneeling, lying,
  crawling, balancing, squatting, hands at the body, captured halves mixed).
{minutes}
- **Split**: CMU subjects 03 and 13 are held out: no component has seen them. The number of components and the tails
  were chosen on them, so their numbers are a little too good. Drawn poses are measured on another seed.
- **Limits of angles**: the {100 * REACH:g} % quantiles, widened by {WIDEN_RAD} rad; collars and the forearm's roll,
  which the capture does not tell, by anatomy; elbows and knees do not bend backwards.
  {100 * found["beyond a limit"]:.2f} % of the held-out angles lie beyond.
- **Not known to it**: collars (rigid in the capture; the pose space's own spread stands in), the wrists of some
  sequences, ankles of dances and breakdance (guessed from hip and knee), anybody but able-bodied adults.
- **Licence**: GPL-3.0-or-later, as the project. The data used in this project was obtained from mocap.cs.cmu.edu. The
  database was created with funding from NSF EIA-0196217.

## Mean log likelihood, nats a pose

| poses | this prior | one component |
|---|---|---|
| held-out subjects | {found["held-out subjects"]:.2f} | {found["the same, one component"]:.2f} |
| held-out subjects, each angle from another pose | {found["the same, shuffled"]:.2f} | |
| drawn with another seed | {found["drawn poses of other seeds"]:.2f} | {found["the same drawn, one component"]:.2f} |

The held-out people mostly walk and stand, which is likelier than the mean training pose.

Before the tails, after {STEPS} steps (`docs/images/pose_prior.png`):

| components | training poses | held-out subjects | drawn |
|---|---|---|---|
{tried}

## Possible poses

Share, in percent, that lies as near to a component as {100 * POSSIBLE:.0f} % of the training poses (squared distance
{found["bound"]:.0f}).

| poses | possible |
|---|---|
{possible}
"""


def main() -> None:
    """Collect, fit, choose, measure on what was held out, write weights, card and curves."""
    root = Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mocap", type=Path, help="folder of the CMU pack; by default beside the checkout")
    parser.add_argument("--out", type=Path, default=WEIGHTS / FILE)
    parser.add_argument("--curves", type=Path, default=root / "build" / "pose_prior.csv")
    parser.add_argument("--plot", type=Path, default=root / "docs" / "images" / "pose_prior.png")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # small matrices: threads would only wait for each other
    space = PoseSpace(AnnyBody.load(assets_folder()), LandmarkRegressor.load(WEIGHTS / "landmark_regressor.npz"))
    with tqdm(desc="captured sequences", disable=None) as bar:
        material = collect(space, arguments.mocap, POSES, DRAWN_SHARE, SEED, lambda done, total: bar.update())
    mixtures, curves = train(material, space.sigma.numpy())
    count = max((k for k in mixtures if k > 1), key=lambda k: curves[k].held_out[-1])
    lower, upper = limits(space, material.train)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)

    def made(components: int, tail: float) -> PosePrior:
        save(arguments.out, space.names, mixtures[components], tail, lower, upper)
        return PosePrior.load(arguments.out, space.names)

    def likelihood(components: int, tail: float) -> float:
        return -float(energy(made(components, tail), material.held_out).mean())

    control = made(1, max(TAILS, key=lambda tail: likelihood(1, tail)))
    tail = max(TAILS, key=lambda tail: likelihood(count, tail))
    prior = made(count, tail)
    found = measure(prior, control, material)
    arguments.out.with_suffix(".md").write_text(card(found, curves, count, tail, material), encoding="utf-8")
    write_curves(arguments.curves, curves)
    plot_curves(arguments.plot, curves)
    for name, value in found.items():
        print(f"{name}: {value:.3f}")


if __name__ == "__main__":
    main()
