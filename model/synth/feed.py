"""Training pictures drawn ahead of whoever trains on them, by processes of their own.

Batches come in the order of their numbers whatever the number of workers, and a batch is a function of its number
(:class:`model.synth.pictures.PictureMaker`), so a run can be repeated, and resumed from any number.  Tensors travel
through shared memory.  Worker w of W draws every W-th batch, into a queue of its own.
"""

from __future__ import annotations

import os
import pickle
import queue
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from multiprocessing import parent_process
from multiprocessing.connection import wait
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import multiprocessing

from amr_blender.contract.errors import WorkerError

_LOOK_S = 0.5
"""Between looks at whether a silent worker is still alive."""
_GRACE_S = 5.0
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Maker(Protocol[T_co]):
    """What draws batches: a PictureMaker, or something like it."""

    def batch(self, number: int, count: int) -> T_co:
        """The ``number``-th batch of ``count`` pictures."""
        ...


class Feed(Generic[T]):
    """Batches with their numbers, without end: ``with Feed(...) as feed: for number, batch in feed: ...``.

    Args:
        make_maker: called in each worker; must be known by name to a new process, as it is pickled.
        first: number of the first batch. count: pictures in a batch.
        workers: processes, each with one thread. ahead: batches that may lie ready, at least one for each worker.

    Raises:
        Exception: whatever a worker raised, when its batch's turn comes.
        WorkerError: a worker broke off without a word.
    """

    def __init__(
        self, make_maker: Callable[[], Maker[T]], first: int, count: int, workers: int = 1, ahead: int = 4
    ) -> None:
        if workers < 1 or ahead < workers or count < 1:
            raise ValueError(f"{workers} workers, {ahead} batches ahead and {count} pictures make no feed")
        context = multiprocessing.get_context("spawn")
        self._number = first
        self._first = first
        self._queues: list[Any] = [context.Queue(ahead // workers) for _ in range(workers)]
        self._processes = [
            context.Process(target=_draw, args=(make_maker, first + w, workers, count, one), daemon=True)
            for w, one in enumerate(self._queues)
        ]
        self.waited_s, self.worked_s = 0.0, 0.0
        """Of the consumer, from the second batch on: the first one waits for the workers to start."""

    @property
    def waited_share(self) -> float:
        """0..1: how much of its time the consumer has waited for batches."""
        return self.waited_s / max(self.waited_s + self.worked_s, 1e-9)

    def __enter__(self) -> Feed[T]:
        for process in self._processes:
            process.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the workers and forget what lies ready; more than once does no harm."""
        for process in self._processes:
            if process.is_alive():
                process.terminate()
        for process in self._processes:
            if process.pid is None:
                continue
            process.join(_GRACE_S)
            if process.is_alive():
                process.kill()
                process.join()
        for one in self._queues:
            one.close()

    def __iter__(self) -> Iterator[tuple[int, T]]:
        while True:
            asked = time.perf_counter()
            batch = self._next()
            got = time.perf_counter()
            yield self._number - 1, batch
            if self._number - 1 > self._first:
                self.waited_s += got - asked
                self.worked_s += time.perf_counter() - got

    def _next(self) -> T:
        lane = (self._number - self._first) % len(self._queues)
        while True:
            alive = self._processes[lane].is_alive()  # asked first: what it sent before it ended is there by then
            try:
                sent, error, told = self._queues[lane].get(timeout=_LOOK_S)
            except (queue.Empty, OSError, EOFError) as silence:
                # Whose sender has ended, its shared memory can't be opened any more.
                if alive and isinstance(silence, queue.Empty):
                    continue
                raise WorkerError(
                    "feed-broken",
                    f"The process that draws training pictures ended (exit code {self._processes[lane].exitcode}).",
                    "Look whether the memory has run out, and resume the training.",
                ) from silence
            if error is not None:
                error.add_note(told)
                raise error
            self._number += 1
            batch: T = sent
            return batch


def _draw(make_maker: Callable[[], Maker[Any]], first: int, step: int, count: int, out: Any) -> None:
    """A worker's life."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    number = first
    try:
        maker = make_maker()
        while True:
            out.put((maker.batch(number, count), None, ""))
            number += step
    except Exception as error:
        told = f"While batch {number} was drawn, in the worker:\n{traceback.format_exc()}"
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # an exception may be anything, and then its words must do
            out.put((None, RuntimeError(f"{type(error).__name__}: {error}"), told))
        else:
            out.put((None, error, told))
        threading.Event().wait()  # until it is ended: whoever takes the batches before this one needs it alive


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
