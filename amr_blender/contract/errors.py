"""Errors that reach the animator: one sentence that says what happened, one that says what to do."""

from __future__ import annotations


class AmrError(Exception):
    """An expected failure, told in words.

    Attributes:
        code: stable identifier in kebab case, the same in both processes (``video-unreadable``).
        message: what happened, one sentence, no traceback.
        remedy: what the animator can do about it, one sentence.
    """

    def __init__(self, code: str, message: str, remedy: str) -> None:
        super().__init__(f"{message} {remedy}")
        self.code = code
        self.message = message
        self.remedy = remedy

    def __reduce__(self) -> tuple[type[AmrError], tuple[str, str, str]]:
        return type(self), (self.code, self.message, self.remedy)


class VideoError(AmrError):
    """The footage can't be used."""


class PersonError(AmrError):
    """Nobody, or nobody usable, is in the footage."""


class TakeError(AmrError):
    """A take can't be read or written."""


class WorkerError(AmrError):
    """The worker process could not start, broke or fell silent."""


class SettingsError(AmrError):
    """A setting of the job makes no sense."""


class SceneError(AmrError):
    """The strip or the scene can't be used."""


class RuntimeSetupError(AmrError):
    """The Python environment of the worker is missing or broken."""


class Cancelled(Exception):
    """The animator cancelled; not an error."""
