"""The heap of a long run."""

from __future__ import annotations

import ctypes
import sys

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1  # names of glibc's mallopt(3)


def steady_heap() -> None:
    """Give large buffers back to the system as they are freed.

    glibc raises its threshold for that as a program goes, and the heap then grows by a megabyte a frame, pinned by
    the small results between the freed buffers.  Elsewhere than on Linux with glibc this does nothing.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, 16 << 20)
        mallopt(_TRIM_THRESHOLD, 64 << 20)
