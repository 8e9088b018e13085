"""The pose space as the networks write it: rotations of ball joints, sines and cosines of hinges."""

from __future__ import annotations

import torch
from torch import Tensor

from model.networks.initial import InitialOutput
from model.networks.puppet import Puppet
from model.networks.straight_view import LANDMARKS

from .evidence import STATURE_M
from .pose_space import PoseSpace
from .rotation import cross_matrix, matrix_from_rotvec, rotvec_from_matrix


class PoseLayout:
    """Between angles (..., Q) of a pose space, what ``InitialNet`` gives, and rotations of the S moving bones.

    Attributes:
        balls: names of the J ball joints. hinges: names of the H hinges and twists.
        parents: of the moving bones. hinge_axes: (H, 3) that the hinges turn about.
    """

    def __init__(self, space: PoseSpace) -> None:
        unit = space.rotvecs(torch.eye(len(space.names), dtype=torch.float64)).float()  # (Q, S, 3)
        slots = [vectors.norm(dim=-1).nonzero()[:, 0].tolist() for vectors in unit]
        self.balls = [name[:-2] for name in space.names if name.endswith(".x")]
        self.hinges = [name for name in space.names if not name.endswith((".x", ".y", ".z"))]
        self.parents = tuple(space.skeleton.parents)
        self.names = list(space.names)
        first = [space.names.index(f"{name}.x") for name in self.balls]
        self._ball_columns = torch.tensor([[c, c + 1, c + 2] for c in first])
        self._bones = torch.tensor([len(slots[c]) for c in first], dtype=torch.float32)
        self._ball_slots = torch.tensor([slot for c in first for slot in slots[c]])
        self._ball_of_slot = torch.tensor([j for j, c in enumerate(first) for _ in slots[c]])
        self._hinge_columns = torch.tensor([space.names.index(name) for name in self.hinges])
        self._hinge_slots = torch.tensor([slots[c][0] for c in self._hinge_columns.tolist()])
        self._mean = torch.zeros(len(first), len(space.skeleton.names))  # over the bones of a ball
        self._mean[self._ball_of_slot, self._ball_slots] = 1 / self._bones[self._ball_of_slot]
        slots_of_parts = torch.cat([torch.zeros(1, dtype=torch.long), self._ball_slots, self._hinge_slots])
        self._order = torch.argsort(slots_of_parts)
        self.hinge_axes = unit[self._hinge_columns].sum(1)
        self._cross = cross_matrix(self.hinge_axes)
        self._space = space

    def puppet(self, shape_mean: Tensor, shape_sigma: Tensor) -> Puppet:
        """People for the network to try its poses on; (P,) what its shape is standardised by."""
        person = self._space.people()

        def levers(shape: Tensor) -> Tensor:
            attachment, stature_m = person(shape)
            return self._space.levers(attachment)[:LANDMARKS] * (STATURE_M / stature_m)

        shape_mean, steps = shape_mean.double(), torch.diag(shape_sigma.double())
        differences = [(levers(shape_mean + step) - levers(shape_mean - step)) / 2 for step in steps]
        return Puppet(self, torch.stack([levers(shape_mean), *differences]))

    def targets(self, angles: Tensor) -> tuple[Tensor, Tensor]:
        """(..., Q) angles to (..., J, 3, 3) rotations of each bone of each ball, and (..., H, 2) cosine and sine."""
        balls = angles[..., self._ball_columns] / self._bones[:, None].to(angles)
        hinges = angles[..., self._hinge_columns]
        return matrix_from_rotvec(balls), torch.stack([hinges.cos(), hinges.sin()], -1)

    def local(self, balls: Tensor, hinges: Tensor, orientation: Tensor) -> Tensor:
        """(..., S, 3, 3) local rotations of the moving bones; ``orientation`` (..., 3, 3) of the hips."""
        cosine, sine = hinges[..., 0, None, None], hinges[..., 1, None, None]
        cross = self._cross.to(balls)
        turn = torch.eye(3).to(balls) + sine * cross + (1 - cosine) * (cross @ cross)
        parts = torch.cat([orientation[..., None, :, :], balls[..., self._ball_of_slot, :, :], turn], -3)
        return parts[..., self._order, :, :]

    def pulled(self, turns: Tensor) -> tuple[Tensor, Tensor]:
        """What small turns of the bones are for the joints: (..., S, 3) rotation vectors in the axes of the bones above
        to means (..., J, 3) over each ball's bones and (..., H) about the hinges' axes; the hips' are left out."""
        hinges = (turns[..., self._hinge_slots, :] * self.hinge_axes.to(turns)).sum(-1)
        return self._mean.to(turns) @ turns, hinges

    def angles_of(self, balls: Tensor, hinges: Tensor) -> Tensor:
        """(..., Q) angles of (..., J, 3, 3) balls' bones and (..., H, 2) hinges."""
        turned = rotvec_from_matrix(balls) * self._bones[:, None].to(balls)
        out = torch.zeros((*turned.shape[:-2], len(self.names)), dtype=turned.dtype)
        out[..., self._ball_columns.flatten()] = turned.flatten(-2)
        out[..., self._hinge_columns] = torch.atan2(hinges[..., 1], hinges[..., 0])
        return out

    def angle_errors(self, output: InitialOutput, angles: Tensor) -> Tensor:
        """(..., Q) by which the network's angles are wrong; for balls the rotation vector of the rest."""
        balls, _ = self.targets(angles)
        off = rotvec_from_matrix(output.balls.mT @ balls) * self._bones[:, None]
        hinge = angles[..., self._hinge_columns] - torch.atan2(output.hinges[..., 1], output.hinges[..., 0])
        out = torch.zeros_like(angles)
        out[..., self._ball_columns.flatten()] = off.flatten(-2)
        out[..., self._hinge_columns] = torch.remainder(hinge + torch.pi, 2 * torch.pi) - torch.pi
        return out
