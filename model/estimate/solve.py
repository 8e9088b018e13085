"""The estimate step by step: from landmarks to a body that moves over the ground."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from model.body.anny import RestBody

from .confidence import ERROR_PER_SIGMA, landmark_sigma_m
from .contacts import contact_probability, flight_probability
from .evidence import STATURE_M, Evidence
from .fit import Problem, Shared, TemporalFit
from .grounding import lifted, settled
from .learned import Learned
from .pose_space import Pose
from .support_terms import Footing
from .windows import clearest, hold, joined, solve_in_windows, windows
from .world import Ground, body_up, find_ground

UNKNOWN_M = 1.0
ROUNDS = 4
"""How often contacts and ground are judged anew while the feet are held."""


@dataclass(frozen=True)
class Solution:
    """A person over T frames, camera space."""

    pose: Pose
    filled: Tensor
    """(T,) not seen, but bridged from both sides."""
    points_m: Tensor
    """(T, N, 3) landmarks, then the body's other points."""
    sigma_m: Tensor
    """(T, L) standard deviations of the landmarks about the hips, as the fit's equations have them."""
    residual: Tensor
    """(T, L) reprojection error in statures."""
    rest: RestBody
    shape: Tensor
    """(P,) of the body model."""
    shared: Shared
    footing: Footing


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
    problem: Problem,
    evidence: Evidence,
    report: Callable[[int, int], None],
    learned: Learned | None = None,
    fit: bool = True,
) -> Solution:
    """Fit shape, lens and poses, find the ground, then hold on it what rests.

    Args:
        problem: degrees of freedom and priors. evidence: landmarks of T frames, in some of which the person is seen.
        report: (done, total) in steps of the solver. learned: what the network says of the clip.
        fit: False takes the network at its word.
    """
    if learned is not None:
        evidence = learned.trusted(evidence, problem.settings.reprojection)
    with single_threaded():
        clip = _Clip(problem, evidence, report, learned)
        if learned is not None and not fit:
            clip.believe(learned.pose)
        elif len(windows(len(evidence.time_s))) == 1:
            clip.fit_whole()
        else:
            clip.fit_in_windows()
        return clip.solution()


class _Clip:
    """One clip, stretch by stretch, and how far its fits are."""

    def __init__(
        self, problem: Problem, evidence: Evidence, report: Callable[[int, int], None], learned: Learned | None
    ) -> None:
        self._problem, self._evidence, self._report, self._learned = problem, evidence, report, learned
        self._steps = problem.settings.iterations
        stretches = len(windows(len(evidence.time_s)))
        self._fits, self._finished = 2.0 * stretches + (2.0 if stretches > 1 else 0.0), 0.0
        self._shared = Shared(problem.shapes.start, problem.lens.focal_px, problem.lens.sigma)
        self._fps = 1.0 / float(evidence.time_s.diff().median()) if len(evidence.time_s) > 1 else 1.0

    def fit_whole(self) -> None:
        """Everything at once."""
        self._pose, self._footing = self._stretch(slice(0, len(self._evidence.time_s)))

    def believe(self, pose: Pose) -> None:
        """The network's poses as they are, on the ground that they stand on."""
        self._fits = 0.0
        self._pose = pose
        points = self._points(pose)
        self._footing = self._find_footing(points, points, slice(None))

    def fit_in_windows(self) -> None:
        """Shape and lens from where the person is seen best, the ground from the whole clip, poses by stretches."""
        self._stretch(clearest(self._evidence))

        def free(part: slice) -> Pose:
            fit = self._fit(part)
            return self._run(fit, fit.start(self._shared), self._steps, free=False)

        pose = solve_in_windows(self._evidence, free)
        still = self._points(pose)
        footing = self._find_footing(still, still, slice(None))

        def held(part: slice) -> Pose:
            return self._run(self._fit(part, footing.part(part)), pose.part(part), self._steps, free=False)

        self._pose = solve_in_windows(self._evidence, held)
        ground = Ground(footing.up, footing.height_m)
        self._footing = self._rests(self._points(self._pose), still, slice(None), ground)

    def solution(self) -> Solution:
        """What was found; nothing sinks, and long gaps are still."""
        shared, shapes = self._shared, self._problem.shapes
        fitted = self._fits > 0
        sigma = joined(self._evidence, self._sigma_m) if fitted else self._learned_sigma_m()
        rest = shapes.rest(shared.shape)
        pose, filled = hold(self._pose, self._evidence)
        space, time_s = self._problem.space, self._evidence.time_s
        footing = settled(space, rest, pose, self._footing, self._evidence.present)
        pose = lifted(space, rest, pose, footing, time_s)
        points, evidence = self._points(pose), self._evidence.at(shared.focal_px)
        seen = points[:, : evidence.rays.shape[1]]
        residual = (seen[..., :2] / seen[..., 2:].clamp(min=0.05) - evidence.rays).norm(dim=-1)
        residual = residual / (evidence.per_metre * STATURE_M)[:, None]
        shape = shapes.shape(shared.shape)
        return Solution(pose, filled, points, sigma, residual, rest, shape, shared, footing)

    def _sigma_m(self, part: slice) -> Tensor:
        """(t, L) of a stretch; where nobody is seen nothing is known."""
        if not bool(self._evidence.present[part].any()):
            return torch.full(self._evidence.rays[part].shape[:2], UNKNOWN_M, dtype=torch.float64)
        return landmark_sigma_m(self._fit(part, self._footing.part(part)), self._pose.part(part), self._shared)

    def _learned_sigma_m(self) -> Tensor:
        """(T, L) as the network has them, in the fit's measure."""
        assert self._learned is not None
        seen = self._evidence.present[:, None]
        return torch.where(seen, self._learned.landmark_sigma_m / ERROR_PER_SIGMA, UNKNOWN_M)

    def _stretch(self, part: slice) -> tuple[Pose, Footing]:
        """Shape, lens and a stretch's poses: held by nothing, then alternately with what its contacts say."""
        fit = self._fit(part)
        pose = self._run(fit, fit.start(self._shared), self._steps)
        still = self._points(pose)
        footing = self._find_footing(still, still, part)
        for _ in range(ROUNDS):
            pose = self._round(self._fit(part, footing), pose)
            footing = self._find_footing(self._points(pose), still, part, footing.up)
        return pose, footing

    def _find_footing(self, points: Tensor, still: Tensor, part: slice, up: Tensor | None = None) -> Footing:
        """Ground and contacts from each other, beginning with ``up`` or, without it, with the network's or the body's
        own."""
        present, learned = self._evidence.present[part], None if self._learned is None else self._learned.up
        if up is None:
            up = body_up(points, present) if learned is None else learned
        ground: Ground | None = None
        for _ in range(2):
            _, grounded = self._contacts(points, still, part, up, ground.height_m if ground else None)
            ground = find_ground(points, grounded, present, self._fps, up, learned, self._problem.scene)
            up = ground.up
        assert ground is not None
        return self._rests(points, still, part, ground)

    def _rests(self, points: Tensor, still: Tensor, part: slice, ground: Ground) -> Footing:
        """What rests on a known ground."""
        up, height_m = ground.up, ground.height_m
        contacts, grounded = self._contacts(points, still, part, up, height_m)
        flight = flight_probability(points, contacts, up, height_m) * self._evidence.present[part]
        return Footing(contacts, grounded, flight, up, height_m)

    def _contacts(
        self, points: Tensor, still: Tensor, part: slice, up: Tensor, height_m: float | None
    ) -> tuple[Tensor, Tensor]:
        learned = None if self._learned is None else self._learned.contacts[part]
        evidence = self._evidence.part(part)
        return contact_probability(points, still, evidence.time_s, evidence.present, up, height_m, learned)

    def _points(self, pose: Pose) -> Tensor:
        attachment = self._problem.shapes.attachment(self._shared.shape)
        return self._problem.space.landmarks(attachment, pose.position, pose.orientation, pose.angles)[0]

    def _fit(self, part: slice, footing: Footing | None = None) -> TemporalFit:
        learned = None if self._learned is None else self._learned.part(part)
        return TemporalFit(self._problem, self._evidence.part(part), footing, learned)

    def _round(self, fit: TemporalFit, pose: Pose, free: bool = True) -> Pose:
        return self._run(fit, pose, self._steps // ROUNDS, free, 1.0 / ROUNDS)

    def _run(self, fit: TemporalFit, pose: Pose, steps: int, free: bool = True, share: float = 1.0) -> Pose:
        total = round(self._fits * self._steps)

        def tell(step: int) -> None:
            self._report(min(round(self._finished * self._steps) + step, total), total)

        pose, self._shared = fit.run(pose, self._shared, steps, tell, free)
        self._finished += share
        return pose
