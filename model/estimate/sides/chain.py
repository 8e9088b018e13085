"""The readings of a clip's frames as a chain: the best one, and how probable every frame's reading is.

Each frame has 8 states, the subsets of three groups whose sides the detector took for each other.  What a step costs
depends only on which groups change, so a step is a vector of 8 over the exclusive or of two states.  Viterbi (1967) and
forward-backward (Rabiner 1989), in logarithms.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
STATES = np.array([[bool(state >> group & 1) for group in range(3)] for state in range(8)])
"""(8, 3) exchanges of legs, arms and torso."""
CHANGE = np.arange(8)[:, None] ^ np.arange(8)[None]
"""(8, 8) the state that leads from one to another."""


def best_path(frames: Array, steps: Array) -> NDArray[np.int64]:
    """(T,) states of the likeliest sequence, from (T, 8) log-likelihoods of states and (T - 1, 8) of changes."""
    best = frames[0]
    came_from = np.zeros(frames.shape, np.int64)
    for t, change in enumerate(steps, start=1):
        total = best[:, None] + change[CHANGE]
        came_from[t] = total.argmax(0)
        best = total.max(0) + frames[t]
    path = np.full(len(frames), best.argmax())
    for t in range(len(frames) - 1, 0, -1):
        path[t - 1] = came_from[t, path[t]]
    return path


def posterior(frames: Array, steps: Array) -> Array:
    """(T, 8) probability of every state, over all sequences; arguments as of :func:`best_path`."""
    before, after = frames.copy(), np.zeros(frames.shape)
    for t, change in enumerate(steps, start=1):
        before[t] += np.logaddexp.reduce(before[t - 1][:, None] + change[CHANGE], 0)
    for t in range(len(steps) - 1, -1, -1):
        after[t] = np.logaddexp.reduce(steps[t][CHANGE] + (frames[t + 1] + after[t + 1])[None], 1)
    total = before + after
    return np.asarray(np.exp(total - np.logaddexp.reduce(total, 1, keepdims=True)))
