"""A mixture of Gaussians by expectation and maximisation (Dempster et al., 1977; Bishop, PRML, 9.2), in plain numpy.

Full covariances, each drawn towards a common diagonal one: a component of few points in many dimensions would else be
flat in directions that nobody measured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

Array = NDArray[np.floating]
CLUSTER_STEPS = 12


@dataclass(frozen=True)
class Mixture:
    """K Gaussians in Q dimensions: ``log_weights`` (K,), ``means`` (K, Q), ``covariances`` (K, Q, Q)."""

    log_weights: Array
    means: Array
    covariances: Array

    def precision_factors(self) -> Array:
        """(K, Q, Q) lower triangular L with L @ L.T the inverse covariance."""
        return np.linalg.cholesky(np.linalg.inv(self.covariances))

    def log_densities(self, points: Array) -> Array:
        """(N, K) logarithm of each component's weighted density at (N, Q) points."""
        out = np.empty((len(points), len(self.means)))
        constant = -0.5 * points.shape[1] * np.log(2 * np.pi)
        for k, (mean, covariance) in enumerate(zip(self.means, self.covariances, strict=True)):
            lower = np.linalg.cholesky(covariance)
            whitened = solve_triangular(lower, (points - mean).T, lower=True, check_finite=False)
            out[:, k] = constant - np.log(np.diag(lower)).sum() - 0.5 * (whitened**2).sum(0)
        return out + self.log_weights

    def log_likelihood(self, points: Array) -> Array:
        """(N,) nats."""
        return log_sum(self.log_densities(points))


def log_sum(values: Array) -> Array:
    """(N,) log of the sum of exponentials of (N, K)."""
    top = values.max(1)
    return np.asarray(top + np.log(np.exp(values - top[:, None]).sum(1)))


def clusters(points: Array, count: int, scale: Array, rng: np.random.Generator) -> NDArray[np.intp]:
    """(N,) cluster of each point: k-means from spread-out seeds (Arthur and Vassilvitskii, 2007).

    Args:
        points: (N, Q). scale: (Q,) what counts as far in each dimension.
    """
    scaled = points / scale
    centres = scaled[[rng.integers(len(scaled))]]
    nearest = ((scaled - centres[0]) ** 2).sum(1)
    while len(centres) < count:
        centres = np.concatenate([centres, scaled[[rng.choice(len(scaled), p=nearest / nearest.sum())]]])
        nearest = np.minimum(nearest, ((scaled - centres[-1]) ** 2).sum(1))
    member = np.zeros(len(scaled), np.intp)
    for _ in range(CLUSTER_STEPS):
        member = ((centres**2).sum(1) - 2 * scaled @ centres.T).argmin(1)
        centres = np.stack([scaled[member == k].mean(0) if (member == k).any() else centres[k] for k in range(count)])
    return member


def fit(
    points: Array,
    count: int,
    scale: Array,
    floor: Array,
    strength: float,
    steps: int,
    seed: int,
    watch: Callable[[int, Mixture, float], None] | None = None,
) -> Mixture:
    """Fit ``count`` components.

    Args:
        points: (N, Q). scale: (Q,) of the dimensions, for the clusters that it starts from.
        floor: (Q,) variance that every component has at least.
        strength: how many points the common diagonal covariance counts for in each component.
        steps: of EM. watch: called after each with its number, the mixture, and the points' mean log likelihood
            under the mixture before the step.
    """
    rng = np.random.default_rng(seed)
    share = np.eye(count)[clusters(points, count, scale, rng)]
    mixture = _maximise(points, share, floor, strength)
    for step in range(steps):
        densities = mixture.log_densities(points)
        total = log_sum(densities)
        mixture = _maximise(points, np.exp(densities - total[:, None]), floor, strength)
        if watch is not None:
            watch(step, mixture, float(total.mean()))
    return mixture


def _maximise(points: Array, share: Array, floor: Array, strength: float) -> Mixture:
    """The mixture for (N, K) responsibilities."""
    size = share.sum(0) + 1e-9
    means = share.T @ points / size[:, None]
    covariances = np.empty((len(size), points.shape[1], points.shape[1]))
    for k, mean in enumerate(means):
        apart = points - mean
        covariances[k] = (share[:, k, None] * apart).T @ apart
    within = np.diag(np.einsum("kqq->q", covariances) / size.sum())
    for k in range(len(size)):
        covariances[k] = (covariances[k] + strength * within) / (size[k] + strength) + np.diag(floor)
    return Mixture(np.log(size / size.sum()), means, covariances)
