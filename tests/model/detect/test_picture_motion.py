"""Two pictures of one background: similarities, bodies that are left out, and corners in view."""

from __future__ import annotations

import numpy as np
import pytest

from model.detect.picture_motion import SIDE_PX, KeyPicture, Similarity, on_bodies, small_grey
from tests.model.detect.scenery import HEIGHT, WIDTH, crop_of, texture, view, with_somebody

NOBODY = np.empty((0, 4))
PLACE = texture(0)


def test_similarities_follow_one_another() -> None:
    first, then = Similarity(1.1 + 0.2j, 3 - 4j), Similarity(0.9j, 5 + 1j)
    points, middle = np.random.default_rng(0).random((5, 2)) * 100, np.array([50.0, 30.0])
    one_by_one = then.apply(first.apply(points, middle), middle)
    np.testing.assert_allclose(then.after(first).apply(points, middle), one_by_one)


@pytest.mark.parametrize("shape", [(1080, 1920), (4320, 7680), (1920, 1080)])
def test_small_pictures_are_of_one_size(shape: tuple[int, int]) -> None:
    grey = small_grey(np.full((*shape, 3), [10, 120, 30], np.uint8))
    assert max(grey.shape) == SIDE_PX and min(grey.shape) == SIDE_PX * 9 // 16
    assert (grey == 120).all()


def test_nothing_is_enlarged() -> None:
    assert small_grey(np.zeros((48, 64, 3), np.uint8)).shape == (48, 64)


def test_a_turned_body_covers_a_turned_ellipse() -> None:
    lying = np.array([[100.0, 50.0, 2 * 1.25 * 40, np.pi / 2]])
    points = np.array([[100, 50], [135, 50], [65, 50], [100, 70], [100, 30], [150, 50]])
    assert on_bodies(points, lying).tolist() == [True, True, True, False, False, False]
    assert on_bodies(points, lying, width=1.0).tolist() == [True] * 5 + [False]
    assert not on_bodies(points, NOBODY).any()


def test_the_similarity_between_two_pictures() -> None:
    scale = SIDE_PX / WIDTH
    key = KeyPicture(small_grey(view(PLACE)), NOBODY)
    found = key.follow(small_grey(view(PLACE, 12.0, -7.0, 1.04, 0.03)), NOBODY)
    assert found is not None
    motion, area = found
    assert abs(motion.shift_px - (12 - 7j) * scale) < 0.05
    assert abs(motion.turn - 1.04 * np.exp(0.03j)) < 0.001
    assert area > 0.8


def test_what_is_far_off_is_found_where_it_is_expected() -> None:
    far = small_grey(view(PLACE, 250.0))
    key = KeyPicture(small_grey(view(PLACE)), NOBODY)
    expected = Similarity(1.0 + 0.0j, complex(245 * SIDE_PX / WIDTH))
    assert 0.4 < key.covers(expected) < 0.7
    assert key.covers(Similarity(1.0 + 0.0j, 600j)) == 0.0
    key.expect(expected)
    found = key.follow(far, NOBODY)
    assert found is not None
    assert abs(found[0].shift_px - 250 * SIDE_PX / WIDTH) < 0.1


def test_another_place_is_not_found() -> None:
    key = KeyPicture(small_grey(view(PLACE)), NOBODY)
    assert key.follow(small_grey(view(texture(3))), NOBODY) is None


def test_a_body_that_moves_is_left_out() -> None:
    """Half of the picture's width; without the crops its corners would outnumber the background's."""
    scale = np.array([*3 * [SIDE_PX / WIDTH], 1.0])
    pictures = [small_grey(with_somebody(view(PLACE), x, 280)) for x in (300, 306)]
    crops = [np.array([crop_of(x, 600)]) * scale for x in (300, 306)]
    found = KeyPicture(pictures[0], crops[0]).follow(pictures[1], crops[1])
    assert found is not None and abs(found[0].shift_px) < 0.05


def test_a_plain_picture_has_no_texture() -> None:
    key = KeyPicture(np.full((HEIGHT, WIDTH), 90, np.uint8), NOBODY)
    assert not key.has_texture
    assert key.covers(Similarity()) == 0.0
    assert key.follow(key.grey, NOBODY) is None
