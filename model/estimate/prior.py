"""What bodies do: a prior over the angles of a pose, as the solver's normal equations want it.

A mixture of Gaussians (as in SMPLify, Bogo et al., ECCV 2016, with limits beside it), whose components are given the
tails of Student's t: a pose unlike all that the prior knows is pulled weakly.  It is made by
``model.train.pose_prior``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from amr_blender.contract.errors import RuntimeSetupError

MAX_COMPONENTS, MAX_ANGLES = 512, 512
FILE = "pose_prior.npz"


@dataclass(frozen=True)
class PosePrior:
    """K components over Q angles in radians, float64.

    ``log_weights`` (K,), ``means`` (K, Q); ``factors`` (K, Q, Q) lower triangular, L @ L.T is a component's precision;
    ``tail`` the degrees of freedom of Student's t, large for Gaussian; ``lower``, ``upper`` (Q,) limits.
    """

    names: tuple[str, ...]
    log_weights: Tensor
    means: Tensor
    factors: Tensor
    tail: float
    lower: Tensor
    upper: Tensor

    @classmethod
    def load(cls, path: Path, names: Sequence[str] | None = None) -> PosePrior:
        """Read ``pose_prior.npz``.

        Args:
            names: of the angles that the prior must be about, in this order: ``PoseSpace.names``.

        Raises:
            RuntimeSetupError: the file is missing, damaged, or about other angles.
        """
        keys = ("names", "log_weights", "means", "precision_factors", "tail", "lower", "upper")
        try:
            with np.load(path, allow_pickle=False) as archive:
                arrays = {key: archive[key] for key in keys}
            own = tuple(str(n) for n in arrays.pop("names"))
            numbers = {key: torch.from_numpy(a.astype(np.float64)) for key, a in arrays.items()}
            count, size = len(numbers["log_weights"]), len(own)
            shapes = {
                "log_weights": (count,), "means": (count, size), "precision_factors": (count, size, size), "tail": (),
                "lower": (size,), "upper": (size,),
            }  # fmt: skip
            if not 0 < count <= MAX_COMPONENTS or not 0 < size <= MAX_ANGLES:
                raise ValueError("too large or empty")
            if any(tuple(numbers[key].shape) != shape for key, shape in shapes.items()):
                raise ValueError("wrong shapes")
            if not all(bool(a.isfinite().all()) for a in numbers.values()):
                raise ValueError("numbers that are not finite")
            if (numbers["precision_factors"].diagonal(dim1=1, dim2=2) <= 0).any() or numbers["tail"] <= 0:
                raise ValueError("not a precision")
            if (numbers["lower"] >= numbers["upper"]).any():
                raise ValueError("limits the wrong way round")
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise RuntimeSetupError(
                "weights-damaged", f"{path.name} can't be read ({error}).", "Install the add-on again."
            ) from error
        if names is not None and own != tuple(names):
            raise RuntimeSetupError(
                "weights-mismatched",
                f"{path.name} is about other joint angles than this version's.",
                "Install the add-on again, or run 'python -m model.train.pose_prior'.",
            )
        return cls(
            own,
            numbers["log_weights"],
            numbers["means"],
            numbers["precision_factors"].tril(),
            float(numbers["tail"]),
            numbers["lower"],
            numbers["upper"],
        )

    def distances(self, angles: Tensor) -> Tensor:
        """(T, K) squared Mahalanobis distances of (T, Q) angles from the components; about Q where they are at home."""
        whitened = torch.einsum("tq,kqr->tkr", angles, self.factors)
        return (whitened - torch.einsum("kq,kqr->kr", self.means, self.factors)).square().sum(-1)

    def linearise(self, angles: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The prior around poses, for Gauss-Newton: add ``precision`` to the normal matrix, ``pull`` to its right side.

        Args:
            angles: (T, Q) radians.

        Returns:
            precision: (T, Q, Q), positive definite: of the quadratic that touches the energy here and lies above it
                everywhere (as in EM), so that a step on it never makes the energy worse.
            pull: (T, Q) minus the energy's derivative, exactly.
            energy: (T,) minus the logarithm of the density, nats.
        """
        size = len(self.names)
        distance = self.distances(angles)
        constant = (
            math.lgamma((self.tail + size) / 2)
            - math.lgamma(self.tail / 2)
            - 0.5 * size * math.log(self.tail * math.pi)
        )
        volume = self.factors.diagonal(dim1=1, dim2=2).log().sum(-1)
        density = (
            self.log_weights + volume + constant - 0.5 * (self.tail + size) * torch.log1p(distance / self.tail)
        )  # (T, K)
        weight = torch.softmax(density, 1) * (self.tail + size) / (self.tail + distance)
        precisions = self.factors @ self.factors.mT
        precision = (weight @ precisions.flatten(1)).reshape(len(angles), size, size)
        aims = torch.einsum("kqr,kr->kq", precisions, self.means)
        pull = weight @ aims - (precision @ angles[..., None])[..., 0]
        return precision, pull, -torch.logsumexp(density, 1)
