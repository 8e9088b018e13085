"""Which moment of the footage Blender shows on which frame of the scene.  numpy only.

Blender's rule, measured by rendering a clip whose frames carry their number (``tests/scene/test_strip.py``):

    index = (scene frame - origin) * rate            (origin - scene frame, when the strip plays backwards)
    index = clamp(index, 0, index_max), minus index modulo strobe when the strip has a strobe
    picture = round(index) + index_offset

``rate`` is source fps / scene fps where the strip plays at its media's rate, else 1.  Blender 5.0 caches decoded
pictures under the floor of the index, so in playback it may show one that is a frame off; a fresh render does not.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..contract.errors import SceneError


@dataclass(frozen=True)
class StripTiming:
    """Maps whole scene frames to the source, as data that outlives the strip."""

    scene_start: int
    """First scene frame on which the strip shows."""
    scene_end: int
    """Last scene frame on which the strip shows (not one past it)."""
    origin: float
    """Scene frame of source index 0, or of the last index when ``reverse``."""
    rate: float
    """Source frames per scene frame."""
    index_max: int
    """Last source index of the strip's content; earlier and later frames hold the first and last picture."""
    source_fps: float
    """Rate at which Blender numbers the source's pictures."""
    reverse: bool = False
    index_offset: int = 0
    """Source frames cut off for good before index 0 (``animation_offset_start``)."""
    strobe: float = 1.0
    """Pictures are held for this many source frames."""

    def __post_init__(self) -> None:
        numbers = (self.origin, self.rate, self.source_fps, self.strobe)
        if not all(map(math.isfinite, numbers)) or min(self.rate, self.source_fps) <= 0 or self.strobe < 1:
            raise SceneError("timing-invalid", "The strip's rate is no number above zero.", "Add the strip again.")
        if self.scene_end < self.scene_start or min(self.index_max, self.index_offset) < 0:
            raise SceneError("timing-invalid", "The strip shows no frame.", "Pull its handles apart.")

    @property
    def scene_frames(self) -> NDArray[np.int64]:
        """(S,) every whole scene frame on which the strip shows."""
        return np.arange(self.scene_start, self.scene_end + 1)

    def source_frame_at(self, scene_frame: ArrayLike) -> NDArray[np.float64]:
        """Source frame number, from 0 and not rounded, for scene frames of any shape."""
        steps = np.asarray(scene_frame, float) - self.origin
        index = np.clip((-steps if self.reverse else steps) * self.rate, 0.0, self.index_max)
        if self.strobe > 1.0:
            index = index - np.fmod(index, self.strobe)
        return index + self.index_offset

    def picture_at(self, scene_frame: ArrayLike) -> NDArray[np.int64]:
        """Number of the source frame that Blender shows, from 0."""
        index = self.source_frame_at(scene_frame) - self.index_offset
        return np.floor(index + 0.5).astype(np.int64) + self.index_offset

    def source_time_at(self, scene_frame: ArrayLike) -> NDArray[np.float64]:
        """Seconds since the first picture of the source."""
        return self.source_frame_at(scene_frame) / self.source_fps

    def source_range(self) -> tuple[int, int]:
        """First source frame and one past the last that the shown scene frames need."""
        shown = self.source_frame_at(self.scene_frames)
        last = min(math.ceil(float(shown.max()) - 1e-6), self.index_offset + self.index_max)
        return math.floor(float(shown.min()) + 1e-6), last + 1

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> StripTiming:
        """Parse ``to_json``'s text.

        Raises:
            SceneError: the text is no timing.
        """
        try:
            data: dict[str, Any] = json.loads(text)
            if set(data) - {f.name for f in fields(cls)}:
                raise ValueError("unknown field")
            return cls(**data)
        except (ValueError, TypeError) as error:
            raise SceneError("timing-invalid", "The strip's timing can't be read.", "Reconstruct it again.") from error


def timing_without_strip(time_s: NDArray[Any], source_fps: float, scene_fps: float, scene_start: int) -> StripTiming:
    """Timing of a take that has no strip in this scene: its first moment on ``scene_start``, in real time.

    Args:
        time_s: (T,) presentation times of the take.
    """
    rate = source_fps / scene_fps
    first = float(time_s[0]) * source_fps
    last = float(time_s[-1]) * source_fps
    span = math.floor((last - first) / rate + 1e-6)
    return StripTiming(
        scene_start=scene_start,
        scene_end=scene_start + span,
        origin=scene_start - first / rate,
        rate=rate,
        index_max=max(0, math.ceil(last - 1e-6)),
        source_fps=source_fps,
    )
