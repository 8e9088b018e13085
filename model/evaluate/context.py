"""What methods work with: a clip's take and landmarks by the pipeline, kept on disk."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, lru_cache
from pathlib import Path

from amr_blender.contract import take as takes
from amr_blender.contract.job import Job
from amr_blender.contract.take import Take
from model.body import AnnyBody
from model.cache import Cache, fingerprint, key
from model.detect import Background, Landmarks, Networks
from model.device import choose_device
from model.estimate import Plan, estimate
from model.footage import Footage
from model.paths import assets_folder
from model.pipeline import reconstruct
from model.progress import Report
from model.video import Video

from .motion import Motion
from .suites import Clip


class Context:
    """What methods work with: the pipeline's results, kept on disk and the last ones in memory.

    Args:
        cache: folder for results. assets: folder of networks and body; empty for the usual one.
        device: as the job's. report: (stage, done, total) of the pipeline.
    """

    def __init__(self, cache: Path, assets: str = "", device: str = "auto", report: Report = lambda *_: None) -> None:
        self.cache, self.assets, self.device, self._report = cache, assets, device, report
        self._take = lru_cache(maxsize=2)(self._take_of)
        self._initial = lru_cache(maxsize=2)(self._initial_of)
        self._footage = lru_cache(maxsize=2)(self._footage_of)

    @cached_property
    def engine(self) -> str:
        """Hex digest of the inference core and its weights, as of the first look."""
        return fingerprint(assets_folder(self.assets))

    def take(self, clip: Clip, quality: str = "standard", focal_px: float | None = None) -> Take:
        """The pipeline's take of the person who fills most of the clip.

        Raises:
            AmrError: as :func:`model.pipeline.reconstruct`.
        """
        return self._take(clip.video, quality, focal_px)

    def _take_of(self, video: Path, quality: str, focal_px: float | None) -> Take:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "take.npz"
            reconstruct(self.job(video, out, quality, focal_px), self._report)
            return takes.load(out)

    def initial(self, clip: Clip, quality: str = "standard", focal_px: float | None = None) -> Take:
        """The same before it is refined.

        Raises:
            AmrError: as :func:`model.pipeline.reconstruct`.
        """
        return self._initial(clip.video, quality, focal_px)

    def _initial_of(self, video: Path, quality: str, focal_px: float | None) -> Take:
        info, cache = Video(video).info, Cache(str(self.cache), lambda *_: None)
        name = key("initial", info.sha256, quality, focal_px, self.engine)
        kept = cache.take(name)
        if kept is not None:
            return kept
        footage, body = self._footage(video, quality), AnnyBody.load(assets_folder(self.assets))
        landmarks = footage.landmarks(footage.people[0])
        job, plan = self.job(video, Path("initial"), quality, focal_px), replace(Plan.of(quality), refine=False)
        take = estimate(landmarks, body, info, job, self._report, plan=plan, background=footage.background)
        with tempfile.TemporaryDirectory() as folder:
            takes.save(take, Path(folder) / "take.npz")
            cache.keep_take(name, Path(folder) / "take.npz")
            return takes.load(Path(folder) / "take.npz")

    def job(self, video: Path, out: Path, quality: str = "standard", focal_px: float | None = None) -> Job:
        """What the pipeline is asked to do."""
        return Job(
            str(video),
            str(out),
            quality=quality,
            focal_px=focal_px,
            device=self.device,
            cache=str(self.cache),
            assets=self.assets,
        )

    def landmarks(self, clip: Clip, quality: str = "standard") -> Landmarks:
        """The detector's landmarks of the same person, before any repair.

        Raises:
            AmrError: the footage can't be used, or nobody is in it.
        """
        footage = self._footage(clip.video, quality)
        return footage.landmarks(footage.people[0])

    def background(self, clip: Clip) -> Background:
        """What it tells of the camera.  Raises: as ``landmarks``."""
        return self._footage(clip.video, "standard").background

    def _footage_of(self, path: Path, quality: str) -> Footage:
        assets = assets_folder(self.assets)

        @lru_cache(maxsize=1)
        def load() -> Networks:
            return Networks.load(assets, choose_device(self.device))

        job = self.job(path, Path(), quality)
        return Footage(Video(path), job, assets, Cache(job.cache, lambda *_: None), load, self._report)


Run = Callable[[Clip, Motion, Context], Motion]
