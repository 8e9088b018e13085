"""From footage to a take: the stages in order, and what is reused from an earlier run.

Torch is imported where computing begins, not above: a result that is in the cache should not wait for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from amr_blender.contract import take as takes
from amr_blender.contract.errors import PersonError, SettingsError, VideoError
from amr_blender.contract.job import Job
from amr_blender.contract.take import Take
from model.cache import Cache, Warn, fingerprint
from model.memory import steady_heap
from model.paths import WEIGHTS, assets_folder
from model.progress import REUSED, Report
from model.video import Video

if TYPE_CHECKING:
    import torch

    from model.body.smpl_family import SmplBody
    from model.detect import Networks, Person
    from model.footage import Footage
    from model.refine.stage import Refinement

TellDevice = Callable[[str], None]


def _no_report(stage: str, done: int, total: int) -> None: ...


def _no_warning(code: str, message: str) -> None: ...


def _no_device(device: str) -> None: ...


def reconstruct(
    job: Job, report: Report = _no_report, warn: Warn = _no_warning, tell_device: TellDevice = _no_device
) -> Path:
    """Reconstruct one person of the clip and write the take to ``job.out``.

    Args:
        job: what to do.
        report: receives (stage, done, total) as the work goes on; stages as in ``model.progress``.
        warn: receives (code, message) for what the animator should know about the result.
        tell_device: receives the device's name as soon as one is chosen.

    Returns:
        Path of the take.

    Raises:
        AmrError: the footage, the settings, the assets or the output folder can't be used; nothing is left behind.
    """
    report("read", 0, 1)
    steady_heap()
    video, assets, cache = _open(job), assets_folder(job.assets), Cache(job.cache, warn)
    out, take_key = Path(job.out), job.cache_key(video.info.sha256, fingerprint(assets), _sha256(job.body_file))
    report("read", 1, 1)

    take = cache.take(take_key)
    if take is not None:
        cache.copy_take(take_key, out)
        report(REUSED, 1, 1)
    else:
        take = _Work(job, video, assets, cache, report, tell_device).take()
        report("write", 0, 1)
        takes.save(take, out)
        cache.keep_take(take_key, out)
        report("write", 1, 1)
    for warning in take.meta["warnings"]:
        warn(warning["code"], warning["message"])
    return out


def list_people(
    job: Job, report: Report = _no_report, warn: Warn = _no_warning, tell_device: TellDevice = _no_device
) -> list[dict[str, Any]]:
    """Who is in the clip: a list of {index, share, frame_start, frame_end, thumbnail}, who fills most of it first.

    ``share`` is the part of the picture that the person fills, 0..1, over all frames of the range; ``thumbnail`` the
    path of a PNG in ``job.out``.

    Raises:
        AmrError: as :func:`reconstruct`; also if nobody is in the clip.
    """
    from model.thumbnails import write_thumbnail

    report("read", 0, 1)
    steady_heap()
    video, assets, cache = _open(job), assets_folder(job.assets), Cache(job.cache, warn)
    report("read", 1, 1)
    people = _Work(job, video, assets, cache, report, tell_device).people()
    return [
        {
            "index": person.index,
            "share": float(person.share),
            "frame_start": int(person.frames[0]),
            "frame_end": int(person.frames[-1]) + 1,
            "thumbnail": str(write_thumbnail(person.thumbnail, Path(job.out) / f"person-{person.index}.png")),
        }
        for person in people
    ]


class _Work:
    """What has to be computed for one job; every stage is skipped if its result was kept."""

    def __init__(
        self, job: Job, video: Video, assets: Path, cache: Cache, report: Report, tell_device: TellDevice
    ) -> None:
        self._job, self._video, self._assets, self._cache = job, video, assets, cache
        self._report, self._tell_device = report, tell_device
        self._device: torch.device | None = None
        self._networks: Networks | None = None

    def take(self) -> Take:
        from model.body import AnnyBody
        from model.estimate import estimate

        own_body = self._own_body()  # a file that can't be used should not cost the work
        footage = self._footage()
        people = footage.people
        person = _choose(people, self._job.person)
        landmarks = footage.landmarks(person)
        device = self._choose_device()
        self._networks = None  # their memory is needed for the fit
        self._report("fit", 0, len(landmarks.frames))
        body = AnnyBody.load(self._assets, device)
        info, refine, background = self._video.info, self._refinement(device), footage.background
        take = estimate(landmarks, body, info, self._job, self._report, refine=refine, background=background)
        if own_body is not None:
            from model.body.transfer import transfer

            take = transfer(take, body, own_body)
        take.meta["person"] = {"index": person.index, "count": len(people)}
        self._warn_of_short_clip(take)
        return take

    def _refinement(self, device: torch.device) -> Refinement | None:
        """What refines the estimate: nothing in a draft, and nothing without weights."""
        from model.refine.refiner import Refiner
        from model.refine.stage import Refinement

        if self._job.quality == "draft" or not Refiner.available(WEIGHTS):
            return None
        return Refinement(
            self._assets,
            lambda: self._video.frames(self._job.frame_start, self._job.frame_end),
            self._job.quality,
            device,
            weights=WEIGHTS,
        )

    def _own_body(self) -> SmplBody | None:
        """The user's body of the SMPL family, None for Anny."""
        if not self._job.body_file:
            return None
        from model.body.smpl_family import SmplBody

        return SmplBody.load(Path(self._job.body_file))

    def people(self) -> list[Person]:
        """Who is in the clip."""
        return self._footage().people

    def _footage(self) -> Footage:
        from model.footage import Footage

        return Footage(self._video, self._job, self._assets, self._cache, self._load_networks, self._report)

    def _choose_device(self) -> torch.device:
        from model.device import choose_device

        if self._device is None:
            self._device = choose_device(self._job.device)
            self._tell_device(str(self._device))
        return self._device

    def _load_networks(self) -> Networks:
        from model.detect import Networks

        if self._networks is None:
            self._networks = Networks.load(self._assets, self._choose_device())
        return self._networks

    def _warn_of_short_clip(self, take: Take) -> None:
        end = self._job.frame_end
        rate = self._job.range_fps
        last = 1 + (int(take.frames[-1]) if rate is None else round(float(take.time_s[-1]) * rate))
        if end is not None and last < end:
            message = f"The clip ends at frame {last}, before the end of the range ({end}); the rest is left out."
            take.meta["warnings"].append({"code": "clip-shorter-than-range", "message": message})


def _sha256(path: str) -> str:
    """Hex digest of a file, empty without one."""
    if not path:
        return ""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise SettingsError(
            "body-file-unusable",
            f"The body's file {path} can't be read: {error.strerror or error}.",
            "Choose another one, or the body Anny, in the add-on's preferences.",
        ) from error


def _open(job: Job) -> Video:
    video = Video(job.video, job.images, job.image_fps, job.range_fps)
    if job.frame_start >= video.info.frame_count * (job.range_fps or video.info.fps) / video.info.fps:
        raise VideoError(
            "range-outside-clip",
            f"The range starts at frame {job.frame_start}, but '{video.info.name}' has only "
            f"{video.info.frame_count} frames.",
            "Trim the strip so that it shows frames of the file.",
        )
    return video


def _choose(people: list[Person], wanted: int | None) -> Person:
    """The person with the wanted index; without a wish the first, who fills most of the clip."""
    if wanted is None:
        return people[0]
    for person in people:
        if person.index == wanted:
            return person
    raise PersonError(
        "person-missing",
        f"There is no person {wanted} in the clip: {len(people)} found, counted from 0.",
        "Press Find People and choose one of them.",
    )
