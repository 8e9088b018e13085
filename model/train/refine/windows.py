"""Windows of the stock, made harder and more different from each other at every step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from model.body import AnnyBody
from model.estimate.rotation import matrix_from_rotvec, rotvec_from_matrix
from model.networks.body_map import BodyMap
from model.networks.looking import People
from model.refine.inputs import Seen, Start

from .stock import FEATURE_STEP, Footage

ASTRAY = 0.4
"""Share of the windows whose estimate is turned away further."""
TURN_RAD, TURN_EACH_RAD = 0.15, 0.03
"""By how much a bone, standard deviations: for the window, and from frame to frame."""
NEAR = 0.35
"""Share of the windows whose estimate is moved towards the truth, by any part of the way: most footage is easier than
what is drawn, and what is right already must be seen to be right."""
FADED, GRAIN = 0.15, 0.1
"""Spread (log) of the strength of each of the frame's features, lasting, and of each cell's own."""


@dataclass(frozen=True)
class Truth:
    """Of B windows of T frames."""

    local: Tensor
    """(B, T, J, 3, 3)."""
    root_cam_m: Tensor
    """(B, T, 3)."""
    people: People
    crop_K: Tensor
    """(B, T, 3, 3) through the true lens."""
    mask: Tensor
    """(B, T, 32, 32) 0..1."""


class Windows:
    """Windows of clips.

    Args:
        paths: files of ``stock``. body, body_map: of the networks.
    """

    def __init__(self, paths: list[Path], body: AnnyBody, body_map: BodyMap) -> None:
        if not paths:
            raise ValueError("no clips: make them with python -m model.train.refine.stock")
        self._clips = [Footage.load(path) for path in paths]
        self._body, self.body_map = body, body_map

    def __len__(self) -> int:
        return len(self._clips)

    def batch(self, count: int, frames: int, rng: torch.Generator) -> tuple[Start, Seen, Truth]:
        """``count`` windows of ``frames`` from anywhere, estimated and seen otherwise."""
        start, seen, truth = self._drawn(count, 1, frames, rng)
        return self._astray(self._near(start, truth, rng), rng), _faded(seen, rng), truth

    def stretches(self, clips: int, each: int, frames: int, rng: torch.Generator) -> tuple[Start, Seen, Truth]:
        """``each`` windows of ``frames`` one after another of so many ``clips``, seen otherwise."""
        start, seen, truth = self._drawn(clips, each, frames, rng)
        return start, _faded(seen, rng), truth

    def _drawn(self, clips: int, each: int, frames: int, rng: torch.Generator) -> tuple[Start, Seen, Truth]:
        chosen = [int(v) for v in torch.randint(len(self._clips), (clips,), generator=rng)]
        lengths = [self.frames(k) for k in chosen]
        begin = [int(torch.randint(max(length - each * frames, 0) + 1, (), generator=rng)) for length in lengths]
        firsts = [
            min(first + part * frames, max(length - frames, 0))
            for first, length in zip(begin, lengths, strict=True)
            for part in range(each)
        ]
        return self.windows([k for k in chosen for _ in range(each)], firsts, frames)

    def held(self, frames: int, stride: int) -> list[tuple[list[int], list[int]]]:
        """Which windows to choose by: of every second clip (the others are for judging what was chosen), one window for
        each ``stride`` frames, in batches of one length."""
        rows = [
            (k, first)
            for k, clip in list(enumerate(self._clips))[::2]
            for first in range(0, len(clip.time_s) - frames + 1, stride)
        ]
        return [([k for k, _ in part], [first for _, first in part]) for part in _chunks(rows, 2)]

    def frames(self, clip: int) -> int:
        """Its length."""
        return len(self._clips[clip].time_s)

    def times_s(self, clip: int) -> Tensor:
        """(T,) of its frames."""
        return torch.from_numpy(self._clips[clip].time_s)

    def windows(self, clips: list[int], firsts: list[int], frames: int) -> tuple[Start, Seen, Truth]:
        """Windows as they are."""

        def part(name: str) -> Tensor:
            return torch.from_numpy(
                np.stack([getattr(self._clips[k], name)[f : f + frames] for k, f in zip(clips, firsts, strict=True)])
            )

        def people(name: str) -> People:
            shapes = {k: torch.from_numpy(getattr(self._clips[k], name)).double() for k in clips}
            rests = {k: self._body.rest(shape) for k, shape in shapes.items()}
            vertices, heads = (
                torch.stack([getattr(rests[k], n).float() for k in clips]) for n in ("vertices_m", "heads_m")
            )
            return People.at_rest(vertices, heads, self.body_map)

        crop_K = part("crop_K")
        ratio = torch.tensor([float(self._clips[k].true_focal) for k in clips])[:, None]
        true_K = crop_K.clone()
        for axis in (0, 1):
            true_K[:, :, axis, axis] *= ratio
        start = Start(part("local"), part("root_cam_m"), people("shape"), part("sigma_m"))
        seen = Seen(
            FEATURE_STEP * part("features").float(), crop_K, part("landmarks"), part("confidence"), part("lifted_m"),
            part("present"), part("time_s") - part("time_s")[:, :1],
        )  # fmt: skip
        truth = Truth(
            part("true_local"), part("true_root_cam_m"), people("true_shape"), true_K, part("mask").float() / 255
        )
        return start, seen, truth

    def _near(self, start: Start, truth: Truth, rng: torch.Generator) -> Start:
        """Some estimates on their way to the truth."""
        windows, bones = len(start.local), self.body_map.bones
        share = torch.rand(windows, generator=rng) * (torch.rand(windows, generator=rng) < NEAR)
        own = start.local[:, :, bones]
        whole = rotvec_from_matrix(own.mT @ truth.local[:, :, bones])
        local = own @ matrix_from_rotvec(share[:, None, None, None] * whole)
        return Start(start.local.index_copy(2, bones, local), start.root_cam_m, start.people, start.sigma_m)

    def _astray(self, start: Start, rng: torch.Generator) -> Start:
        """Some estimates turned away from where the landmarks have put them, so that evidence is worth following."""
        windows, frames = start.local.shape[:2]
        bones = self.body_map.bones
        much = torch.rand(windows, generator=rng) * (torch.rand(windows, generator=rng) < ASTRAY)
        lasting = TURN_RAD * torch.randn(windows, 1, len(bones), 3, generator=rng)
        fleeting = TURN_EACH_RAD * torch.randn(windows, frames, len(bones), 3, generator=rng)
        turn = matrix_from_rotvec(much[:, None, None, None] * (lasting + fleeting))
        local = start.local.index_copy(2, bones, start.local[:, :, bones] @ turn)
        return Start(local, start.root_cam_m, start.people, start.sigma_m)


def _faded(seen: Seen, rng: torch.Generator) -> Seen:
    """Features as of another camera and other light."""
    windows, _, channels = seen.features.shape[:3]
    lasting = torch.exp(FADED * torch.randn(windows, 1, channels, 1, 1, generator=rng))
    own = 1 + GRAIN * torch.rand(windows, 1, 1, 1, 1, generator=rng) * torch.randn(seen.features.shape, generator=rng)
    return replace(seen, features=seen.features * lasting * own)


def masks(body_map: BodyMap, windows: int, frames: int, vertices: int, rng: torch.Generator) -> Tensor:
    """(B, T, V_2) attention drawn at random, bone by bone, and lasting; some windows are attended to everywhere."""
    bones = len(body_map.parents)
    raw = torch.randn(windows, bones, max(frames // 4, 1), generator=rng)
    raw = functional.interpolate(raw, frames, mode="linear", align_corners=False)
    level = torch.randn(windows, 1, 1, generator=rng)
    of_bone = torch.sigmoid(2 * raw + 2 * level).transpose(1, 2)  # (B, T, S)
    everywhere = (torch.rand(windows, 1, 1, generator=rng) < 0.4).float()
    of_bone = everywhere + (1 - everywhere) * of_bone
    coarse = of_bone @ body_map.carried(1).T
    out: Tensor = body_map.hierarchy.unpool(coarse[..., None], 2)[..., 0]
    assert out.shape == (windows, frames, vertices)
    return out.clamp(0, 1)


def _chunks(rows: list[tuple[int, int]], size: int) -> list[list[tuple[int, int]]]:
    return [rows[first : first + size] for first in range(0, len(rows), size)]
