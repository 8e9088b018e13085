"""Errors survive the way between processes, and every failure has words."""

from __future__ import annotations

import errno
import pickle

import pytest

from amr_blender.contract import errors
from amr_blender.contract.failures import describe

KINDS = [cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, errors.AmrError)]


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_keeps_its_words(kind: type[errors.AmrError]) -> None:
    back = pickle.loads(pickle.dumps(kind("code", "What.", "Do.")))
    assert type(back) is kind
    assert (back.code, back.message, back.remedy, str(back)) == ("code", "What.", "Do.", "What. Do.")


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.VideoError("video-x", "What.", "Do."), "video-x"),
        (MemoryError(), "out-of-memory"),
        (OSError(errno.ENOSPC, "No space left on device"), "disk-full"),
        (OSError(errno.EDQUOT, "Quota exceeded", "/home/x"), "disk-full"),
        (OSError(errno.EIO, "I/O error"), "internal"),
        (ModuleNotFoundError("No module named 'cv2'", name="cv2"), "runtime-package-missing"),
        (ModuleNotFoundError("No module named 'torch.x'", name="torch.x"), "runtime-package-missing"),
        (ModuleNotFoundError("No module named 'model.x'", name="model.x"), "internal"),
        (RuntimeError("MPS backend out of memory"), "gpu-memory"),
        (ZeroDivisionError("division by zero"), "internal"),
        (KeyboardInterrupt(), "internal"),
    ],
)
def test_every_failure_has_words(error: BaseException, code: str) -> None:
    failed = describe(raised(error))
    assert failed.code == code
    assert failed.message.endswith(".")
    assert failed.remedy.endswith(".")
    assert "Traceback" not in failed.message
    assert type(error).__name__ in failed.details


def test_the_package_behind_another_import_error_is_found() -> None:
    try:
        try:
            raise ModuleNotFoundError("No module named 'numpy'", name="numpy")
        except ModuleNotFoundError as error:
            raise ImportError("model.x can't be imported") from error
    except ImportError as caught:
        failed = describe(caught)
    assert failed.code == "runtime-package-missing"
    assert "'numpy'" in failed.message
    assert "Install Runtime" in failed.remedy
