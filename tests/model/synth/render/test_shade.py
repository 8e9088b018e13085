"""Light and shadow against values worked out by hand."""

from __future__ import annotations

import pytest
import torch

from model.synth.render.shade import Lights, Shadows, lit, parts

UP = torch.tensor([[0.0, 0, 1]])


def lamp(place: tuple[float, float, float], strength: float = 1.0) -> Lights:
    return Lights(
        torch.tensor([[place]]), torch.full((1, 1, 3), 2.0), torch.full((1, 3), 0.4), torch.full((1, 1), strength)
    )


def test_a_surface_that_faces_the_lamp_gets_all_of_it_and_the_sky() -> None:
    one = torch.zeros(1, dtype=torch.int64)
    light = lit(parts(torch.full((1, 3), 0.5), torch.zeros(1, 3), UP, lamp((0, 0, 5)), one), torch.ones(1, 1))
    assert light[0].tolist() == pytest.approx([0.5 * (0.4 + 2.0)] * 3)


def test_slanting_light_counts_by_its_cosine_and_from_behind_not_at_all() -> None:
    one, white = torch.zeros(1, dtype=torch.int64), torch.ones(1, 3)
    slanting = lit(parts(white, torch.zeros(1, 3), UP, lamp((3, 0, 3)), one), torch.ones(1, 1))
    behind = lit(parts(white, torch.zeros(1, 3), -UP, lamp((0, 0, 5)), one), torch.ones(1, 1))
    assert slanting[0, 0].item() == pytest.approx(0.4 + 2.0 * 0.5**0.5)
    assert behind[0, 0].item() == pytest.approx(0.2)


@pytest.mark.parametrize("strength", [1.0, 0.6])
def test_what_lies_under_a_board_is_in_its_shadow(strength: float) -> None:
    board = torch.tensor([[[-0.5, -0.5, 1.0], [0.5, -0.5, 1.0], [0.5, 0.5, 1.0], [-0.5, 0.5, 1.0]]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    shadows = Shadows(board, faces, lamp((0, 0, 4), strength), torch.zeros(1, 3), map_px=64)
    places = torch.tensor([[0.0, 0, 0], [2.0, 0, 0], [0, 0, 1.5], [0.1, 0.1, 1.0]])
    reached = shadows.reached(places, torch.zeros(1, dtype=torch.int64))[:, 0]
    assert reached.tolist() == pytest.approx([1 - strength, 1, 1, 1])  # the board itself is lit
