"""Rotations: one convention, against an independent implementation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from amr_blender.contract.rotations import (
    continuous,
    matrix_from_quaternion,
    multiply,
    quaternion_from_matrix,
    quaternion_from_rotvec,
    rotvec_from_quaternion,
    slerp,
)

SPECIAL = np.array(
    [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0.5, 0.5, 0.5, 0.5], [1e-9, 1, 1, 0], [0, 1, -1, 1]],
    float,
)


@pytest.fixture
def quaternions() -> np.ndarray:
    random = np.random.default_rng(0).normal(size=(500, 4))
    q = np.concatenate([SPECIAL, random])
    return q / np.linalg.norm(q, axis=-1, keepdims=True)


def scipys(quaternions: np.ndarray) -> Rotation:
    return Rotation.from_quat(np.roll(quaternions, -1, axis=-1))


def same(a: np.ndarray, b: np.ndarray) -> None:
    """Equal as rotations."""
    np.testing.assert_allclose(np.abs((a * b).sum(-1)), 1.0, atol=1e-12)


def test_matrices(quaternions: np.ndarray) -> None:
    np.testing.assert_allclose(matrix_from_quaternion(quaternions), scipys(quaternions).as_matrix(), atol=1e-12)
    np.testing.assert_allclose(matrix_from_quaternion(quaternions * 3), scipys(quaternions).as_matrix(), atol=1e-12)


def test_quaternions(quaternions: np.ndarray) -> None:
    """Half turns too, where the simple formula divides by zero."""
    back = quaternion_from_matrix(matrix_from_quaternion(quaternions))
    same(back, quaternions)
    assert (back[:, 0] >= 0).all()


def test_leading_dimensions(quaternions: np.ndarray) -> None:
    q = quaternions[:500].reshape(5, 20, 5, 4)
    assert matrix_from_quaternion(q).shape == (5, 20, 5, 3, 3)
    assert quaternion_from_matrix(matrix_from_quaternion(q)).shape == q.shape
    assert multiply(q, q).shape == q.shape


def test_products(quaternions: np.ndarray) -> None:
    other = quaternions[::-1]
    expected = matrix_from_quaternion(quaternions) @ matrix_from_quaternion(other)
    np.testing.assert_allclose(matrix_from_quaternion(multiply(quaternions, other)), expected, atol=1e-12)


def test_continuous() -> None:
    angle = np.linspace(0, 8 * np.pi, 200)
    turning = np.stack([np.cos(angle / 2), np.sin(angle / 2), 0 * angle, 0 * angle], -1)
    flipped = turning * np.random.default_rng(1).choice([-1.0, 1.0], size=(200, 1))
    two = continuous(np.stack([flipped, turning], 1))
    assert ((two[1:] * two[:-1]).sum(-1) > 0).all()
    same(two[:, 0], turning)
    np.testing.assert_array_equal(continuous(turning[:1]), turning[:1])


def test_slerp() -> None:
    start, end = np.array([1.0, 0, 0, 0]), np.array([np.cos(0.5), np.sin(0.5), 0, 0])
    fractions = np.linspace(0, 1, 11)
    between = slerp(np.tile(start, (11, 1)), np.tile(-end, (11, 1)), fractions)
    expected = np.stack([np.cos(fractions / 2), np.sin(fractions / 2), 0 * fractions, 0 * fractions], -1)
    same(between, expected)
    np.testing.assert_allclose(slerp(start, start, np.array(0.3)), start)


def test_rotation_vectors(quaternions: np.ndarray) -> None:
    known = Rotation.from_quat(np.roll(quaternions, -1, -1)).as_rotvec()
    here = rotvec_from_quaternion(quaternions / np.linalg.norm(quaternions, axis=-1, keepdims=True))
    assert np.linalg.norm(here, axis=-1).max() <= np.pi + 1e-12
    same(quaternion_from_rotvec(here), quaternions)
    np.testing.assert_allclose(np.linalg.norm(here, axis=-1), np.linalg.norm(known, axis=-1), atol=1e-7)
    small = np.array([[0.0, 0, 0], [1e-12, 0, 0], [1e-7, -2e-7, 0], [2e-4, 1e-5, 0]])
    np.testing.assert_allclose(rotvec_from_quaternion(quaternion_from_rotvec(small)), small, rtol=1e-9, atol=1e-20)
