"""From a run to what is shipped: ``python -m model.train.initial.publish``: weights, model card, curves.

The card's figures are of validation clips: other people, motions and poses than those trained on, seen by the real
detector.  The report (``python -m model evaluate``) measures on the test split.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from amr_blender.contract.job import Job
from model.estimate import Plan, estimate
from model.estimate.learned import FILE, InitialEstimate
from model.estimate.take_builder import JOINT12_LANDMARKS
from model.evaluate.charts import time_chart
from model.evaluate.metrics import mpjpe_mm, pa_mpjpe_mm
from model.evaluate.motion import Motion
from model.networks.weights import read_weights
from model.paths import WEIGHTS
from model.video import VideoInfo

from ..curves import in_lines, read_columns
from .data import CHUNK, FRAMES, PEOPLE, pose_space
from .detected import FRAMES as SEEN_FRAMES
from .detected import Detected, clips_of
from .run import BUDGETS, HELD, SEED

ROOT = Path(__file__).resolve().parents[3]
Found = dict[str, tuple[float, float]]
"""By method: MPJPE and PA-MPJPE, mm."""
TITLES = {
    "validation": "Validation on {} clips seen by the real detector",
    "validation_plain": "And on {} plain ones: people on their feet, whole, in good light",
}
"""By the part of the clips."""
COLOURS = {"training, with noise": "#b0b0b0", "validation, with noise": "#2a6fbb", "validation, detected": "#c0392b"}


def plans(trained: InitialEstimate) -> dict[str, Plan]:
    """What is measured on detected clips."""
    untrained = trained.untrained(SEED)
    return {
        "fit": Plan(network=False, fit=True),
        "network": Plan(True, False, trained),
        "network+fit": Plan(True, True, trained),
        "network, untrained": Plan(True, False, untrained),
        "network+fit, untrained": Plan(True, True, untrained),
    }


def measure(
    clips: list[Detected], chosen: dict[str, Plan], report: Callable[[], None]
) -> dict[str, tuple[float, float]]:
    """Mean MPJPE and PA-MPJPE over clips, mm, camera and height unknown."""
    body, found = pose_space().body, Found()
    for name, plan in chosen.items():
        values = []
        for clip in clips:
            width, height = clip.landmarks.size_px
            fps = float(clip.play.fps[0])
            info = VideoInfo("clip", width, height, fps, SEEN_FRAMES, 0, "", None)
            take = estimate(clip.landmarks, body, info, Job("clip", "take"), lambda *_: None, plan=plan)
            joints = clip.play.points_cam_m[0][:, JOINT12_LANDMARKS].astype(float)
            truth, motion = Motion(fps, joints), Motion(fps, take.joints12_cam_m.astype(float))
            values.append([metric(truth, motion).value() for metric in (mpjpe_mm, pa_mpjpe_mm)])
            report()
        mean = np.mean(values, 0)
        found[name] = (float(mean[0]), float(mean[1]))
    return found


def plot(columns: dict[str, list[float]]) -> str:
    """The losses over the steps, as SVG."""
    names = ("train loss", "held loss", "held seen loss")
    empty = [float("nan")] * len(columns["step"])
    lines = {label: np.array(columns.get(name, empty)) for label, name in zip(COLOURS, names, strict=True)}
    return time_chart("Loss of the initial network over the steps", np.array(columns["step"]), lines, COLOURS, "")


def how_chosen(columns: dict[str, list[float]], at: int) -> str:
    """Whether the weights of the look ``at`` are those of the lowest loss on clips that the real detector has seen."""
    losses = np.mean([columns[f"held {part} loss"] for part in HELD if f"held {part} loss" in columns], 0)
    lowest = int(np.nanargmin(losses))
    if lowest == at:
        return "The loss on validation clips seen\n  by the real detector was lowest there."
    return (
        "They were chosen by hand: the loss\n  on validation clips seen by the real detector was lowest at step "
        f"{int(columns['step'][lowest])}."
    )


def card(
    about: dict[str, object],
    columns: dict[str, list[float]],
    found: dict[str, tuple[int, Found]],
    hardware: str,
    remarks: str,
) -> str:
    """The model card; ``found``: by part, how many clips, and what was found; ``remarks``: particulars of the run."""
    budget, at = BUDGETS["small"], columns["step"].index(float(str(about["step"])))
    last = {name: values[at] for name, values in columns.items()}
    tables = "\n".join(table(TITLES[part].format(count), values) for part, (count, values) in found.items())
    return f"""# Initial network

From landmarks to a body in one pass: `model/networks/initial.py`, a transformer over time, in half precision.
`model/estimate/learned.py` reads it.

- **Settings**: {about["settings"]}
- **Use**: where the fit of `model/estimate` begins, what it is told beside the picture, and drafts as they are.
- **Trained by** `python -m model train initial` (seed {SEED}): {int(columns["step"][-1])} of {budget.steps} steps, on
  {hardware}. Published: the averaged weights of step {about["step"]}. {how_chosen(columns, at)}{remarks}
- **Data, all made here**: {budget.chunks * CHUNK} plays of {FRAMES} frames (`model/synth/landmarks`): motion capture
  and drawn poses on {PEOPLE} Anny bodies of all ages before still cameras, with a noise model drawn anew at every step;
  and plays that are drawn and seen by the real detector (`model/train/initial/detected.py`). No photograph.
- **Split**: CMU subjects 03 and 13 and hand-made test motion are never trained on (`model/synth/splits.json`). Every
  tenth motion, drawn pose and body of the train split is for validation.
- **Licence**: GPL-3.0-or-later, as the project. The data used in this project was obtained from mocap.cs.cmu.edu. The
  database was created with funding from NSF EIA-0196217.
- **Limits**: still cameras; one detector's landmarks; feet and hands only as far as five landmarks each tell; nobody
  with missing limbs or aids; standing heights are guessed to within {last["held stature_percent"]:.0f} % on average.

## Validation with the noise model

{FRAMES} frames; curves: `docs/images/initial.svg`.

| | |
|---|---|
| landmarks about the hips, true body in the network's pose | {last["held points_mm"]:.1f} mm |
| depth | {last["held depth_percent"]:.1f} % |
| vertical | {last["held up_deg"]:.1f} degrees |
| standing height | {last["held stature_percent"]:.1f} % |

{tables}"""


def table(title: str, found: Found) -> str:
    """A section of the card."""
    rows = "\n".join(f"| {name} | {mpjpe:.1f} | {pa:.1f} |" for name, (mpjpe, pa) in found.items())
    return f"""## {title}, camera and height unknown

| estimate | MPJPE, mm | PA-MPJPE, mm |
|---|---|---|
{rows}
"""


def main() -> None:
    """Measure, write, copy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=ROOT / "build" / "initial")
    parser.add_argument("--pools", type=Path, default=ROOT / "build", help="where the detected clips' folders are")
    parser.add_argument("--hardware", default="two processor cores")
    parser.add_argument("--remarks", default="", help="what is particular to the run, for the card")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    trained = InitialEstimate.load(arguments.run / FILE, pose_space())
    clips = {part: [Detected.load(path) for path in clips_of(part, arguments.pools)] for part in HELD.values()}
    chosen = plans(trained)
    with tqdm(total=len(chosen) * sum(map(len, clips.values())), desc="validation", disable=None) as bar:
        found = {
            part: (len(some), measure(some, chosen, lambda: bar.update() and None)) for part, some in clips.items()
        }
    columns, (_, about) = read_columns(arguments.run / "curve.csv"), read_weights(arguments.run / FILE)
    shutil.copyfile(arguments.run / FILE, WEIGHTS / FILE)
    text = card(about, columns, found, arguments.hardware, in_lines(arguments.remarks))
    (WEIGHTS / FILE).with_suffix(".md").write_text(text, encoding="utf-8")
    (ROOT / "docs" / "images" / "initial.svg").write_text(plot(columns), encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
