"""From the stages' own counts to one fraction and the time left, for the bar in the panel and on the command line."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

Report = Callable[[str, int, int], None]
"""``report(stage, done, total)``: how every stage tells where it is."""

REUSED = "reused"
"""Stage of a job whose result was in the cache."""

STAGE_SHARES = {"read": 0.03, "detect": 0.35, "landmarks": 0.37, "fit": 0.22, "write": 0.03}
"""Share of the whole time, measured over 100 to 1,000 frames of 1080p on two cores; in the order of the pipeline."""

_ETA_FROM_S, _ETA_FROM_FRACTION = 2.0, 0.03


class Step(NamedTuple):
    """Where a job is: ``done`` of ``total`` in ``stage``; ``fraction`` of everything; ``eta_s`` None while unknown."""

    stage: str
    done: int
    total: int
    fraction: float
    eta_s: float | None


class Meter:
    """Turns the stages' reports into :class:`Step`, whose fraction never runs backwards.

    Args:
        emit: receives every step.
        clock: monotonic seconds.
    """

    def __init__(self, emit: Callable[[Step], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._emit, self._clock = emit, clock
        self._fraction = 0.0
        self._paced_from: tuple[float, float] | None = None
        self.reused = False

    def report(self, stage: str, done: int, total: int) -> None:
        """Receive a stage's count.  A stage that is left out, because its result was kept, counts as done."""
        done = max(0, min(done, total))
        if stage == REUSED:
            self.reused = True
            self._fraction = 1.0
        elif stage in STAGE_SHARES:
            names = list(STAGE_SHARES)
            before = sum(STAGE_SHARES[name] for name in names[: names.index(stage)])
            reached = before + STAGE_SHARES[stage] * (done / total if total else 1.0)
            self._fraction = min(1.0, max(self._fraction, reached))
        self._emit(Step(stage, done, total, self._fraction, self._eta_s()))

    def _eta_s(self) -> float | None:
        now = self._clock()
        if self._fraction >= 1.0:
            return 0.0
        if self._paced_from is None:
            # Whatever was skipped up to the first report says nothing about the pace.
            self._paced_from = (now, self._fraction)
        elapsed, gained = now - self._paced_from[0], self._fraction - self._paced_from[1]
        if elapsed < _ETA_FROM_S or gained < _ETA_FROM_FRACTION:
            return None
        return elapsed * (1.0 - self._fraction) / gained
