"""Pose correctives as few shape keys.

SMPL corrects its skinned mesh by a shape for every element of every joint's rotation: 207 to 486 of them.  Over one
clip a few sums of those say nearly the same: the principal components of the mesh's corrections (in the metric of its
vertices, not of the rotations), as many as the largest vertex error asks for.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float32]
_SAMPLE = 500
"""Vertices on which the number of shapes is sought."""
_BLOCK = 64


def fewest_shapes(
    features: Tensor, basis: Tensor, tolerance_mm: float, most: int | None = None
) -> tuple[Array, Array, Array] | None:
    """The corrections ``features @ basis`` as few shapes.

    Args:
        features: (T, P) amounts. basis: (P, V, 3) metres.
        tolerance_mm: largest error of any vertex in any frame. most: no more shapes than these, whatever the error.

    Returns:
        (K, V, 3) shapes in metres, (T, K) their amounts, and () the largest error in mm; None where the corrections
        stay below the tolerance without any.
    """
    flat = basis.flatten(1)
    gram = (flat @ flat.T).double()
    strength, vectors = torch.linalg.eigh(gram)
    metric = vectors * strength.clamp(min=0).sqrt()
    modes = torch.linalg.svd(features.double() @ metric, full_matrices=False)[0]  # (T, r), strongest first
    sample = basis[:, :: max(1, basis.shape[1] // _SAMPLE)].flatten(1)

    most = modes.shape[1] if most is None else min(most, modes.shape[1])
    low, high = 0, most
    while low < high:
        middle = (low + high) // 2
        if _error_mm(features, modes[:, :middle], sample) <= 0.9 * tolerance_mm:
            high = middle
        else:
            low = middle + 1
    while (error := _error_mm(features, modes[:, :low], flat)) > tolerance_mm and low < most:
        low = min(low + 1 + low // 8, most)
    if not low:
        return None
    kept = modes[:, :low]
    largest = kept.abs().amax(0)
    shapes = ((kept * largest).T @ features.double()).float() @ flat
    amounts = kept / largest
    return shapes.reshape(-1, *basis.shape[1:]).numpy(), amounts.float().numpy(), np.array(error, np.float32)


def _error_mm(features: Tensor, modes: Tensor, flat: Tensor) -> float:
    """Largest length of what ``modes`` (T, k), orthonormal columns, leave of the corrections on vertices (P, 3 V)."""
    left = (features.double() - modes @ (modes.T @ features.double())).float()
    largest = 0.0
    for start in range(0, len(left), _BLOCK):
        offsets = (left[start : start + _BLOCK] @ flat).unflatten(1, (-1, 3))
        largest = max(largest, float(offsets.norm(dim=-1).max()))
    return 1000 * largest
