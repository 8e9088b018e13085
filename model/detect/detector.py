"""BlazePose's detector: from images to people's boxes and keypoints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
_STRIDES_AND_ANCHORS = ((8, 2), (16, 2), (32, 6))
SAME_PERSON_IOU = 0.3


@dataclass(frozen=True)
class Detections:
    """People of one image, the surest first."""

    scores: Array
    """(N,) 0..1."""
    boxes: Array
    """(N, 4) left, top, right, bottom of the face and neck, in units of the image."""
    keypoints: Array
    """(N, 4, 2) in units of the image: mid-hip, a point on the whole body's circle, mid-shoulder, the upper body's."""


def anchors(size: int) -> Array:
    """(A, 2) centres of the anchors in units of the image: all of a cell, then the next cell, row by row."""
    rows = []
    for stride, count in _STRIDES_AND_ANCHORS:
        grid = -(-size // stride)
        y, x = np.mgrid[:grid, :grid]
        rows.append(np.repeat(np.column_stack([x.ravel(), y.ravel()]) + 0.5, count, axis=0) / grid)
    return np.concatenate(rows)


def sigmoid(x: Array) -> Array:
    """Logistic function in double precision, without overflow."""
    return 1.0 / (1.0 + np.exp(-np.clip(np.asarray(x, np.float64), -100.0, 100.0)))


def decode(boxes: Array, scores: Array, size: int, threshold: float) -> Detections:
    """The detector's raw outputs (A, 12) and (A, 1) for one image of ``size`` to the people above ``threshold``."""
    sure = sigmoid(scores[:, 0])
    kept = sure >= threshold
    offsets = boxes[kept].astype(np.float64) / size
    center = anchors(size)[kept]
    middle = offsets[:, :2] + center
    corners = np.concatenate([middle - offsets[:, 2:4] / 2, middle + offsets[:, 2:4] / 2], axis=1)
    keypoints = offsets[:, 4:].reshape(-1, 4, 2) + center[:, None]
    return weighted_nms(Detections(sure[kept], corners, keypoints))


def weighted_nms(found: Detections) -> Detections:
    """Join detections of the same person: each group's mean, weighted by score, around the surest one."""
    remaining = np.argsort(-found.scores, kind="stable")
    scores, boxes, keypoints = [], [], []
    while len(remaining):
        same = _iou(found.boxes[remaining], found.boxes[remaining[0]]) > SAME_PERSON_IOU
        same[0] = True
        group = remaining[same]
        weight = found.scores[group] / found.scores[group].sum()
        scores.append(found.scores[group[0]])
        boxes.append(weight @ found.boxes[group])
        keypoints.append(np.einsum("n,nkc->kc", weight, found.keypoints[group]))
        remaining = remaining[~same]
    return Detections(np.array(scores), np.reshape(boxes, (-1, 4)), np.reshape(keypoints, (-1, 4, 2)))


def _iou(boxes: Array, box: Array) -> Array:
    sides = np.minimum(boxes[:, 2:], box[2:]) - np.maximum(boxes[:, :2], box[:2])
    shared = np.clip(sides, 0.0, None).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return shared / np.maximum(areas + (box[2:] - box[:2]).prod() - shared, 1e-12)
