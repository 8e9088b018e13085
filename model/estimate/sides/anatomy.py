"""Which reading of one frame is a body: left and right as anatomy has them, from the detector's 3D alone.

BlazePose's 3D agrees with itself, even where it takes the back for the front.  So when somebody's labels were exchanged
afterwards, or one limb's were, lengths and directions no longer fit each other: thighs cross, the nose points
to where the shoulders have their back, knees bend backwards.  Ten such relations change their sign with an
exchange; their weights are fitted as log-odds (``model/train/side_model.py``).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .motion import about_trunk

Array = NDArray[np.floating]
PATTERNS = np.array([[bool(pattern >> group & 1) for group in range(4)] for pattern in range(16)])
"""(16, 4) exchanges of legs, arms, torso and face."""
_LEGS, _ARMS, _TORSO, _FACE = 1, 2, 4, 8
RELATIONS = {
    "thigh": _LEGS | _TORSO, "knees": _LEGS | _TORSO, "upper_arm": _ARMS | _TORSO, "elbows": _ARMS | _TORSO,
    "neck": _TORSO | _FACE, "ears": _TORSO | _FACE, "nose": _TORSO, "face": _FACE, "toes": _TORSO, "knee": _TORSO,
}  # fmt: skip
"""Names, and which groups' exchange turns the relation's sign (exchanging two of them turns it twice)."""
SIGNS = np.array(
    [[(-1.0) ** bin(pattern & groups).count("1") for groups in RELATIONS.values()] for pattern in range(16)]
)
"""(16, K) of a relation after an exchange."""
USUAL_M, SPREAD_M = 0.18, 0.03
"""Of the width of hips."""
LIMITS = (-2.0, 1.0)
"""In standard deviations: beyond, nobody knows more."""


def relations_m(world_m: Array) -> Array:
    """(T, 33, 3) to (T, K) lengths in metres, in the order of ``RELATIONS``, positive for a body read rightly."""
    w = np.asarray(world_m, np.float64)

    def length(a: int, b: int) -> Array:
        return np.asarray(np.linalg.norm(w[:, a] - w[:, b], axis=-1))

    def crossing(a: tuple[int, int], b: tuple[int, int]) -> Array:
        """How much longer two segments between pairs are if they cross over."""
        return length(a[0], b[1]) + length(a[1], b[0]) - length(a[0], b[0]) - length(a[1], b[1])

    def along(vector: Array, direction: Array) -> Array:
        return np.asarray((vector * _unit(direction)).sum(-1))

    shoulders, hips, ears = w[:, 11] - w[:, 12], w[:, 23] - w[:, 24], w[:, 7] - w[:, 8]
    spine = w[:, 11] + w[:, 12] - w[:, 23] - w[:, 24]
    pelvis_ahead = np.cross(hips, spine)
    nose = w[:, 0] - w[:, 7:9].mean(1)
    face_up = w[:, 1:7].mean(1) - w[:, 9:11].mean(1)
    return np.stack(
        [
            crossing((23, 24), (25, 26)),
            along(w[:, 25] - w[:, 26], hips),
            crossing((11, 12), (13, 14)),
            along(w[:, 13] - w[:, 14], shoulders),
            crossing((11, 12), (7, 8)),
            along(ears, shoulders),
            along(nose, np.cross(shoulders + hips, spine)),
            along(nose, np.cross(ears, face_up)),
            along((w[:, 31:33] - w[:, 29:31]).mean(1), pelvis_ahead),
            along((w[:, 25:27] - (w[:, 23:25] + w[:, 27:29]) / 2).mean(1), pelvis_ahead),
        ],
        1,
    )


def log_odds(world_m: Array, scale_m: Array, weight: Array) -> Array:
    """(T, 16) logarithms of how likely undoing each of ``PATTERNS`` gives a body; they sum to 1 over the patterns.

    Args:
        world_m: (T, 33, 3). scale_m: (K,) beyond which more of a relation tells no more. weight: (K,).
    """
    score = (np.tanh(relations_m(world_m) / scale_m) * weight) @ SIGNS.T
    return np.asarray(score - np.logaddexp.reduce(score, 1, keepdims=True))


def facing(world_m: Array) -> Array:
    """(T,) -1 towards the camera, 1 away from it: depth of where the trunk faces."""
    w = np.asarray(world_m, np.float64)
    spine = w[:, 11] + w[:, 12] - w[:, 23] - w[:, 24]
    return np.asarray(_unit(np.cross(w[:, 11] - w[:, 12] + w[:, 23] - w[:, 24], spine))[:, 2])


def pelvis_width(px: Array, world_m: Array) -> Array:
    """(T,) how wide the hips are across the shoulders, 0 for usual, in standard deviations of bodies read rightly.

    Where the detector can't decide which way a body faces its answer is in between, and so narrow.
    """
    flat, _ = about_trunk(px, world_m)
    places = np.concatenate([flat, world_m[..., 2:]], -1)
    width_m = ((places[:, 23] - places[:, 24]) * _unit(places[:, 11] - places[:, 12])).sum(-1)
    return np.asarray(((width_m - USUAL_M) / SPREAD_M).clip(*LIMITS))


def _unit(vector: Array) -> Array:
    return np.asarray(vector / np.maximum(np.linalg.norm(vector, axis=-1, keepdims=True), 1e-9))
