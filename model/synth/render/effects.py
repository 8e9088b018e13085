"""From light to footage: exposure, lens and motion blur, low resolution, noise, compression.

All take N pictures (N, 3, H, W) float32 at once, on any device, with one strength per picture.  Colours are RGB.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_KNEE = 0.8
_QUANTA = (
    (16, 11, 10, 16, 24, 40, 51, 61), (12, 12, 14, 19, 26, 58, 60, 55), (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62), (18, 22, 37, 56, 68, 109, 103, 77), (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101), (72, 92, 95, 98, 112, 100, 103, 99),
)  # fmt: skip
"""Steps of the frequencies of 8 x 8 pixels at quality 50 (ITU-T T.81, table K.1)."""
_YCC = ((0.299, 0.587, 0.114), (-0.1687, -0.3313, 0.5), (0.5, -0.4187, -0.0813))


def develop(light: Tensor, exposure: Tensor) -> Tensor:
    """Linear light times (N,) ``exposure`` to sRGB in 0..1; too much light burns out softly, as cameras do it."""
    value = light.clamp(min=0) * exposure[:, None, None, None]
    over = (value - _KNEE).clamp(min=0)
    value = value.clamp(max=_KNEE) + (1 - _KNEE) * (1 - torch.exp(-over / (1 - _KNEE)))
    return torch.where(value <= 0.0031308, 12.92 * value, 1.055 * value.clamp(min=1e-9) ** (1 / 2.4) - 0.055)


def blur(pictures: Tensor, sigma_px: Tensor, shift_px: Tensor) -> Tensor:
    """A lens out of focus (Gaussian, (N,)) and a smear along (N, 2) pixels."""
    length = shift_px.norm(dim=1)
    half = int(torch.ceil(0.5 * length.max() + 2.5 * sigma_px.max()))
    if half == 0:
        return pictures
    side = torch.arange(-half, half + 1, device=pictures.device, dtype=pictures.dtype)
    y, x = torch.meshgrid(side, side, indexing="ij")
    place = torch.stack([x, y], -1)[None]  # (1, k, k, 2)
    way = (shift_px / length.clamp(min=1e-6)[:, None])[:, None, None]
    along = (place * way).sum(-1)
    reach = 0.5 * length[:, None, None]
    nearest = torch.minimum(torch.maximum(along, -reach), reach)  # the closest point of the segment
    away = ((place - nearest[..., None] * way) ** 2).sum(-1)
    kernel = torch.exp(-away / (2 * sigma_px.clamp(min=0.2)[:, None, None] ** 2))
    kernel = (kernel / kernel.sum((1, 2), keepdim=True)).repeat_interleave(3, 0)[:, None]
    count, _, height, width = pictures.shape
    padded = functional.pad(pictures, (half, half, half, half), mode="replicate").reshape(
        1, 3 * count, *_grown(pictures, half)
    )
    return functional.conv2d(padded, kernel, groups=3 * count).reshape(count, 3, height, width)


def _grown(pictures: Tensor, half: int) -> tuple[int, int]:
    return pictures.shape[2] + 2 * half, pictures.shape[3] + 2 * half


def coarse(pictures: Tensor, factor: Tensor) -> Tensor:
    """As if taken at 1 / (N,) int64 ``factor`` of the resolution and enlarged."""
    out = pictures.clone()
    height, width = pictures.shape[2:]
    for size in factor.unique().tolist():
        if size > 1:
            chosen = factor == size
            small = functional.interpolate(pictures[chosen], (height // size, width // size), mode="area")
            out[chosen] = functional.interpolate(small, (height, width), mode="bilinear", align_corners=False)
    return out


def grain(srgb: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """A sensor's noise of (N,) ``strength``: stronger in the dark, partly shared by neighbouring pixels."""
    noise = torch.randn(srgb.shape, generator=generator, device=srgb.device, dtype=srgb.dtype)
    shared = 2.0 * functional.avg_pool2d(functional.pad(noise, (0, 1, 0, 1), mode="replicate"), 2, 1)
    return srgb + strength[:, None, None, None] * (1.3 - srgb) * (0.6 * noise + 0.4 * shared)


def compress(srgb: Tensor, quality: Tensor) -> Tensor:
    """What a codec leaves of 8 x 8 blocks: frequencies in coarse steps; (N,) ``quality`` 1..100, 100 does nothing."""
    spoilt = quality < 100
    if not bool(spoilt.any()):
        return srgb
    pictures, chosen = srgb[spoilt], quality[spoilt].to(srgb.dtype)
    height, width = pictures.shape[2:]
    ycc = torch.tensor(_YCC, device=srgb.device, dtype=srgb.dtype)
    padded = functional.pad(pictures * 255 - 128, (0, -width % 8, 0, -height % 8), mode="replicate")
    blocks = torch.einsum("cd,ndhw->nchw", ycc, padded).unfold(2, 8, 8).unfold(3, 8, 8)  # (N, 3, h, w, 8, 8)
    wave = _cosines(srgb)
    scale = torch.where(chosen < 50, 5000 / chosen, 200 - 2 * chosen) / 100
    step = (torch.tensor(_QUANTA, device=srgb.device, dtype=srgb.dtype) * scale[:, None, None]).clamp(min=1)
    step = step[:, None] * torch.tensor([1.0, 1.6, 1.6], device=srgb.device)[None, :, None, None]
    step = step[:, :, None, None]
    kept = torch.round(wave @ blocks @ wave.T / step) * step
    restored = (wave.T @ kept @ wave).permute(0, 1, 2, 4, 3, 5).reshape(len(pictures), 3, *padded.shape[2:])
    rgb = torch.einsum("cd,ndhw->nchw", torch.linalg.inv(ycc), restored)[..., :height, :width]
    out = srgb.clone()
    out[spoilt] = ((rgb + 128) / 255).clamp(0, 1)
    return out


def _cosines(like: Tensor) -> Tensor:
    """(8, 8) the orthonormal cosine transform."""
    n = torch.arange(8, device=like.device, dtype=like.dtype)
    wave = torch.cos((2 * n + 1) * n[:, None] * torch.pi / 16) * 0.5
    wave[0] /= 2**0.5
    return wave


def to_bytes(srgb: Tensor) -> Tensor:
    """(N, 3, H, W) in 0..1 to (N, H, W, 3) uint8."""
    return (srgb.clamp(0, 1) * 255 + 0.5).to(torch.uint8).permute(0, 2, 3, 1).contiguous()
