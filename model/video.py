"""Footage as a stream of upright RGB frames with exact numbers and presentation times.

Frames are counted while reading from the start, never sought: seeking by frame number is off by some frames in many
files. Times are the container's presentation times relative to the first frame, so variable frame rates come out right.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from amr_blender.contract.errors import VideoError
from amr_blender.contract.spaces import focal_px_from_35mm_equivalent
from model.exif import read_exif

IMAGE_SUFFIXES = frozenset(
    {".bmp", ".dib", ".jpeg", ".jpg", ".jpe", ".jp2", ".png", ".pbm", ".pgm", ".ppm", ".pnm", ".tif", ".tiff", ".webp"}
)
MAX_PIXELS = 16384 * 16384
_DEFAULT_FPS = 24.0
_HASH_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class VideoInfo:
    """What is known of the clip before reading it."""

    name: str
    width: int
    """Pixels of the upright frame, after rotation."""
    height: int
    fps: float
    frame_count: int
    """As the container announces it; only reading to the end tells for sure."""
    rotation_deg: int
    """Clockwise turn from the stored to the upright frame: 0, 90, 180 or 270. Frames come upright."""
    sha256: str
    focal_px: float | None
    """Focal length in pixels of the upright frame where the metadata tells it."""


@dataclass(frozen=True)
class Frame:
    """One frame."""

    index: int
    """Number in presentation order, from 0."""
    time_s: float
    """Presentation time; the first frame of the clip is at 0."""
    rgb: NDArray[np.uint8]
    """(H, W, 3), upright."""


class Video:
    """A movie, a sequence of images, or one image as a one-frame clip."""

    def __init__(
        self,
        path: str | Path,
        images: Sequence[str] = (),
        image_fps: float = _DEFAULT_FPS,
        range_fps: float | None = None,
    ) -> None:
        """Open the footage and read its first frame.

        Args:
            path: a movie, an image, or the first image of a sequence.
            images: file names of an image sequence in playing order, in the folder of ``path``.
            image_fps: frame rate of images.
            range_fps: of a movie, count ranges of frames in presentation time at this rate instead of by number.

        Raises:
            VideoError: there is no such file, or nothing in it can be decoded.
        """
        self._path, self._range_fps = Path(path), range_fps
        self._files = [self._path.parent / name for name in images] or [self._path]
        for file in self._files:
            _check_file(file)
        self._images = bool(images) or self._path.suffix.lower() in IMAGE_SUFFIXES
        focal_mm: float | None = None
        if self._images:
            first = _read_image(self._files[0])
            fps, count, rotation = image_fps, float(len(self._files)), 0
            if self._files[0].suffix.lower() in (".jpg", ".jpeg", ".jpe"):
                exif = read_exif(self._files[0])
                rotation, focal_mm = exif.rotation_deg, exif.focal_35mm
        else:
            first, fps, count, rotation = _first_of_movie(self._path)
        height, width = first.shape[:2]
        self.info = VideoInfo(
            name=self._path.name,
            width=width,
            height=height,
            fps=float(fps) if math.isfinite(fps) and 0 < fps <= 1000 else _DEFAULT_FPS,
            frame_count=max(int(count), 1) if math.isfinite(count) else 1,
            rotation_deg=rotation,
            sha256=_sha256(self._files),
            focal_px=None if focal_mm is None else focal_px_from_35mm_equivalent(focal_mm, width, height),
        )

    def length(self, start: int = 0, stop: int | None = None) -> int:
        """How many frames ``start`` to ``stop`` are as far as the file announces them, at least one: for progress."""
        count = self.info.frame_count
        return max((count if stop is None else min(stop, count)) - start, 1)

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Frames ``start`` to ``stop`` (exclusive; None is the end) by number or ``range_fps``, one at a time.

        A clip shorter than ``stop`` ends early.

        Raises:
            VideoError: the file breaks off before the end that it announces, or a frame has another size.
        """
        source = self._image_frames(start, stop) if self._images else self._movie_frames(start, stop)
        for frame in source:
            height, width = frame.rgb.shape[:2]
            if (width, height) != (self.info.width, self.info.height):
                raise VideoError(
                    "video-size-changes",
                    f"Frame {frame.index} of '{self.info.name}' is {width}x{height}, "
                    f"the first one is {self.info.width}x{self.info.height}.",
                    "Give all frames the same size.",
                )
            yield frame

    def _image_frames(self, start: int, stop: int | None) -> Iterator[Frame]:
        for index in range(start, min(len(self._files), len(self._files) if stop is None else stop)):
            yield Frame(index, index / self.info.fps, _read_image(self._files[index]))

    def _movie_frames(self, start: int, stop: int | None) -> Iterator[Frame]:
        capture = _open_movie(self._path)
        try:
            time_s, index, place = -1.0 / self.info.fps, 0, -1
            while stop is None or place + 1 < stop:
                if not capture.grab():
                    self._check_complete(index, time_s)
                    return
                announced_s = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000.0
                # Some containers carry no times, or broken ones: then the rate carries on from the frame before.
                usable = index == 0 or (math.isfinite(announced_s) and announced_s > time_s + 1e-6)
                time_s = (0.0 if index == 0 else announced_s) if usable else time_s + 1.0 / self.info.fps
                place = index if self._range_fps is None else round(time_s * self._range_fps)
                if stop is not None and place >= stop:
                    return
                if place >= start:
                    ok, bgr = capture.retrieve()
                    if not ok:
                        raise VideoError(
                            "video-broken",
                            f"Frame {index} of '{self.info.name}' can't be decoded.",
                            "Export the footage again, or trim the strip around the broken frame.",
                        )
                    yield Frame(index, time_s, _to_rgb(bgr))
                index += 1
        finally:
            capture.release()

    def _check_complete(self, read: int, last_time_s: float) -> None:
        """Tell a file that breaks off from one whose announced frame count is merely an estimate."""
        announced = self.info.frame_count
        if read >= announced:
            return
        announced_s, read_s = announced / self.info.fps, last_time_s + 1.0 / self.info.fps
        if announced - read > 2 and read_s < 0.97 * announced_s:
            raise VideoError(
                "video-truncated",
                f"'{self.info.name}' breaks off: {read} of {announced} frames can be read.",
                f"Copy the file again, or trim the strip to its first {read} frames.",
            )


def _check_file(path: Path) -> None:
    try:
        with open(path, "rb") as file:
            empty = not file.read(1)
    except FileNotFoundError:
        raise VideoError(
            "video-missing", f"There is no file '{path}'.", "Relink the strip to the footage, or check the path."
        ) from None
    except OSError as error:
        raise VideoError(
            "video-unreadable",
            f"'{path}' can't be opened ({error.strerror}).",
            "Select a movie or image file that you may read.",
        ) from error
    if empty:
        raise VideoError("video-empty", f"'{path.name}' is an empty file.", "Copy or export the footage again.")


def _open_movie(path: Path) -> Any:
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    if not capture.isOpened():
        # The platform's own decoders (AVFoundation, Media Foundation) may know more.
        capture = cv2.VideoCapture(str(path), cv2.CAP_ANY)
    if not capture.isOpened():
        raise VideoError(
            "video-unreadable",
            f"'{path.name}' is not a movie that can be read, or it is damaged.",
            "Check that it plays in a player, and convert it to MP4 (H.264) if it does.",
        )
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    _check_size(capture.get(cv2.CAP_PROP_FRAME_WIDTH) * capture.get(cv2.CAP_PROP_FRAME_HEIGHT), path)
    return capture


def _first_of_movie(path: Path) -> tuple[NDArray[np.uint8], float, float, int]:
    """First frame, rate, announced count, and clockwise turn in degrees."""
    capture = _open_movie(path)
    try:
        ok, bgr = capture.read()
        if not ok or bgr is None or not bgr.size:
            raise VideoError(
                "video-empty",
                f"'{path.name}' holds no frame that can be decoded.",
                "Copy or export the footage again.",
            )
        rotation = round(capture.get(cv2.CAP_PROP_ORIENTATION_META)) % 360
        return _to_rgb(bgr), capture.get(cv2.CAP_PROP_FPS), capture.get(cv2.CAP_PROP_FRAME_COUNT), rotation
    finally:
        capture.release()


def _check_size(pixels: float, path: Path) -> None:
    if pixels > MAX_PIXELS:
        raise VideoError(
            "video-too-large",
            f"The picture of '{path.name}' is larger than 16384x16384 pixels.",
            "Scale the footage down; 1920x1080 is plenty.",
        )


def _read_image(path: Path) -> NDArray[np.uint8]:
    """One image, upright, 8 bit, without its alpha."""
    _check_file(path)
    try:
        # Decoding from memory also reads paths that OpenCV can't open on Windows.
        bgr = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    except (cv2.error, MemoryError) as error:
        raise VideoError(
            "video-too-large",
            f"The image '{path.name}' is too large to be decoded.",
            "Scale the footage down; 1920x1080 is plenty.",
        ) from error
    if bgr is None:
        raise VideoError(
            "video-unreadable",
            f"'{path.name}' is not an image that can be read, or it is damaged.",
            "Export the image again as PNG or JPEG.",
        )
    _check_size(bgr.shape[0] * bgr.shape[1], path)
    return _to_rgb(bgr)


def _to_rgb(picture: NDArray[Any]) -> NDArray[np.uint8]:
    if picture.ndim == 2 or picture.shape[2] == 1:
        return np.asarray(cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB), np.uint8)
    return np.asarray(cv2.cvtColor(picture[..., :3], cv2.COLOR_BGR2RGB), np.uint8)


def _sha256(files: Sequence[Path]) -> str:
    """Hex digest of the source bytes; of a sequence, of its files' digests one behind the other."""
    digests = []
    for path in files:
        digest = hashlib.sha256()
        with open(path, "rb") as file:
            while block := file.read(_HASH_BLOCK_BYTES):
                digest.update(block)
        digests.append(digest)
    if len(digests) == 1:
        return digests[0].hexdigest()
    return hashlib.sha256(b"".join(digest.digest() for digest in digests)).hexdigest()
