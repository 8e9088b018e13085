"""One clip by the torch renderer: a dressed person in a place, antialiased, with motion blur and soft shadows.

A frame is the mean of a few passes, each with another place inside the pixel, another moment of the open shutter
and another point of the lamp (the accumulation buffer of Haeberli and Akeley, SIGGRAPH 1990).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from amr_blender.contract.spaces import invert_rigid
from model.body import AnnyBody, RestBody, skin
from model.body.raster import Raster, hits, rasterise, vertex_normals

from ..motion.acts import Motion
from ..scene.looks import Dressed
from ..scene.room import Place, cast
from . import effects
from .shade import Lights, Shadows, lit, parts

Array = NDArray[np.floating]
_PASSES = ((0.125, 0.625), (0.625, 0.875), (0.375, 0.125), (0.875, 0.375))
"""Where inside a pixel each pass looks: a turned grid."""


@dataclass(frozen=True)
class Prop:
    """A thing that does not move: (P, 3) world vertices, (F, 3) faces, (P, 3) linear RGB."""

    points_m: Tensor
    faces: Tensor
    albedo: Tensor


@dataclass(frozen=True)
class Camera:
    """A still camera and how it develops."""

    K: Array
    camera_to_world: Array
    size_px: tuple[int, int]
    exposure: float = 1.0
    shutter: float = 0.35
    """Open for this part of a frame."""
    grain: float = 0.0
    defocus_px: float = 0.0
    coarse: int = 1
    """How many times the true resolution is lower."""
    quality: int = 100
    """Of compression, beside the movie's own."""

    @cached_property
    def world_to_camera(self) -> Array:
        return invert_rigid(self.camera_to_world)


@dataclass(frozen=True)
class _LitPlate:
    """The empty place in its light; P pixels, L lamps."""

    light: Tensor
    """(P, 3) of everything."""
    of_lamps: Tensor
    """(L, P, 3) each lamp's part of it, which a shadow takes away."""
    points_m: Tensor
    """(P, 3) world."""
    shaded: list[Tensor]
    """Per lamp the pixels that it lights."""


@dataclass
class Film:
    """Everything that is in the picture."""

    body: AnnyBody
    rest: RestBody
    """The person undressed."""
    person: Dressed
    motion: Motion
    place: Place
    lights: Lights
    camera: Camera
    props: list[Prop] = field(default_factory=list)
    seed: int = 0

    def posed(self, rest_m: Tensor, weights: Tensor, frames: slice = slice(None)) -> Tensor:
        """(T, G, 3) world points of anything that moves with the person's bones: (G, 3) rest, (G, B) skin weights."""
        local = torch.from_numpy(self.motion.local[frames].astype(np.float32))
        lifted = torch.from_numpy((self.motion.root_m[frames] + [0, 0, self.person.sole_m]).astype(np.float32))
        rotations, heads = self.body.kinematics(local, self.rest.heads_m, lifted)
        return skin(rest_m, self.rest.heads_m, weights, rotations, heads)

    @cached_property
    def mesh_m(self) -> Tensor:
        """(T, G, 3) the dressed person in the world."""
        chunks = [slice(first, first + 16) for first in range(0, len(self.motion.local), 16)]
        return torch.cat([self.posed(self.person.rest_m, self.person.skin_weights, c) for c in chunks])

    @property
    def faces(self) -> Tensor:
        """(F, 3) of the person, then of the props."""
        start = [len(self.person.rest_m)]
        for prop in self.props:
            start.append(start[-1] + len(prop.points_m))
        moved = [prop.faces + first for prop, first in zip(self.props, start, strict=False)]
        return torch.cat([self.person.faces, *moved])

    @property
    def albedo(self) -> Tensor:
        """(V, 3) linear RGB of the person, then of the props."""
        return torch.cat([self.person.albedo, *(prop.albedo for prop in self.props)])

    @cached_property
    def _plates(self) -> list[_LitPlate]:
        """The empty place, once per pass."""
        c, one = self.camera, torch.zeros(1, dtype=torch.int64)
        lit_plates = []
        for offset in _PASSES:
            plate = cast(self.place, c.K, c.camera_to_world, c.size_px, np.array(offset))
            sent = parts(plate.albedo, plate.points_m, plate.normals, self.lights, one)
            # A sky shines as bright as what stands under it is lit.
            sent[0, plate.sky], sent[1:, plate.sky] = plate.albedo[plate.sky] * self.lights.brightness, 0.0
            shaded = [(of_lamp.amax(1) > 1e-4).nonzero()[:, 0] for of_lamp in sent[1:]]
            lit_plates.append(_LitPlate(sent.sum(0), sent[1:], plate.points_m, shaded))
        return lit_plates

    def to_camera(self, points_m: Tensor) -> Tensor:
        """(..., 3) world to camera."""
        matrix = torch.from_numpy(self.camera.world_to_camera.astype(np.float32))
        return points_m @ matrix[:3, :3].T + matrix[:3, 3]

    def scene_m(self, moment: float) -> Tensor:
        """(V, 3) person and props in the world at a time in frames; between frames, vertices go straight."""
        first = int(np.clip(np.floor(moment), 0, len(self.mesh_m) - 1))
        second = min(first + 1, len(self.mesh_m) - 1)
        person = torch.lerp(self.mesh_m[first], self.mesh_m[second], float(np.clip(moment - first, 0, 1)))
        return torch.cat([person, *(prop.points_m for prop in self.props)])

    def raster(self, frame: int) -> Raster:
        """Depth and faces at the pixels' centres in the middle of a frame's exposure."""
        K = torch.from_numpy(self.camera.K.astype(np.float32))
        return rasterise(self.to_camera(self.scene_m(frame))[None], self.faces, K, self.camera.size_px, cull=False)

    def light(self, frame: int) -> Array:
        """(H, W, 3) linear light of one frame."""
        width, height = self.camera.size_px
        rng = np.random.default_rng([self.seed, frame])
        total = torch.zeros(height * width, 3)
        moments = (np.arange(len(_PASSES)) + 0.5) / len(_PASSES) - 0.5
        normals = vertex_normals(self.scene_m(frame)[None], self.faces)  # turn little while the shutter is open
        for number, offset in enumerate(_PASSES):
            shake = torch.from_numpy(rng.uniform(-0.1, 0.1, 3).astype(np.float32))
            moment = frame + self.camera.shutter * moments[number]
            total += self._pass(moment, normals, offset, self._plates[number], shake)
        return (total / len(_PASSES)).reshape(height, width, 3).numpy()

    def _pass(
        self, moment: float, normals: Tensor, offset: tuple[float, float], plate: _LitPlate, shake: Tensor
    ) -> Tensor:
        points = self.scene_m(moment)
        K = torch.from_numpy(self.camera.K.astype(np.float32)).clone()
        K[:2, 2] += 0.5 - torch.tensor(offset)
        seen, one = self.to_camera(points)[None], torch.zeros(1, dtype=torch.int64)
        raster = rasterise(seen, self.faces, K, self.camera.size_px, cull=False)
        found = hits(raster, seen, self.faces, K)
        world = found.interpolate(points)
        eye = torch.from_numpy(self.camera.camera_to_world[:3, 3].astype(np.float32))
        normal = torch.nn.functional.normalize(found.interpolate(normals), dim=1)
        away = (normal * (world - eye)).sum(1, keepdim=True) > 0.15 * (world - eye).norm(dim=1, keepdim=True)
        normal = torch.where(away, -normal, normal)  # the inside of a sleeve
        shadows = Shadows(points[None], self.faces, self.lights, shake[None])
        picture = plate.light.clone()
        for lamp, shaded in enumerate(plate.shaded):
            missing = 1.0 - shadows.reached_from(lamp, plate.points_m[shaded], one)
            dark = missing.nonzero()[:, 0]
            picture[shaded[dark]] -= missing[dark, None] * plate.of_lamps[lamp, shaded[dark]]
        sent = parts(found.interpolate(self.albedo), world, normal, self.lights, one)
        picture[found.pixel] = lit(sent, shadows.reached(world + 0.01 * normal, one))
        return picture

    def empty_light(self) -> Array:
        """(H, W, 3) linear light of the place without anybody."""
        width, height = self.camera.size_px
        whole = torch.stack([plate.light for plate in self._plates]).mean(0)
        return np.asarray(whole.reshape(height, width, 3).numpy())

    def frames(self, light: Callable[[Film, int], Array] | None = None) -> Iterator[NDArray[np.uint8]]:
        """The finished footage, (H, W, 3) uint8 RGB; ``light`` is another renderer in place of :meth:`light`."""
        for frame in range(len(self.motion.local)):
            drawn = light(self, frame) if light else self.light(frame)
            yield self.developed(torch.from_numpy(drawn.astype(np.float32)), frame)

    def developed(self, light: Tensor, frame: int) -> NDArray[np.uint8]:
        """(H, W, 3) linear light of a frame to the picture that the camera makes of it."""
        c = self.camera
        generator = torch.Generator().manual_seed(100_003 * self.seed + frame)
        picture = effects.develop(light.permute(2, 0, 1)[None], torch.tensor([c.exposure]))
        picture = effects.blur(picture, torch.tensor([c.defocus_px]), torch.zeros(1, 2))
        picture = effects.grain(effects.coarse(picture, torch.tensor([c.coarse])), torch.tensor([c.grain]), generator)
        return np.asarray(effects.to_bytes(effects.compress(picture, torch.tensor([c.quality])))[0].numpy())


def write_movie(path: Path, frames: Iterator[NDArray[np.uint8]], fps: float, size_px: tuple[int, int]) -> None:
    """Encode frames as MPEG-4; the file appears when it is whole."""
    part = path.with_name(f"part-{path.name}")
    writer = cv2.VideoWriter(str(part), cv2.VideoWriter.fourcc(*"mp4v"), fps, size_px)
    if not writer.isOpened():
        raise OSError(f"OpenCV can't encode {part}")
    for rgb in frames:
        writer.write(rgb[..., ::-1])
    writer.release()
    part.replace(path)


def box(low_m: Array, high_m: Array, rgb: Array) -> Prop:
    """An axis-aligned block between two corners; sides are split, so that its edges stay sharp in shading."""
    corners: list[Array] = []
    faces: list[list[int]] = []
    for axis in range(3):
        for side in (0, 1):
            u, v = np.eye(3)[(axis + 1) % 3], np.eye(3)[(axis + 2) % 3]
            square = [side * np.eye(3)[axis] + a * u + b * v for a, b in ((0, 0), (1, 0), (1, 1), (0, 1))]
            order = [0, 1, 2, 3] if side else [0, 3, 2, 1]
            first = len(corners)
            corners += square
            faces += [
                [first + order[0], first + order[1], first + order[2]],
                [first + order[0], first + order[2], first + order[3]],
            ]
    points = np.array(corners) * (np.asarray(high_m) - low_m) + low_m
    albedo = np.tile(rgb, (len(points), 1))
    return Prop(
        torch.from_numpy(points.astype(np.float32)), torch.tensor(faces), torch.from_numpy(albedo.astype(np.float32))
    )
