"""Reads a worker's standard output in a thread of its own and keeps what the add-on has not fetched yet, bounded."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import IO

from ..contract.messages import MAX_LINE_BYTES, PROTOCOL_VERSION, Alive, Done, Failed, Hello, Message, Progress, decode
from . import endings

MAX_MESSAGES = 1000
"""Beside progress and signs of life; a whole job has a few dozen."""
MAX_GARBAGE_LINES = 100
"""A chatty start-up script may print a few lines; more than this is no worker of ours."""


class Mailbox:
    """Messages of one worker, in order.  Of progress only the newest waits: a Blender that is busy misses nothing.

    The reader never blocks on a reader of its own, so the worker never stands still because nobody polls.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._waiting: deque[Message] = deque()
        self._count = 0
        self._progress: Message | None = None
        self._heard_at = self._moved_at = time.monotonic()
        self.last: Done | Failed | None = None
        """The worker's last word, or why it can't be listened to any more."""
        self.broken = False
        """The worker must be ended: it does not keep to the protocol."""
        self.pid: int | None = None
        self.device = ""
        self.garbage: list[str] = []
        self._thread = threading.Thread(target=self._read, name="amr-mailbox", daemon=True)
        self._thread.start()

    @property
    def at_end(self) -> bool:
        """Everything that the worker sent has been read."""
        return not self._thread.is_alive()

    def wait_end(self, seconds: float) -> None:
        self._thread.join(seconds)

    def fetch(self) -> list[Message]:
        """What arrived since the last call, without the last word (:attr:`last`).  Never blocks."""
        with self._lock:
            messages = list(self._waiting)
            self._waiting.clear()
            if self._progress is not None:
                messages.append(self._progress)
                self._progress = None
        return messages

    def signs(self) -> tuple[float, float]:
        """(monotonic time of the last message, of the last message other than Alive)."""
        with self._lock:
            return self._heard_at, self._moved_at

    def _read(self) -> None:
        try:
            buffered = open(self._stream.fileno(), "rb", closefd=False)  # noqa: SIM115
            while self.last is None:
                line = buffered.readline(MAX_LINE_BYTES + 1)
                if not line:
                    return
                self._take_line(line)
            while buffered.read(1 << 16):  # a worker that goes on talking must not block on a full pipe
                pass
        except (OSError, ValueError):  # closed under us
            return

    def _take_line(self, line: bytes) -> None:
        if len(line) > MAX_LINE_BYTES:
            self._break("an endless line", line[:200])
            return
        if not line.strip():
            return
        try:
            message = decode(line)
        except ValueError:
            self._take_garbage(line)
            return
        now = time.monotonic()
        with self._lock:
            self._heard_at = now
            if not isinstance(message, Alive):
                self._moved_at = now
            if isinstance(message, Progress):
                self._progress = message
            elif isinstance(message, Done | Failed):
                self.last = message
            elif not isinstance(message, Alive):
                self._waiting.append(message)
                self._count += 1
            if isinstance(message, Hello):
                self.pid, self.device = message.pid, message.device
        if isinstance(message, Hello) and message.protocol != PROTOCOL_VERSION:
            self._end(endings.other_protocol(message.protocol, PROTOCOL_VERSION))
        elif self._count > MAX_MESSAGES:
            self._break("a flood of messages", b"")

    def _take_garbage(self, line: bytes) -> None:
        self.garbage.append(line[:500].decode("utf-8", "replace").rstrip())
        if len(self.garbage) > MAX_GARBAGE_LINES:
            self._break("something else", b"")

    def _break(self, what: str, sample: bytes) -> None:
        if sample:
            self.garbage.append(sample.decode("utf-8", "replace"))
        self._end(endings.garbage(what))

    def _end(self, failed: Failed) -> None:
        self.broken = True
        self.last = failed
