"""The job: what the animator asks of the worker, as JSON."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from .cache import KINDS
from .errors import SettingsError

QUALITIES = ("draft", "standard", "best")
DEVICES = ("auto", "cpu", "cuda", "mps")
ACTIONS = ("reconstruct", "people")


@dataclass(frozen=True)
class Job:
    """One piece of work for the worker process."""

    video: str
    """Path of a movie, of one image, or of the first image of a numbered sequence."""
    out: str
    """Path of the take to write (``reconstruct``), or folder for thumbnails (``people``)."""
    action: str = "reconstruct"
    images: tuple[str, ...] = ()
    """File names of an image sequence in playing order, in the folder of ``video``; empty for a movie."""
    image_fps: float = 24.0
    """Frame rate of an image sequence."""
    frame_start: int = 0
    """First source frame, from 0."""
    frame_end: int | None = None
    """One past the last source frame; None is the end of the clip."""
    range_fps: float | None = None
    """Rate at which the two above count presentation time, as Blender counts a movie's pictures; None counts frames.
    The two differ only in footage of variable rate."""
    person: int | None = None
    """Index from the ``people`` list; None takes the person who fills most of the clip."""
    actor_height_m: float | None = None
    """None lets the worker assume one."""
    focal_px: float | None = None
    """Focal length in pixels of the upright frame; None lets the worker find one."""
    quality: str = "standard"
    device: str = "auto"
    cache: str = ""
    """Folder for reusable intermediate results; empty for none."""
    assets: str = ""
    """Folder with the converted networks and the body; empty for the one that came with the package ``model``."""
    body_file: str = ""
    """The user's own SMPL, SMPL-H or SMPL-X file, whose body the take gets; empty for Anny."""

    def __post_init__(self) -> None:
        def check(ok: bool, message: str, remedy: str) -> None:
            if not ok:
                raise SettingsError("settings-invalid", message, remedy)

        check(bool(self.video), "No footage is given.", "Select a movie or image-sequence strip.")
        check(self.action in ACTIONS, f"'{self.action}' is no action.", f"Use one of {', '.join(ACTIONS)}.")
        check(self.quality in QUALITIES, f"'{self.quality}' is no quality.", f"Use one of {', '.join(QUALITIES)}.")
        check(self.device in DEVICES, f"'{self.device}' is no device.", f"Use one of {', '.join(DEVICES)}.")
        check(self.frame_start >= 0, "The first frame is negative.", "Start at frame 0 or later.")
        check(
            self.range_fps is None or (math.isfinite(self.range_fps) and 0 < self.range_fps <= 1000),
            "The rate at which the range counts can't be right.",
            "Give a rate between 0 and 1000 frames a second.",
        )
        check(
            self.frame_end is None or self.frame_end > self.frame_start,
            "The range of frames is empty.",
            "Let the last frame lie behind the first.",
        )
        height, focal = self.actor_height_m, self.focal_px
        check(
            height is None or (math.isfinite(height) and 0.4 <= height <= 2.6),
            f"An actor of {height} m can't be right.",
            "Give a height between 0.4 and 2.6 metres.",
        )
        check(
            focal is None or (math.isfinite(focal) and 1.0 <= focal <= 1e6),
            f"A focal length of {focal} pixels can't be right.",
            "Give the lens of the real camera.",
        )
        check(self.person is None or self.person >= 0, "The person's number is negative.", "Count people from 0.")
        check(
            math.isfinite(self.image_fps) and 0 < self.image_fps <= 1000,
            "The frame rate of the images can't be right.",
            "Give a rate between 0 and 1000 frames a second.",
        )

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Job:
        """Parse ``to_json``'s text.

        Raises:
            SettingsError: not JSON, unknown fields, or values out of range.
        """
        try:
            data: dict[str, Any] = json.loads(text)
            unknown = set(data) - {f.name for f in fields(cls)}
            if unknown:
                raise ValueError(f"unknown field {sorted(unknown)[0]}")
            data["images"] = tuple(data.get("images", ()))
            return cls(**data)
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            message = f"The job can't be read ({error})."
            raise SettingsError("settings-invalid", message, "Update the add-on.") from error

    def settings(self) -> dict[str, Any]:
        """What changes the result, without files and folders: goes into the take and into the cache key."""
        hidden = {"out", "assets", "cache", "action", "video", "images", "body_file"}
        return {k: v for k, v in asdict(self).items() if k not in hidden}

    def written_folders(self) -> list[Path]:
        """The folders that the worker may write to, where a killed one can leave something half-written."""
        results = Path(self.out).parent if self.action == "reconstruct" else Path(self.out)
        return [results, *(Path(self.cache) / kind for kind in KINDS if self.cache)]

    def cache_key(self, clip_sha256: str, engine: str, body_sha256: str = "") -> str:
        """Hex digest of clip, settings, ``engine`` (version and weights of the inference core) and ``body_file``."""
        payload = json.dumps([clip_sha256, self.settings(), engine, body_sha256], sort_keys=True)
        return hashlib.sha256(payload.encode()).hexdigest()[:32]


def default_focal_px(width_px: int, height_px: int) -> float:
    """A sensible guess where nothing is known: 1.2 times the longer side (a phone's main lens, 45 degrees)."""
    return 1.2 * max(width_px, height_px)
