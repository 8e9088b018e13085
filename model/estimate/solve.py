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
        space: degrees of freedom. evidence: landmarks of T frames, in some of which the person is seen.
        actor_height_m: standing height, None for unknown.
        report: (done, total) in steps of the solver.
    """
    with single_threaded():
        shapes = (
            ShapeSpace(space.body, space, actor_height_m, GIVEN_HEIGHT_SIGMA_M)
            if actor_height_m is not None
            else ShapeSpace(space.body, space)
        )
        clip = _Clip(space, shapes, evidence, settings or FitSettings(), report)
        pose, shape = clip.free()
        rest = shapes.rest(shape)
        attachment, clearance_m = space.attach(rest), _clearance(space, rest)
        points, _ = space.landmarks(attachment, pose.position, pose.orientation, pose.angles)
        # Contacts are judged on feet that nothing has pulled down yet, or they would confirm themselves.
        seen = (points, evidence.time_s, evidence.present)
        fps = _rate(evidence.time_s)
        contacts = contact_probability(*seen, None, clearance_m)
        ground = find_ground(points, contacts, evidence.present, fps, clearance_m)
        contacts = contact_probability(*seen, ground, clearance_m)
        pose = clip.held(pose, shape, Footing(contacts, ground.up, ground.height_m, clearance_m))
        points, _ = space.landmarks(attachment, pose.position, pose.orientation, pose.angles)
        ground = find_ground(points, contacts, evidence.present, fps, clearance_m)
        residual = (points[..., :2] / points[..., 2:].clamp(min=0.05) - evidence.rays).norm(dim=-1)
        residual = residual / (evidence.per_metre * STATURE_M)[:, None]
        return Solution(pose, points, residual, rest, shapes.shape(shape), ground, contacts)


class _Clip:
    """The fits of one clip, stretch by stretch, and how far they are."""

    def __init__(
        self,
        space: PoseSpace,
        shapes: ShapeSpace,
        evidence: Evidence,
        settings: FitSettings,
        report: Callable[[int, int], None],
    ) -> None:
        self._space, self._shapes, self._evidence, self._settings = space, shapes, evidence, settings
        self._report, self._finished = report, 0
        stretches = len(windows(len(evidence.time_s)))
        self._long = stretches > 1
        self._fits = 2 * stretches + self._long

    def free(self) -> tuple[Pose, Tensor]:
        """Poses that nothing but the landmarks holds, and the shape, from where the person is seen best."""
        best = self._fit(clearest(self._evidence))
        pose, shape = self._run(best, best.start(self._shapes.start), self._shapes.start, fit_shape=True)
        if not self._long:
            return pose, shape

        def solve_stretch(part: slice) -> Pose:
            fit = self._fit(part)
            return self._run(fit, fit.start(shape), shape)[0]

        return solve_in_windows(self._evidence, solve_stretch), shape

    def held(self, pose: Pose, shape: Tensor, footing: Footing) -> Pose:
        """Poses, begun at ``pose``, whose feet rest where ``footing`` says."""

        def solve_stretch(part: slice) -> Pose:
            return self._run(self._fit(part, footing.part(part)), pose.part(part), shape)[0]

        return hold(solve_in_windows(self._evidence, solve_stretch), self._evidence)

    def _fit(self, part: slice, footing: Footing | None = None) -> TemporalFit:
        return TemporalFit(self._space, self._shapes, self._evidence.part(part), self._settings, footing)

    def _run(self, fit: TemporalFit, pose: Pose, shape: Tensor, fit_shape: bool = False) -> tuple[Pose, Tensor]:
        steps = self._settings.iterations
        total = self._fits * steps

        def tell(step: int) -> None:
            self._report(min(self._finished * steps + step, total), total)

        result = fit.run(pose, shape, tell, fit_shape)
        self._finished += 1
        return result


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
