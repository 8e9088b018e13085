"""Edits the boxes of an MP4 file that OpenCV wrote: turns it as a phone does, or gives its frames uneven durations."""

from __future__ import annotations

import struct
from collections.abc import Sequence

_MATRICES = {0: (1, 0, 0, 1), 90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}
_PATH = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stts")


def turned(movie: bytes, clockwise_deg: int) -> bytes:
    """The movie with the metadata that asks the player to turn it."""
    a, b, c, d = _MATRICES[clockwise_deg]
    # tkhd, version 0: version and flags (4 bytes), times and id (20), reserved (8), layer and volume (8), the matrix.
    matrix = movie.index(b"tkhd") + 4 + 4 + 20 + 8 + 8
    turn = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    return movie[:matrix] + turn + movie[matrix + 36 :]


def with_durations(movie: bytes, durations: Sequence[int]) -> bytes:
    """The movie with each frame's duration in units of the track's time scale; its boxes must end with ``moov``."""
    table = struct.pack(">II", 0, len(durations)) + b"".join(struct.pack(">II", 1, d) for d in durations)
    box = struct.pack(">I4s", 8 + len(table), b"stts") + table
    starts, start, end = [], 0, len(movie)
    for name in _PATH:
        start = _find(movie, name, start, end)
        size = struct.unpack_from(">I", movie, start)[0]
        starts.append((start, size))
        start, end = start + 8, start + size
    at, size = starts.pop()
    edited = bytearray(movie[:at] + box + movie[at + size :])
    for parent, old in starts:
        struct.pack_into(">I", edited, parent, old + len(box) - size)
    # The edit list still cuts the track off at its old length.
    return bytes(edited).replace(b"edts", b"free")


def time_scale(movie: bytes) -> int:
    """Units a second of the track."""
    (scale,) = struct.unpack_from(">I", movie, movie.index(b"mdhd") + 4 + 4 + 8)
    return int(scale)


def _find(movie: bytes, name: bytes, start: int, end: int) -> int:
    while start < end:
        size, kind = struct.unpack_from(">I4s", movie, start)
        if kind == name:
            return start
        start += size
    raise ValueError(f"no box {name!r}")
