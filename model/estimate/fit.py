"""The temporal fit: one shape, one lens and a pose per frame that explain the landmarks of a clip.

A maximum a posteriori estimate by Gauss-Newton over all frames at once, in the manner of SMPLify (Bogo et al., ECCV
2016) with time: robust reprojection, a robust pull to what the initial network says (without one, to BlazePose's
relative 3D and to a pose prior), priors on lengths and lens, joint limits, accelerations that stay within what bodies
do, and what carries the body.  The frames couple only with their neighbours, so a step costs time linear in their
number; what all frames share is eliminated by its Schur complement.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from model.body.landmarks import LANDMARK_NAMES, Attachment

from .equations import Equations
from .evidence import LEFT_HIP, LEFT_SHOULDER, RIGHT_HIP, RIGHT_SHOULDER, STATURE_M, Evidence
from .learned import Learned
from .learned_terms import add_learned
from .lens import LensPrior
from .motion_terms import MotionTerms
from .picture_terms import add_relative, add_reprojection
from .pose_space import FIRST_ANGLE, Pose, PoseSpace
from .prior import PosePrior
from .scene_camera import SceneCamera
from .settings import FitSettings
from .shape_space import ShapeSpace
from .support_terms import CONTACT_POINTS, Footing, add_balance, add_contacts

LANDMARKS = slice(0, len(LANDMARK_NAMES))
_BLOCK = 256
"""Frames at a time whose derivatives are made; bounds the memory."""


@dataclass(frozen=True)
class Shared:
    """What all frames share: ``shape`` (Z,) values of the shape space, and the focal length."""

    shape: Tensor
    focal_px: float
    focal_sigma: float
    """Standard deviation of the focal length's logarithm; 0 where it is known."""


@dataclass(frozen=True)
class Problem:
    """What is known before the clip is seen."""

    space: PoseSpace
    shapes: ShapeSpace
    lens: LensPrior
    prior: PosePrior
    settings: FitSettings
    scene: SceneCamera | None = None
    """What the scene's lines tell; of the focal length the lens knows already."""


class TemporalFit:
    """Gauss-Newton on one stretch of frames.

    Args:
        problem: degrees of freedom and priors.
        evidence: of T frames.
        footing: what carries the body, None while unknown.
        learned: what the network says of the frames.
    """

    def __init__(
        self, problem: Problem, evidence: Evidence, footing: Footing | None = None, learned: Learned | None = None
    ) -> None:
        self._problem, self._space, self._settings = problem, problem.space, problem.settings
        self._evidence, self._footing, self._learned = evidence, footing, learned
        self._motion = MotionTerms(evidence.time_s, problem.space.sigma, problem.settings)

    @property
    def _strength(self) -> float:
        """How much the priors of what is shared count, that frames which err alike do not outvote them."""
        return max(1.0, int(self._evidence.present.sum()) / self._settings.shape_frames)

    def start(self, shared: Shared) -> Pose:
        """A pose to begin with: the torso from BlazePose's 3D, then each frame fitted to that 3D on its own."""
        e = self._evidence = self._evidence.at(shared.focal_px)
        if self._learned is not None:
            return self._learned.pose
        hips, shoulders = (
            (e.relative_m[:, a] - e.relative_m[:, b])
            for a, b in ((LEFT_HIP, RIGHT_HIP), (LEFT_SHOULDER, RIGHT_SHOULDER))
        )
        up = (e.relative_m[:, LEFT_SHOULDER] + e.relative_m[:, RIGHT_SHOULDER]) / 2
        left = _unit(hips) + 0.5 * _unit(shoulders)
        up = _unit(up)
        back = _unit(torch.linalg.cross(up, left))
        left = torch.linalg.cross(back, up)
        orientation = torch.stack([left, back, up], -1)
        default = torch.tensor(
            [[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]], dtype=torch.float64
        )  # upright, facing the lens
        usable = e.present & (torch.linalg.det(orientation) > 0.9)
        orientation = torch.where(usable[:, None, None], orientation, default)
        rest = self._problem.shapes.rest(shared.shape)
        scale = float(rest.height_m) / STATURE_M
        depth = scale / e.per_metre.clamp(min=1e-3)
        ray = (e.rays[:, LEFT_HIP] + e.rays[:, RIGHT_HIP]) / 2
        position = torch.cat([ray, torch.ones_like(ray[:, :1])], -1) * depth[:, None]
        angles = self._space.mean.expand(len(ray), -1).clone()
        pose = _bridge(Pose(position, orientation, angles), usable)
        attachment = self._space.attach(rest)
        for _ in range(12):
            equations = Equations(len(ray), self._space.size, 0)
            points, derivative = self._points(attachment, pose)
            add_relative(
                equations, e, self._settings, points[:, LANDMARKS], derivative[:, LANDMARKS], scale, depth_only=False
            )
            self._add_prior(equations, pose)
            diagonal = equations.system.diagonal
            diagonal.diagonal(dim1=1, dim2=2).add_(1e-2)
            pose = pose.moved(_limited(torch.linalg.solve(diagonal, equations.right)[..., 0]))
        return _bridge(pose, usable)

    def run(
        self, pose: Pose, shared: Shared, iterations: int, report: Callable[[int], None], free: bool = True
    ) -> tuple[Pose, Shared]:
        """Iterate from ``pose`` and ``shared`` to convergence or ``iterations``; ``report`` takes the count.

        Args:
            free: shape and lens are unknowns too.
        """
        for k in range(iterations):
            report(k)
            equations = self.equations(pose, shared, free)
            equations.system.diagonal.diagonal(dim1=1, dim2=2).add_(1e-3)
            solution, reduced = equations.solve()
            step = solution[..., 0]
            if free:
                change = torch.linalg.solve(reduced[:, :-1], reduced[:, -1]).clamp(-0.2, 0.2)
                new = self._moved(shared, change, reduced[:, :-1])
                taken = torch.cat([new.shape - shared.shape, torch.tensor([new.focal_px / shared.focal_px]).log()])
                step = step - solution[..., 1:] @ taken[: solution.shape[2] - 1].double()
                shared = new
            step = _limited(step)
            pose = pose.moved(step)
            if float(step.abs().max()) < 1e-3:
                break
        report(iterations)
        return pose, shared

    def equations(self, pose: Pose, shared: Shared, free: bool) -> Equations:
        """Everything that is known of the stretch, linearised at ``pose`` and ``shared``.

        The shared unknowns are the shape values and, if it is unknown, the logarithm of the focal length.
        """
        problem, e = self._problem, self._evidence.at(shared.focal_px)
        self._evidence = e
        person = problem.shapes.at(shared.shape) if free else None
        attachment = person.attachment if person else problem.shapes.attachment(shared.shape)
        lens = len(shared.shape) if free and not problem.lens.known else None
        count = (len(shared.shape) + (lens is not None)) if free else 0
        points, derivative = self._points(attachment, pose)
        both = derivative
        if person:
            changes = self._space.changes(person.moved, person.attachment, pose.orientation, pose.angles)
            both = torch.cat([derivative, changes / person.step], -1)
            if lens is not None:
                both = torch.cat([both, torch.zeros_like(both[..., :1])], -1)
        equations = Equations(len(points), self._space.size, count)
        seen, moves = points[:, LANDMARKS], both[:, LANDMARKS]
        add_reprojection(equations, e, self._settings, seen, moves, lens)
        if self._learned is None:
            add_relative(equations, e, self._settings, seen, moves, self._relative_scale(pose), depth_only=True)
        else:  # which has seen that 3D, and knows how it errs
            add_learned(equations, self._learned, self._settings, pose)
        self._add_prior(equations, pose)
        footing = self._footing
        self._motion.add(
            equations, pose, None if footing is None else footing.flight, None if footing is None else footing.up
        )
        if footing is not None:
            add_contacts(
                equations,
                footing,
                self._settings,
                e.time_s.diff().clamp(min=1e-4),
                points[:, CONTACT_POINTS],
                derivative[:, CONTACT_POINTS],
            )
            add_balance(equations, footing, self._settings, e.time_s, points, derivative)
        if person:
            strength = self._strength
            size = len(shared.shape)
            equations.shared[:size, :size] += strength * person.matrix
            equations.shared[:size, -1] += strength * person.target
            if lens is not None:
                precision, pull = problem.lens.linearise(shared.focal_px)
                equations.shared[lens, lens] += strength * precision
                equations.shared[lens, -1] += strength * pull
        return equations

    def points(self, pose: Pose, shared: Shared) -> tuple[Tensor, Tensor]:
        """The fit's points (T, N, 3) and their derivatives (T, N, 3, P) by the frame's unknowns."""
        return self._points(self._problem.shapes.attachment(shared.shape), pose)

    def _points(self, attachment: Attachment, pose: Pose) -> tuple[Tensor, Tensor]:
        """The fit's points (T, N, 3) and their derivatives (T, N, 3, P)."""
        frames = len(pose.position)
        if frames <= _BLOCK:
            points, derivative = self._space.landmarks(
                attachment, pose.position, pose.orientation, pose.angles, jacobian=True
            )
            assert derivative is not None
            return points, derivative
        parts = [self._points(attachment, pose.part(slice(s, s + _BLOCK))) for s in range(0, frames, _BLOCK)]
        return torch.cat([p for p, _ in parts]), torch.cat([d for _, d in parts])

    def _add_prior(self, equations: Equations, pose: Pose) -> None:
        """Which poses are likely, and the limits of the angles."""
        prior, s = self._problem.prior, self._settings
        spread = s.learned_spread_strength
        if self._learned is None:  # the network has learned from the same poses, and knows those of its clip
            precision, pull, energy = prior.linearise(pose.angles)
            share, spread = s.prior_strength, s.spread_strength
            equations.add_diagonal(FIRST_ANGLE, share * precision, share * pull, share * energy)
        away, alone = pose.angles - self._space.mean, spread * self._space.sigma**-2
        equations.add_diagonal(FIRST_ANGLE, alone.expand_as(away), -alone * away, 0.5 * alone * away**2)
        over = (pose.angles - prior.upper).clamp(min=0) + (pose.angles - prior.lower).clamp(max=0)
        stiff = torch.where(over != 0, s.limit**-2, 0.0)
        equations.add_diagonal(FIRST_ANGLE, stiff, -stiff * over, 0.5 * stiff * over**2)

    def _relative_scale(self, pose: Pose) -> float:
        """Size of the body against BlazePose's relative 3D, as the pictures of both agree."""
        e = self._evidence
        return float((e.per_metre * pose.position[:, 2])[e.present].median())

    def _moved(self, shared: Shared, change: Tensor, precision: Tensor) -> Shared:
        """``shared`` after a step, whose remaining matrix tells how well the lens is known."""
        shape = self._problem.shapes.limited(shared.shape + change[: len(shared.shape)])
        if len(change) == len(shape):
            return Shared(shape, shared.focal_px, shared.focal_sigma)
        variance = float(torch.linalg.inv(precision)[-1, -1]) * self._strength
        return Shared(shape, shared.focal_px * float(change[-1].exp()), variance**0.5)


def _unit(v: Tensor) -> Tensor:
    return v / v.norm(dim=-1, keepdim=True).clamp(min=1e-6)


def _limited(step: Tensor) -> Tensor:
    """Keep a step within what a linearisation is good for: half a radian, and half a metre of position."""
    largest = step.abs().amax(1, keepdim=True)
    return step * (0.5 / largest.clamp(min=0.5))


def _bridge(pose: Pose, usable: Tensor) -> Pose:
    """Frames that are not usable take the nearest usable frame's pose."""
    index = torch.nonzero(usable)[:, 0]
    if len(index) == 0:
        return pose
    nearest = index[(torch.arange(len(usable))[:, None] - index[None]).abs().argmin(1)]
    return Pose(pose.position[nearest], pose.orientation[nearest], pose.angles[nearest])
