"""The circumstances of each frame: light, occlusion, motion, size in the picture, view and action.

What the truth tells frame by frame (motion, view, what is hidden) is taken frame by frame, so that one clip can speak
for several conditions; the rest comes with the clip.  The limits between classes are fixed, so that reports compare.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from amr_blender.contract.take import JOINT12_NAMES

from .motion import Array, Motion, in_world

Given = Mapping[str, float | str]

CLASSES: dict[str, tuple[tuple[str, float], ...]] = {
    "light": (("dim", 0.2), ("medium", 0.5), ("bright", np.inf)),
    "occlusion": (("free", 0.1), ("some hidden", 0.4), ("much hidden", np.inf)),
    "motion": (("slow", 0.3), ("medium", 1.0), ("fast", np.inf)),
    "size": (("small", 200.0), ("medium", 500.0), ("large", np.inf)),
    "view": (("front", 45.0), ("side", 135.0), ("back", np.inf)),
}
"""By condition: name and upper limit of each class."""

MEANING = {
    "light": "mean brightness of the person's pixels, 0 to 1",
    "occlusion": "share of the twelve joints that is hidden or outside the picture",
    "motion": "mean speed of the twelve joints, m/s",
    "size": "height of the person in the picture, pixels",
    "view": "angle between where the trunk faces and the way to the camera, degrees",
    "action": "what the person does",
}
_GIVEN_NUMBERS = {"light": "light", "size": "person_height_px"}
"""Condition and its name among a clip's own."""


@dataclass(frozen=True)
class Conditions:
    """Of one clip of T frames."""

    numbers: dict[str, Array] = field(default_factory=dict)
    """(T,) by condition; NaN where unknown."""
    classes: dict[str, NDArray[np.str_]] = field(default_factory=dict)
    """(T,) class of each frame by condition; "" where unknown."""


def conditions_of(truth: Motion, given: Given) -> Conditions:
    """All that is known.  ``given`` are the clip's own; what is neither given nor measurable is absent."""
    numbers = {"motion": speed_m_s(truth), "view": view_deg(truth)}
    if truth.visible12 is not None:
        numbers["occlusion"] = 1.0 - truth.visible12.mean(1)
    for name, source in _GIVEN_NUMBERS.items():
        value = given.get(source)
        if isinstance(value, int | float):
            numbers[name] = np.full(truth.frame_count, float(value))
    numbers = {name: numbers[name] for name in CLASSES if name in numbers}
    classes = {name: classify(name, values) for name, values in numbers.items()}
    if given.get("action"):
        classes["action"] = np.full(truth.frame_count, str(given["action"]))
    return Conditions(numbers, classes)


def classify(condition: str, values: Array) -> NDArray[np.str_]:
    """(T,) class of each value; "" for NaN."""
    names, limits = zip(*CLASSES[condition], strict=True)
    slot = np.searchsorted(np.array(limits), np.nan_to_num(values), side="right")
    return np.where(np.isfinite(values), np.array(names)[np.minimum(slot, len(names) - 1)], "")


def speed_m_s(truth: Motion) -> Array:
    """(T,) mean speed of the twelve joints in the world."""
    if truth.frame_count < 2:
        return np.full(truth.frame_count, np.nan)
    step = np.gradient(in_world(truth.joints12_cam_m, truth), axis=0)
    return np.asarray(np.linalg.norm(step, axis=-1).mean(1) * truth.fps)


def view_deg(truth: Motion) -> Array:
    """(T,) 0 where the trunk faces the camera, 180 where the camera sees the back."""
    joints = truth.joints12_cam_m
    at = {name: joints[:, JOINT12_NAMES.index(name)] for name in ("l_hip", "r_hip", "l_shoulder", "r_shoulder")}
    across = at["l_hip"] - at["r_hip"] + at["l_shoulder"] - at["r_shoulder"]
    up = at["l_shoulder"] + at["r_shoulder"] - at["l_hip"] - at["r_hip"]
    facing, away = np.cross(across, up), truth.root_cam_m
    cosine = -(facing * away).sum(1) / (np.linalg.norm(facing, axis=1) * np.linalg.norm(away, axis=1))
    return np.asarray(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
