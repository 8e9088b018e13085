"""What is seen in a clip: people, their landmarks, how the camera moves, and the scene's lines; kept between runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from amr_blender.contract.job import Job
from model.cache import Cache, fingerprint, key
from model.detect import (
    Background,
    CameraMotion,
    CameraWatch,
    Landmarks,
    Networks,
    Person,
    SceneLines,
    SceneWatch,
    find_people,
    follow_camera,
    track_landmarks,
)
from model.progress import Report
from model.video import Video

_DETECTION = ("video.py", "exif.py", "detect/", "blazepose")
"""What all of it depends on: a change of the fit alone reuses it."""


class Footage:
    """The range of a clip that a job is about.

    Args:
        job: which range, and in which quality landmarks are looked for. load: gives the networks, which are only
            loaded if something is not in the ``cache``.
    """

    def __init__(
        self, video: Video, job: Job, assets: Path, cache: Cache, load: Callable[[], Networks], report: Report
    ) -> None:
        self._video, self._quality, self._cache, self._load, self._report = video, job.quality, cache, load, report
        self._range = (job.frame_start, job.frame_end)
        self._facts = [
            video.info.sha256, self._range, job.image_fps, job.range_fps, fingerprint(assets, _DETECTION),
        ]  # fmt: skip
        self._looked: tuple[list[Person], CameraMotion, SceneLines] | None = None

    @property
    def people(self) -> list[Person]:
        """Who is in the clip.

        Raises:
            AmrError: as :func:`find_people`.
        """
        return self._look()[0]

    @property
    def background(self) -> Background:
        """Raises: as ``people``, for it takes the same pass over the frames."""
        _, motion, lines = self._look()
        return Background(motion, lines.segments)

    def landmarks(self, person: Person) -> Landmarks:
        """Of one of the people.

        Raises:
            AmrError: as :func:`track_landmarks`.
        """
        name = key(self._facts, person.index, self._quality)
        kept = self._cache.records("landmarks", name, Landmarks)
        if kept:
            return kept[0]
        networks = self._load()
        self._report("landmarks", 0, self._video.length(*self._range))
        landmarks = track_landmarks(self._video, person, self._range, networks, self._report, self._quality)
        self._cache.keep_records("landmarks", name, [landmarks])
        return landmarks

    def _look(self) -> tuple[list[Person], CameraMotion, SceneLines]:
        """The pass over the frames in which people are found."""
        if self._looked is None:
            names = [key(self._facts), key(self._facts, "camera"), key(self._facts, "lines")]
            people = self._cache.records("people", names[0], Person)
            motions = self._cache.records("people", names[1], CameraMotion)
            lines = self._cache.records("people", names[2], SceneLines)
            if people is None or not motions or not lines:
                networks, camera, scene = self._load(), CameraWatch(), SceneWatch()
                self._report("detect", 0, self._video.length(*self._range))
                people = find_people(self._video, self._range, networks, self._report, (camera, scene))
                motions = [camera.motion()]
                if motions[0].verdict == "moves":
                    motions = [follow_camera(self._video, self._range, people, motions[0], self._report)]
                lines = [scene.lines(motions[0])]
                self._cache.keep_records("people", names[0], people)
                self._cache.keep_records("people", names[1], motions)
                self._cache.keep_records("people", names[2], lines)
            self._looked = people, motions[0], lines[0]
        return self._looked
