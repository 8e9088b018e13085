"""The last thing that went wrong, in words, for the panel and for "Copy Diagnostics".  Free of bpy."""

from __future__ import annotations

import logging
import platform
import traceback
from dataclasses import dataclass

from ..contract.errors import AmrError
from ..contract.version import VERSION

log = logging.getLogger("amr_blender")


@dataclass(frozen=True)
class Problem:
    """What happened, what to do, and everything a maintainer would ask for."""

    code: str
    message: str
    remedy: str
    diagnostics: str

    @property
    def text(self) -> str:
        return f"{self.message} {self.remedy}"


last: Problem | None = None


def clear() -> None:
    global last
    last = None


def remember(error: BaseException, *, host: str = "", details: str = "") -> Problem:
    """Make ``error`` the last problem and log it.  ``host`` names the Blender, ``details`` is the worker's side."""
    global last
    if isinstance(error, AmrError):
        code, message, remedy = error.code, error.message, error.remedy
    else:
        code, message = "unexpected", "Something went wrong that the add-on did not expect."
        remedy = "Press Copy Diagnostics and send them to the add-on's authors."
    trace = "".join(traceback.format_exception(error))
    parts = [
        f"AttentiveMeshRefine {VERSION} | {host} | Python {platform.python_version()} | {platform.platform()}",
        f"{code}: {message} {remedy}",
        details.strip(),
        trace.strip(),
    ]
    last = Problem(code, message, remedy, "\n\n".join(part for part in parts if part))
    log.error("%s", last.diagnostics)
    return last
