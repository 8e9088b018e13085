"""The initial mesh estimate as a network: from a window of landmarks to pose, shape, place, contacts and doubt.

A light transformer over time.  A frame's landmarks, in the straight view of ``straight_view``, become one token; blocks
of attention over the window's frames (rotary positions in seconds, so that any frame rate is the same to it; Su et al.,
2021), a depthwise convolution over the nearest frames, and a feed-forward layer (a Conformer block; Gulati et al.,
2020) lift them.  The landmarks' places in 3D come first, as corrections of BlazePose's; from them, and what the frame's
token knows, a small network solves for the rotations.  Rotations are given by six numbers (Zhou et al., CVPR 2019),
hinges by the sine and cosine of their one angle.

Then the answer is looked at, a few times: what it misses is seen, and it is corrected (``correction``).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .correction import Correction
from .layers import lengthened, rotary, turned
from .puppet import Puppet
from .straight_view import FEATURES, LANDMARKS, WORLD

CONTACTS, GROUPS = 10, 3
_UPRIGHT = (1.0, 0.0, 0.0, 0.0, 0.0, 1.0)
"""First two columns of the orientation of somebody who stands facing the lens."""
SIGMA = (0.003, 3.0)
"""Bounds of every standard deviation, in its own unit."""


@dataclass(frozen=True)
class InitialSettings:
    """Size of the network."""

    width: int = 256
    depth: int = 6
    heads: int = 4
    kernel: int = 5
    balls: int = 14
    hinges: int = 6
    angles: int = 48
    shape: int = 13
    passes: int = 3
    """Looks at what the answer misses."""
    corrected: int = 512
    """Width of the layers that correct it."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class InitialOutput:
    """What the network says of B windows of T frames, in the axes of the straight view."""

    balls: Tensor
    """(B, T, J, 3, 3) local rotation of each bone of each ball joint (its bones share the turn evenly)."""
    orientation: Tensor
    """(B, T, 3, 3) of the hips."""
    hinges: Tensor
    """(B, T, H, 2) cosine and sine of the hinges' angles."""
    place: Tensor
    """(B, T, 3) of the hips' bone: right and down of the straight view's axis in metres of BlazePose's 3D, and the
    logarithm of depth times ``per_metre``."""
    up: Tensor
    """(B, T, 3) unit vector against gravity."""
    contacts: Tensor
    """(B, T, C) log odds that a point rests on the ground."""
    exchanged: Tensor
    """(B, T, G) log odds that left and right of a group are exchanged."""
    angle_sigma: Tensor
    """(B, T, Q) radians, of the pose space's angles."""
    orientation_sigma: Tensor
    """(B, T, 3) radians, of the hips, about the straight view's axes."""
    landmarks_m: Tensor
    """(B, T, L, 3) about the hips, in metres of a body of 1.7 m: BlazePose's 3D as far as it is kept, corrected."""
    landmark_sigma_m: Tensor
    """(B, T, L) of ``landmarks_m``."""
    place_sigma: Tensor
    """(B, T, 2) metres across and logarithm of depth."""
    shape: Tensor
    """(B, T, P) the person's shape as each frame tells it, standardised."""
    stature: Tensor
    """(B, T, 2) logarithm of the standing height in units of 1.7 m, and its standard deviation."""
    seen_sigma_m: Tensor
    """(B, T, L) by how much the detector's landmarks are off in the picture, in metres of a body of 1.7 m."""
    say: Tensor
    """(B, T) how much each frame counts for shape and stature (logit)."""


class Block(nn.Module):
    """Attention over the frames, a convolution over the nearest ones, a feed-forward layer; each beside a shortcut."""

    def __init__(self, width: int, heads: int, kernel: int) -> None:
        super().__init__()
        self._heads = heads
        self.before_attention, self.before_mix, self.before_feed = (nn.LayerNorm(width) for _ in range(3))
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mix = nn.Conv1d(width, width, kernel, groups=width)
        self.mixed = nn.Linear(width, width)
        self.feed = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        batch, frames, width = x.shape
        q, k, v = self.qkv(self.before_attention(x)).reshape(batch, frames, 3, self._heads, -1).permute(2, 0, 3, 1, 4)
        q, k = turned(q, cosine, sine), turned(k, cosine, sine)
        seen = functional.scaled_dot_product_attention(q, k, v)
        x = x + self.out(seen.transpose(1, 2).reshape(batch, frames, width))
        near = self.mix(lengthened(self.before_mix(x), self.mix.kernel_size[0]).transpose(1, 2)).transpose(1, 2)
        x = x + self.mixed(functional.gelu(near))
        return x + self.feed(self.before_feed(x))


class InitialNet(nn.Module):
    """From features (B, T, FEATURES) to raw numbers (B, T, ``outputs``), which :meth:`read` names.

    Args:
        puppet: what its poses are tried on; needed for ``passes``.
    """

    def __init__(self, settings: InitialSettings | None = None, puppet: Puppet | None = None) -> None:
        super().__init__()
        self.settings = s = settings or InitialSettings()
        self._sizes = (
            6 * s.balls, 6, 2 * s.hinges, 3, 3, CONTACTS, GROUPS, s.angles, 3, LANDMARKS, 2, s.shape, 2, 1, LANDMARKS,
            3 * LANDMARKS,
        )  # fmt: skip
        self.outputs = sum(self._sizes)
        self.embed = nn.Sequential(nn.Linear(FEATURES, 2 * s.width), nn.GELU(), nn.Linear(2 * s.width, s.width))
        self.blocks = nn.ModuleList(Block(s.width, s.heads, s.kernel) for _ in range(s.depth))
        self.last = nn.LayerNorm(s.width)
        self._turns = 6 * s.balls + 6 + 2 * s.hinges
        self.points, self.keep = nn.Linear(s.width, 3 * LANDMARKS), nn.Linear(s.width, LANDMARKS)
        self.head = nn.Linear(s.width, self.outputs - 3 * LANDMARKS)
        solved = nn.Linear(2 * s.width, self._turns)
        first, second = nn.Linear(s.width + 3 * LANDMARKS, 2 * s.width), nn.Linear(2 * s.width, 2 * s.width)
        self.solve = nn.Sequential(first, nn.GELU(), second, nn.GELU(), solved)
        if s.passes:
            if puppet is None:
                raise ValueError("what is missed can only be seen on a puppet")
            self.again = Correction(puppet, s.width, s.balls, s.hinges, self.outputs, s.corrected, s.kernel)
        with torch.no_grad():
            self.head.weight.mul_(0.2)
            for layer in (self.points, solved):
                layer.weight.mul_(0.1)
                layer.bias.zero_()
            flat = torch.tensor([1.0, 0, 0, 0, 1.0, 0]).repeat(s.balls)
            hinge = torch.tensor([1.0, 0.0]).repeat(s.hinges)
            start = [flat, torch.tensor(_UPRIGHT), hinge, torch.zeros(3), torch.tensor([0.0, -1.0, 0.0])]
            bias = torch.cat(start)
            self.head.bias.zero_()
            self.head.bias[: len(bias)] = bias

    def forward(self, features: Tensor, time_s: Tensor) -> Tensor:
        """(B, T, FEATURES) and (B, T) seconds to (B, T, outputs)."""
        cosine, sine = rotary(time_s, self.settings.width // self.settings.heads // 2)
        x = self.embed(features)
        for block in self.blocks:
            x = block(x, cosine.to(x.dtype), sine.to(x.dtype))
        known = self.last(x)
        told = features[..., WORLD].unflatten(-1, (-1, 3)) * torch.sigmoid(self.keep(known))[..., None]
        points = told.flatten(-2) + self.points(known)
        raw = self.head(known)
        # Rotations follow from where the landmarks are: inverse kinematics, learned.
        turns = raw[..., : self._turns] + self.solve(torch.cat([known, points.to(known.dtype)], -1))
        raw = torch.cat([turns.float(), raw[..., self._turns :].float(), points.float()], -1)
        for _ in range(self.settings.passes):
            raw = self.again(known.float(), raw, self.read(raw), features)
        return raw

    def read(self, raw: Tensor) -> InitialOutput:
        """Names and units for the raw numbers."""
        (
            balls, orientation, hinges, place, up, contacts, exchanged, angles, about, landmarks, place_sigma, shape,
            stature, say, seen, points,
        ) = raw.float().split(self._sizes, -1)  # fmt: skip
        return InitialOutput(
            balls=rotation_of(balls.unflatten(-1, (-1, 6))),
            orientation=rotation_of(orientation),
            hinges=functional.normalize(hinges.unflatten(-1, (-1, 2)), dim=-1),
            place=place,
            up=functional.normalize(up, dim=-1),
            contacts=contacts,
            exchanged=exchanged,
            angle_sigma=_sigma(angles, 0.2),
            orientation_sigma=_sigma(about, 0.2),
            landmarks_m=points.unflatten(-1, (-1, 3)),
            landmark_sigma_m=_sigma(landmarks, 0.1),
            place_sigma=_sigma(place_sigma, 0.1),
            shape=shape,
            stature=torch.stack([stature[..., 0], _sigma(stature[..., 1], 0.1)], -1),
            say=say[..., 0],
            seen_sigma_m=_sigma(seen, 0.03),
        )


def rotation_of(six: Tensor) -> Tensor:
    """(..., 6) to (..., 3, 3): Gram-Schmidt of the first two columns (Zhou et al., CVPR 2019, eq. 15)."""
    first = functional.normalize(six[..., :3], dim=-1)
    second = functional.normalize(six[..., 3:] - (first * six[..., 3:]).sum(-1, keepdim=True) * first, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], -1)


def _sigma(raw: Tensor, usual: float) -> Tensor:
    return (usual * raw.clamp(-8, 8).exp()).clamp(*SIGMA)
