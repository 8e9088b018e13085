"""The card says how the published weights were chosen."""

from __future__ import annotations

from model.train.initial.publish import how_chosen


def test_weights_that_are_not_those_of_the_lowest_loss_are_said_to_be_chosen_by_hand() -> None:
    columns = {
        "step": [250.0, 500.0, 750.0],
        "held loss": [9.0, 9.0, 1.0],  # of the noise model: nothing is chosen by it
        "held seen loss": [float("nan"), 2.0, 2.5],
        "held plain loss": [float("nan"), 2.0, 2.1],
    }
    assert "lowest there" in how_chosen(columns, 1)
    assert how_chosen(columns, 2).endswith(
        "by hand: the loss\n  on validation clips seen by the real detector was lowest at step 500."
    )
