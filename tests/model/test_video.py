"""Footage of all kinds, good and broken."""

from __future__ import annotations

import hashlib
import struct
import tracemalloc
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from amr_blender.contract.errors import VideoError
from model.video import Video
from tests.model.clips import grey_frames, write_clip
from tests.model.movie_boxes import time_scale, turned, with_durations

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def quarters(width: int = 64, height: int = 48) -> NDArray[np.uint8]:
    """Red top left, green top right, blue bottom left, white bottom right."""
    picture = np.zeros((height, width, 3), np.uint8)
    top, left = height // 2, width // 2
    picture[:top, :left], picture[:top, left:], picture[top:, :left], picture[top:, left:] = RED, GREEN, BLUE, WHITE
    return picture


def numbered(count: int, width: int = 128, height: int = 96) -> list[NDArray[np.uint8]]:
    """Frames that carry their number as eight black or white bars."""
    frames = []
    for number in range(count):
        bits = np.array([255 * (number >> bit & 1) for bit in range(8)], np.uint8)
        row = np.repeat(bits, width // 8)
        frames.append(np.repeat(np.repeat(row[None, :, None], height, 0), 3, 2))
    return frames


def number_of(rgb: NDArray[np.uint8]) -> int:
    bars = rgb.reshape(rgb.shape[0], 8, -1, 3).mean((0, 2, 3)) > 127
    return int((bars * 2 ** np.arange(8)).sum())


def corners(rgb: NDArray[np.uint8]) -> list[tuple[int, ...]]:
    """The colours of the four quarters, each channel black or full."""
    height, width = rgb.shape[:2]
    spots = [rgb[int(y * height), int(x * width)] for y in (0.25, 0.75) for x in (0.25, 0.75)]
    return [tuple(255 if value > 127 else 0 for value in spot) for spot in spots]


def failure(path: Path | str, **options: object) -> VideoError:
    with pytest.raises(VideoError) as caught:
        for _ in Video(path, **options).frames():  # type: ignore[arg-type]
            pass
    assert caught.value.message.endswith(".") and caught.value.remedy.endswith(".")
    return caught.value


def test_frames_come_in_order_with_their_numbers_and_times(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", numbered(40), fps=25)
    video = Video(path)
    frames = list(video.frames())
    assert [f.index for f in frames] == list(range(40))
    assert [number_of(f.rgb) for f in frames] == list(range(40))
    assert np.allclose([f.time_s for f in frames], np.arange(40) / 25, atol=1e-6)
    info = video.info
    assert (info.name, info.width, info.height, info.fps, info.frame_count) == ("a.mp4", 128, 96, 25.0, 40)
    assert (info.rotation_deg, info.focal_px) == (0, None)
    assert info.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_range_holds_the_same_frames_as_the_whole(tmp_path: Path) -> None:
    video = Video(write_clip(tmp_path / "a.mp4", numbered(60), fps=30))
    part = list(video.frames(17, 23))
    assert [f.index for f in part] == [number_of(f.rgb) for f in part] == [17, 18, 19, 20, 21, 22]
    assert part[0].time_s == pytest.approx(17 / 30)


def test_a_range_beyond_the_clip_ends_with_the_clip(tmp_path: Path) -> None:
    video = Video(write_clip(tmp_path / "a.mp4", grey_frames(10)))
    assert [f.index for f in video.frames(8, 99)] == [8, 9]
    assert list(video.frames(10, 12)) == []


def test_uneven_frame_durations_are_kept(tmp_path: Path) -> None:
    even = write_clip(tmp_path / "even.mp4", numbered(6), fps=30).read_bytes()
    unit = time_scale(even) // 30
    uneven = tmp_path / "uneven.mp4"
    uneven.write_bytes(with_durations(even, [unit, 3 * unit, unit, 5 * unit, 2 * unit, unit]))
    frames = list(Video(uneven).frames())
    assert [number_of(f.rgb) for f in frames] == list(range(6))
    assert np.allclose([f.time_s for f in frames], np.array([0, 1, 4, 5, 10, 12]) / 30, atol=1e-4)
    # Blender numbers the pictures of such a movie by time, so a trimmed strip asks for a stretch of time.
    assert [f.index for f in Video(uneven, range_fps=30).frames(4, 11)] == [2, 3, 4]
    assert [f.index for f in Video(uneven).frames(4, 11)] == [4, 5]


@pytest.mark.parametrize(
    ("clockwise_deg", "expected"),
    [
        (0, [RED, GREEN, BLUE, WHITE]),
        (90, [BLUE, RED, WHITE, GREEN]),
        (180, [WHITE, BLUE, GREEN, RED]),
        (270, [GREEN, WHITE, RED, BLUE]),
    ],
)
def test_phone_videos_come_upright(tmp_path: Path, clockwise_deg: int, expected: list[tuple[int, ...]]) -> None:
    path = tmp_path / "phone.mp4"
    path.write_bytes(turned(write_clip(tmp_path / "a.mp4", [quarters()] * 3).read_bytes(), clockwise_deg))
    video = Video(path)
    size = (64, 48) if clockwise_deg % 180 == 0 else (48, 64)
    assert (video.info.width, video.info.height) == size
    assert video.info.rotation_deg == clockwise_deg
    for frame in video.frames():
        assert frame.rgb.shape == (size[1], size[0], 3)
        assert corners(frame.rgb) == expected


@pytest.mark.parametrize("size", [(16, 16), (66, 50), (130, 74)])
def test_odd_and_tiny_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    video = Video(write_clip(tmp_path / "a.mp4", [quarters(*size)] * 2))
    assert (video.info.width, video.info.height) == size
    assert [f.rgb.shape for f in video.frames()] == [(size[1], size[0], 3)] * 2


def test_one_image_is_a_clip_of_one_frame(tmp_path: Path) -> None:
    path = tmp_path / "still.png"
    cv2.imwrite(str(path), quarters(63, 47)[..., ::-1])
    video = Video(path)
    (frame,) = video.frames()
    assert (frame.index, frame.time_s, video.info.frame_count) == (0, 0.0, 1)
    assert np.array_equal(frame.rgb, quarters(63, 47))


def test_an_8k_image(tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    cv2.imwrite(str(path), quarters(7680, 4320)[..., ::-1])
    video = Video(path)
    assert (video.info.width, video.info.height) == (7680, 4320)
    assert corners(next(video.frames()).rgb) == [RED, GREEN, BLUE, WHITE]


@pytest.mark.parametrize("kind", ["gray", "gray16", "alpha"])
def test_images_of_other_kinds_become_rgb(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.png"
    if kind == "alpha":
        picture = np.dstack([quarters()[..., ::-1], np.full((48, 64), 100, np.uint8)])
    else:
        picture = np.full((48, 64), 200, np.uint8) if kind == "gray" else np.full((48, 64), 200 * 257, np.uint16)
    cv2.imwrite(str(path), picture)
    rgb = next(Video(path).frames()).rgb
    assert rgb.dtype == np.uint8 and rgb.shape == (48, 64, 3)
    assert np.array_equal(rgb, quarters()) if kind == "alpha" else (rgb == 200).all()


def test_image_sequences_play_in_the_given_order(tmp_path: Path) -> None:
    names = ["b.png", "a.png", "c.png"]
    for number, name in enumerate(names):
        cv2.imwrite(str(tmp_path / name), numbered(3)[number])
    video = Video(tmp_path / "b.png", images=names, image_fps=12.0)
    frames = list(video.frames())
    assert [number_of(f.rgb) for f in frames] == [0, 1, 2]
    assert [f.time_s for f in frames] == pytest.approx([0, 1 / 12, 2 / 12])
    assert (video.info.fps, video.info.frame_count) == (12.0, 3)
    other = Video(tmp_path / "b.png", images=["a.png", "b.png", "c.png"], image_fps=12.0)
    assert other.info.sha256 != video.info.sha256


def exif_jpeg(path: Path, orientation: int, focal_35mm: int, order: str) -> None:
    ok, data = cv2.imencode(".jpg", quarters()[..., ::-1])
    assert ok
    details = struct.pack(order + "H HHIHH I", 1, 0xA405, 3, 1, focal_35mm, 0, 0)
    main = struct.pack(order + "H HHIHH HHII I", 2, 0x0112, 3, 1, orientation, 0, 0x8769, 4, 1, 8 + 30, 0)
    tiff = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8) + main + details
    segment = b"Exif\0\0" + tiff
    jpeg = data.tobytes()
    path.write_bytes(jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + jpeg[2:])


@pytest.mark.parametrize("order", ["<", ">"])
def test_photos_come_upright_with_their_focal_length(tmp_path: Path, order: str) -> None:
    exif_jpeg(tmp_path / "photo.jpg", orientation=6, focal_35mm=26, order=order)
    video = Video(tmp_path / "photo.jpg")
    assert (video.info.width, video.info.height, video.info.rotation_deg) == (48, 64, 90)
    assert video.info.focal_px == pytest.approx(26 / np.hypot(36, 24) * np.hypot(48, 64))
    assert corners(next(video.frames()).rgb) == [BLUE, RED, WHITE, GREEN]


def test_damaged_exif_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    exif_jpeg(path, orientation=6, focal_35mm=26, order="<")
    data = path.read_bytes().replace(b"II*\0\x08\0\0\0", b"II*\0\xff\xff\0\0")
    path.write_bytes(data)
    assert Video(path).info.focal_px is None


def test_no_such_file(tmp_path: Path) -> None:
    assert failure(tmp_path / "nothing.mp4").code == "video-missing"


def test_a_folder(tmp_path: Path) -> None:
    assert failure(tmp_path).code == "video-unreadable"


@pytest.mark.parametrize("name", ["notes.mp4", "notes01.mp4", "notes.png", "notes"])
def test_a_text_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("This is no movie.\n" * 100)
    assert failure(tmp_path / name).code == "video-unreadable"


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"")
    assert failure(tmp_path / "a.mp4").code == "video-empty"


def test_a_movie_without_frames(tmp_path: Path) -> None:
    movie = write_clip(tmp_path / "a.mp4", grey_frames(5)).read_bytes()
    start = movie.index(b"mdat")
    (size,) = struct.unpack_from(">I", movie, start - 4)
    blank = movie[: start + 4] + bytes(size - 8) + movie[start - 4 + size :]
    (tmp_path / "b.mp4").write_bytes(blank)
    assert failure(tmp_path / "b.mp4").code == "video-empty"


def test_a_movie_cut_off_before_its_index(tmp_path: Path) -> None:
    movie = write_clip(tmp_path / "a.mp4", grey_frames(30)).read_bytes()
    (tmp_path / "b.mp4").write_bytes(movie[: len(movie) // 2])
    assert failure(tmp_path / "b.mp4").code == "video-unreadable"


def test_a_movie_that_breaks_off(tmp_path: Path) -> None:
    # AVI keeps its header in front, so that a copy that broke off still opens and announces all frames.
    path = tmp_path / "a.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (128, 96))
    for rgb in numbered(40):
        writer.write(rgb)
    writer.release()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    video = Video(path)
    readable = []
    with pytest.raises(VideoError) as caught:
        for frame in video.frames():
            readable.append(frame.index)
    assert caught.value.code == "video-truncated"
    assert f"{len(readable)} of 40" in caught.value.message
    assert 10 < len(readable) < 30
    assert len(list(video.frames(0, len(readable)))) == len(readable), "what is there can be used"


def test_a_missing_image_of_a_sequence_is_named(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "1.png"), quarters())
    error = failure(tmp_path / "1.png", images=["1.png", "2.png"])
    assert error.code == "video-missing" and "2.png" in error.message


def test_a_sequence_must_keep_its_size(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "1.png"), quarters(64, 48))
    cv2.imwrite(str(tmp_path / "2.png"), quarters(64, 50))
    assert failure(tmp_path / "1.png", images=["1.png", "2.png"]).code == "video-size-changes"


def test_a_huge_picture_announced_by_a_small_file(tmp_path: Path) -> None:
    ok, data = cv2.imencode(".png", quarters())
    png = bytearray(data.tobytes())
    struct.pack_into(">II", png, 16, 200_000, 200_000)
    struct.pack_into(">I", png, 29, zlib.crc32(png[12:29]))
    (tmp_path / "bomb.png").write_bytes(png)
    assert failure(tmp_path / "bomb.png").code in ("video-too-large", "video-unreadable")


def test_frames_are_not_held(tmp_path: Path) -> None:
    video = Video(write_clip(tmp_path / "a.mp4", grey_frames(120, 320, 240)))
    tracemalloc.start()
    count = sum(1 for _ in video.frames())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 120
    assert peak < 6 * 320 * 240 * 3, "a few frames at once, however long the clip"
