"""Forward kinematics and linear blend skinning in torch, batched over frames.

Rotations here are *world-aligned*: every joint frame is parallel to the body's rest axes, as in SMPL (Loper et al.,
SIGGRAPH Asia 2015), so that a pose does not depend on how the bones of a rig are oriented.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def depth_levels(parents: Sequence[int]) -> list[Tensor]:
    """Bone indices by depth below the root, so that one batched product per level walks the whole tree."""
    depth = [0] * len(parents)
    for bone, parent in enumerate(parents):
        if parent >= 0:
            depth[bone] = depth[parent] + 1
    return [torch.tensor([b for b, d in enumerate(depth) if d == level]) for level in range(max(depth) + 1)]


class Kinematics(torch.nn.Module):
    """Forward kinematics of one tree.

    Args:
        parents: parent index of each bone, -1 for bone 0; parents precede children.
    """

    _to_bone_order: Tensor

    def __init__(self, parents: Sequence[int]) -> None:
        super().__init__()
        if not parents or parents[0] != -1 or any(not 0 <= p < b for b, p in enumerate(parents) if b):
            raise ValueError("parents must precede children, with one root at index 0")
        self.parents = tuple(int(p) for p in parents)
        levels = depth_levels(self.parents)
        order = torch.cat(levels)
        position = torch.argsort(order)
        self.register_buffer("_to_bone_order", position, persistent=False)
        self._depth = len(levels) - 1
        first = 0  # where the level above begins in depth order
        for depth, level in enumerate(levels[1:]):
            parent = torch.tensor([self.parents[b] for b in level.tolist()])
            self.register_buffer(f"_bones_{depth}", level, persistent=False)
            self.register_buffer(f"_parents_{depth}", parent, persistent=False)
            self.register_buffer(f"_above_{depth}", position[parent] - first, persistent=False)
            first += len(levels[depth])

    def rotations(self, local: Tensor) -> Tensor:
        """(T, B, 3, 3) local rotations to rotations against the rest pose."""
        levels = [local[:, :1]]
        for depth in range(self._depth):
            above = levels[-1][:, getattr(self, f"_above_{depth}")]
            levels.append(above @ local[:, getattr(self, f"_bones_{depth}")])
        return torch.cat(levels, 1)[:, self._to_bone_order]

    def forward(self, local: Tensor, heads: Tensor, translation: Tensor) -> tuple[Tensor, Tensor]:
        """Pose the tree.

        Args:
            local: (T, B, 3, 3) rotation of each bone against its parent, world-aligned rest axes.
            heads: (B, 3) rest positions of the bones' heads, metres.
            translation: (T, 3) posed position of the root bone's head, metres.

        Returns:
            (T, B, 3, 3) rotations against the rest pose and (T, B, 3) posed heads, both in the world.
        """
        rotation, position = local[:, :1], translation[:, None]
        rotations, positions = [rotation], [position]
        for depth in range(self._depth):
            bones, parents = getattr(self, f"_bones_{depth}"), getattr(self, f"_parents_{depth}")
            slots = getattr(self, f"_above_{depth}")
            above, origin = rotation[:, slots], position[:, slots]
            offset = heads[bones] - heads[parents]
            position = origin + (above @ offset[:, :, None])[..., 0]
            rotation = above @ local[:, bones]
            rotations.append(rotation)
            positions.append(position)
        return torch.cat(rotations, 1)[:, self._to_bone_order], torch.cat(positions, 1)[:, self._to_bone_order]


def skin(vertices: Tensor, heads: Tensor, weights: Tensor, rotations: Tensor, posed_heads: Tensor) -> Tensor:
    """Linear blend skinning.

    Args:
        vertices: (V, 3) rest vertices, metres.
        heads: (B, 3) rest heads of the bones.
        weights: (V, B) dense weights, rows sum to 1.
        rotations: (T, B, 3, 3) and posed_heads: (T, B, 3), as :class:`Kinematics` returns them.

    Returns:
        (T, V, 3) posed vertices, metres.
    """
    frames, bones = rotations.shape[:2]
    offset = posed_heads - (rotations @ heads[:, :, None])[..., 0]
    affine = torch.cat([rotations, offset[..., None]], -1).reshape(frames, bones, 12)
    blended = torch.matmul(weights, affine).reshape(frames, -1, 3, 4)
    return (blended[..., :3] @ vertices[:, :, None])[..., 0] + blended[..., 3]


def swung(rotations: Tensor, levers: Tensor, frames: int) -> Tensor:
    """Points at the ends of levers, of many people at once.

    Args:
        rotations: (N * T, B, 3, 3) of the bones against rest, as :class:`Kinematics` returns them, person by person.
        levers: (N, L, B * 3), metres: what each bone turns of the way from the root bone's head to a point.
        frames: T.

    Returns:
        (N, T, L, 3) metres, about the root bone's head.
    """
    people = levers.shape[0]
    flat = rotations.transpose(1, 2).reshape(people, frames * 3, -1)
    return (flat @ levers.transpose(1, 2)).reshape(people, frames, 3, -1).transpose(2, 3)
