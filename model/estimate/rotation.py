"""Rotation vectors in torch, with the derivative that Gauss-Newton needs (Sola et al., "A micro Lie theory", 2018)."""

from __future__ import annotations

import torch
from torch import Tensor


def cross_matrix(v: Tensor) -> Tensor:
    """(..., 3) to (..., 3, 3) with ``cross_matrix(v) @ x == cross(v, x)``."""
    x, y, z = v.unbind(-1)
    o = torch.zeros_like(x)
    return torch.stack([o, -z, y, z, o, -x, -y, x, o], -1).reshape(*v.shape[:-1], 3, 3)


def _coefficients(v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """sin(a)/a, (1-cos a)/a^2 and (a-sin a)/a^3 with their limits at 0; each (..., 1, 1)."""
    angle = v.norm(dim=-1)[..., None, None]
    small = angle < 1e-4
    a = torch.where(small, torch.ones_like(angle), angle)
    square = angle * angle
    sinc = torch.where(small, 1 - square / 6, torch.sin(a) / a)
    cosc = torch.where(small, 0.5 - square / 24, (1 - torch.cos(a)) / (a * a))
    rest = torch.where(small, 1 / 6 - square / 120, (a - torch.sin(a)) / a**3)
    return sinc, cosc, rest


def matrix_from_rotvec(v: Tensor) -> Tensor:
    """Exponential map: (..., 3) radians to (..., 3, 3) (Rodrigues)."""
    k = cross_matrix(v)
    sinc, cosc, _ = _coefficients(v)
    return torch.eye(3, dtype=v.dtype, device=v.device) + sinc * k + cosc * (k @ k)


def left_jacobian(v: Tensor) -> Tensor:
    """(..., 3, 3) J with exp(v + dv) = exp(J dv) exp(v) to first order."""
    k = cross_matrix(v)
    _, cosc, rest = _coefficients(v)
    return torch.eye(3, dtype=v.dtype, device=v.device) + cosc * k + rest * (k @ k)


def rotvec_from_matrix(m: Tensor) -> Tensor:
    """Logarithm: (..., 3, 3) to (..., 3) radians, angle in 0..pi."""
    vee = torch.stack([m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]], -1)
    cosine = ((m.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2).clamp(-1.0, 1.0)
    sine = vee.norm(dim=-1) / 2
    angle = torch.atan2(sine, cosine)
    scale = torch.where(sine > 1e-7, angle / (2 * sine.clamp(min=1e-12)), torch.full_like(sine, 0.5))
    near_pi = (cosine < -0.999999)[..., None]
    # At a half turn the antisymmetric part vanishes; the axis is the largest column of m + 1.
    columns = m + torch.eye(3, dtype=m.dtype, device=m.device)
    best = columns.norm(dim=-2).argmax(-1)
    axis = torch.gather(columns, -1, best[..., None, None].expand(*best.shape, 3, 1))[..., 0]
    axis = axis / axis.norm(dim=-1, keepdim=True).clamp(min=1e-12)
    return torch.where(near_pi, axis * angle[..., None], vee * scale[..., None])


def nearest_rotation(mean: Tensor) -> Tensor:
    """(..., 3, 3) means of rotations that are near each other to the rotation nearest to them."""
    u, _, vh = torch.linalg.svd(mean)
    flip = torch.ones_like(mean[..., 0])
    flip[..., 2] = torch.linalg.det(u @ vh)
    return (u * flip[..., None, :]) @ vh
