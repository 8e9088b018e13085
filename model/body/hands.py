"""Hands at ease: fingers a little bent, as idle hands have them.  What the fingers really do, nobody has looked."""

from __future__ import annotations

import torch
from torch import Tensor

from amr_blender.contract.rotations import matrix_from_quaternion, quaternion_from_rotvec

from .anny import AnnyBody

_BEND_RAD = {"2": 0.2, "3": 0.26, "4": 0.31, "5": 0.34}
"""Of each joint of the fingers from index to little finger, which bends most."""
_THUMB_RAD = 0.12


def relaxed_fingers(body: AnnyBody) -> tuple[list[int], Tensor]:
    """Bones of the fingers, and their (N, 3, 3) world-aligned local rotations.

    A finger bends about the axis that crosses it and the row of knuckles, towards the palm.
    """
    rest = body.rest(body.default_shape())
    heads, tails = rest.heads_m.double().cpu(), rest.tails_m.double().cpu()
    bones: list[int] = []
    turns: list[Tensor] = []
    for side in ("L", "R"):
        knuckles = heads[body.bone(f"finger2-1.{side}")] - heads[body.bone(f"finger5-1.{side}")]
        wrist = heads[body.bone(f"wrist.{side}")]
        middle = heads[body.bone(f"finger3-1.{side}")] - wrist
        palm = torch.linalg.cross(knuckles, middle) * (1.0 if side == "L" else -1.0)  # out of the palm
        for finger in ("1", "2", "3", "4", "5"):
            for joint in ("1", "2", "3"):
                name = f"finger{finger}-{joint}.{side}"
                bone = body.bone(name)
                along = tails[bone] - heads[bone]
                axis = torch.linalg.cross(palm, along)
                angle = _BEND_RAD.get(finger, _THUMB_RAD)
                bones.append(bone)
                turns.append(axis / axis.norm() * angle)
    return bones, torch.from_numpy(matrix_from_quaternion(quaternion_from_rotvec(torch.stack(turns).numpy())))
