"""Whatever ended a job, in words for the animator; the traceback goes into the details and the log."""

from __future__ import annotations

import errno
import traceback

from .errors import AmrError
from .messages import Failed

_RUNTIME_PACKAGES = {"torch": "torch", "numpy": "numpy", "cv2": "opencv-python", "safetensors": "safetensors"}
_RUNTIME_REMEDY = "Open Edit > Preferences > Add-ons > AttentiveMeshRefine and press Install Runtime."
_MEMORY_REMEDY = "Close other programs, choose a shorter range of the strip, or set the quality to draft."
_MAX_DETAILS = 20_000


def describe(error: BaseException) -> Failed:
    """The last message of a job that ``error`` ended."""
    code, message, remedy = _words(error)
    details = "".join(traceback.format_exception(error))[-_MAX_DETAILS:]
    return Failed(code, message, remedy, details)


def _words(error: BaseException) -> tuple[str, str, str]:
    if isinstance(error, AmrError):
        return error.code, error.message, error.remedy
    missing = _missing_package(error)
    if missing:
        return (
            "runtime-package-missing",
            f"The Python environment of the worker has no usable '{missing}'.",
            _RUNTIME_REMEDY,
        )
    if _is_gpu_memory(error):
        return (
            "gpu-memory",
            "The graphics card has too little free memory for this clip.",
            "Close other programs that use the graphics card, or set the device to CPU in the add-on's preferences.",
        )
    if isinstance(error, MemoryError) or "not enough memory" in str(error) or "can't allocate memory" in str(error):
        return "out-of-memory", "The computer has too little free memory for this clip.", _MEMORY_REMEDY
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = f" ({error.filename})" if error.filename else ""
        return "disk-full", f"The disk is full{where}.", "Free some space and reconstruct again."
    return (
        "internal",
        f"Something went wrong inside the reconstruction ({type(error).__name__}).",
        "Press Copy diagnostics and send the text to the add-on's authors.",
    )


def _missing_package(error: BaseException) -> str:
    """Name of the runtime package that an import error is about, whether it is absent or broken."""
    seen: BaseException | None = error
    while isinstance(seen, ImportError):
        root = (seen.name or "").partition(".")[0]
        if root in _RUNTIME_PACKAGES:
            return _RUNTIME_PACKAGES[root]
        # A package whose own shared libraries are missing names none of ours: the frames tell who was imported.
        for frame in reversed(traceback.extract_tb(seen.__traceback__)):
            for name, package in _RUNTIME_PACKAGES.items():
                if f"/{name}/" in frame.filename.replace("\\", "/"):
                    return package
        seen = seen.__cause__ or seen.__context__
    return ""


def _is_gpu_memory(error: BaseException) -> bool:
    # torch names its error OutOfMemoryError; the older RuntimeError and Metal's only say so.
    text = str(error)
    return type(error).__name__ == "OutOfMemoryError" or "CUDA out of memory" in text or "MPS backend out of" in text
