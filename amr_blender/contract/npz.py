"""Members of an ``.npz`` archive as untrusted input: a header is checked before anything is allocated."""

from __future__ import annotations

import math
import zipfile
from typing import Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

Header = tuple[tuple[int, ...], bool, np.dtype[Any]]
"""Shape, Fortran order, type."""


def read_header(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Header:
    """The header of one member, if it announces exactly the bytes that the archive holds.

    Raises:
        ValueError: objects, which only a pickle could restore, a negative size, or another size than there is.
    """
    with archive.open(info) as stream:
        version = npy_format.read_magic(stream)
        reader = npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
        shape, fortran, dtype = reader(stream)
        if dtype.hasobject or dtype.kind not in "biufU" or dtype.itemsize == 0:
            raise ValueError(f"{info.filename} holds objects")
        if any(size < 0 for size in shape):
            raise ValueError(f"{info.filename} has a negative size")
        if math.prod(shape) * dtype.itemsize + stream.tell() != info.file_size:
            raise ValueError(f"{info.filename} announces another size than it has")
    return shape, bool(fortran), dtype


def read_array(archive: zipfile.ZipFile, name: str, header: Header) -> NDArray[Any]:
    """The array ``name`` (without ``.npy``), writeable and in this machine's byte order.

    Raises:
        ValueError: the member is truncated.
    """
    shape, fortran, dtype = header
    size = math.prod(shape) * dtype.itemsize
    with archive.open(f"{name}.npy") as stream:
        stream.read(archive.getinfo(f"{name}.npy").file_size - size)
        data = stream.read(size)
        if len(data) != size or stream.read(1):
            raise ValueError(f"{name} is truncated")
    array = np.frombuffer(data, dtype=dtype).reshape(shape, order="F" if fortran else "C")
    return array.astype(dtype.newbyteorder("="), copy=True)
