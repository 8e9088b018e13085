"""Rotations to angles and back."""

from __future__ import annotations

import pytest
import torch

from model.body.retarget import retarget
from model.estimate.pose_angles import angles_from_local
from model.estimate.rotation import matrix_from_rotvec, rotvec_from_matrix
from model.synth.motion.mocap import default_folder, read_sequences


def random_angles(space, frames=200, seed=0, spread=0.7):
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn((frames, len(space.names)), generator=generator, dtype=torch.float64)
    return (space.mean + spread * space.sigma * noise).clamp(space.lower, space.upper)


def facing(frames):
    return torch.eye(3, dtype=torch.float64).expand(frames, 3, 3)


def test_gives_back_the_angles_it_was_made_of(space):
    angles = random_angles(space)
    again = angles_from_local(space, space.local_rotations(facing(len(angles)), angles), consecutive=False)
    within = torch.ones_like(angles, dtype=torch.bool)  # beyond half a turn a rotation has a shorter vector
    for name in ("shoulder.L", "shoulder.R"):
        column = space.names.index(f"{name}.x")
        short = angles[:, column : column + 3].norm(dim=-1) < torch.pi
        within[:, column : column + 3] = short[:, None]
    assert within.all(1).sum() > 150
    assert (again - angles)[within].abs().max() < 1e-6


def test_what_a_hinge_cannot_do_moves_no_limb(space):
    """Knees and elbows turned about all axes: thighs, shins, arms and the orientation of hands and feet are kept."""
    body = space.body
    rest = body.rest(body.default_shape())
    local = space.local_rotations(facing(100), random_angles(space, 100, seed=1, spread=0.4))
    generator = torch.Generator().manual_seed(2)
    for bone in ("lowerleg01.L", "lowerleg01.R", "lowerarm01.L", "lowerarm01.R"):
        off = 0.15 * torch.randn((100, 3), generator=generator, dtype=torch.float64)
        flexed = torch.tensor([0.9 if "leg" in bone else 0.0, 0.0, 0.0]).double()
        local[:, body.bone(bone)] = matrix_from_rotvec(off) @ matrix_from_rotvec(flexed) @ local[:, body.bone(bone)]
    again = space.local_rotations(facing(100), angles_from_local(space, local, consecutive=False))
    nowhere = torch.zeros((100, 3), dtype=torch.float64)
    before, heads = body.kinematics(local, rest.heads_m.double(), nowhere)
    after, moved = body.kinematics(again, rest.heads_m.double(), nowhere)
    for bone in ("lowerleg01", "foot", "lowerarm01", "wrist"):
        for side in "LR":
            index = body.bone(f"{bone}.{side}")
            apart = (heads[:, index] - moved[:, index]).norm(dim=-1)
            assert apart.median() < 0.005, bone
            assert apart.quantile(0.95) < 0.03, bone
            if bone in ("foot", "wrist"):
                assert (before[:, index] - after[:, index]).abs().max() < 1e-6


def test_rotation_vectors_are_continuous_and_near_the_mean(space):
    """An arm that swings once up and beyond half a turn: no jump; and from anywhere, the shortest vector."""
    column = space.names.index("shoulder.L.x")
    angles = torch.zeros((120, len(space.names)), dtype=torch.float64)
    angles[:, column] = torch.linspace(0.0, -3.6, 120)
    local = space.local_rotations(facing(120), angles)
    flowing = angles_from_local(space, local)
    assert (flowing - angles).abs().max() < 1e-6
    single = angles_from_local(space, local, consecutive=False)
    assert single[:, column : column + 3].norm(dim=-1).max() < torch.pi + 1e-6
    assert torch.allclose(
        space.local_rotations(facing(120), single), space.local_rotations(facing(120), flowing), atol=1e-9
    )


def test_the_limits_hold(space):
    local = space.local_rotations(facing(1), torch.zeros((1, len(space.names)), dtype=torch.float64))
    knee = space.body.bone("lowerleg01.L")
    local[0, knee] = matrix_from_rotvec(torch.tensor([-0.3, 0.0, 0.0], dtype=torch.float64))  # the wrong way
    angles = angles_from_local(space, local)
    assert angles[0, space.names.index("knee.L")] == space.lower[space.names.index("knee.L")]


@pytest.mark.skipif(not default_folder().is_dir(), reason="the motion capture (../shared/mocap) is not here")
def test_a_captured_motion_survives(space):
    capture = next(s for s in read_sequences() if s.uid == "CMU_135_02")  # off the hinges, from another character
    body = space.body
    rest = body.rest(body.default_shape())
    moved = retarget(body, rest, capture)
    angles = angles_from_local(space, moved.local)
    assert (angles[1:] - angles[:-1]).abs().quantile(0.9999) < 0.6  # its forearms turn fast
    again = space.local_rotations(moved.local[:, 0], angles)
    before, heads = body.kinematics(moved.local, rest.heads_m.double(), moved.position_m)
    after, ours = body.kinematics(again, rest.heads_m.double(), moved.position_m)
    assert (heads - ours).norm(dim=-1).quantile(0.999) < 0.02
    for bone in ("foot.L", "foot.R", "head", "spine01"):
        index = body.bone(bone)
        assert rotvec_from_matrix(before[:, index].mT @ after[:, index]).norm(dim=-1).max() < 1e-5
