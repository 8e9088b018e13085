"""The worker's messages: JSON objects, one a line, on its standard output.  One vocabulary for both sides."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar

PROTOCOL_VERSION = 1
MAX_LINE_BYTES = 1 << 20


@dataclass(frozen=True)
class Hello:
    """First message: who speaks."""

    type: ClassVar[str] = "hello"
    protocol: int
    pid: int
    device: str


@dataclass(frozen=True)
class Progress:
    """A stage moved on. ``done`` of ``total`` frames; ``fraction`` of the whole job; ``eta_s`` None while unknown."""

    type: ClassVar[str] = "progress"
    stage: str
    done: int
    total: int
    fraction: float
    eta_s: float | None = None


@dataclass(frozen=True)
class Alive:
    """Sent about once a second by a thread of its own, so that silence means a dead or frozen process."""

    type: ClassVar[str] = "alive"


@dataclass(frozen=True)
class Warn:
    """Something the animator should know about the result."""

    type: ClassVar[str] = "warn"
    code: str
    message: str


@dataclass(frozen=True)
class People:
    """Answer to the ``people`` action: list of {index, share, frame_start, frame_end, thumbnail}."""

    type: ClassVar[str] = "people"
    people: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Done:
    """Last message of a job that succeeded; the file at ``take`` is complete ('' for ``people``)."""

    type: ClassVar[str] = "done"
    take: str
    cached: bool = False


@dataclass(frozen=True)
class Failed:
    """Last message of a job that did not."""

    type: ClassVar[str] = "failed"
    code: str
    message: str
    remedy: str
    details: str = ""


Message = Hello | Progress | Alive | Warn | People | Done | Failed
_TYPES: dict[str, type[Any]] = {c.type: c for c in (Hello, Progress, Alive, Warn, People, Done, Failed)}


def encode(message: Message) -> str:
    """One line of JSON without the line break."""
    return json.dumps({"type": message.type, **asdict(message)})


def decode(line: str | bytes) -> Message:
    """Parse one line.

    Raises:
        ValueError: the line is no message of this protocol.
    """
    if len(line) > MAX_LINE_BYTES:
        raise ValueError("line too long")
    data = json.loads(line)
    if not isinstance(data, dict) or data.get("type") not in _TYPES:
        raise ValueError("no message")
    cls = _TYPES[data.pop("type")]
    try:
        if set(data) - {f.name for f in fields(cls)}:
            raise ValueError("unknown field")
        message: Message = cls(**data)
    except TypeError as error:
        raise ValueError(str(error)) from error
    return message
