"""From a run to what is shipped: ``python -m model.train.refine.publish``: weights, model cards, curves.

The uncertainty is calibrated on every second validation clip; all figures of the cards are of the others: people,
motions and poses that were neither trained on nor calibrated by.  The report (``python -m model evaluate``) measures on
the test split.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from model.body.hierarchy import Hierarchy
from model.evaluate.charts import time_chart
from model.evaluate.uncertainty import (
    QUANTILES,
    VERTEX_STRIDE,
    constant_map,
    coverage_percent,
    spearman_pooled,
    spearman_within,
)
from model.networks.attention import DAN
from model.networks.body_map import BodyMap
from model.networks.refinement import HRN
from model.networks.weights import save_weights
from model.paths import WEIGHTS, assets_folder
from model.refine.refiner import ATTENTION_FILE, REFINEMENT_FILE, Calibration, read_dan, read_hrn

from ..curves import in_lines, read_columns
from ..initial.data import pose_space
from . import alone as alone_run
from .measure import Measured, measure, thirds
from .run import BUDGETS, SEED
from .stock import footage_of
from .variants import Networks
from .windows import Windows

ROOT = Path(__file__).resolve().parents[3]
Array = NDArray[np.floating]
COLOURS = {"training": "#b0b0b0", "held out": "#2a6fbb", "held out, own attention": "#c0392b"}


def calibrated(measured: Measured) -> Calibration:
    """By which nine in ten errors lie within the interval that says so.

    The power is that of the least squares of the errors' logarithms by those of the uncertainties; the scale follows.
    """
    told, error = np.log(measured.sigma_mm).ravel(), np.log(np.maximum(measured.after_mm, 1.0)).ravel()
    power = float(np.clip(np.cov(told, error)[0, 1] / max(float(told.var()), 1e-6), 0.3, 1.5))
    left = error - power * told
    return Calibration(float(np.exp(np.quantile(left, 0.9)) / QUANTILES[90]), power)


def figures(measured: Measured, calibration: Calibration) -> dict[str, float | None]:
    """Of the uncertainty, as the report has them: ranks, and what percentage the intervals hold."""
    told = calibration.scale * measured.sigma_mm[:, ::VERTEX_STRIDE] ** calibration.power
    error = measured.after_mm[:, ::VERTEX_STRIDE]
    clips = [measured.clip == clip for clip in np.unique(measured.clip)]
    within = [value for clip in clips if (value := spearman_within(told[clip], error[clip])) is not None]
    constant = np.concatenate([constant_map(error[clip]) for clip in clips])
    return {
        "Spearman, all together": spearman_pooled(told, error),
        "Spearman of a map that is constant in each clip": spearman_pooled(constant, error),
        "Spearman within a vertex over time": float(np.mean(within)) if within else None,
        **{f"errors within the interval for {n} %, percent": coverage_percent(told, error, n) for n in QUANTILES},
    }


def rows(name: str, measured: Measured) -> list[str]:
    """Of the card's table."""
    lines = []
    for where, use in thirds(vars(measured)).items():
        vertex = [float(values[use].mean()) for values in (measured.before_mm, measured.after_mm)]
        joints = measured.joints_mm[use].mean(0)
        change = 100 * (vertex[1] / vertex[0] - 1)
        lines.append(
            f"| {name} | {where} | {vertex[0]:.1f} | {vertex[1]:.1f} | {change:+.1f} % | {joints[0, 0]:.1f} | "
            f"{joints[1, 0]:.1f} | {joints[0, 1]:.1f} | {joints[1, 1]:.1f} |"
        )
    return lines


def plot(columns: dict[str, list[float]]) -> str:
    """Over the steps, as SVG: vertex errors, or the loss of the uncertainty alone."""
    if "train vertices" not in columns:
        names = dict(zip(COLOURS, (columns["train sigma"], columns["held sigma"]), strict=False))
        lines = {name: np.array(values) for name, values in names.items()}
        return time_chart("Loss of the uncertainty over the steps", np.array(columns["step"]), lines, COLOURS, "")
    train = [1000 * value for value in columns["train vertices"]]
    names = dict(zip(COLOURS, (train, columns["held all_mm"], columns["held own_mm"]), strict=True))
    lines = {name: np.array(values) for name, values in names.items()}
    return time_chart("Error per vertex over the steps, mm", np.array(columns["step"]), lines, COLOURS, "")


def how(alone: bool) -> str:
    """By which command, and what weights are chosen by."""
    if alone:
        return f"""`python -m model train uncertainty` (seed {SEED}), without HRN, in up to
  {alone_run.BUDGETS["small"].refinement} steps; chosen by the likelihood of the errors of validation clips and the
  correlation with them over time"""
    budget = BUDGETS["small"]
    return f"""`python -m model train refinement`, then `attention` (seed {SEED}), both networks together, in up to
  {budget.refinement + budget.attention} steps; chosen by the error per vertex on validation clips"""


def card(
    title: str, body: str, about: dict[str, Any], how: str, last: int, clips: int, hardware: str, remarks: str
) -> str:  # fmt: skip
    """A model card."""
    return f"""# {title}

- **Settings**: {about["settings"]}
- **Trained by** {how}.
  {last} steps were taken, on {hardware}. Published: the averaged weights of step {about["step"]}.{remarks}
- **Data, all made here**: {clips} drawn clips that the real detector and this project's estimate have seen
  (`model/train/refine/stock.py`), none of them among those that the initial network was trained on. No photograph; the
  frame's features are those of BlazePose's trunk, which is not trained here.
- **Split**: CMU subjects 03 and 13 and hand-made test motion are never trained on (`model/synth/splits.json`). Every
  tenth motion, drawn pose and body of the train split is for validation: one half of those clips to choose and
  calibrate by, the other half for the figures below.
- **Licence**: GPL-3.0-or-later, as the project. The data used in this project was obtained from mocap.cs.cmu.edu. The
  database was created with funding from NSF EIA-0196217.
- **Limits**: still cameras; drawn people in drawn places; errors that last for a whole clip are refined least.

{body}"""


def main() -> None:
    """Measure, calibrate, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, help="folder of the run; default: as training has it")
    parser.add_argument("--stock", type=Path, default=ROOT / "build" / "refine")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--hardware", default="two processor cores")
    parser.add_argument(
        "--alone", action="store_true", help="DAN without HRN: the uncertainty of the estimate as it is"
    )
    parser.add_argument("--remarks", default="", help="what is particular to the run, for the cards")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    space = pose_space()
    body = BodyMap(space.body, space.skeleton, Hierarchy.load(assets_folder()))
    alone: bool = arguments.alone
    run_folder: Path = arguments.run or ROOT / "build" / ("uncertainty" if alone else "refinement")
    dan, dan_about = read_dan(run_folder, body)
    hrn, hrn_about = (None, {}) if alone else read_hrn(run_folder, body)
    torch.manual_seed(SEED)
    networks, untrained = Networks(body), Networks(body)
    networks.dan, networks.hrn = dan, networks.hrn if hrn is None else hrn
    windows = Windows(footage_of("validation", arguments.stock), space.body, body)
    chosen, held = (list(range(first, len(windows), 2)) for first in (0, 1))
    with tqdm(total=len(chosen) + 2 * len(held), desc="validation", disable=None) as bar:

        def run(nets: Networks, clips: list[int]) -> Measured:
            return measure(nets, space.body.kinematics, windows, clips, lambda: bar.update() and None, not alone)

        calibration = calibrated(run(networks, chosen))
        trained, control = run(networks, held), run(untrained, held)
        table = rows("trained", trained) + rows("untrained", control)
    columns = read_columns(run_folder / "curve.csv")
    of_control = figures(control, Calibration())
    told = "\n".join(
        f"| {name} | {value:.3g} | {of_control[name]:.3g} |" for name, value in figures(trained, calibration).items()
    )
    text = f"""## {len(held)} validation clips, camera and height unknown

Errors are those of vertices about the hips. Curves: `docs/images/refinement.svg`.

"""
    if not alone:
        text += """Of vertices, of twelve joints about the hips (MPJPE) and after Procrustes, mm; before and after.

| networks | frames | vertex, before | after | change | MPJPE, before | after | PA, before | after |
|---|---|---|---|---|---|---|---|---|
"""
        text += "\n".join(table) + "\n\n"
    text += f"| the uncertainty | trained | untrained |\n|---|---|---|\n{told}\n"
    count, last = len(footage_of("refinement", arguments.stock)), int(columns["step"][-1])
    shared = (how(alone), last, count, arguments.hardware, in_lines(arguments.remarks))
    dan_about |= {"sigma_scale": calibration.scale, "sigma_power": calibration.power}
    shipped: list[tuple[str, str, DAN | HRN, dict[str, Any]]] = [
        ("Dynamic Attention Network", ATTENTION_FILE, dan, dan_about)
    ]
    if hrn is not None:
        shipped.append(("Hierarchical Refinement Network", REFINEMENT_FILE, hrn, hrn_about))
    for title, name, net, about in shipped:
        save_weights(arguments.out / name, net, about)
        (arguments.out / name).with_suffix(".md").write_text(card(title, text, about, *shared), encoding="utf-8")
    (ROOT / "docs" / "images" / "refinement.svg").write_text(plot(columns), encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
