"""A small painter for many cheap pictures: polygons from far to near, plain light, no texture, no graphics library.

Good enough to be seen by a pose network (about 60 ms a picture), not meant to be looked at.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..scene.outfit import face_normals, vertex_normals

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Paint:
    """One mesh in front of the camera.

    ``points_cam_m`` (G, 3) camera space (x right, y down, z forward), metres; ``polygons`` (F, 4); ``rgb`` (3,) 0..1;
    ``lift_m`` moves it towards the camera when sorting, so that an outer layer covers an inner one.
    """

    points_cam_m: Array
    polygons: NDArray[np.int64]
    rgb: Array
    lift_m: float = 0.0


def paint(
    parts: list[Paint], K: Array, background: NDArray[np.uint8], light_cam: Array, ambient: float = 0.45
) -> NDArray[np.uint8]:
    """Draw ``parts`` over a copy of ``background`` (H, W, 3) uint8 RGB, twice as fine and averaged.

    Args:
        K: (3, 3) pinhole matrix in pixels of ``background``.
        light_cam: (3,) direction towards the light in camera space.
    """
    height, width = background.shape[:2]
    canvas = cv2.resize(background, (2 * width, 2 * height), interpolation=cv2.INTER_LINEAR)
    light = light_cam / np.linalg.norm(light_cam)
    corners, depths, colours = [], [], []
    for part in parts:
        points, polygons = part.points_cam_m, part.polygons
        normal = face_normals(points, polygons)
        corner = points[polygons]
        facing = ((normal * corner.mean(1)).sum(1) < 0) & (corner[..., 2].min(1) > 0.05)
        smooth = vertex_normals(points, polygons)[polygons[facing]].mean(1)
        shade = ambient + (1.0 - ambient) * (smooth @ light).clip(0) + 0.12 * (-smooth[:, 1]).clip(0)
        pixel = corner[facing] @ K.T
        corners.append(pixel[..., :2] / pixel[..., 2:])
        depths.append(corner[facing][..., 2].mean(1) - part.lift_m)
        colours.append((255 * part.rgb * shade[:, None]).clip(0, 255))
    order = np.argsort(-np.concatenate(depths), kind="stable")
    fixed = np.round(np.concatenate(corners)[order] * 2 * 16 - 8).astype(np.int32)  # 4 fractional bits
    for polygon, colour in zip(fixed, np.concatenate(colours)[order].tolist(), strict=True):
        cv2.fillConvexPoly(canvas, polygon, colour, cv2.LINE_AA, 4)
    return np.asarray(cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
