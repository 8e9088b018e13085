"""The estimate step by step: from landmarks to a body that moves over the ground."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from model.body.anny import RestBody

from .evidence import STATURE_M, Evidence
from .fit import CONTACT_LANDMARKS, FitSettings, Footing, Pose, TemporalFit
from .pose_space import PoseSpace
from .shape_space import GIVEN_HEIGHT_SIGMA_M, ShapeSpace
from .windows import clearest, hold, solve_in_windows, windows
from .world import Ground, contact_probability, find_ground


@dataclass(frozen=True)
class Solution:
    """A person over T frames, camera space."""

    pose: Pose
    points_m: Tensor
    """(T, L, 3) landmarks."""
    residual: Tensor
    """(T, L) reprojection error in statures."""
    rest: RestBody
    shape: Tensor
    """(P,) of the body model."""
    ground: Ground
    contacts: Tensor
    """(T, 4) of heels and toes."""


@contextmanager
def single_threaded() -> Iterator[None]:
    """The fit's matrices are small: threads only get in each other's way (40 times slower on a busy machine)."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def solve(
    space: PoseSpace,
    evidence: Evidence,
    actor_height_m: float | None,
    report: Callable[[int, int], None],
    settings: FitSettings | None = None,
) -> Solution:
    """Fit shape and poses, find the ground, then hold the feet on it.

    Args:
        space: degrees of freedom. evidence: landmarks of T frames.
        actor_height_m: standing height, None for unknown.
        report: (done, total) in steps of the solver.
    """
    settings = settings or FitSettings()
    with single_threaded():
        shapes = (
            ShapeSpace(space.body, space, actor_height_m, GIVEN_HEIGHT_SIGMA_M)
            if actor_height_m is not None
            else ShapeSpace(space.body, space)
        )
        steps = settings.iterations
        parts = windows(len(evidence.time_s))
        rounds = 2 * len(parts) + (len(parts) > 1)
        finished = 0

        def tell(step: int) -> None:
            report(finished * steps + step, rounds * steps)

        def stretch(part: slice, footing: Footing | None = None) -> TemporalFit:
            return TemporalFit(space, shapes, evidence.part(part), settings, footing and footing.part(part))

        # One shape for all frames, from where the person is seen best.
        best = clearest(evidence)
        first = stretch(best)
        pose, shape = first.run(first.start(shapes.start), shapes.start, tell)
        finished += 1
        if len(parts) > 1:

            def free(part: slice) -> Pose:
                nonlocal finished
                fit = stretch(part)
                result, _ = fit.run(fit.start(shape), shape, tell, fit_shape=False)
                finished += 1
                return result

            pose = solve_in_windows(evidence, free)
        rest = shapes.rest(shape)
        attachment, clearance_m = space.attach(rest), _clearance(space, rest)
        points, _ = space.landmarks(attachment, pose.position, pose.orientation, pose.angles)
        # Contacts are judged on feet that nothing has pulled down yet, or they would confirm themselves.
        clip = (points, evidence.time_s, evidence.present)
        fps = _rate(evidence.time_s)
        contacts = contact_probability(*clip, None, clearance_m)
        ground = find_ground(points, contacts, evidence.present, fps, clearance_m)
        contacts = contact_probability(*clip, ground, clearance_m)
        footing = Footing(contacts, ground.up, ground.height_m, clearance_m)

        def held(part: slice) -> Pose:
            nonlocal finished
            result, _ = stretch(part, footing).run(pose.part(part), shape, tell, fit_shape=False)
            finished += 1
            return result

        pose = hold(solve_in_windows(evidence, held), evidence)
        points, _ = space.landmarks(attachment, pose.position, pose.orientation, pose.angles)
        ground = find_ground(points, contacts, evidence.present, fps, clearance_m)
        residual = (points[..., :2] / points[..., 2:].clamp(min=0.05) - evidence.rays).norm(dim=-1)
        residual = residual / (evidence.per_metre * STATURE_M)[:, None]
        return Solution(pose, points, residual, rest, shapes.shape(shape), ground, contacts)


def _clearance(space: PoseSpace, rest: RestBody) -> Tensor:
    """(4,) heights of the contact landmarks above the soles in the rest pose."""
    attachment = space.attach(rest)
    still = torch.eye(3, dtype=torch.float64)[None]
    zero = torch.zeros((1, len(space.names)), dtype=torch.float64)
    points, _ = space.landmarks(attachment, rest.heads_m.double().cpu()[:1], still, zero)
    return points[0, list(CONTACT_LANDMARKS), 2] - float(rest.vertices_m[:, 2].min())


def _rate(time_s: Tensor) -> float:
    """Median frame rate."""
    return 1.0 / float(time_s.diff().median()) if len(time_s) > 1 else 1.0
