"""Left and right that the detector took for each other, put back.

Two things happen.  Labels may be exchanged although the 3D knows better: single frames tell that by anatomy.  And the
detector itself takes left for right, in legs that cross or in a person seen from behind whom it believes to face the
camera: then its 3D agrees with the mistake, and only motion, and how the clip is read elsewhere, tells.  So every frame
is first read as a body; then the mistakes of legs, arms and torso are found jointly over the clip as the likeliest path
through a chain (``chain``), whose costs are fitted on made footage with the real detector (``weights``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.detect.landmarks import COUNT, Landmarks
from model.paths import WEIGHTS

from .anatomy import PATTERNS, facing, log_odds, pelvis_width
from .chain import STATES, best_path, posterior
from .groups import GROUPS, exchange
from .motion import joined, steps
from .weights import CAUTION, UNIT_S, SideWeights

__all__ = ["GROUPS", "SideRepair", "repair_sides"]
Array = NDArray[np.floating]
UNSURE = 0.8
"""Frames less sure than this are worth a look."""
_NOT_LEGS = np.setdiff1d(np.arange(COUNT), sum(GROUPS["legs"], []))
_RELABELLED = 2.0  # cost of believing that labels were exchanged: a single frame must be clear to be changed


@dataclass(frozen=True)
class SideRepair:
    """T frames, 3 groups in the order of ``GROUPS``."""

    landmarks: Landmarks
    """With the sides put back."""
    exchanged: NDArray[np.bool_]
    """(T, 3) this group's sides were exchanged in this frame."""
    sure: NDArray[np.float64]
    """(T, 3) 0..1: probability that this group's sides are right now; 1 where nobody is seen."""

    def meta(self) -> dict[str, Any]:
        """What a take tells of it: frame numbers exchanged by group, and how sure that is."""
        frames, columns = self.landmarks.frames, list(enumerate(GROUPS))
        seen = self.sure[self.landmarks.present]
        return {
            "sides_exchanged": {group: frames[self.exchanged[:, k]].tolist() for k, group in columns},
            "sides_sure": {
                group: {
                    "mean": round(float(seen[:, k].mean()), 4) if len(seen) else None,
                    "unsure_frames": frames[self.sure[:, k] < UNSURE].tolist(),
                }
                for k, group in columns
            },
        }


def repair_sides(landmarks: Landmarks) -> SideRepair:
    """Find the likeliest sides of legs, arms and torso in all frames together, and exchange what is exchanged.

    The face goes with the torso.  Where the detector took the back for the front its 3D faced the other way, so the
    depth of trunk, arms and face is turned round as well.
    """
    count = len(landmarks.frames)
    exchanged, sure = np.zeros((count, 3), bool), np.ones((count, 3))
    seen = np.flatnonzero(landmarks.present)
    if not len(seen):
        return SideRepair(landmarks, exchanged, sure)
    weights = SideWeights.load(WEIGHTS / "sides.npz")
    odds = log_odds(landmarks.world_m[seen], weights.relation_scale_m, weights.relation_weight)
    odds[:, 1:] -= _RELABELLED
    labels = np.zeros(count, np.int64)
    labels[seen] = odds.argmax(1)
    bodies = exchange(landmarks, PATTERNS[labels])
    of_labels = _of_labels(odds, labels[seen])
    links, frames, cautious = _of_mistakes(bodies, seen, weights)
    frames, cautious = np.maximum(frames, of_labels), np.maximum(cautious, of_labels)
    mistaken = STATES[best_path(cautious, links)]
    exchanged[seen] = PATTERNS[labels[seen], :3] ^ mistaken
    probable = posterior(frames, links) @ STATES
    sure[seen] = np.where(mistaken, probable, 1 - probable)
    mistakes = np.zeros((count, 4), bool)
    mistakes[seen] = mistaken[:, [0, 1, 2, 2]]
    return SideRepair(_turned(exchange(bodies, mistakes), mistakes), exchanged, sure)


def _of_labels(odds: Array, labels: NDArray[np.int64]) -> Array:
    """(S, 8) log-likelihood that the choice of ``labels`` (S,) among the (S, 16) ``odds`` was wrong instead."""
    other = np.take_along_axis(odds, labels[:, None] ^ np.arange(16), 1) - odds.max(1, keepdims=True)
    return np.maximum(other[:, :8], other[:, 8:])


def _of_mistakes(bodies: Landmarks, seen: NDArray[np.int64], weights: SideWeights) -> tuple[Array, Array, Array]:
    """Log-likelihoods of the detector's mistakes: of changes (S - 1, 8), of states (S, 8), and those with caution."""
    px, world_m, visibility = (getattr(bodies, n)[seen].astype(np.float64) for n in ("px", "world_m", "visibility"))
    time_s = bodies.time_s[seen]
    elapsed_s = np.diff(time_s)
    lasting_s = np.append(elapsed_s, elapsed_s[-1:] if len(elapsed_s) else UNIT_S)
    cues = np.stack([facing(world_m), pelvis_width(px, world_m)], 1)
    return (
        weights.of_steps(steps(px, world_m, visibility), elapsed_s, joined(px, world_m, time_s)),
        weights.of_mistakes(cues, lasting_s),
        weights.of_mistakes(cues, lasting_s, CAUTION),
    )


def _turned(landmarks: Landmarks, mistaken: NDArray[np.bool_]) -> Landmarks:
    """The depth of a trunk that was taken for one facing the other way, turned round, with arms and face.

    How far the legs are the detector sees rightly even then.
    """
    world_m = landmarks.world_m.copy()
    world_m[np.ix_(mistaken[:, 2], _NOT_LEGS, np.array([2]))] *= -1
    return replace(landmarks, world_m=world_m)
