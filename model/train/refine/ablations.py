"""What each part of DAN and HRN is worth: ``python -m model.train.refine.ablations``.

Rows of a table are trained alike, for a small budget and from the same stock, and measured on the same validation
clips, those that nothing was chosen by.  One table is about what refinement gains, the other about how well DAN alone
knows the error.  A row that is measured already is not made again; rows can be made side by side by naming them.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from tqdm import tqdm

from amr_blender.contract.files import written_whole
from model.body.hierarchy import Hierarchy
from model.evaluate.statistics import holm
from model.evaluate.uncertainty import VERTEX_STRIDE, spearman_pooled, spearman_within
from model.networks.body_map import BodyMap
from model.paths import assets_folder

from ..initial.data import pose_space
from .alone import EACH, Alone
from .measure import Measured, measure, thirds
from .run import SEED, Budget, Run
from .stock import footage_of
from .variants import Networks, Variant
from .windows import Windows

Array = NDArray[np.floating]
ROOT = Path(__file__).resolve().parents[3]
BUDGET = Budget(400, 100, 2, 8, rate=7e-4, warmup=50, average=0.99, look=10_000)
ALONE_BUDGET = Budget(300, 0, 1, 16, rate=7e-4, warmup=50, average=0.99, look=10_000)


@dataclass(frozen=True)
class Row:
    """Of the table."""

    name: str
    variant: Variant = Variant()
    seed: int = SEED
    of: str = ""
    """The row whose networks it is measured with, where it isn't trained itself."""
    trained: bool = True
    alone: bool = False
    """DAN without HRN, for its uncertainty."""


ROWS = {
    "full": Row("everything"),
    "again": Row("everything, another seed", seed=SEED + 1),
    "uniform": Row("A = 1 everywhere", Variant(attention="everywhere")),
    "shuffled": Row("as much attention, dealt out by chance", Variant(attention="shuffled")),
    "one_frame": Row("no temporal window", Variant(one_frame=True)),
    "stale": Row("no fresh evidence", Variant(fresh=False)),
    "flat": Row("no hierarchy", Variant(hierarchy=False)),
    "all": Row("everything, but A = 1 when measured", Variant(attention="everywhere"), of="full"),
    "untrained": Row("untrained networks", trained=False),
    "dan": Row("everything", alone=True),
    "dan_again": Row("everything, another seed", seed=SEED + 1, alone=True),
    "dan_one_frame": Row("no temporal window", Variant(one_frame=True), alone=True),
    "dan_no_hints": Row("nothing about landmarks", Variant(blind=("hints", "signs")), alone=True),
    "dan_only_hints": Row(
        "landmarks alone, neither picture nor drawn mesh", Variant(blind=("features", "signs", "mesh")), alone=True
    ),
    "dan_untrained": Row("untrained", trained=False, alone=True),
}


def make(row: Row, folder: Path, stock: Path, device: str) -> dict[str, Array]:
    """Train, if need be, and measure.

    Returns:
        (N,) or (N, 2, 2) of the frames with the person, as ``Measured`` has them; of DAN alone, for each clip, its loss
        and ``spearman`` within a vertex, and (1,) ``rank`` of all together.
    """
    space = pose_space()
    body = BodyMap(space.body, space.skeleton, Hierarchy.load(assets_folder()))
    if row.trained:
        kind, budget = (Alone, ALONE_BUDGET) if row.alone else (Run, BUDGET)
        name = row.of or next(key for key, other in ROWS.items() if other is row)
        run = kind(folder / name, stock, budget, device, ROWS[name].variant, ROWS[name].seed)
        run.go(1e9, budget.refinement + budget.attention)
        nets = run.averaged().cpu()
        nets.variant = row.variant
    else:
        torch.manual_seed(row.seed)
        nets = Networks(body, row.variant)
    windows = Windows(footage_of("validation", stock), space.body, body)
    clips = list(range(1, len(windows), 2))
    with tqdm(total=len(clips), desc=row.name, disable=None) as bar:
        found = measure(nets, space.body.kinematics, windows, clips, lambda: bar.update() and None, not row.alone)
    return _of_uncertainty(found) if row.alone else _of_refinement(found)


def _of_refinement(found: Measured) -> dict[str, Array]:
    kept = {name: getattr(found, name) for name in ("clip", "joints_mm", "confidence", "speed_m_s")}
    return kept | {name: getattr(found, name).mean(1) for name in ("before_mm", "after_mm", "attention")}


def _of_uncertainty(found: Measured) -> dict[str, Array]:
    sigma, error = (values[:, ::VERTEX_STRIDE] for values in (found.sigma_mm, found.after_mm))
    clips = [found.clip == clip for clip in np.unique(found.clip)]
    return {
        "loss": np.array([(error[use] / sigma[use] + np.log(sigma[use])).mean() for use in clips]),
        "spearman": np.array([spearman_within(sigma[use], error[use]) or 0.0 for use in clips]),
        "rank": np.array([spearman_pooled(sigma, error) or 0.0]),
    }


def refinement_table(rows: dict[str, dict[str, Array]]) -> str:
    """Changes in percent, in Markdown; p by Wilcoxon's test over clips against the estimate, corrected for all rows."""
    lines = [
        "| trained and measured with | per vertex | least seen third | fastest third | MPJPE | PA-MPJPE | p | mean A |",
        "|---|---|---|---|---|---|---|---|",
    ]
    p_values = holm([_p(frames) for frames in rows.values()])
    for (key, frames), p in zip(rows.items(), p_values, strict=True):
        changes = [_change(frames["before_mm"][use], frames["after_mm"][use]) for use in thirds(frames).values()]
        changes += [_change(*frames["joints_mm"][:, :, kind].T) for kind in (0, 1)]
        told = [*(f"{value:+.1f} %" for value in changes), f"{p:.2g}", f"{frames['attention'].mean():.2f}"]
        lines.append("| " + " | ".join([ROWS[key].name, *told]) + " |")
    return "\n".join(lines)


def uncertainty_table(rows: dict[str, dict[str, Array]]) -> str:
    """In Markdown; p by Wilcoxon's test of the loss over clips against the first row, corrected for all rows."""
    lines = [
        "| DAN with | loss | Spearman, all together | within a vertex over time | p |",
        "|---|---|---|---|---|",
    ]
    first, *others = rows.values()
    p_values = holm([float(stats.wilcoxon(row["loss"] - first["loss"]).pvalue) for row in others])
    for (key, row), p in zip(rows.items(), [None, *p_values], strict=True):
        told = [f"{row['loss'].mean():.3f}", f"{row['rank'].mean():.3f}", f"{row['spearman'].mean():.3f}"]
        lines.append("| " + " | ".join([ROWS[key].name, *told, "" if p is None else f"{p:.2g}"]) + " |")
    return "\n".join(lines)


def _change(before: Array, after: Array) -> float:
    return 100 * float(after.mean() / before.mean() - 1)


def _p(frames: dict[str, Array]) -> float:
    clips = [frames["clip"] == clip for clip in np.unique(frames["clip"])]
    change = np.array([(frames["after_mm"] - frames["before_mm"])[use].mean() for use in clips])
    return float(stats.wilcoxon(change).pvalue)


PAGE = """# What each part is worth

Rows of a table are trained alike, from the same clips, for a small budget on two processor cores, and measured on the
same {clips} validation clips, those of DAN's model card: drawn here, two in three of them hard. What is refined, and
what the uncertainty is about, is the estimate of the initial network and the fit. Made by
`python -m model.train.refine.ablations`.

## Refinement: change against the estimate

{steps} steps of {frames} frames. p is of Wilcoxon's test over the clips' errors per vertex against the estimate,
corrected for the number of rows (Holm). Thirds are of the frames.

{refinement}

## Uncertainty: DAN alone

{alone_steps} steps of {alone_frames} frames. The loss is the negative log likelihood of the error per vertex; p is of
Wilcoxon's test of it over the clips against the first row, corrected for the number of rows (Holm).

{uncertainty}
"""


def page(rows: dict[str, dict[str, Array]]) -> str:
    """Both tables, and how they were made."""
    refined, alone = ({key: row for key, row in rows.items() if ROWS[key].alone == kind} for kind in (False, True))
    return PAGE.format(
        clips=len(next(iter(alone.values()))["loss"]),
        steps=BUDGET.refinement + BUDGET.attention,
        frames=BUDGET.batch * BUDGET.frames,
        refinement=refinement_table(refined),
        alone_steps=ALONE_BUDGET.refinement,
        alone_frames=EACH * ALONE_BUDGET.batch * ALONE_BUDGET.frames,
        uncertainty=uncertainty_table(alone),
    )


def main() -> None:
    """Make what is missing of the rows named; when all are there, write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), help="which to make; default: all")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "ablations")
    parser.add_argument("--stock", type=Path, default=ROOT / "build" / "refine")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    paths = {key: arguments.out / f"{key}.npz" for key in ROWS}
    for key in arguments.rows:
        if not paths[key].is_file():
            values = make(ROWS[key], arguments.out, arguments.stock, arguments.device)
            with written_whole(paths[key]) as stream:
                np.savez(stream, **values)
    if all(path.is_file() for path in paths.values()):
        rows = {}
        for key, path in paths.items():
            with np.load(path, allow_pickle=False) as archive:
                rows[key] = {name: archive[name] for name in archive.files}
        (ROOT / "docs" / "ablations.md").write_text(page(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
