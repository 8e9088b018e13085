"""From landmarks to a body: camera, ground, contacts and the temporal fit."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from amr_blender.contract.errors import PersonError
from amr_blender.contract.job import Job
from amr_blender.contract.take import Take
from amr_blender.contract.version import VERSION
from model.body import AnnyBody
from model.body.body_points import body_points
from model.body.landmarks import LandmarkRegressor
from model.detect.background import Background
from model.detect.landmarks import Landmarks
from model.paths import WEIGHTS
from model.video import VideoInfo

from .camera_turns import CameraTurns, camera_turns
from .evidence import Evidence, gather
from .fit import Problem, Shared
from .grounding import raised
from .learned import FILE as NETWORK_FILE
from .learned import InitialEstimate, Learned
from .lens import LEAST_SIGMA, LensPrior, unknown_lens
from .pose_space import PoseSpace
from .prior import FILE as PRIOR_FILE
from .prior import PosePrior
from .refined import Refine
from .scene_camera import SceneCamera, camera_from_lines
from .settings import FitSettings
from .shape_space import GIVEN_HEIGHT_SIGMA_M, HELD, ShapeSpace, expected_height
from .sides import SideRepair, repair_sides
from .solve import Solution, solve
from .take_builder import build_take

__all__ = ["Plan", "Solved", "estimate", "solved"]

SCENE_LINES = "scene lines"
"""Where the focal length comes from."""


@dataclass(frozen=True)
class Plan:
    """Which parts of the estimate take part."""

    network: bool
    fit: bool
    trained: InitialEstimate | None = None
    """To take in the place of the network that is shipped."""
    refine: bool = False
    """If there is something to refine with."""

    @classmethod
    def of(cls, quality: str) -> Plan:
        """A draft is the network alone; otherwise the fit begins where the network ends, and is refined."""
        return cls(network=True, fit=quality != "draft", refine=quality != "draft")


def estimate(
    landmarks: Landmarks,
    body: AnnyBody,
    info: VideoInfo,
    job: Job,
    report: Callable[[str, int, int], None],
    plan: Plan | None = None,
    refine: Refine | None = None,
    background: Background | None = None,
) -> Take:
    """Fit the body to one person's landmarks.

    Args:
        landmarks: of T frames. body: the body model. info: of the clip. job: height, focal length and settings.
        report: (stage, done, total).
        plan: which parts take part; by default those of the job's quality. refine: what refines, if the plan asks for
            it. background: what it tells of the camera.

    Raises:
        PersonError: the person is in no frame of the range.
    """
    if not landmarks.present.any():
        raise PersonError(
            "person-not-in-range",
            "The person is in no frame of this range.",
            "Choose another person, or trim the strip to where the person is seen.",
        )
    body = body.cpu()
    space = PoseSpace(body, LandmarkRegressor.load(WEIGHTS / "landmark_regressor.npz").joined(body_points(body)))
    plan = plan or Plan.of(job.quality)
    found = solved(landmarks, space, info, job, plan, report, background)
    report("fit", len(landmarks.frames), len(landmarks.frames))
    refined = None
    if plan.refine and refine is not None:
        refined = refine(space, found, lambda done, total: report("refine", done, total))
        solution, time_s = found.solution, found.evidence.time_s
        refined = raised(refined, space, solution.rest, solution.pose, solution.footing, time_s)
    sides, solution, landmarks = found.sides, found.solution, found.sides.landmarks
    width, height = landmarks.size_px
    meta = {
        "amr_version": VERSION,
        "source": {
            "name": info.name,
            "width": width,
            "height": height,
            "fps": info.fps,
            "frame_count": info.frame_count,
            "rotation_deg": info.rotation_deg,
            "sha256": info.sha256,
        },
        "settings": job.settings(),
        "person": {"index": 0, "count": 1},
        "actor_height_m": round(float(solution.rest.height_m), 4),
        "height_source": "assumed" if job.actor_height_m is None else "given",
        "focal_source": found.focal_source,
        "camera": _camera(solution.shared, found.focal_source),
        "body": {"name": "Anny", "licence": "Apache-2.0, CC0-1.0"},
        **sides.meta(),
        "warnings": _warnings(landmarks, sides.exchanged, solution.filled.numpy()),
    }
    if refined is not None:
        meta["refinement"] = refined.spent
    if background is not None:
        meta["camera_motion"] = background.motion.meta()
        warning = background.motion.warning(followed=found.turns is not None)
        meta["warnings"] += [] if warning is None else [warning]
    return build_take(body, space, found.evidence, solution, landmarks, meta, refined, found.turns)


@dataclass(frozen=True)
class Solved:
    """A person in camera space, before anything is made of it."""

    sides: SideRepair
    """The landmarks, left and right as they belong."""
    evidence: Evidence
    """Through the lens that was found."""
    learned: Learned | None
    """What the network said."""
    solution: Solution
    focal_source: str
    turns: CameraTurns | None = None
    """Of a camera that turns; then all but ``sides`` is as a still one sees it."""


def solved(
    landmarks: Landmarks,
    space: PoseSpace,
    info: VideoInfo,
    job: Job,
    plan: Plan,
    report: Callable[[str, int, int], None] = lambda *_: None,
    background: Background | None = None,
) -> Solved:
    """Solve for the body in camera space; arguments as of :func:`estimate`, somebody is present."""
    sides = repair_sides(landmarks)
    scene = turns = None
    if background is not None:
        turns = camera_turns(background.motion, landmarks.frames)
        if background.motion.verdict != "moves" or turns is not None:
            scene = camera_from_lines(background.lines)
    lens, focal_source = _lens(job, info, scene)
    width, height = landmarks.size_px
    steady = sides.landmarks if turns is None else turns.steadied(sides.landmarks, lens.focal_px)
    evidence = gather(steady, lens.focal_px, (width / 2, height / 2))
    learned = None
    if plan.network:
        network = plan.trained or InitialEstimate.load(WEIGHTS / NETWORK_FILE, space)
        # Where nothing follows: told the mean of two opinions, the fit did better on made clips and worse on real ones.
        learned = network(evidence, job.actor_height_m, alone=not plan.fit)
    shapes = _shapes(space.body, space, job.actor_height_m, learned)
    problem = Problem(space, shapes, lens, PosePrior.load(WEIGHTS / PRIOR_FILE, space.names), FitSettings(), scene)
    solution = solve(problem, evidence, lambda done, total: report("fit", done, total), learned, plan.fit)
    return Solved(sides, evidence.at(solution.shared.focal_px), learned, solution, focal_source, turns)


def _shapes(body: AnnyBody, space: PoseSpace, height_m: float | None, learned: Learned | None) -> ShapeSpace:
    """The shapes to choose from: as tall as somebody said or the network guesses, or else an adult."""
    base = None if learned is None else learned.shape
    if height_m is not None:
        return ShapeSpace(body, space, height_m, GIVEN_HEIGHT_SIGMA_M, base)
    if learned is None:
        return ShapeSpace(body, space)
    expected_m, sigma_m = expected_height(learned.stature_m, learned.stature_sigma)
    return ShapeSpace(body, space, expected_m, HELD * sigma_m, base)


def _lens(job: Job, info: VideoInfo, scene: SceneCamera | None) -> tuple[LensPrior, str]:
    if job.focal_px is not None:
        return LensPrior(job.focal_px), "given"
    if info.focal_px is not None:
        return LensPrior(info.focal_px), "metadata"
    if scene is not None and scene.focal is not None:
        return LensPrior(scene.focal * max(info.width, info.height), scene.focal_sigma), SCENE_LINES
    return unknown_lens(info.width, info.height), "estimated"


def _camera(shared: Shared, focal_source: str) -> dict[str, float]:
    """The lens, and in which range it lies in two of three cases."""
    least = 0.0 if focal_source == SCENE_LINES else LEAST_SIGMA
    spread = math.exp(math.hypot(shared.focal_sigma, least)) if shared.focal_sigma else 1.0
    return {
        "focal_px": round(shared.focal_px, 1),
        "focal_low_px": round(shared.focal_px / spread, 1),
        "focal_high_px": round(shared.focal_px * spread, 1),
    }


def _warnings(landmarks: Landmarks, exchanged: NDArray[np.bool_], filled: NDArray[np.bool_]) -> list[dict[str, str]]:
    warnings = []
    missing = int((~landmarks.present).sum())
    if missing:
        bridged = int(filled.sum())
        what = {0: "they are left empty", missing: "they are filled in from the frames around them"}.get(
            bridged, f"{bridged} are filled in from the frames around them, the others left empty"
        )
        message = f"The person is not seen in {missing} of {len(landmarks.present)} frames; {what}."
        warnings.append({"code": "person-missing-frames", "message": message})
    repaired = landmarks.frames[exchanged.any(1)]
    if len(repaired):
        shown = ", ".join(str(frame) for frame in repaired[:8]) + (" ..." if len(repaired) > 8 else "")
        message = (
            f"Left and right were taken for each other in {len(repaired)} frames and put back ({shown}): check them."
        )
        warnings.append({"code": "sides-exchanged", "message": message})
    return warnings
