"""From the stages' own counts to one fraction and the time left, for the bar in the panel and on the command line."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

Report = Callable[[str, int, int], None]
"""``report(stage, done, total)``: how every stage tells where it is."""

REUSED = "reused"
"""Stage of a job whose result was in the cache."""

STAGE_SHARES = {"read": 0.01, "detect": 0.16, "landmarks": 0.37, "fit": 0.16, "refine": 0.29, "write": 0.01}
"""Share of the whole time, measured over 100 frames of 1080p on two cores; in the order of the pipeline."""

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
        self._stage, self._done, self._at = "", 0, 0.0
        # The pace comes from steps within a stage alone: what was skipped or loaded in between says nothing about it.
        self._spent_s = self._earned = 0.0
        self.reused = False

    def report(self, stage: str, done: int, total: int) -> None:
        """Receive a stage's count.  A stage that is left out, because its result was kept, counts as done."""
        done, now = max(0, min(done, total)), self._clock()
        if stage == REUSED:
            self.reused = True
            self._fraction = 1.0
        elif stage in STAGE_SHARES:
            names = list(STAGE_SHARES)
            before = sum(STAGE_SHARES[name] for name in names[: names.index(stage)])
            share = STAGE_SHARES[stage] / total if total else 0.0
            reached = before + (share * done if total else STAGE_SHARES[stage])
            self._fraction = min(1.0, max(self._fraction, reached))
            if stage == self._stage:
                self._spent_s += now - self._at
                self._earned += max(0.0, share * (done - self._done))
        self._stage, self._done, self._at = stage, done, now
        self._emit(Step(stage, done, total, self._fraction, self._eta_s()))

    def _eta_s(self) -> float | None:
        if self._fraction >= 1.0:
            return 0.0
        if self._spent_s < _ETA_FROM_S or self._earned < _ETA_FROM_FRACTION:
            return None
        return self._spent_s / self._earned * (1.0 - self._fraction)
