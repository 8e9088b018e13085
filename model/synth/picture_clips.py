"""Clips of training pictures: one person of the crowd moves before a still camera, with everything known.

What is drawn is a square about the person, cut off where the whole frame ends: pixels are spent where a detector
looks.  Person, look, place, lights, the things in the way and the exposure last for the clip.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from amr_blender.contract.spaces import intrinsics
from model.body.landmarks import LANDMARK_NAMES
from model.body.raster import Raster, project
from model.estimate.pose_space import PoseSpace

from .landmarks.plays import Plays
from .render import effects
from .scene.looks import random_look
from .scene.room import random_place
from .scene.scenery import Scenery, padded, seen
from .scene.scenes import random_lights
from .studio import HIDDEN, LONGEST_SMEAR, Exposures, Posed, Someone, Studio, Views

Array = NDArray[np.floating]
Generator = np.random.Generator
Rows = TypeVar("Rows", Posed, Views, Exposures)
FRAME_PX = 1920
"""Longer side of the whole frame: all aspects of the views come out even."""
SLACK = (1.15, 1.5)
"""Side of the square against the person's extent over the clip."""
_SMALLEST_PX = 40.0
"""A person less of whom shows, in pixels of the frame, is not enlarged further."""
LOWEST_EYE_M = 0.1
HARD = 0.5
"""Dark, bright and coarse clips, against pictures."""
LARGEST = 0.2
"""Half sides of the things in the way, in sides of the square."""
_TOGETHER = 12
"""Frames drawn at once; bounds the memory."""
_HEADROOM_M = 0.4
_MOVING, _SHUTTER = 0.4, (0.1, 0.7)
"""Share of the clips that are smeared by the person's motion, and for which part of a frame."""
_RING_M, _RING_SHARE = 0.05, 0.15
"""A landmark is seen if this share of the skin is that, at rest, is hardly further from it than the nearest skin."""


@dataclass(frozen=True)
class PictureClip:
    """T pictures of H x W pixels, a part of the frame of ``FRAME_PX``."""

    images: NDArray[np.uint8]
    """(T, H, W, 3) RGB."""
    corner_px: Array
    """(2,) where their top left corner lies in the frame."""
    scale: float
    """Frame pixels per picture pixel."""
    visible: NDArray[np.bool_]
    """(T, 33) which landmarks are seen: not cut off, and hidden neither by the body nor by a thing."""
    silhouette: NDArray[np.bool_]
    """(T, H, W) where the person is, or would be without the things in the way."""

    def in_frame(self, px: Array) -> Array:
        """(..., 2) pixels of the pictures to those of the frame."""
        return np.asarray(px * self.scale + self.corner_px)


def frame_K(play: Plays) -> Array:
    """(3, 3) of the whole frame of a play, in its pixels."""
    return intrinsics(FRAME_PX * float(play.focal[0]), *frame_size(play))


def frame_size(play: Plays) -> tuple[int, int]:
    width, height = np.rint(FRAME_PX * play.size[0]).astype(int)
    return int(width), int(height)


class ClipMaker:
    """Draws plays.

    Args:
        space: degrees of freedom of the plays. seeds: (first, end) of the ``looks`` and ``places`` that may be used.
        size_px: side of the square. device: where to draw. plain: nothing in the way, in good light.
    """

    def __init__(
        self, space: PoseSpace, seeds: dict[str, tuple[int, int]], size_px: int = 256,
        device: torch.device | str = "cpu", plain: bool = False,
    ) -> None:  # fmt: skip
        self._space, self._seeds, self._plain = space, seeds, plain
        self._studio = Studio(space.body, size_px, device)
        body = space.body
        rest = body.rest(body.default_shape()).vertices_m.double()
        away = torch.cdist(space.skeleton.regressor.positions(rest)[: len(LANDMARK_NAMES)], rest)
        ring = (away < away.amin(1, keepdim=True) + _RING_M).float()
        self._ring = (ring / ring.sum(1, keepdim=True)).to(self._studio.device)

    def clip(self, play: Plays, shape: Tensor, rng: Generator) -> PictureClip:
        """``play`` (N = 1) by somebody of ``shape`` (P,); what the play doesn't say comes from ``rng``."""
        studio, frames = self._studio, play.angles.shape[1]
        generator = torch.Generator(studio.device).manual_seed(int(rng.integers(1 << 62)))
        first, end = self._seeds["looks"]
        look = random_look(np.random.default_rng([int(rng.integers(first, end)), 12]))
        someone = studio.someone(shape.double(), look)
        camera = _camera(play, rng)
        local, root_m = self._in_world(play, camera)
        bare = studio.skin(studio.tensor(local), [someone] * frames) + studio.tensor(root_m)[:, None]
        posed = studio.posed(bare, [someone] * frames)
        views = self._views(play, camera, posed, rng)
        place = self._place(views, posed, rng)
        how = self._exposures(rng, views, posed)
        thing, of_thing = self._things(rng)
        in_frame = studio.in_frame(_part(views, slice(1)))
        everywhere = torch.ones_like(in_frame)  # what lies outside is cut off afterwards, and leaves no dark rim
        images, clear, hit = [], [], []
        for start in range(0, frames, _TOGETHER):
            rows = slice(start, min(start + _TOGETHER, frames))
            light, raster, skin_clear = self._draw(
                _part(posed, rows), _part(views, rows), someone, place, thing & in_frame
            )
            light = torch.where(thing[:, None], of_thing, light)
            images.append(effects.to_bytes(studio.photographed(light, everywhere, _part(how, rows), generator)))
            clear.append(skin_clear.float() @ self._ring.T > _RING_SHARE)
            hit.append(raster.hit)
        left, top, right, bottom = _bounds(in_frame[0])
        within = np.s_[:, top:bottom, left:right]
        scale = float(views.frame_K[0, 0, 0] / views.K[0, 0, 0])
        zero = views.frame_K[0, :2, 2] - views.K[0, :2, 2] * scale  # the square's corner in the frame
        return PictureClip(
            torch.cat(images)[within].cpu().numpy(),
            zero.double().cpu().numpy() + scale * np.array([left, top]),
            scale,
            torch.cat(clear).cpu().numpy(),
            torch.cat(hit)[within].cpu().numpy(),
        )

    def _in_world(self, play: Plays, camera_to_world: Array) -> tuple[Array, Array]:
        """(T, B, 3, 3) local rotations and (T, 3) root."""
        turn, eye = camera_to_world[:3, :3], camera_to_world[:3, 3]
        orientation = torch.from_numpy(turn @ play.orientation[0].astype(np.float64))
        local = self._space.local_rotations(orientation, torch.from_numpy(play.angles[0].astype(np.float64)))
        return local.numpy(), play.root_cam_m[0] @ turn.T + eye

    def _views(self, play: Plays, camera_to_world: Array, posed: Posed, rng: Generator) -> Views:
        """The square that holds what the frame shows of the person over the whole clip."""
        studio, count = self._studio, len(posed.bare_m)
        K, size = frame_K(play), np.array(frame_size(play))
        camera = studio.tensor(camera_to_world).expand(count, 4, 4)
        px, z = project(posed.seen_from(camera).dressed_m, studio.tensor(K))
        shown = px[z > 0.1].cpu().double().numpy().clip(0, size)
        low, high = shown.min(0), shown.max(0)
        side = max(float((high - low).max()), _SMALLEST_PX) * float(rng.uniform(*SLACK))
        middle = 0.5 * (low + high) + side * rng.uniform(-0.06, 0.06, 2)
        zoom = studio.size_px / side
        crop = K.copy()
        crop[:2] *= zoom
        crop[:2, 2] += studio.size_px / 2 - middle * zoom
        return Views(
            studio.tensor(crop).expand(count, 3, 3),
            studio.tensor(K).expand(count, 3, 3),
            studio.tensor(size).expand(count, 2),
            camera,
        )

    def _place(self, views: Views, posed: Posed, rng: Generator) -> Scenery:
        """A lit place that is large enough, as the square sees it."""
        first, end = self._seeds["places"]
        seeded = np.random.default_rng([int(rng.integers(first, end)), 72])
        camera = views.camera_to_world[0].cpu().double().numpy()
        reach = max(float(np.abs(camera[:2, 3]).max()), float(posed.dressed_m[..., :2].abs().max()))
        place = random_place(seeded, max(5.0, reach / 0.6))  # its walls may stand at 0.6 of that
        top = max(float(camera[2, 3]), float(posed.dressed_m[..., 2].max())) + _HEADROOM_M
        place = replace(place, height_m=max(place.height_m, top))
        lights = padded(random_lights(seeded, float(seeded.uniform(0.8, 1.2))))
        size = (self._studio.size_px, self._studio.size_px)
        return seen(place, lights, views.K[0].cpu().double().numpy(), camera, size)

    def _exposures(self, rng: Generator, views: Views, posed: Posed) -> Exposures:
        """One camera and codec; the smear follows the person."""
        how = Exposures.draw(rng, 1, self._studio.size_px, 0.0 if self._plain else HARD).repeated(len(posed.bare_m))
        shutter = rng.uniform(*_SHUTTER) if rng.random() < _MOVING else 0.0
        px, _ = project(posed.seen_from(views.camera_to_world).dressed_m[:, ::50], views.K)
        middle = px.median(1).values.cpu().double().numpy()
        smear = shutter * (np.gradient(middle, axis=0) if len(middle) > 1 else np.zeros_like(middle))
        length = np.linalg.norm(smear, axis=1, keepdims=True)
        longest = LONGEST_SMEAR * self._studio.size_px
        return replace(how, smear_px=smear * np.minimum(1.0, longest / np.maximum(length, 1e-6)))

    def _things(self, rng: Generator) -> tuple[Tensor, Tensor]:
        """One or two before the person, in a share of the clips: (1, S, S) bool and (1, 3, S, S) light."""
        thing, light = self._studio.things(rng, 1, 0.0 if self._plain else HIDDEN, LARGEST)
        if bool(thing.any()) and rng.random() < 0.3:
            other, of_other = self._studio.things(rng, 1, 1.0, LARGEST)
            thing, light = thing | other, torch.where(other[:, None], of_other, light)
        return thing, light

    def _draw(
        self, posed: Posed, views: Views, someone: Someone, place: Scenery, thing: Tensor
    ) -> tuple[Tensor, Raster, Tensor]:
        """Light (N, 3, S, S) without the things, the raster, and which of the skin is seen (N, V)."""
        count, studio = len(posed.bare_m), self._studio
        seen_, thing = posed.seen_from(views.camera_to_world), thing.expand(count, -1, -1)
        raster = studio.rasterised(seen_, views)
        clear = studio.clear(seen_, raster, thing, views)
        size = torch.full_like(views.frame_px, studio.size_px)
        of_square = Views(views.K, views.K, size, views.camera_to_world)  # the place was cast for the square itself
        return studio.lit(raster, posed, seen_, of_square, [someone] * count, [place] * count), raster, clear


def _camera(play: Plays, rng: Generator) -> Array:
    """(4, 4) camera to world of a play whose lowest points lie on the ground, any way about.

    A play keeps no ground; where it was on a box and the camera near the floor, the person floats.
    """
    up = play.up[0].astype(np.float64)
    aside = np.cross(up, rng.normal(size=3))
    aside /= np.linalg.norm(aside)
    turn = np.stack([aside, np.cross(up, aside), up])  # rows: the world's axes in those of the camera
    ground = float(np.quantile((play.points_cam_m[0] @ up).min(1), 0.02))
    eye = -turn @ play.root_cam_m[0].mean(0)
    eye[2] = max(-ground, LOWEST_EYE_M)
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn, eye
    return matrix


def _bounds(mask: Tensor) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what is true in (S, S)."""
    rows, columns = (torch.nonzero(mask.any(axis))[:, 0] for axis in (1, 0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _part(whole: Rows, rows: slice) -> Rows:
    """Some of the pictures."""
    return type(whole)(*(getattr(whole, f.name)[rows] for f in fields(whole)))
