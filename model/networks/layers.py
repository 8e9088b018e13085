"""What the attention and the refinement network are both built from."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


def rotary(time_s: Tensor, half: int) -> tuple[Tensor, Tensor]:
    """Rotary positions in seconds since the window's begin, so that any frame rate is the same (Su et al., 2021).

    (B, T) seconds to cosines and sines (B, 1, T, half), for :func:`turned`.
    """
    rate = 30.0 * 1000.0 ** (-torch.arange(half, dtype=torch.float32, device=time_s.device) / half)
    turn = ((time_s - time_s[:, :1])[:, None, :, None] * rate).float()
    return turn.cos(), turn.sin()


def turned(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Pairs of channels turned by an angle that grows with time; x (..., T, 2 half)."""
    a, b = x.chunk(2, -1)
    return torch.cat([a * cosine - b * sine, a * sine + b * cosine], -1)


def lengthened(x: Tensor, kernel: int) -> Tensor:
    """(B, T, C) for a convolution over T with the first and the last frame repeated, so that a clip's ends don't look
    like something that vanishes."""
    more = kernel // 2
    return torch.cat([x[:, :1].expand(-1, more, -1), x, x[:, -1:].expand(-1, more, -1)], 1)


def gathered(table: Tensor, index: Tensor, weight: Tensor) -> Tensor:
    """(R, C) rows, (P, K) int64 which, (P, K) how much: (P, C) weighted sums, without a (P, K, C) in between.

    Gradients go to ``table`` alone.
    """
    if torch.onnx.is_in_onnx_export():
        return (table[index] * weight[..., None]).sum(1)
    return functional.embedding_bag(index, table, per_sample_weights=weight.to(table), mode="sum")


def corners(where: Tensor, picture: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Bilinear sampling as a weighted gather from (N * H * W, C) rows; nothing beyond the rim.

    Args:
        where: (P, 2) x and y, 0..1 over the picture. picture: (P,) int64 which. size: H and W.

    Returns:
        (P, 4) rows and weights.
    """
    height, width = size
    x, y = where[:, 0] * width - 0.5, where[:, 1] * height - 0.5
    left, top = x.floor(), y.floor()
    rows, weights = [], []
    for down in (0, 1):
        for right in (0, 1):
            column, row = left + right, top + down
            share = (1 - (x - column).abs()) * (1 - (y - row).abs())
            inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            weights.append(torch.where(inside, share, torch.zeros_like(share)))
            cell = row.clamp(0, height - 1).to(torch.int64) * width + column.clamp(0, width - 1).to(torch.int64)
            rows.append(picture * (height * width) + cell)
    return torch.stack(rows, 1), torch.stack(weights, 1)


def as_rows(maps: Tensor) -> Tensor:
    """(N, C, H, W) to the (N * H * W, C) rows that :func:`corners` points into."""
    return maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1])


class ResBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut (He et al., 2016), each after a normalisation that knows no batch."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.steps = nn.Sequential(
            nn.GroupNorm(8, channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.GroupNorm(8, channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.steps(x)
        return out


def halving(channels: int, out: int) -> nn.Conv2d:
    """A convolution that halves the sides."""
    return nn.Conv2d(channels, out, 3, stride=2, padding=1)


class SpaceTimeBlock(nn.Module):
    """Attention among the N tokens of a frame, then of each token along the frames (factorised, as in Arnab et al.,
    "ViViT", ICCV 2021), then a feed-forward layer; each beside a shortcut."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self._heads = heads
        self.before_space, self.before_time, self.before_feed = (nn.LayerNorm(width) for _ in range(3))
        self.space, self.space_out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.time, self.time_out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feed = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        """x (B, T, N, width); cosine and sine as :func:`rotary` gives them for half a head's width."""
        q, k, v = self._split(self.space(self.before_space(x)))
        x = x + self.space_out(self._joined(functional.scaled_dot_product_attention(q, k, v)))
        q, k, v = self._split(self.time(self.before_time(x)).transpose(1, 2))  # (B, N, heads, T, width / heads)
        q, k = turned(q, cosine[:, None], sine[:, None]), turned(k, cosine[:, None], sine[:, None])
        x = x + self.time_out(self._joined(functional.scaled_dot_product_attention(q, k, v))).transpose(1, 2)
        return x + self.feed(self.before_feed(x))

    def _split(self, qkv: Tensor) -> tuple[Tensor, ...]:
        """(A, B, S, 3 width) to three (A, B, heads, S, width / heads)."""
        return qkv.unflatten(-1, (3, self._heads, -1)).permute(3, 0, 1, 4, 2, 5).unbind(0)

    def _joined(self, x: Tensor) -> Tensor:
        return x.transpose(2, 3).flatten(3)
