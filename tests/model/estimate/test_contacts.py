"""Contacts of feet whose motion is known."""

from __future__ import annotations

import pytest
import torch

from model.body.body_points import CONTACT_NAMES
from model.estimate.contacts import contact_probability, flight_probability
from model.estimate.support_terms import CONTACT_POINTS, POINT_NAMES

UP = torch.tensor([0.0, -1.0, 0.0], dtype=torch.float64)
HEEL, OTHER_HEEL = CONTACT_NAMES.index("heel.L"), CONTACT_NAMES.index("heel.R")
FRAMES, FPS = 60, 30.0
TIME_S = torch.arange(FRAMES, dtype=torch.float64) / FPS
PRESENT = torch.ones(FRAMES, dtype=torch.bool)


def _still() -> torch.Tensor:
    """(60, N, 3) somebody who stands four metres away, the ground 1 m below the lens."""
    points = torch.zeros((FRAMES, len(POINT_NAMES), 3), dtype=torch.float64)
    points[..., 2] = 4.0
    contacts = points[:, CONTACT_POINTS]
    contacts[:, :4, 1] = 1.0
    for side, x in (("L", 0.3), ("R", -0.3)):
        for name in ("heel", "toe"):
            contacts[:, CONTACT_NAMES.index(f"{name}.{side}"), 0] = x
        ankle = POINT_NAMES.index(f"{side.lower()}_ankle")
        points[:, ankle, 0], points[:, ankle, 1] = x, 0.92
    points[:, [POINT_NAMES.index("l_knee"), POINT_NAMES.index("r_knee")], 1] = 0.5
    return points


def _contacts(points):
    return contact_probability(points, points, TIME_S, PRESENT, UP, -1.0)


def test_feet_that_stand_rest_and_hands_in_the_air_do_not():
    contacts, grounded = _contacts(_still())
    assert float(contacts[:, :4].min()) > 0.9
    assert float(grounded[:, 4:8].max()) < 0.1


def test_a_step_is_seen_and_a_foot_held_in_the_air_is_no_contact():
    points = _still()
    lift = torch.zeros(FRAMES, dtype=torch.float64)
    lift[20:26] = torch.linspace(0, 0.3, 6)
    lift[26:] = 0.3
    points[:, CONTACT_POINTS][:, [0, 2], 1] -= lift[:, None]
    contacts, _ = _contacts(points)
    assert float(contacts[:18, HEEL].min()) > 0.8
    assert float(contacts[28:, HEEL].max()) < 0.2
    assert float(contacts[:, OTHER_HEEL].min()) > 0.8


def test_a_foot_that_walks_towards_the_lens_does_not_rest():
    points = _still()
    points[:, CONTACT_POINTS][:, [0, 2], 2] -= 2.5 * TIME_S[:, None]
    contacts, _ = _contacts(points)
    assert float(contacts[5:-5, HEEL].median()) < 0.3


def test_a_slip_of_the_detector_does_not_lift_a_foot():
    points = _still()
    points[30:34, CONTACT_POINTS.start + HEEL, 0] += torch.tensor([0.05, 0.1, 0.1, 0.05])
    contacts, _ = _contacts(points)
    assert float(contacts[:, HEEL].min()) > 0.5


def test_what_the_network_says_of_a_contact_counts_beside_what_is_seen():
    points = _still()
    seen, _ = _contacts(points)
    for said in (0.001, 0.5, 0.999):
        learned = torch.full((FRAMES, len(CONTACT_NAMES)), said, dtype=torch.float64)
        _, told = contact_probability(points, points, TIME_S, PRESENT, UP, -1.0, learned)
        assert (told[:, :4] < 1).all()
        if said < 0.5:
            assert (told[:, :4] < seen[:, :4] - 0.1).all()
        if said > 0.5:
            assert (told[:, 4:8] > seen[:, 4:8]).all()


def test_flight_is_when_all_is_clear_of_the_ground():
    points = _still()
    up = torch.where((TIME_S > 0.8) & (TIME_S < 1.2), 0.3, 0.0)
    points[..., 1] -= up[:, None]
    flight = flight_probability(points, torch.zeros((FRAMES, len(CONTACT_NAMES))), UP, -1.0)
    assert (flight[up > 0] > 0.9).all()
    assert (flight[up == 0] < 0.1).all()


@pytest.mark.parametrize("frames", [1, 2])
def test_very_short_clips(frames):
    points = _still()[:frames]
    contacts, _ = contact_probability(points, points, TIME_S[:frames], PRESENT[:frames], UP, -1.0)
    assert contacts.shape == (frames, len(CONTACT_NAMES))
    assert float(contacts[:, :4].min()) > 0.5
