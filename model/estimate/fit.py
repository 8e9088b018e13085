"""The temporal fit: one shape, and a pose per frame, that explain the landmarks of a clip.

A maximum a posteriori estimate by Gauss-Newton over all frames at once, in the manner of SMPLify (Bogo et al., ECCV
2016) with time: robust reprojection, a robust pull to BlazePose's relative 3D, priors on angles and lengths, and
accelerations that stay within what bodies do.  The frames couple only with their neighbours, so the normal equations
are banded and a step costs time linear in the number of frames; the shape is eliminated by its Schur complement.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from model.body.landmarks import Attachment

from .banded import BandedSystem
from .evidence import LEFT_HIP, LEFT_SHOULDER, RIGHT_HIP, RIGHT_SHOULDER, STATURE_M, Evidence
from .pose_space import FIRST_ANGLE, ORIENTATION, POSITION, PoseSpace
from .rotation import matrix_from_rotvec, rotvec_from_matrix
from .shape_space import ShapeSpace, ShapeState


@dataclass(frozen=True)
class FitSettings:
    """Standard deviations of what the fit weighs against each other."""

    reprojection: float = 0.012
    """Of a landmark, in statures."""
    reprojection_reach: float = 2.0
    """In standard deviations, where the Cauchy loss starts to doubt a landmark."""
    relative_m: float = 0.8
    """Of BlazePose's depth about the hips: weak, for it is flat; it says which way a limb points, not how far."""
    start_m: float = 0.12
    """Of BlazePose's relative 3D where the fit begins."""
    relative_reach: float = 1.0
    """In standard deviations, as above."""
    position_acceleration: float = 6.0
    """m/s^2; of the hips."""
    orientation_acceleration: float = 40.0
    """rad/s^2; of the hips."""
    angle_acceleration: float = 40.0
    """rad/s^2 per prior sigma of an angle: what moves far may move fast."""
    acceleration_reach: float = 2.0
    """In standard deviations, where an acceleration is believed to be real rather than noise."""
    position_speed: float = 4.0
    """m/s; weak, keeps gaps from being bridged by a throw."""
    angle_speed: float = 12.0
    """rad/s per prior sigma."""
    contact_speed: float = 0.08
    """m/s; of a heel or toe that rests on the ground."""
    contact_height_m: float = 0.02
    """Of a resting heel or toe over the ground."""
    limit: float = 0.05
    """rad beyond a hinge's limit."""
    shape_frames: float = 3.0
    """What a clip of any length tells of the shape, in independent frames: a detector errs alike in neighbours."""
    iterations: int = 12


@dataclass(frozen=True)
class Pose:
    """T frames in the camera's space: ``position`` (T, 3) metres, ``orientation`` (T, 3, 3), ``angles`` (T, Q)."""

    position: Tensor
    orientation: Tensor
    angles: Tensor

    def part(self, frames: slice) -> Pose:
        """The pose in a stretch of frames."""
        return Pose(self.position[frames], self.orientation[frames], self.angles[frames])

    def moved(self, step: Tensor) -> Pose:
        """The pose after a Gauss-Newton step (T, P)."""
        return Pose(
            self.position + step[:, POSITION],
            matrix_from_rotvec(step[:, ORIENTATION]) @ self.orientation,
            self.angles + step[:, FIRST_ANGLE:],
        )


CONTACT_LANDMARKS = (29, 30, 31, 32)
"""Left and right heel, left and right toe."""


@dataclass(frozen=True)
class Footing:
    """What holds the feet: ``contacts`` (T, 4) probabilities that ``CONTACT_LANDMARKS`` rest on the plane
    ``up . x = height_m`` (camera space, metres); ``clearance_m`` (4,) their heights above the soles."""

    contacts: Tensor
    up: Tensor
    height_m: float
    clearance_m: Tensor

    def part(self, frames: slice) -> Footing:
        """The footing of a stretch of frames."""
        return Footing(self.contacts[frames], self.up, self.height_m, self.clearance_m)


class TemporalFit:
    """Gauss-Newton on one clip.

    Args:
        space, shapes: degrees of freedom of pose and shape.
        evidence: of T frames.
        settings: what to trust.
        footing: where the feet rest and on what, None while unknown.
    """

    def __init__(
        self,
        space: PoseSpace,
        shapes: ShapeSpace,
        evidence: Evidence,
        settings: FitSettings,
        footing: Footing | None = None,
    ) -> None:
        self.space, self.shapes, self.evidence, self.settings = space, shapes, evidence, settings
        self.footing, self._scale = footing, 1.0
        e, s = evidence, settings
        size = (e.per_metre * STATURE_M)[:, None]
        self._ray_weight = (e.confidence / (s.reprojection * size)).clamp(max=1e4)
        self._world_weight = e.confidence.sqrt()
        q = space.sigma
        self._acceleration_sigma = torch.cat(
            [
                torch.full((3,), s.position_acceleration, dtype=torch.float64),
                torch.full((3,), s.orientation_acceleration, dtype=torch.float64),
                s.angle_acceleration * q,
            ]
        )
        self._speed_sigma = torch.cat(
            [
                torch.full((3,), s.position_speed, dtype=torch.float64),
                torch.full((3,), s.angle_speed, dtype=torch.float64),
                s.angle_speed * q,
            ]
        )

    def start(self, shape: Tensor) -> Pose:
        """A pose to begin with: the torso from BlazePose's 3D, then each frame fitted to that 3D on its own."""
        e = self.evidence
        hips, shoulders = (
            (e.relative_m[:, a] - e.relative_m[:, b])
            for a, b in ((LEFT_HIP, RIGHT_HIP), (LEFT_SHOULDER, RIGHT_SHOULDER))
        )
        up = (e.relative_m[:, LEFT_SHOULDER] + e.relative_m[:, RIGHT_SHOULDER]) / 2
        left = hips / hips.norm(dim=-1, keepdim=True).clamp(min=1e-6)
        left = left + 0.5 * shoulders / shoulders.norm(dim=-1, keepdim=True).clamp(min=1e-6)
        up = up / up.norm(dim=-1, keepdim=True).clamp(min=1e-6)
        back = torch.linalg.cross(up, left)
        back = back / back.norm(dim=-1, keepdim=True).clamp(min=1e-6)
        left = torch.linalg.cross(back, up)
        orientation = torch.stack([left, back, up], -1)
        default = torch.tensor(
            [[1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]], dtype=torch.float64
        )  # upright, facing the lens
        usable = e.present & (torch.linalg.det(orientation) > 0.9)
        orientation = torch.where(usable[:, None, None], orientation, default)
        depth = float(self.shapes.rest(shape).height_m) / STATURE_M / e.per_metre.clamp(min=1e-3)
        ray = (e.rays[:, LEFT_HIP] + e.rays[:, RIGHT_HIP]) / 2
        position = torch.cat([ray, torch.ones_like(ray[:, :1])], -1) * depth[:, None]
        angles = self.space.mean.expand(len(ray), -1).clone()
        pose = _bridge(Pose(position, orientation, angles), usable)
        attachment = self.space.attach(self.shapes.rest(shape))
        self._scale = float(self.shapes.rest(shape).height_m) / STATURE_M
        for _ in range(12):
            system, rhs, _ = self._data(pose, attachment, None, reproject=False)
            system.diagonal.diagonal(dim1=1, dim2=2).add_(1e-2)
            step = torch.linalg.solve(system.diagonal, rhs)[..., 0]
            pose = pose.moved(_limited(step))
        return _bridge(pose, usable)

    def run(
        self, pose: Pose, shape: Tensor, report: Callable[[int], None], fit_shape: bool = True
    ) -> tuple[Pose, Tensor]:
        """Iterate from ``pose`` and ``shape`` to convergence or ``settings.iterations``; ``report`` takes the count.

        Returns:
            The pose, and the shape values (Z,).
        """
        damping, total = 1e-3, self.settings.iterations
        person = self.shapes.at(shape)
        for k in range(total):
            report(k)
            attachment = person.attachment
            self._scale = self._relative_scale(pose)
            system, rhs, shape_matrix = self._data(pose, attachment, person if fit_shape else None)
            self._time(pose, system, rhs)
            if self.footing is not None:
                self._feet(self.footing, pose, attachment, system, rhs)
            system.diagonal.diagonal(dim1=1, dim2=2).add_(damping)
            solution = system.solve(rhs)
            if fit_shape:
                assert shape_matrix is not None
                strength = max(1.0, int(self.evidence.present.sum()) / self.settings.shape_frames)
                coupling = rhs[..., 1:]
                left = shape_matrix[:, :-1] + strength * person.matrix
                target = shape_matrix[:, -1] + strength * person.target
                left = left - torch.einsum("tpa,tpb->ab", coupling, solution[..., 1:])
                target = target - torch.einsum("tpa,tp->a", coupling, solution[..., 0])
                change = torch.linalg.solve(left, target).clamp(-0.2, 0.2)
                new_shape = self.shapes.limited(shape + change)
                step = solution[..., 0] - solution[..., 1:] @ (new_shape - shape)
                shape, person = new_shape, self.shapes.at(new_shape)
            else:
                step = solution[..., 0]
            step = _limited(step)
            pose = pose.moved(step)
            if float(step.abs().max()) < 1e-3:
                break
        report(total)
        return pose, shape

    def _relative_scale(self, pose: Pose) -> float:
        """Size of the body against BlazePose's relative 3D, as the pictures of both agree."""
        e = self.evidence
        return float((e.per_metre * pose.position[:, 2])[e.present].median())

    def _data(
        self, pose: Pose, attachment: Attachment, person: ShapeState | None, reproject: bool = True
    ) -> tuple[BandedSystem, Tensor, Tensor | None]:
        """Normal equations of everything that concerns single frames, and the contacts.

        Returns the system, right-hand sides (T, P, 1 + Z) (the second part couples with the shape) and the shape's
        own (Z, Z + 1) equations.
        """
        frames, size = len(pose.position), self.space.size
        columns = len(person.moved) if person else 0
        system = BandedSystem(frames, size)
        rhs = torch.zeros((frames, size, 1 + columns), dtype=torch.float64)
        shape_matrix = torch.zeros((columns, columns + 1), dtype=torch.float64)
        for start in range(0, frames, 256):  # bounds the memory of the derivatives
            part = slice(start, min(start + 256, frames))
            rows, target, by_shape = self._rows(pose, attachment, person, part, reproject)
            system.diagonal[part] += rows.mT @ rows
            rhs[part, :, 0] += (rows.mT @ target[..., None])[..., 0]
            if person:
                rhs[part, :, 1:] += rows.mT @ by_shape
                shape_matrix[:, :-1] += torch.einsum("tra,trb->ab", by_shape, by_shape)
                shape_matrix[:, -1] += torch.einsum("tra,tr->a", by_shape, target)
        precision = self.space.sigma**-2
        diagonal = system.diagonal.diagonal(dim1=1, dim2=2)
        diagonal[:, FIRST_ANGLE:] += precision
        rhs[:, FIRST_ANGLE:, 0] -= precision * (pose.angles - self.space.mean)
        over = (pose.angles - self.space.upper).clamp(min=0) + (pose.angles - self.space.lower).clamp(max=0)
        stiff = torch.where(over != 0, self.settings.limit**-2, 0.0)
        diagonal[:, FIRST_ANGLE:] += stiff
        rhs[:, FIRST_ANGLE:, 0] -= stiff * over
        return system, rhs, shape_matrix if person else None

    def _rows(
        self, pose: Pose, attachment: Attachment, person: ShapeState | None, part: slice, reproject: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Weighted rows (t, R, P), targets (t, R) and shape columns (t, R, Z) of a stretch of frames."""
        e, s = self.evidence, self.settings
        state = (pose.position[part], pose.orientation[part], pose.angles[part])
        points, jacobian = self.space.landmarks(attachment, *state, jacobian=True)
        assert jacobian is not None
        changes = torch.zeros((*points.shape, 0), dtype=torch.float64)
        if person:
            changes = torch.stack(
                [(self.space.landmarks(other, *state)[0] - points) / person.step for other in person.moved], -1
            )
        both = torch.cat([jacobian, changes], -1)  # (t, L, 3, P + Z)
        hips = (both[:, LEFT_HIP] + both[:, RIGHT_HIP])[:, None] / 2
        middle = (points[:, LEFT_HIP] + points[:, RIGHT_HIP])[:, None] / 2
        error = self._scale * e.relative_m[part] - (points - middle)
        moves = both - hips
        sigma = s.start_m
        if reproject:  # the picture tells the rest better
            sigma = s.relative_m
            error = torch.einsum("tld,td->tl", error, e.direction[part])[..., None]
            moves = torch.einsum("tldp,td->tlp", moves, e.direction[part])[:, :, None]
        weight = self._world_weight[part] / sigma
        weight = weight * _cauchy(error.norm(dim=-1) / sigma, s.relative_reach)
        rows = [(weight[..., None, None] * moves).flatten(1, 2)]
        targets = [(weight[..., None] * error).flatten(1)]
        if reproject:
            depth = points[..., 2:].clamp(min=0.05)
            ray = points[..., :2] / depth
            by_pose = (both[..., :2, :] - ray[..., None] * both[..., 2:, :]) / depth[..., None]
            off = e.rays[part] - ray
            weight = self._ray_weight[part]
            weight = weight * _cauchy(off.norm(dim=-1) * weight, s.reprojection_reach)
            rows.append((weight[..., None, None] * by_pose).flatten(1, 2))
            targets.append((weight[..., None] * off).flatten(1))
        all_rows = torch.cat(rows, 1)
        return all_rows[..., : self.space.size], torch.cat(targets, 1), all_rows[..., self.space.size :]

    def _feet(self, footing: Footing, pose: Pose, attachment: Attachment, system: BandedSystem, rhs: Tensor) -> None:
        """Feet that rest stay where they are, on the ground."""
        s, index = self.settings, list(CONTACT_LANDMARKS)
        feet = Attachment(attachment.heads_m, attachment.arms_m[index], attachment.shares[index])
        points, jacobian = self.space.landmarks(feet, pose.position, pose.orientation, pose.angles, jacobian=True)
        assert jacobian is not None
        weight = footing.contacts / s.contact_height_m**2
        error = points @ footing.up - footing.height_m - footing.clearance_m
        weight = weight / (1 + (error / (5 * s.contact_height_m)) ** 2)
        rows = torch.einsum("tldp,d->tlp", jacobian, footing.up)
        system.diagonal += torch.einsum("tl,tlp,tlq->tpq", weight, rows, rows)
        rhs[..., 0] -= torch.einsum("tl,tlp->tp", weight * error, rows)
        if len(points) < 2:
            return
        step_s = self.evidence.time_s.diff().clamp(min=1e-4)
        weight = footing.contacts[1:] * footing.contacts[:-1] / (s.contact_speed * step_s[:, None]) ** 2
        slide = points.diff(dim=0)
        weight = weight / (1 + (slide.norm(dim=-1) / (5 * s.contact_speed * step_s[:, None])) ** 2)
        flat = weight.repeat_interleave(3, 1)
        j = jacobian.flatten(1, 2)  # (T, 12, P)
        after, before = j[1:] * flat[..., None], j[:-1] * flat[..., None]
        system.diagonal[1:] += j[1:].mT @ after
        system.diagonal[:-1] += j[:-1].mT @ before
        system.next_frame -= j[1:].mT @ before
        pull = (flat * slide.flatten(1))[..., None]
        rhs[1:, :, :1] -= j[1:].mT @ pull
        rhs[:-1, :, :1] += j[:-1].mT @ pull

    def _time(self, pose: Pose, system: BandedSystem, rhs: Tensor) -> None:
        """Speeds and accelerations of all unknowns, robust, on uneven frame times."""
        frames = len(pose.position)
        if frames < 2:
            return
        step_s = self.evidence.time_s.diff().clamp(min=1e-4)
        turn = rotvec_from_matrix(pose.orientation[1:] @ pose.orientation[:-1].mT)
        velocity = torch.cat([pose.position.diff(dim=0), turn, pose.angles.diff(dim=0)], 1) / step_s[:, None]
        weight = (self._speed_sigma**-2).expand_as(velocity)
        stencil = torch.stack([-1 / step_s, 1 / step_s], 1)
        _add(system, rhs, stencil, weight, velocity)
        if frames < 3:
            return
        middle = (step_s[1:] + step_s[:-1]) / 2
        acceleration = velocity.diff(dim=0) / middle[:, None]
        ratio = acceleration / self._acceleration_sigma
        weight = (_cauchy(ratio, self.settings.acceleration_reach) / self._acceleration_sigma) ** 2
        before, after = 1 / (step_s[:-1] * middle), 1 / (step_s[1:] * middle)
        _add(system, rhs, torch.stack([before, -before - after, after], 1), weight, acceleration)


def _add(system: BandedSystem, rhs: Tensor, stencil: Tensor, weight: Tensor, value: Tensor) -> None:
    """Squared differences with their current ``value`` into the equations."""
    system.add_stencil(stencil, weight, slice(0, weight.shape[1]))
    count = len(stencil)
    for k in range(stencil.shape[1]):
        rhs[k : k + count, :, 0] -= stencil[:, k, None] * weight * value


def _cauchy(error: Tensor, reach: float) -> Tensor:
    """Square root of the iteratively reweighted least squares weight of the Cauchy loss."""
    return (1.0 + (error / reach) ** 2) ** -0.5


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
