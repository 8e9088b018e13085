"""What the networks must know of the body, once for all people: levels, bones, parts, and which landmarks are near."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from model.body.anny import AnnyBody
from model.body.hierarchy import Hierarchy
from model.body.landmarks import Skeleton

WORK_LEVEL = 2
"""Attention and uncertainty live on this level of the hierarchy and are unpooled from there, for a cell of the mask is
wider than its clusters; the mesh is drawn at it."""
HEAD_LEVEL = 1
"""Where vertices are tokens: for what is not seen, and for pooling to bones."""
PARTS = ("Head", "Torso", "Arm.L", "Arm.R", "Leg.L", "Leg.R")
_PART_OF = {"Hand.L": "Arm.L", "Hand.R": "Arm.R", "Foot.L": "Leg.L", "Foot.R": "Leg.R"}
LANDMARKS, HIPS = 33, [23, 24]
_NEAR, _REACH_M = 3, 0.08
"""Landmarks that a vertex listens to, and the standard deviation of how far."""
_SHORTEST_LEVER_M = 0.05


class BodyMap(nn.Module):
    """Fixed; all buffers, none of them saved.  S moving bones of a skeleton, V_l vertices of level l.

    Attributes:
        hierarchy: the meshes. bones: (S,) the moving bones among the body's B. parents: of the moving ones.
        lever_m: (S,) root mean square distance of a bone's skin from its head: what turns millimetres into radians.
        skin_index, skin_weight: (V, 9) the body's own skin. near_index, near_weight: (V, 3) landmarks of each vertex.
        part: (V_2,) of ``PARTS``, at ``WORK_LEVEL``. faces: (F, 3) of the full mesh.
        landmark_index, landmark_weight: (33, N) vertices that the landmarks are made from.
    """

    bones: Tensor
    lever_m: Tensor
    skin_index: Tensor
    skin_weight: Tensor
    near_index: Tensor
    near_weight: Tensor
    part: Tensor
    faces: Tensor
    landmark_index: Tensor
    landmark_weight: Tensor

    def __init__(self, body: AnnyBody, skeleton: Skeleton, hierarchy: Hierarchy) -> None:
        super().__init__()
        self.hierarchy = hierarchy
        self.parents = tuple(skeleton.parents)
        rest = body.rest(body.default_shape())
        vertices, heads = rest.vertices_m.cpu(), rest.heads_m.cpu()
        dense = body.skin_weights_dense.cpu()
        merged = dense.new_zeros(len(dense), len(skeleton.bones))
        merged.index_add_(1, torch.tensor(skeleton.carrier), dense)
        away = torch.cdist(vertices, heads[skeleton.bones]) ** 2
        lever = ((merged * away).sum(0) / merged.sum(0).clamp(min=1e-6)).sqrt().clamp(min=_SHORTEST_LEVER_M)
        landmarks = skeleton.regressor.positions(vertices)[:LANDMARKS]
        far, near = torch.cdist(vertices, landmarks).topk(_NEAR, largest=False)
        share = torch.softmax(-0.5 * (far / _REACH_M) ** 2, -1)
        groups = [_PART_OF.get(group, group) for group in body.bone_groups]
        part_of_bone = torch.tensor([PARTS.index(group) for group in groups])
        quads = torch.from_numpy(body.quads).long()
        buffers = {
            "bones": torch.tensor(skeleton.bones),
            "lever_m": lever,
            "skin_index": torch.from_numpy(body.skin_bones).long(),
            "skin_weight": torch.from_numpy(body.skin_weights),
            "near_index": near,
            "near_weight": share,
            "part": part_of_bone[hierarchy.bone(WORK_LEVEL)],
            "faces": torch.cat([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]),
            "landmark_index": skeleton.regressor.vertex_index[:LANDMARKS],
            "landmark_weight": skeleton.regressor.weight[:LANDMARKS].float(),
        }
        for level in range(HEAD_LEVEL + 1):
            buffers[f"carried_{level}"] = hierarchy.pool_to(merged, level)
        for name, values in buffers.items():
            self.register_buffer(name, values, persistent=False)

    def carried(self, level: int) -> Tensor:
        """(V_level, S) how much of each coarse vertex each moving bone carries; rows sum to 1."""
        values: Tensor = getattr(self, f"carried_{level}")
        return values

    def near(self, level: int) -> tuple[Tensor, Tensor]:
        """(V_level, 3) landmarks and weights of a level's vertices."""
        seeds = self.hierarchy.seeds(level)
        return self.near_index[seeds], self.near_weight[seeds]

    def from_landmarks(self, values: Tensor, level: int) -> Tensor:
        """(..., L, C) to (..., V_level, C): what the nearest landmarks say."""
        index, weight = self.near(level)
        taken = values.index_select(-2, index.flatten()).unflatten(-2, index.shape)
        return (taken * weight[..., None]).sum(-2)

    def on_bones(self, values: Tensor, weight: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Means over the skin of each bone.

        Args:
            values: (..., V_1, C) at ``HEAD_LEVEL``. weight: (..., V_1) how much each counts, 1 if not given.

        Returns:
            (..., S, C), zero where nothing counts, and (..., S) the share of a bone's skin that does.
        """
        carried = self.carried(HEAD_LEVEL)
        if weight is None:
            weight = values.new_ones(values.shape[:-1])
        whole = carried.sum(0).clamp(min=1e-6)
        counted = (weight @ carried).clamp(min=0)
        total = carried.T @ (values * weight[..., None])
        return total / counted.clamp(min=1e-3)[..., None], counted / whole
