from __future__ import annotations

import pytest
import torch

from model.estimate.rotation import left_jacobian, matrix_from_rotvec, rotvec_from_matrix


@pytest.mark.parametrize("scale", [0.0, 1e-6, 1e-3, 0.5, 2.0, 3.1])
def test_logarithm_undoes_the_exponential(scale):
    direction = torch.nn.functional.normalize(torch.randn(50, 3, dtype=torch.float64), dim=-1)
    vector = scale * direction
    matrix = matrix_from_rotvec(vector)
    assert torch.allclose(matrix @ matrix.mT, torch.eye(3, dtype=torch.float64).expand(50, 3, 3), atol=1e-12)
    assert torch.allclose(rotvec_from_matrix(matrix), vector, atol=1e-6)


def test_logarithm_of_a_half_turn_has_the_right_axis():
    matrix = matrix_from_rotvec(torch.tensor([[torch.pi, 0.0, 0.0]], dtype=torch.float64))
    assert torch.allclose(rotvec_from_matrix(matrix).abs(), torch.tensor([[torch.pi, 0, 0]], dtype=torch.float64))


def test_left_jacobian_is_the_derivative_of_the_exponential():
    vector = torch.randn(20, 3, dtype=torch.float64)
    step = 1e-6 * torch.randn(20, 3, dtype=torch.float64)
    turned = matrix_from_rotvec(vector + step) @ matrix_from_rotvec(vector).mT
    predicted = (left_jacobian(vector) @ step[..., None])[..., 0]
    assert torch.allclose(rotvec_from_matrix(turned), predicted, atol=1e-10)
