"""Reads the two facts of a JPEG's EXIF that matter here: how it was turned and through which lens it was taken."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

_MAX_HEADER_BYTES = 1 << 20
_ORIENTATION, _EXIF_TABLE, _FOCAL_LENGTH_35MM = 0x0112, 0x8769, 0xA405
_SHORT, _LONG = 3, 4
_CLOCKWISE_DEG = {3: 180, 4: 180, 5: 90, 6: 90, 7: 270, 8: 270}


@dataclass(frozen=True)
class Exif:
    """Facts of one JPEG; the defaults stand where it does not tell them."""

    rotation_deg: int = 0
    """Clockwise turn from the stored to the upright picture."""
    focal_35mm: float | None = None
    """Focal length in millimetres of the lens with the same view on 36x24 mm film."""


def read_exif(path: Path) -> Exif:
    """Facts of the JPEG at ``path``; a file without or with damaged EXIF gives the defaults."""
    with open(path, "rb") as file:
        header = file.read(_MAX_HEADER_BYTES)
    try:
        tiff = _exif_block(header)
        if tiff is None:
            return Exif()
        order = {b"II": "<", b"MM": ">"}[tiff[:2]]
        main = _tags(tiff, order, struct.unpack_from(order + "I", tiff, 4)[0])
        details = _tags(tiff, order, main[_EXIF_TABLE]) if _EXIF_TABLE in main else {}
    except (struct.error, KeyError):
        return Exif()
    return Exif(_CLOCKWISE_DEG.get(main.get(_ORIENTATION, 1), 0), float(details.get(_FOCAL_LENGTH_35MM, 0)) or None)


def _exif_block(header: bytes) -> bytes | None:
    """The TIFF structure inside the JPEG's APP1 segment."""
    position = 2
    while header[:2] == b"\xff\xd8" and position + 4 <= len(header) and header[position] == 0xFF:
        marker, size = struct.unpack_from(">BH", header, position + 1)
        if marker == 0xE1 and header[position + 4 : position + 10] == b"Exif\0\0":
            return header[position + 10 : position + 2 + size]
        if marker == 0xDA:
            break
        position += 2 + size
    return None


def _tags(tiff: bytes, order: str, offset: int) -> dict[int, int]:
    """The single whole numbers of one table of tags."""
    values = {}
    (count,) = struct.unpack_from(order + "H", tiff, offset)
    for entry in range(offset + 2, offset + 2 + 12 * count, 12):
        tag, kind, length = struct.unpack_from(order + "HHI", tiff, entry)
        if length == 1 and kind in (_SHORT, _LONG):
            (values[tag],) = struct.unpack_from(order + ("H" if kind == _SHORT else "I"), tiff, entry + 8)
    return values
