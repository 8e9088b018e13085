"""The networks' rotations against the pose space's: the same bones turn by the same, and angles come back."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from model.estimate.pose_layout import PoseLayout
from model.estimate.rotation import matrix_from_rotvec, rotvec_from_matrix
from model.networks.initial import InitialNet, InitialOutput, InitialSettings


@pytest.fixture(scope="module")
def layout(space) -> PoseLayout:
    return PoseLayout(space)


@pytest.fixture(scope="module")
def angles(space) -> Tensor:
    """(40, Q) within limits, float64; balls turn by less than half a turn, so that their vectors are unique."""
    noise = torch.randn((40, len(space.names)), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return (space.mean + 0.5 * space.sigma * noise).clamp(space.lower, space.upper)


@pytest.fixture(scope="module")
def orientation() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return matrix_from_rotvec(torch.randn((40, 3), generator=generator, dtype=torch.float64))


def output_of(layout: PoseLayout, angles: Tensor) -> InitialOutput:
    """What a network would say that knows the angles (B, T, Q)."""
    net = InitialNet(InitialSettings(width=16, depth=1, passes=0))
    said = net.read(torch.zeros(*angles.shape[:2], net.outputs))
    balls, hinges = layout.targets(angles)
    return replace(said, balls=balls, hinges=hinges)


def test_is_as_large_as_the_network(layout, space) -> None:
    settings = InitialSettings()
    assert (len(layout.balls), len(layout.hinges), len(layout.names)) == (
        settings.balls,
        settings.hinges,
        settings.angles,
    )
    assert 3 * len(layout.balls) + len(layout.hinges) == len(space.names)
    assert len(space.body.shape_names) == settings.shape


def test_bones_turn_as_in_the_pose_space(layout, space, angles, orientation) -> None:
    local = layout.local(*layout.targets(angles), orientation)
    expected = space.local_rotations(orientation, angles)[:, space.skeleton.bones]
    assert local.shape == expected.shape
    assert (local - expected).abs().max() < 1e-6
    assert (expected - torch.eye(3, dtype=torch.float64)).abs().amax((0, 2, 3)).min() > 0.01  # all of them turn


def test_windows_have_their_bones_turned_as_frames_have(layout, angles, orientation) -> None:
    windows = layout.local(*layout.targets(angles.reshape(4, 10, -1)), orientation.reshape(4, 10, 3, 3))
    assert torch.equal(windows.flatten(0, 1), layout.local(*layout.targets(angles), orientation))


def test_angles_come_back(layout, angles) -> None:
    assert (layout.angles_of(*layout.targets(angles)) - angles).abs().max() < 1e-6
    single = angles.float()
    assert (layout.angles_of(*layout.targets(single)) - single).abs().max() < 1e-3


def test_every_angle_has_a_place_of_its_own(layout, angles) -> None:
    """One angle moved moves its own ball or hinge and no other."""
    still = torch.cat([rotation.flatten(1) for rotation in layout.targets(torch.zeros_like(angles[:1]))], 1)[0]
    touched = []
    for column in range(len(layout.names)):
        moved = torch.zeros_like(angles[:1])
        moved[0, column] = 0.4
        balls, hinges = layout.targets(moved)
        changed = (torch.cat([balls.flatten(1), hinges.flatten(1)], 1)[0] - still).abs() > 1e-9
        joints = {k // 9 for k in changed.nonzero()[:, 0].tolist() if k < 9 * len(layout.balls)}
        others = {(k - 9 * len(layout.balls)) // 2 for k in changed.nonzero()[:, 0].tolist() if k >= balls.numel()}
        names = [layout.balls[j] for j in joints] + [layout.hinges[j] for j in others]
        assert names == [layout.names[column].removesuffix(".x").removesuffix(".y").removesuffix(".z")]
        touched += names
    assert set(touched) == {*layout.balls, *layout.hinges}


def test_who_is_right_errs_in_nothing(layout, angles) -> None:
    true = angles.float().reshape(4, 10, -1)
    assert layout.angle_errors(output_of(layout, true), true).abs().max() < 1e-3


def test_errors_are_as_large_as_they_are(layout, angles) -> None:
    """Hinges by their angle, balls by the turn that is missing, all their bones together."""
    true = angles.float().reshape(4, 10, -1)
    for name in ("knee.L", "forearm.R", "waist.y", "shoulder.L.x"):
        column = layout.names.index(name)
        wrong = torch.zeros_like(true)
        wrong[..., column] = true[..., column] + 0.3  # the others at rest, so that turns about one axis add up
        told = wrong.clone()
        told[..., column] -= 0.3
        errors = layout.angle_errors(output_of(layout, told), wrong)
        assert errors[..., column] == pytest.approx(torch.full((4, 10), 0.3), abs=1e-3), name
        errors[..., column] = 0.0
        assert errors.abs().max() < 1e-3, name


def test_a_hinge_errs_by_the_shorter_way_round(layout) -> None:
    column = layout.names.index("elbow.L")
    true, told = torch.zeros(1, 1, len(layout.names)), torch.zeros(1, 1, len(layout.names))
    true[..., column], told[..., column] = 3.0, -3.0
    assert float(layout.angle_errors(output_of(layout, told), true)[..., column]) == pytest.approx(
        6.0 - 2 * torch.pi, abs=1e-4
    )


def test_a_turn_over_several_bones_is_shared_evenly(layout, space) -> None:
    angles = torch.zeros(1, len(space.names), dtype=torch.float64)
    angles[0, space.names.index("waist.x")] = 0.6
    local = layout.local(*layout.targets(angles), torch.eye(3, dtype=torch.float64)[None])[0]
    for bone in ("spine05", "spine04", "spine03"):
        turned = rotvec_from_matrix(local[space.skeleton.names.index(bone)])
        assert turned.tolist() == pytest.approx([0.2, 0.0, 0.0], abs=1e-9)
