"""The inference core on the command line: ``python -m model COMMAND``.

Exit codes: 0 success, 1 the job failed (one line and a remedy on standard error), 2 wrong usage, 130 cancelled.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from amr_blender.contract.errors import AmrError, VideoError
from amr_blender.contract.failures import describe
from amr_blender.contract.job import DEVICES, QUALITIES, Job
from amr_blender.contract.take import load
from model.bench import bench, default_clip, format_table
from model.console import Bar
from model.pipeline import list_people, reconstruct
from model.video import IMAGE_SUFFIXES

SUCCESS, FAILURE, CANCELLED = 0, 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code.  Wrong usage exits with 2."""
    options = _parser().parse_args(arguments)
    # As the add-on starts the worker; read when torch loads, which happens later.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        options.run(options)
    except KeyboardInterrupt:
        print("cancelled", file=sys.stderr)
        return CANCELLED
    except Exception as error:
        failed = describe(error)
        if not isinstance(error, AmrError):
            traceback.print_exception(error)
        print(f"error: {failed.message} {failed.remedy}", file=sys.stderr)
        return FAILURE
    return SUCCESS


def _reconstruct(options: argparse.Namespace) -> None:
    job = _job(options, "reconstruct", options.out)
    with Bar() as bar:
        take = reconstruct(job, bar.report, bar.warn)
    print(take)


def _people(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        job = _job(options, "people", options.out or Path(scratch))
        with Bar() as bar:
            people = list_people(job, bar.report, bar.warn)
    for person in people:
        picture = f"  {person['thumbnail']}" if options.out else ""
        frames = f"{person['frame_start']} to {person['frame_end'] - 1}"
        print(f"person {person['index']}: fills {person['share']:.1%} of the picture, frames {frames}{picture}")


def _export(options: argparse.Namespace) -> None:
    from model.body.amass import write_amass

    write_amass(load(options.take), options.amass)
    print(options.amass)


def _bench(options: argparse.Namespace) -> None:
    options.video = options.video or default_clip()
    with tempfile.TemporaryDirectory() as scratch:
        job = _job(options, "reconstruct", Path(scratch) / "take.npz")
        with Bar() as bar:
            figures = bench(job, bar.report, bar.warn)
    print(json.dumps(figures, indent=2) if options.json else format_table(figures))


@contextmanager
def _checkout_only(what: str) -> Iterator[None]:
    """Around an import of what an installed copy does not have."""
    try:
        yield
    except ModuleNotFoundError as error:
        message = f"This copy of the program can't {what} (no {error.name})."
        raise AmrError(
            "checkout-needed", message, "Use a checkout, set up by 'python3.11 build_addon.py setup'."
        ) from error


def _evaluate(options: argparse.Namespace) -> None:
    with _checkout_only("evaluate"):
        from model.evaluate import command
    if options.compare:
        if options.suites or options.out:
            options.wrong("--compare takes two reports and nothing else")
        print(command.compare(*options.compare))
        return
    if not options.suites or not options.out:
        options.wrong("name a suite and, with --out, a folder for the report")
    print(
        command.evaluate(
            options.suites, options.out, options.methods, options.quick, options.cache, str(options.assets or "")
        )
    )


def _train(options: argparse.Namespace) -> None:
    with _checkout_only("train"):
        from model.train import command
    print(
        command.train(
            options.network,
            options.out,
            options.budget,
            options.minutes,
            options.device,
            options.workers,
            options.threads,
            options.start,
        )
    )


def _job(options: argparse.Namespace, action: str, out: Path) -> Job:
    video: Path = options.video
    images: tuple[str, ...] = ()
    if video.is_dir():
        images = tuple(sorted(p.name for p in video.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES))
        if not images:
            raise VideoError(
                "video-missing", f"There are no images in {video}.", "Give a folder with an image sequence."
            )
        video = video / images[0]
    given: dict[str, Any] = {
        name: getattr(options, name)
        for name in (
            "image_fps",
            "frame_start",
            "frame_end",
            "person",
            "actor_height_m",
            "focal_px",
            "quality",
            "device",
        )
        if getattr(options, name, None) is not None
    }
    for name in ("cache", "assets", "body_file"):
        path = getattr(options, name, None)
        given[name] = str(path.absolute()) if path else ""
    return Job(str(video), str(out), action, images, **given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m model", description="Footage in, animation out.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("reconstruct", help="write the take of one person in a clip")
    _add_footage(command)
    command.add_argument("--out", type=Path, required=True, metavar="TAKE", help="the take to write (.npz)")
    _add_settings(command)
    command.set_defaults(run=_reconstruct)

    command = commands.add_parser("people", help="list who is in a clip")
    _add_footage(command)
    command.add_argument("--out", type=Path, metavar="FOLDER", help="keep a picture of each person here")
    command.set_defaults(run=_people)

    command = commands.add_parser("export", help="write a take in the format of other programs")
    command.add_argument("take", type=Path, metavar="TAKE", help="made with a body of the SMPL family (--body)")
    command.add_argument("--amass", type=Path, required=True, metavar="OUT", help="the AMASS file to write (.npz)")
    command.set_defaults(run=_export)

    command = commands.add_parser("bench", help="measure frames per second of each stage, peak memory and device")
    _add_footage(command, optional=True)
    _add_settings(command)
    command.add_argument("--json", action="store_true", help="figures as JSON")
    command.set_defaults(run=_bench)

    command = commands.add_parser("evaluate", help="measure methods on clips with truth and write a report")
    command.add_argument("suites", nargs="*", metavar="SUITE", help="balance, synthetic, demo; or NAME=FOLDER")
    command.add_argument("--out", type=Path, metavar="FOLDER", help="where report.html and report.json go")
    command.add_argument("--quick", action="store_true", help="at most a dozen clips of each suite")
    command.add_argument("--methods", nargs="+", metavar="NAME", help="default: truth frozen blazepose initial amr")
    command.add_argument("--cache", type=Path, metavar="FOLDER", help="keep results here; default: build/evaluate")
    command.add_argument("--assets", type=Path, metavar="FOLDER", help="the converted networks and the body")
    command.add_argument(
        "--compare", nargs=2, type=Path, metavar="REPORT", help="instead: what changed from one report.json to another"
    )
    command.set_defaults(run=_evaluate, wrong=command.error)

    command = commands.add_parser("train", help="train a network")
    command.add_argument("network", choices=("initial", "refinement", "attention", "uncertainty"))
    command.add_argument("--out", type=Path, metavar="FOLDER", help="of the run; default: build/NETWORK")
    command.add_argument("--budget", choices=("small", "full"), help="for few cores or a GPU; default: as --device")
    command.add_argument("--minutes", type=float, default=1e9, metavar="N", help="then stop; a next call goes on")
    command.add_argument("--device", choices=("cpu", "cuda"), help="default: cuda where there is one")
    command.add_argument("--workers", type=int, default=2, metavar="N", help="processes that make data")
    command.add_argument("--threads", type=int, default=0, metavar="N", help="of torch; default: its own choice")
    command.add_argument("--start", type=Path, metavar="WEIGHTS", help="of the initial network, to begin with")
    command.set_defaults(run=_train)
    return parser


def _add_footage(command: argparse.ArgumentParser, optional: bool = False) -> None:
    command.add_argument(
        "video",
        type=Path,
        nargs="?" if optional else None,
        metavar="VIDEO",
        help="a movie, an image, or a folder with an image sequence" + ("; default: the test clip" if optional else ""),
    )
    command.add_argument("--image-fps", type=float, metavar="FPS", help="frame rate of an image sequence")
    command.add_argument("--start", type=int, dest="frame_start", metavar="N", help="first frame, from 0")
    command.add_argument("--end", type=int, dest="frame_end", metavar="N", help="one past the last frame")
    command.add_argument("--device", choices=DEVICES, help="what to compute on")
    command.add_argument("--cache", type=Path, metavar="FOLDER", help="reuse and keep results here")
    command.add_argument("--assets", type=Path, metavar="FOLDER", help="the converted networks and the body")


def _add_settings(command: argparse.ArgumentParser) -> None:
    command.add_argument("--person", type=int, metavar="N", help="number from 'people'; default: who fills the clip")
    command.add_argument("--height", type=float, dest="actor_height_m", metavar="METRES", help="the actor's height")
    command.add_argument("--focal", type=float, dest="focal_px", metavar="PIXELS", help="focal length in pixels")
    command.add_argument("--quality", choices=QUALITIES)
    command.add_argument(
        "--body",
        type=Path,
        dest="body_file",
        metavar="FILE",
        help="your own SMPL, SMPL-H or SMPL-X file",
    )


if __name__ == "__main__":
    sys.exit(main())
