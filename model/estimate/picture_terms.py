"""What the picture says of a pose: robust reprojection of the landmarks, and BlazePose's relative 3D."""

from __future__ import annotations

import torch
from torch import Tensor

from .equations import Equations, cauchy, cauchy_cost
from .evidence import LEFT_HIP, RIGHT_HIP, STATURE_M, Evidence
from .settings import FitSettings


def ray_weight(evidence: Evidence, settings: FitSettings) -> Tensor:
    """(T, L) inverse standard deviations of the landmarks, in units of focal lengths."""
    size = (evidence.per_metre * STATURE_M)[:, None]
    return (evidence.confidence / (settings.reprojection * size)).clamp(max=1e4)


def add_reprojection(
    equations: Equations,
    evidence: Evidence,
    settings: FitSettings,
    points: Tensor,
    derivative: Tensor,
    lens: int | None,
) -> None:
    """Landmarks where the picture has them.

    Args:
        points: (T, L, 3) camera space. derivative: (T, L, 3, P + G) by the frame's unknowns and the shared ones.
        lens: which shared unknown is the logarithm of the focal length, None if it is known.
    """
    frames, size = equations.right.shape[:2]
    depth = points[..., 2:].clamp(min=0.05)
    ray = points[..., :2] / depth
    moves = (derivative[..., :2, :] - ray[..., None] * derivative[..., 2:, :]) / depth[..., None]
    off = evidence.rays - ray
    if lens is not None:  # what counts is pixels, into which the lens projects
        moves[..., size + lens] += ray
    weight = ray_weight(evidence, settings)
    error = off.norm(dim=-1) * weight
    weight = weight * cauchy(error, settings.reprojection_reach)
    rows = (weight[..., None, None] * moves).reshape(frames, -1, moves.shape[-1])
    target = (weight[..., None] * off).flatten(1)
    cost = cauchy_cost(error, settings.reprojection_reach)
    equations.add([rows[..., :size]], target, rows[..., size:], cost=cost)


def add_relative(
    equations: Equations,
    evidence: Evidence,
    settings: FitSettings,
    points: Tensor,
    derivative: Tensor,
    scale: float,
    depth_only: bool,
) -> None:
    """Landmarks about the hips as BlazePose's 3D has them.

    Args:
        scale: size of the body against that 3D.
        depth_only: weakly, and along the viewing ray alone, for the picture tells the rest better; otherwise all
            of it, as a start.
    """
    frames, size = equations.right.shape[:2]
    hips = (derivative[:, LEFT_HIP] + derivative[:, RIGHT_HIP])[:, None] / 2
    middle = (points[:, LEFT_HIP] + points[:, RIGHT_HIP])[:, None] / 2
    error = scale * evidence.relative_m - (points - middle)
    moves = derivative - hips
    sigma = settings.start_m
    if depth_only:
        sigma = settings.relative_m
        error = torch.einsum("tld,td->tl", error, evidence.direction)[..., None]
        moves = torch.einsum("tldp,td->tlp", moves, evidence.direction)[:, :, None]
    away = error.norm(dim=-1) / sigma
    weight = evidence.confidence.sqrt() / sigma * cauchy(away, settings.relative_reach)
    rows = (weight[..., None, None] * moves).reshape(frames, -1, moves.shape[-1])
    cost = evidence.confidence * cauchy_cost(away, settings.relative_reach)
    equations.add([rows[..., :size]], (weight[..., None] * error).flatten(1), rows[..., size:], cost=cost)
