"""Landmarks as BlazePose would have them: the truth with the detector's kinds of mistakes, for many clips at once.

After the noise model of WHAM (Shin et al., CVPR 2024: jitter, rare large peaks that last, a bias per sequence, lost
limbs), with what was measured here on made and real footage: errors are slow rather than white and shared by
neighbouring landmarks, hidden limbs are guessed, depth is too flat, sides are exchanged.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from model.body.landmarks import LANDMARK_NAMES
from model.detect.landmarks import OTHER_SIDE
from model.estimate.evidence import LEFT_HIP, RIGHT_HIP, STATURE_M, ray_rotation
from model.estimate.sides import GROUPS

L = len(LANDMARK_NAMES)
CHAINS = ((11, 13, 15, 17, 19, 21), (12, 14, 16, 18, 20, 22), (23, 25, 27, 29, 31), (24, 26, 28, 30, 32))
"""Arms and legs, from the trunk outwards."""
_CAPSULES = (
    (11, 13, 0.05), (13, 15, 0.04), (12, 14, 0.05), (14, 16, 0.04), (23, 25, 0.075), (25, 27, 0.055),
    (24, 26, 0.075), (26, 28, 0.055), (11, 24, 0.12), (12, 23, 0.12), (7, 8, 0.08),
)  # fmt: skip
"""What hides landmarks: between two of them, with this radius in statures of 1.7 m."""


@dataclass(frozen=True)
class NoiseSettings:
    """Standard deviations are shares of the stature unless said; see ``model/synth/clips/detector_check.py``."""

    bias: float = 0.006
    slow: float = 0.006
    slow_s: tuple[float, float] = (0.15, 0.8)
    white: float = 0.0018
    shared: float = 0.6
    """Of an error's variance: common to landmarks that are near each other on the body."""
    shared_m: float = 0.3
    extremity: float = 1.5
    """How much worse wrists, hands and feet are than the trunk."""
    hidden: float = 6.0
    """How much worse a hidden landmark is."""
    quality: tuple[float, float] = (-0.35, 0.5)
    """Mean and spread of the logarithm of how bad a clip is."""
    blur_s: float = 0.008
    """Error along the motion, in seconds of it."""
    peak_rate: float = 0.2
    """Per second and limb."""
    peak_s: tuple[float, float] = (0.06, 0.5)
    peak: float = 0.1
    guess_share: float = 0.4
    """Of the hidden limbs: seen where the other one is."""
    depth_scale: tuple[float, float] = (0.45, 1.05)
    depth: float = 0.035
    depth_bias: float = 0.025
    flat: float = 0.014
    """Of the 3D across the viewing ray, as ``depth`` in statures; with ``flat_bias``, which lasts the whole clip."""
    flat_bias: float = 0.012
    tilt_deg: float = 5.0
    """Of the whole 3D, about the picture's axes."""
    flip_share: float = 0.03
    """Of the time: a forearm, shin or whole limb points the wrong way in depth."""
    exchanged_share: float = 0.09
    """Of the clips: sides of a group are exchanged for a while."""
    gap_share: float = 0.15
    """Of the clips: nobody is seen for a while."""
    thing_share: float = 0.35
    """Of the clips: something stands before the person."""


@dataclass(frozen=True)
class Sighting:
    """B clips of T frames, as a detector has them; zeros where nobody is present."""

    rays: Tensor
    """(B, T, 33, 2) x/z and y/z through the true lens."""
    visibility: Tensor
    """(B, T, 33)."""
    world_m: Tensor
    """(B, T, 33, 3) about the hips, as if the camera looked straight at them."""
    present: Tensor
    """(B, T) bool."""
    exchanged: Tensor
    """(B, T, 3) bool, groups of ``model.estimate.sides``."""


def lifted_m(points_m: Tensor, stature_m: Tensor) -> Tensor:
    """(B, T, 33, 3) as BlazePose's 3D has them if it is right: about the hips, as if the camera looked straight at
    them, of a body of 1.7 m; ``points_m`` in camera space, ``stature_m`` (B,)."""
    hips = (points_m[:, :, LEFT_HIP] + points_m[:, :, RIGHT_HIP]) / 2
    turn = ray_rotation(hips[..., :2] / hips[..., 2:].clamp(min=0.1))
    about = (points_m - hips[:, :, None]) @ turn  # columns of the rotation are the straight camera's axes
    return about * (STATURE_M / stature_m)[:, None, None, None]


class Detector:
    """Draws sightings; ``settings`` of the noise, ``rest_m`` (33, 3) landmarks of the average body at rest."""

    def __init__(self, settings: NoiseSettings, rest_m: Tensor) -> None:
        self.settings = s = settings
        near = torch.exp(-torch.cdist(rest_m.double(), rest_m.double()) / s.shared_m)
        mixed = s.shared * near + (1 - s.shared) * torch.eye(L, dtype=torch.float64)
        self._mix = torch.linalg.cholesky(mixed + 1e-6 * torch.eye(L)).float()
        worse = torch.ones(L)
        for chain in CHAINS:
            worse[list(chain[2:])] = s.extremity
            worse[chain[1]] = 0.5 * (1 + s.extremity)
        self._worse = worse
        self._steady = torch.ones(L)  # the 3D is about the hips, which are therefore the surest
        self._steady[[LEFT_HIP, RIGHT_HIP]] = 0.4
        limbs = torch.tensor([landmark for chain in CHAINS for landmark in chain[1:]])
        self._usual, self._tells = torch.full((L,), 7.0), torch.full((L,), 1.5)  # log odds of visibility
        self._usual[limbs], self._tells[limbs] = 3.0, 4.5
        self._other = torch.from_numpy(OTHER_SIDE)
        self._groups = [torch.tensor(sum(pairs, [])) for pairs in GROUPS.values()]

    def look(
        self, points_m: Tensor, stature_m: Tensor, fps: Tensor, focal: Tensor, size: Tensor, rng: torch.Generator
    ) -> Sighting:
        """Detect.

        Args:
            points_m: (B, T, 33, 3) true landmarks, camera. stature_m, fps, focal: (B,). size: (B, 2); focal and size
                in longer sides.
        """
        draw = _Draw(rng, points_m.shape[0], points_m.shape[1], fps)
        s = self.settings
        depth = points_m[..., 2:].clamp(min=0.1)
        rays = points_m[..., :2] / depth
        hidden = self._hidden(points_m, rays, stature_m, focal, size, draw)
        bad = torch.exp(s.quality[0] + s.quality[1] * draw.normal(1, 1))
        clip = bad[..., None] * self._worse[:, None]
        worse = clip * (1 + (s.hidden - 1) * hidden[..., None])
        error = s.bias * worse * draw.normal(1, L, 2)
        error = (
            error
            + s.slow * worse * self._mixed(draw.slow(s.slow_s, L, 2))
            + s.white * worse * draw.normal(points_m.shape[1], L, 2)
        )
        metres = stature_m[:, None, None, None]
        speed = torch.zeros_like(rays)
        speed[:, 1:-1] = (rays[:, 2:] - rays[:, :-2]) * (fps / 2)[:, None, None, None]
        seen = rays + error * metres / depth + s.blur_s * speed * draw.normal(points_m.shape[1], L, 1)
        for chain in CHAINS:
            seen[:, :, list(chain)] += self._peaks(draw, chain) * metres / depth[:, :, list(chain)]
        seen = self._guessed(seen, hidden, draw)
        off = (seen - rays) * depth / metres
        world = self._world(points_m, stature_m, off, hidden, bad, draw)
        size_off = off.norm(dim=-1) / 0.05
        told = self._usual - self._tells * (hidden + 0.25 * size_off.clamp(max=3))
        told = told + 0.9 * draw.normal(1, L) + 0.7 * draw.slow(s.slow_s, L)
        visibility = torch.sigmoid(told)
        seen, world, visibility, exchanged = self._exchange(seen, world, visibility, draw)
        present = self._present(hidden, draw)
        mask = present[:, :, None]
        return Sighting(seen * mask[..., None], visibility * mask, world * mask[..., None], present, exchanged)

    def _mixed(self, noise: Tensor) -> Tensor:
        return torch.einsum("kl,btl...->btk...", self._mix, noise)

    def _hidden(
        self, points: Tensor, rays: Tensor, stature: Tensor, focal: Tensor, size: Tensor, draw: _Draw
    ) -> Tensor:
        """(B, T, 33) 0..1: by the body itself, by a thing, or by the picture's edge."""
        ends = torch.tensor([c[:2] for c in _CAPSULES])
        radius = torch.tensor([c[2] for c in _CAPSULES]) * (stature[:, None, None, None] / STATURE_M)
        a, b = points[:, :, ends[:, 0]], points[:, :, ends[:, 1]]  # (B, T, K, 3)
        z = points[..., None, 2:]
        at = rays[:, :, :, None]  # (B, T, 33, 1, 2)
        ra, rb = (p[..., :2] / p[..., 2:].clamp(min=0.1) for p in (a, b))
        along = (rb - ra)[:, :, None]
        share = (((at - ra[:, :, None]) * along).sum(-1) / along.square().sum(-1).clamp(min=1e-8)).clamp(0, 1)
        away = (at - ra[:, :, None] - share[..., None] * along).norm(dim=-1) * z[..., 0].clamp(min=0.1)
        nearer = z[..., 0] - (a[:, :, None, :, 2] + share * (b - a)[:, :, None, :, 2])
        own = torch.zeros(L, len(_CAPSULES), dtype=torch.bool)
        own[ends[:, 0], torch.arange(len(_CAPSULES))] = own[ends[:, 1], torch.arange(len(_CAPSULES))] = True
        body = (torch.sigmoid((radius - away) / 0.015) * torch.sigmoid((nearer - radius - 0.03) / 0.02) * ~own).amax(-1)
        place = rays * focal[:, None, None, None] / size[:, None, None] + 0.5
        outside = torch.sigmoid(((place - 0.5).abs().amax(-1) - 0.5) / 0.01)
        return torch.maximum(torch.maximum(body, outside), self._thing(place, draw))

    def _thing(self, place: Tensor, draw: _Draw) -> Tensor:
        """(B, T, 33) whether something stands before a landmark: a box in the picture, that may come and go."""
        low, high = place.amin((1, 2)), place.amax((1, 2))
        middle = low + (high - low) * draw.uniform(2)
        half = (high - low) * 0.5 * torch.exp(math.log(0.12) + math.log(0.8 / 0.12) * draw.uniform(2))
        drift = (draw.normal(1, 2)[:, 0] * 0.02)[:, None] * torch.linspace(-1, 1, place.shape[1])[None, :, None]
        inside = ((place - middle[:, None, None] - drift[:, :, None]).abs() < half[:, None, None]).all(-1)
        there = (draw.uniform(1) < self.settings.thing_share) & draw.while_(0.7, (0.3, 8.0))
        return (inside & there[..., None]).float()

    def _peaks(self, draw: _Draw, chain: tuple[int, ...]) -> Tensor:
        """(B, T, C, 2) rare large errors of a limb, growing outwards, that last a while."""
        s = self.settings
        seconds = draw.frames / draw.fps
        chance = (1 - torch.exp(-s.peak_rate * seconds))[:, None]
        there = (draw.uniform(1) < chance) & draw.while_(1.0, s.peak_s)
        reach = torch.tensor([0.15, 0.6, 1.0, 1.15, 1.15, 1.1][: len(chain)])
        size = s.peak * torch.exp(0.7 * draw.normal(1, 1, 1))
        wander = draw.normal(1, 1, 2) + 0.2 * draw.normal(draw.frames, 1, 2)
        return there[..., None, None] * size * wander * reach[:, None]

    def _guessed(self, seen: Tensor, hidden: Tensor, draw: _Draw) -> Tensor:
        """Hidden limbs where the other limb is."""
        out = seen.clone()
        for chain in CHAINS:
            outer = list(chain[1:])
            guess = (draw.uniform(1) < self.settings.guess_share).float()[..., None] * hidden[:, :, outer]
            share = (guess * draw.uniform(1)[..., None])[..., None]
            out[:, :, outer] = (1 - share) * seen[:, :, outer] + share * seen[:, :, self._other[outer]]
        return out

    def _world(self, points: Tensor, stature: Tensor, off: Tensor, hidden: Tensor, bad: Tensor, draw: _Draw) -> Tensor:
        """(B, T, 33, 3) BlazePose's 3D."""
        s = self.settings
        rel = lifted_m(points, stature)
        for chain in CHAINS:  # a part of a limb that points the wrong way in depth
            for first in (1, 2):
                there = (draw.uniform(1) < 4 * s.flip_share) & draw.while_(1.0, (0.1, 1.5))
                outer = list(chain[first:])
                hinge = rel[:, :, chain[first - 1], 2:]
                turned = hinge - (rel[:, :, outer, 2] - hinge) * draw.uniform(1)[:, :, None]
                rel[:, :, outer, 2] = torch.where(there[..., None], turned, rel[:, :, outer, 2])
        low, high = s.depth_scale
        flat = low + (high - low) * draw.uniform(1)
        scale = torch.stack([torch.ones_like(flat), torch.ones_like(flat), flat], -1)[..., None, :]
        rel = rel * scale * (1 + 0.05 * draw.normal(1, 1, 1))
        tilt = math.radians(s.tilt_deg) * (draw.normal(1, 2) + 0.5 * draw.slow(s.slow_s, 2)) * torch.tensor([1.0, 0.7])
        rel = rel @ _small_turn(tilt).mT
        frames = points.shape[1]
        worse = (1.2 * bad * self._worse * self._steady * (1 + hidden))[..., None]
        across = s.flat * self._mixed(draw.slow(s.slow_s, L, 2)) + s.flat_bias * draw.normal(1, L, 2)
        across = (0.6 * off + across * worse) * STATURE_M
        along = s.depth * self._mixed(draw.slow(s.slow_s, L)) + s.depth_bias * draw.normal(1, L)
        along = along * worse[..., 0] * STATURE_M + 0.008 * draw.normal(frames, L)
        rel = rel + torch.cat([across, along[..., None]], -1)
        return rel - (rel[:, :, LEFT_HIP] + rel[:, :, RIGHT_HIP])[:, :, None] / 2

    def _exchange(
        self, seen: Tensor, world: Tensor, visibility: Tensor, draw: _Draw
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Sides of some groups taken for each other for a while; a trunk taken for its back is turned in depth."""
        flags = []
        for number, group in enumerate(self._groups):
            there = (draw.uniform(1) < self.settings.exchanged_share) & draw.while_(0.8, (0.1, 3.0))
            order = torch.arange(L)
            order[group] = self._other[group]
            mask = there[..., None, None]
            other = world[:, :, order]
            if number == 2:
                other = other * torch.where(
                    (draw.uniform(1) < 0.5)[..., None, None], torch.tensor([1.0, 1.0, -1.0]), 1.0
                )
            seen, world = torch.where(mask, seen[:, :, order], seen), torch.where(mask, other, world)
            visibility = torch.where(there[..., None], visibility[:, :, order], visibility)
            flags.append(there)
        return seen, world, visibility, torch.stack(flags, -1)

    def _present(self, hidden: Tensor, draw: _Draw) -> Tensor:
        """(B, T) whether anybody is found."""
        gap = (draw.uniform(1) < self.settings.gap_share) & draw.while_(1.0, (0.05, 1.5))
        gone = hidden.mean(-1) > 0.75
        present = ~(gap | gone)
        present[:, 0] |= ~present.any(1)
        return present


class _Draw:
    """Random numbers for B clips of T frames."""

    def __init__(self, rng: torch.Generator, clips: int, frames: int, fps: Tensor) -> None:
        self._rng, self._clips, self.frames, self.fps = rng, clips, frames, fps

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(self._clips, *shape, generator=self._rng)

    def uniform(self, *shape: int) -> Tensor:
        return torch.rand(self._clips, *shape, generator=self._rng)

    def while_(self, share: float, lasting_s: tuple[float, float]) -> Tensor:
        """(B, T) bool: one stretch of a random length and place, or, in the others, all the time."""
        low, high = (math.log(v) for v in lasting_s)
        length = torch.exp(low + (high - low) * self.uniform(1)) * self.fps[:, None]
        start = self.uniform(1) * (self.frames + length) - length
        frame = torch.arange(self.frames)
        stretch = (frame >= start) & (frame < start + length.clamp(min=1))
        return stretch | (self.uniform(1) >= share)

    def slow(self, lasting_s: tuple[float, float], *shape: int) -> Tensor:
        """(B, T, *shape) unit noise whose neighbours agree, smooth in time: white noise under a moving window."""
        low, high = (math.log(v) for v in lasting_s)
        spread = torch.exp(low + (high - low) * self.uniform(1)) * self.fps[:, None] / 2  # frames, (B, 1)
        frame = torch.arange(self.frames, dtype=torch.float32)
        kernel = torch.exp(-0.5 * ((frame[:, None] - frame) / spread[..., None].clamp(min=0.3)) ** 2)
        kernel = kernel / kernel.square().sum(-1, keepdim=True).sqrt()
        noise = self.normal(self.frames, *shape)
        return (kernel @ noise.flatten(2)).reshape(noise.shape)


def _small_turn(angles: Tensor) -> Tensor:
    """(..., 2) radians about x and y to (..., 3, 3), for small angles."""
    x, y = angles.unbind(-1)
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    rows = torch.stack([one, zero, y, zero, one, -x, -y, x, one], -1).reshape(*x.shape, 3, 3)
    return functional.normalize(rows, dim=-1)
