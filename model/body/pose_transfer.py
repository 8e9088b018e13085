"""Poses of a body of the SMPL family that follow a take's Anny, joint by joint.

The unknowns of a frame are the root's position and, for each joint that has another below it, the rotation of its part
in the world.  A part first turns as Anny's does (``model.body.correspondence``), then Gauss-Newton brings the joints to
their places; how far a part may point elsewhere, and turn about itself, is the link's.  In world rotations the
derivatives are one cross product for each bone on the way to a joint.
"""

from __future__ import annotations

import numpy as np
import torch

from amr_blender.contract.rotations import (
    continuous,
    matrix_from_quaternion,
    quaternion_from_matrix,
    quaternion_from_rotvec,
    rotvec_from_quaternion,
)
from amr_blender.contract.take import Take

from .correspondence import link_of, rest_turns
from .interface import Array, RestBody
from .rig import local_rotations
from .skinning import Kinematics
from .smpl_file import BODY_JOINTS, Family

_ROUNDS, _DAMPING = 5, 1e-6


class TakeMotion:
    """Where the bones of a take are, by name, as the SMPL family's joints see them."""

    def __init__(self, take: Take) -> None:
        self._take = take
        self.names: list[str] = take.bone_names[1:].tolist()
        self._heads = torch.from_numpy(take.bone_rest[1:, :3, 3].astype(np.float64))
        self._kinematics = Kinematics((take.bone_parents[1:] - 1).tolist())

    @property
    def rest_heads(self) -> dict[str, Array]:
        """(3,) heads at rest, metres, soles at Z = 0."""
        return dict(zip(self.names, self._heads.numpy(), strict=True))

    def local(self, frames: slice) -> Array:
        """(t, B, 3, 3) world-aligned local rotations of all bones but ``root``."""
        return local_rotations(self._take.rotations[frames], self._take.bone_rest)[:, 1:]

    def pose(self, frames: slice) -> tuple[dict[str, Array], dict[str, Array]]:
        """(t, 3, 3) rotations against the rest pose and (t, 3) heads, in the world."""
        local = torch.from_numpy(self.local(frames))
        root = torch.from_numpy(self._take.translation_m[frames].astype(np.float64))
        rotations, heads = (x.numpy() for x in self._kinematics(local, self._heads, root))
        return (
            {name: rotations[:, i] for i, name in enumerate(self.names)},
            {name: heads[:, i] for i, name in enumerate(self.names)},
        )


class PoseTransfer:
    """Poses of one SMPL person after a take's person.  J joints, N of which have a place on Anny.

    Args:
        family, rest: the SMPL person's.
        motion: of the take.
        shift: (3,) what takes the SMPL person's trunk onto Anny's, both at rest.
    """

    def __init__(self, family: Family, rest: RestBody, motion: TakeMotion, shift: Array) -> None:
        self._joints, self._parents = family.joints, family.parents
        self._heads = rest.heads_m.numpy()
        self._links = [link_of(joint) for joint in self._joints]
        anny = motion.rest_heads
        turns = rest_turns(dict(zip(self._joints, self._heads, strict=True)), anny, shift)
        self.rest_turns = np.stack([turns[joint] for joint in self._joints])
        """(J, 3, 3) world rotations that put the SMPL person into Anny's rest pose."""
        self.rest_root = self._heads[0] + shift
        """(3,) where its root is then."""
        self._moving = sorted({p for p in self._parents[:BODY_JOINTS] if p >= 0})
        self._placed = [j for j in range(BODY_JOINTS) if np.isfinite(self._links[j].reach_m)]
        self._reach = np.array([self._links[j].reach_m for j in self._placed])
        along = rest.tails_m.numpy() - self._heads
        self._along = along[self._moving] / np.linalg.norm(along[self._moving], axis=-1, keepdims=True)
        self._precision = np.array([(self._links[j].swing ** -2, self._links[j].twist ** -2) for j in self._moving])
        at = self._positions(self.rest_turns[None], self.rest_root[None])[0]
        self._levers = np.stack([at[j] - anny[self._links[j].carrier] for j in self._placed])

    def run(self, rotations: dict[str, Array], heads: dict[str, Array]) -> tuple[Array, Array, Array]:
        """Follow t frames.

        Args:
            rotations: (t, 3, 3) and heads: (t, 3) of Anny's bones, as :meth:`TakeMotion.pose` gives them.

        Returns:
            (t, J, 3, 3) world-aligned local rotations, (t, 3) positions of the root, and (t, N) how far the placed
            joints stay off their places, metres.
        """
        carriers = [self._links[j].carrier for j in self._placed]
        turned = np.stack([rotations[bone] for bone in carriers], 1) @ self._levers[..., None]
        targets = np.stack([heads[bone] for bone in carriers], 1) + turned[..., 0]
        start = np.stack([_mean([rotations[bone] for bone in link.turns]) for link in self._links], 1) @ self.rest_turns
        world, root = start.copy(), np.zeros((len(start), 3))
        root += (targets - self._positions(world, root)[:, self._placed]).mean(1)
        for _ in range(_ROUNDS):
            step = self._step(world, root, start, targets)
            root = root + step[:, :3]
            turn = matrix_from_quaternion(quaternion_from_rotvec(step[:, 3:].reshape(len(step), -1, 3)))
            world[:, self._moving] = turn @ world[:, self._moving]
        off = np.linalg.norm(targets - self._positions(world, root)[:, self._placed], axis=-1)
        return self.local(world), root, off

    def _step(self, world: Array, root: Array, start: Array, targets: Array) -> Array:
        """(t, 3 + 3 M) Gauss-Newton step of the root's position and of the moving parts' rotations."""
        frames, size = len(world), 3 + 3 * len(self._moving)
        moves = self._derivative(world)[:, self._placed] / self._reach[:, None, None]
        error = (targets - self._positions(world, root)[:, self._placed]) / self._reach[:, None]
        rows = moves.reshape(frames, -1, size)
        matrix = np.swapaxes(rows, 1, 2) @ rows + _DAMPING * np.eye(size)
        right = np.swapaxes(rows, 1, 2) @ error.reshape(frames, -1, 1)
        begun = start[:, self._moving]
        away = rotvec_from_quaternion(quaternion_from_matrix(world[:, self._moving] @ np.swapaxes(begun, -1, -2)))
        axis = begun @ self._along[..., None]
        about = axis @ np.swapaxes(axis, -1, -2)
        swing, twist = self._precision.T[:, :, None, None]
        precision = swing * (np.eye(3) - about) + twist * about
        for k in range(len(self._moving)):
            part = slice(3 + 3 * k, 6 + 3 * k)
            matrix[:, part, part] += precision[:, k]
            right[:, part, 0] -= (precision[:, k] @ away[:, k, :, None])[..., 0]
        step: Array = np.linalg.solve(matrix, right)[..., 0]
        return step

    def _derivative(self, world: Array) -> Array:
        """(t, BODY_JOINTS, 3, 3 + 3 M) of the joints by the root's position and the moving parts' rotations."""
        column = {j: slice(3 + 3 * k, 6 + 3 * k) for k, j in enumerate(self._moving)}
        out = np.zeros((len(world), BODY_JOINTS, 3, 3 + 3 * len(self._moving)))
        out[..., :3] = np.eye(3)
        for joint in range(1, BODY_JOINTS):
            parent = self._parents[joint]
            x, y, z = np.moveaxis(world[:, parent] @ (self._heads[joint] - self._heads[parent]), -1, 0)
            o = np.zeros_like(x)
            out[:, joint] = out[:, parent]
            out[:, joint, :, column[parent]] = np.stack([o, z, -y, -z, o, x, y, -x, o], -1).reshape(-1, 3, 3)
        return out

    def _positions(self, world: Array, root: Array) -> Array:
        """(t, BODY_JOINTS, 3) joints of parts turned by (t, J, 3, 3) in the world."""
        at = np.zeros((len(world), BODY_JOINTS, 3))
        at[:, 0] = root
        for joint in range(1, BODY_JOINTS):
            parent = self._parents[joint]
            at[:, joint] = at[:, parent] + world[:, parent] @ (self._heads[joint] - self._heads[parent])
        return at

    def local(self, world: Array) -> Array:
        """(t, J, 3, 3) rotations in the world to local ones."""
        local = world.copy()
        for joint in range(1, len(self._parents)):
            local[:, joint] = np.swapaxes(world[:, self._parents[joint]], -1, -2) @ world[:, joint]
        return local


def _mean(rotations: list[Array]) -> Array:
    """(t, 3, 3) the rotation in the middle of a few near ones."""
    if len(rotations) == 1:
        return rotations[0]
    together = continuous(quaternion_from_matrix(np.stack(rotations)))  # the same half-sphere for all
    return matrix_from_quaternion(together.sum(0))
