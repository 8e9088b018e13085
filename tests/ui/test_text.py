"""Words and numbers."""

import pytest

from amr_blender.ui import text


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0:00"), (7.4, "0:07"), (59.6, "1:00"), (200, "3:20"), (3723, "1:02:03"), (-1, "0:00")]
)
def test_duration(seconds, shown):
    assert text.duration(seconds) == shown


def test_unknown_time_left_is_not_shown():
    assert text.time_left(None) == ""
    assert text.time_left(12) == "0:12 left"


@pytest.mark.parametrize(("count", "shown"), [(0, "0 MB"), (12_300_000, "12 MB"), (1_430_000_000, "1.4 GB")])
def test_size(count, shown):
    assert text.size(count) == shown


@pytest.mark.parametrize(
    ("low", "high", "source", "shown"),
    [
        (31.2, 41.4, "estimated", "35 mm (31 to 41), estimated"),
        (34.2, 36.4, "scene lines", "35 mm (34 to 36), scene lines"),
        (0.0, 0.0, "", "35 mm, assumed"),
        (34.9, 35.1, "given", "35 mm, given"),
        (41.0, 31.0, "estimated", "35 mm, estimated"),
    ],
)
def test_lens(low, high, source, shown):
    assert text.lens(35.0, low, high, source) == shown


@pytest.mark.parametrize(
    ("down", "rolled", "shown"), [(4.2, 0.3, "4° down"), (-11.6, -2.0, "12° up, rolled 2°"), (0.2, 0.4, "level")]
)
def test_tilt(down, rolled, shown):
    assert text.tilt(down, rolled) == shown


def test_frame_range():
    assert (text.frame_range(120, 151), text.frame_range(7, 7)) == ("120 to 151", "7")


def test_every_stage_of_the_pipeline_has_words():
    from model.progress import STAGE_SHARES

    assert set(STAGE_SHARES) <= set(text.STAGES)
    assert text.stage("some-new") == "Some new"


def test_wrap():
    sentence = "Choose a part of the clip in which somebody can be seen, from head to feet if possible."
    narrow, wide = text.wrap(sentence, 200, 1.0), text.wrap(sentence, 500, 1.0)
    assert " ".join(narrow) == " ".join(wide) == sentence
    assert len(narrow) > len(wide)
    assert text.wrap("", 200, 1.0) == [""]
    assert text.wrap(sentence, 400, 2.0) == narrow, "a large display is no wider in letters"
