"""The worker's line to the add-on: messages out on a private descriptor, a heartbeat, a watch on the add-on's life."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from typing import BinaryIO

from ..contract.messages import Alive, Message, Progress, encode

HEARTBEAT_S = 1.0
# More often than this nobody sees it, and a bar that moves 30 times a second costs the worker and Blender time.
PROGRESS_S = 0.1


class Channel:
    """Sends messages, one line each, from any thread.

    Standard output belongs to messages alone: the constructor moves it to a private descriptor and points descriptor 1
    at standard error, so that whatever a library prints, in Python or in C, ends in the log.
    """

    def __init__(self) -> None:
        sys.stdout.flush()
        self._stream: BinaryIO = os.fdopen(os.dup(1), "wb", buffering=0)
        os.dup2(2, 1)
        self._lock = threading.Lock()
        self._last_progress = (float("-inf"), "")

    def send(self, message: Message) -> None:
        """Write one message; a reader that is gone is no error here, :func:`watch_parent` ends the process then."""
        line = encode(message).encode() + b"\n"
        with self._lock:
            try:
                view = memoryview(line)
                while view:
                    view = view[self._stream.write(view) or 0 :]
            except OSError:
                return

    def send_progress(self, message: Progress) -> None:
        """Send ``message`` unless one of the same stage went out just now; the last of a stage always goes."""
        now, (then, stage) = time.monotonic(), self._last_progress
        if now - then >= PROGRESS_S or message.stage != stage or message.done >= message.total:
            self._last_progress = (now, message.stage)
            self.send(message)

    def start_heartbeat(self) -> None:
        def beat() -> None:
            while True:
                time.sleep(HEARTBEAT_S)
                self.send(Alive())

        threading.Thread(target=beat, name="amr-heartbeat", daemon=True).start()


def watch_parent(clean_up: Callable[[], None]) -> None:
    """End this process, after ``clean_up``, as soon as the add-on's end of standard input closes.

    Blender may crash or be killed at any moment; its pipe closes then on every system.  Standard input itself is
    pointed at nothing: on Windows some numeric libraries look at it when they load, and would hang behind our read.
    """
    pipe = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)

    def watch() -> None:
        try:
            while os.read(pipe, 4096):
                pass
        except OSError:
            pass
        try:
            clean_up()
        finally:
            os._exit(1)

    threading.Thread(target=watch, name="amr-parent-watch", daemon=True).start()
