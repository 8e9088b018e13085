from __future__ import annotations

import torch

from model.estimate.rotation import matrix_from_rotvec


def _random_state(space, frames=4):
    generator = torch.Generator().manual_seed(1)
    position = torch.randn(frames, 3, generator=generator, dtype=torch.float64)
    orientation = matrix_from_rotvec(torch.randn(frames, 3, generator=generator, dtype=torch.float64))
    angles = 0.5 * torch.randn(frames, len(space.names), generator=generator, dtype=torch.float64)
    return position, orientation, angles


def test_landmarks_are_where_the_skinned_vertices_are(body, space):
    position, orientation, angles = _random_state(space)
    rest = body.rest(body.default_shape())
    points, _ = space.landmarks(space.attach(rest), position, orientation, angles)
    vertices = body.pose(rest, space.local_rotations(orientation, angles).float(), position.float())
    regressed = space.skeleton.regressor.positions(vertices.double())
    assert (points - regressed).norm(dim=-1).max() < 1e-5


def test_derivatives_equal_finite_differences(body, space):
    position, orientation, angles = _random_state(space)
    attachment = space.attach(body.rest(body.default_shape()))
    points, jacobian = space.landmarks(attachment, position, orientation, angles, jacobian=True)
    step = 1e-6
    for p in range(space.size):
        d = torch.zeros(space.size, dtype=torch.float64)
        d[p] = step
        moved, _ = space.landmarks(
            attachment, position + d[:3], matrix_from_rotvec(d[3:6]) @ orientation, angles + d[6:]
        )
        assert torch.allclose((moved - points) / step, jacobian[..., p], atol=5e-6), space_name(space, p)


def space_name(space, p):
    return "position or orientation" if p < 6 else space.names[p - 6]


def test_hinges_bend_the_right_way(body, space):
    attachment = space.attach(body.rest(body.default_shape()))
    angles = torch.zeros((2, len(space.names)), dtype=torch.float64)
    for name in ("elbow.L", "elbow.R", "knee.L", "knee.R"):
        angles[1, space.names.index(name)] = 1.0
    still = torch.eye(3, dtype=torch.float64).expand(2, 3, 3)
    points, _ = space.landmarks(attachment, torch.zeros((2, 3), dtype=torch.float64), still, angles)
    wrists, ankles = points[:, 15:17], points[:, 27:29]
    assert (wrists[1, :, 2] > wrists[0, :, 2] + 0.05).all()  # the hands come up
    assert (ankles[1, :, 1] > ankles[0, :, 1] + 0.2).all()  # the feet go back (+Y)
    assert (space.lower < space.upper).all()
