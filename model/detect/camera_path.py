"""How a camera that moves is held in every frame, not only in those in which people were looked for: a hand trembles
faster than that."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from model.detect.camera_motion import CameraMotion, CameraWatch
from model.detect.crops import Array, interpolate
from model.detect.people import Person, Report
from model.video import Video


def follow_camera(
    video: Video, frame_range: tuple[int, int | None], people: Sequence[Person], seen: CameraMotion, report: Report
) -> CameraMotion:
    """The motion of a camera in all frames of the range in which ``people`` were found.

    Args:
        seen: what the frames in which people were looked for have told. It is the answer where all frames tell less.

    Raises:
        VideoError: the video is broken.
    """
    start, stop = frame_range
    total = video.length(start, stop)
    watch, cuts = CameraWatch(), people[0].cuts
    for done, frame in enumerate(video.frames(start, stop), 1):
        shot = int(np.searchsorted(cuts, frame.index, side="right"))
        watch.add(shot, frame, _bodies(people, frame.time_s))
        report("camera", done, max(total, done))
    motion = watch.motion()
    lost = len(np.unique(motion.stretches)) > len(np.unique(seen.stretches)) or motion.known_share < seen.known_share
    return seen if lost or motion.verdict != seen.verdict else motion


def _bodies(people: Sequence[Person], time_s: float) -> Array:
    """(P, 4) crops of who is about."""
    about = [person for person in people if person.times_s[0] <= time_s <= person.times_s[-1]]
    if not about:
        return np.empty((0, 4))
    return np.concatenate([interpolate(person.times_s, person.crops, np.array([time_s])) for person in about])
