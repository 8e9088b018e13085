"""What the networks look at beside the pixels: the estimated mesh as drawn, and the landmarks as pictures.

Everything lies in a square crop about the person.  Its camera ``crop_K`` maps camera space to crop units, 0..1 from
the top left corner; the principal point need not lie in the crop.  N frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.body.raster import hits, project, rasterise, vertex_normals, visible

from .body_map import PARTS, WORK_LEVEL, BodyMap

MESH_PX, FRAME_PX, SIGNS_PX, DEPTH_PX = 64, 256, 32, 128
"""Sides of the mesh's maps, of the frame's crop, of the landmarks' maps and the frame's features, and of the depth that
says what is hidden."""
FRAME_CHANNELS = 48
"""Of the frame's features (``model.detect.networks``)."""
MESH_CHANNELS = 1 + 1 + 3 + len(PARTS)
SIGN_CHANNELS = 6 + 2 + 1
_GROUPS = (
    tuple(range(11)), (11, 12, 23, 24), (13, 15, 17, 19, 21), (14, 16, 18, 20, 22), (25, 27, 29, 31), (26, 28, 30, 32),
)  # fmt: skip
_BLOB = 0.03
"""Standard deviation of a landmark's blob, in sides of the crop."""
_SLACK_M = 0.02
"""How far behind the drawn surface a vertex still counts as seen: a pixel is about that wide."""
_GRAZING = 0.1
"""Cosine of the steepest view at which a vertex counts as seen."""
RESIDUAL_SCALE = 10.0
"""Residuals are small parts of a crop; networks like ones."""


@dataclass(frozen=True)
class MeshMaps:
    """The mesh of N frames, drawn at ``WORK_LEVEL``."""

    maps: Tensor
    """(N, MESH_CHANNELS, MESH_PX, MESH_PX): silhouette, depth before the hips in metres (near is positive), normal in
    camera axes, and one channel for each part of the body; zero where there is no body."""
    where: Tensor
    """(N, V_2, 2) crop units."""
    visible: Tensor
    """(N, V_2) bool: faces the camera, lies in the crop, and no other part of the body is in front.  What other things
    hide, nobody knows beforehand."""


class MeshDrawer(nn.Module):
    """Draws the body at ``WORK_LEVEL``: its triangles are as small as the pixels, those of the full mesh smaller."""

    _parts: Tensor

    def __init__(self, body_map: BodyMap) -> None:
        super().__init__()
        self.register_buffer("faces", body_map.hierarchy.faces(WORK_LEVEL), persistent=False)
        self.register_buffer("_parts", functional.one_hot(body_map.part, len(PARTS)).float(), persistent=False)
        self.faces: Tensor

    @torch.no_grad()
    def forward(self, points_cam_m: Tensor, hips_cam_m: Tensor, crop_K: Tensor) -> MeshMaps:
        """Draw; nothing is differentiated.

        Args:
            points_cam_m: (N, V_2, 3) vertices of ``WORK_LEVEL``, camera axes. hips_cam_m: (N, 3). crop_K: (N, 3, 3).
        """
        count = len(points_cam_m)
        K, depth_K = (crop_K * crop_K.new_tensor([side, side, 1.0])[:, None] for side in (MESH_PX, DEPTH_PX))
        raster = rasterise(points_cam_m, self.faces, K, (MESH_PX, MESH_PX))
        depth_m = rasterise(points_cam_m, self.faces, depth_K, (DEPTH_PX, DEPTH_PX)).depth_m
        normals = vertex_normals(points_cam_m, self.faces)
        found = hits(raster, points_cam_m, self.faces, K)
        nearer = (hips_cam_m[:, None, 2:] - points_cam_m[..., 2:]).clamp(-2.0, 2.0)
        values = torch.cat([torch.ones_like(nearer), nearer, normals], -1)
        flat = values.new_zeros(count * MESH_PX * MESH_PX, MESH_CHANNELS)
        flat[found.pixel] = torch.cat([found.interpolate(values), found.interpolate(self._parts)], 1)
        away = functional.normalize(points_cam_m, dim=-1)
        facing = (normals * away).sum(-1) < -_GRAZING
        return MeshMaps(
            maps=flat.reshape(count, MESH_PX, MESH_PX, -1).permute(0, 3, 1, 2).contiguous(),
            where=project(points_cam_m, crop_K)[0].clamp(-4.0, 5.0),
            visible=facing & visible(points_cam_m, depth_m, depth_K, _SLACK_M),
        )


def landmark_maps(where: Tensor, residual: Tensor, confidence: Tensor, sigma: Tensor) -> Tensor:
    """(N, SIGN_CHANNELS, SIGNS_PX, SIGNS_PX): landmarks as blobs in six groups, and what is wrong with them.

    Sums of Gaussians are separable, so they are products of two small matrices.

    Args:
        where: (N, 33, 2) seen landmarks, crop units. residual: (N, 33, 2) by how much the estimate misses them (seen
            less estimated), crop units. confidence: (N, 33) 0..1. sigma: (N, 33) the initial network's doubt of each
            landmark about the hips, metres.
    """
    groups = where.new_zeros(len(_GROUPS), where.shape[1])
    for number, members in enumerate(_GROUPS):
        groups[number, list(members)] = 1.0
    said = torch.cat([RESIDUAL_SCALE * residual.clamp(-0.3, 0.3), sigma.clamp(max=1.0)[..., None]], -1)
    weight = torch.cat([groups.expand(len(where), -1, -1), said.transpose(1, 2)], 1) * confidence[:, None]
    centre = (torch.arange(SIGNS_PX, device=where.device) + 0.5) / SIGNS_PX
    blob = torch.exp(-0.5 * ((where[..., None] - centre) / _BLOB) ** 2)  # (N, 33, 2, side)
    down = weight[..., None] * blob[:, None, :, 1]  # (N, C, 33, side)
    rows = down.transpose(2, 3).flatten(1, 2) @ blob[:, :, 0]
    return rows.reshape(len(where), -1, SIGNS_PX, SIGNS_PX)
