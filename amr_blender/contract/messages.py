"""The worker's messages: JSON objects, one a line, on its standard output.  One vocabulary for both sides."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar

PROTOCOL_VERSION = 1
MAX_LINE_BYTES = 1 << 20


@dataclass(frozen=True)
class Hello:
    """First message: who speaks.  ``device`` is empty; the message comes again as soon as a device is chosen."""

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
    """Last message of a job that succeeded; the file at ``take`` is complete ('' for ``people``).

    ``cached``: an earlier result was reused.
    """

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


_KINDS: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (int, float),
    "float | None": (int, float, type(None)),
    "str": (str,),
    "bool": (bool,),
    "list[dict[str, Any]]": (list,),
}


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
    try:
        data = json.loads(line)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    kind = data.pop("type", None) if isinstance(data, dict) else None
    if not isinstance(kind, str) or kind not in _TYPES:
        raise ValueError("no message")
    cls = _TYPES[kind]
    types = {f.name: str(f.type) for f in fields(cls)}
    for name, value in data.items():
        if name not in types:
            raise ValueError(f"unknown field '{name}'")
        _check(name, value, types[name])
    try:
        message: Message = cls(**data)
    except TypeError as error:
        raise ValueError(str(error)) from error
    return message


def _check(name: str, value: object, kind: str) -> None:
    ok = isinstance(value, _KINDS[kind]) and (kind == "bool" or not isinstance(value, bool))
    ok = ok and not (isinstance(value, float) and not math.isfinite(value))
    if isinstance(value, list):
        ok = ok and all(isinstance(item, dict) for item in value)
    if not ok:
        raise ValueError(f"field '{name}' is no {kind}")
