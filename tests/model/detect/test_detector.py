"""Anchors, decoding and the joining of the detector's raw output."""

from __future__ import annotations

import numpy as np
import pytest

from model.detect.detector import Detections, anchors, decode, sigmoid, weighted_nms


def test_anchors_go_row_by_row_through_three_grids() -> None:
    points = anchors(224)
    assert points.shape == (2254, 2)
    assert points[0] == pytest.approx([0.5 / 28, 0.5 / 28]) and (points[0] == points[1]).all()
    assert points[2] == pytest.approx([1.5 / 28, 0.5 / 28])
    assert points[2 * 28] == pytest.approx([0.5 / 28, 1.5 / 28])
    assert points[1568] == pytest.approx([0.5 / 14, 0.5 / 14])
    assert points[1568 + 392] == pytest.approx([0.5 / 7, 0.5 / 7])
    assert points[-1] == pytest.approx([6.5 / 7, 6.5 / 7])


def test_decodes_offsets_from_the_anchor() -> None:
    boxes, scores = np.zeros((2254, 12), np.float32), np.full((2254, 1), -50, np.float32)
    boxes[100] = [22.4, -11.2, 44.8, 56.0, 22.4, 22.4, 0, 0, -22.4, 0, 0, 112]
    scores[100] = 2.0
    found = decode(boxes, scores, 224, 0.5)
    anchor = anchors(224)[100]
    assert found.scores == pytest.approx([sigmoid(np.array(2.0))])
    assert found.boxes[0] == pytest.approx([*(anchor + [0.1 - 0.1, -0.05 - 0.125]), *(anchor + [0.2, -0.05 + 0.125])])
    assert found.keypoints[0] == pytest.approx(anchor + np.array([[0.1, 0.1], [0, 0], [-0.1, 0], [0, 0.5]]))


def test_nobody_gives_empty_arrays() -> None:
    found = decode(np.zeros((2254, 12), np.float32), np.full((2254, 1), -50, np.float32), 224, 0.5)
    assert (found.scores.shape, found.boxes.shape, found.keypoints.shape) == ((0,), (0, 4), (0, 4, 2))


def test_joining_weighs_by_score_and_keeps_strangers_apart() -> None:
    boxes = np.array([[0.1, 0.1, 0.3, 0.3], [0.12, 0.1, 0.32, 0.3], [0.7, 0.7, 0.9, 0.9]])
    keypoints = np.repeat(boxes[:, None, :2], 4, axis=1)
    found = weighted_nms(Detections(np.array([0.6, 0.9, 0.7]), boxes, keypoints))
    assert found.scores == pytest.approx([0.9, 0.7])
    assert found.boxes[0, 0] == pytest.approx((0.6 * 0.1 + 0.9 * 0.12) / 1.5)
    assert found.keypoints[0, :, 0] == pytest.approx([(0.6 * 0.1 + 0.9 * 0.12) / 1.5] * 4)
    assert found.boxes[1] == pytest.approx(boxes[2])


def test_extreme_scores_do_not_overflow() -> None:
    with np.errstate(all="raise"):
        assert sigmoid(np.array([-1e9, 0.0, 1e9], np.float32)) == pytest.approx([0, 0.5, 1])
