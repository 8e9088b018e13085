"""The estimate step by step: from landmarks to a body that moves over the ground."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from model.body.anny import RestBody

from .evidence import Evidence
from .fit import CONTACT_LANDMARKS, Fit, FitSettings, Footing, TemporalFit
from .pose_space import PoseSpace
from .shape_space import GIVEN_HEIGHT_SIGMA_M, ShapeSpace
from .world import Ground, contact_probability, find_ground


@dataclass(frozen=True)
class Solution:
    """The fit, the person's rest body, and the ground with (T, 4) contacts of heels and toes."""

    fit: Fit
    rest: RestBody
    shape: Tensor
    """(P,) of the body model."""
    ground: Ground
    contacts: Tensor


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
        free_fit = TemporalFit(space, shapes, evidence, settings)
        free = free_fit.run(free_fit.start(shapes.start), shapes.start, lambda k, _: report(k, 2 * steps))
        rest = shapes.rest(free.shape)
        clearance_m = _clearance(space, rest)
        fps = _rate(evidence.time_s)
        # Contacts are judged on feet that nothing has pulled down yet, or they would confirm themselves.
        clip = (free.points_m, evidence.time_s, evidence.present)
        contacts = contact_probability(*clip, None, clearance_m)
        ground = find_ground(free.points_m, contacts, evidence.present, fps, clearance_m)
        contacts = contact_probability(*clip, ground, clearance_m)
        footing = Footing(contacts, ground.up, ground.height_m, clearance_m)
        held_fit = TemporalFit(space, shapes, evidence, settings, footing)
        held = held_fit.run(free.pose, free.shape, lambda k, _: report(steps + k, 2 * steps), fit_shape=False)
        ground = find_ground(held.points_m, contacts, evidence.present, fps, clearance_m)
        return Solution(held, rest, shapes.shape(held.shape), ground, contacts)


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
