"""A small theatre whose captured motion is made here: plays without the motion capture."""

from __future__ import annotations

from model.estimate.pose_space import PoseSpace
from model.synth.landmarks.crowd import Crowd
from model.synth.landmarks.plays import Theatre
from model.synth.motion.enrich import sample
from model.synth.motion.motions import MotionBank
from tests.model.made_capture import sequence, turned


def small_theatre(space: PoseSpace) -> tuple[Theatre, Crowd]:
    """Three people who stand with an arm raised, or take drawn poses."""
    standing = sequence(turned(90, l_shoulder=("z", -60.0), r_shoulder=("z", 70.0), r_knee=("x", 20.0)))
    crowd = Crowd.draw(space, (0, 3), 3)
    return Theatre(space, MotionBank(space, sample(space, 40, seed=1), [standing]), crowd), crowd
