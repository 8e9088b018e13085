"""BlazePose on single pictures, as the pipeline uses it (the plain and the mirrored look), for fitting and judging."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from model.detect.crops import crops_from_keypoints, cut_out, to_frame
from model.detect.detector import decode as decode_people
from model.detect.landmarks import decode as decode_landmarks
from model.detect.networks import Networks
from model.detect.views import combine, mirror_back, view_crops, views_for

from .landmark_images import See

_DETECTED, _SURE = 0.5, 0.5


def blazepose_eye(assets: Path) -> See:
    """A function from an upright RGB picture to (33, 2) pixels and (33,) visibility of the surest person, or None.

    Raises:
        RuntimeSetupError: the networks are missing.
    """
    networks = Networks.load(assets, torch.device("cpu"))
    views = views_for("standard")
    mirrored = np.array([view.mirrored for view in views])

    def see(rgb: NDArray[np.uint8]) -> tuple[NDArray[np.floating], NDArray[np.floating]] | None:
        height, width = rgb.shape[:2]
        whole = np.array([[width / 2, height / 2, float(max(width, height)), 0.0]])
        size = networks.detector.input_size
        picture = cut_out(rgb, whole[0], size, cv2.BORDER_CONSTANT).astype(np.float32) / 127.5 - 1.0
        raw = networks.run(networks.detector, picture[None])
        people = decode_people(raw["boxes"][0], raw["scores"][0], size, _DETECTED)
        if not len(people.scores):
            return None
        keypoints = to_frame(people.keypoints[:1], whole)
        crops = view_crops(crops_from_keypoints(keypoints[:, 0], keypoints[:, 1])[0], views)
        size = networks.landmarks.input_size
        looks = np.stack([cut_out(rgb, crop, size, cv2.BORDER_REPLICATE) for crop in crops])
        looks = np.where(mirrored[:, None, None, None], looks[:, :, ::-1], looks)
        outputs = networks.run(networks.landmarks, looks.astype(np.float32) / np.float32(255))
        pose = combine(decode_landmarks(mirror_back(outputs, mirrored, size), crops, size), len(views)).choose(0, None)
        return (pose.px[0], pose.visibility[0]) if pose.score[0] >= _SURE else None

    return see
