"""Gaussians from weighted moments: shrunk so that few samples suffice, and defined for every finite input.

The attester draws from moments that a stranger wrote, so that nothing here may fail: shares may be negative and
covariances indefinite, and still every Gaussian is one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEAST_SHARE", "Gaussian", "gaussians"]

Array = NDArray[np.float64]

LEAST_SHARE = 1e-9
"""Below it a component counts as one that no sample was seen of."""

_TO_POOLED = 0.2  # κ hardly depends on it (docs/generators.md); it keeps a rare class from being its few samples
_LEAST_VARIANCE = 1e-3  # of standardized features, whose variance is 1


@dataclass(frozen=True, slots=True)
class Gaussian:
    """A covariance of the first b coordinates and variances of the others.

    ``mean`` (d,); ``values`` (b,), positive, and ``vectors`` (b, b): spectrum of the covariance; ``rest`` (d − b,):
    the variances.
    """

    mean: Array
    values: Array
    vectors: Array
    rest: Array

    def place(self, normal: Array) -> Array:
        """Samples (n, d) made of standard normal draws (n, d)."""
        block = len(self.values)
        # The symmetric root does not depend on signs and order of eigenvectors, which differ between machines.
        root = (self.vectors * np.sqrt(self.values)) @ self.vectors.T
        spread = np.concatenate([normal[:, :block] @ root, normal[:, block:] * np.sqrt(self.rest)], axis=1)
        return np.asarray(self.mean + spread)

    def log_density(self, samples: Array) -> Array:
        """Logarithm of the density of samples (n, d), without the constant, shape (n,)."""
        block = len(self.values)
        away = samples - self.mean
        misfit = np.square(away[:, :block] @ self.vectors) @ (1.0 / self.values) + np.square(away[:, block:]) @ (
            1.0 / self.rest
        )
        return np.asarray(-0.5 * (misfit + np.log(self.values).sum() + np.log(self.rest).sum()))

    def moved(self, normal: Array) -> Gaussian:
        """The same about another mean, which ``normal`` (d,) names in standard deviations."""
        return replace(self, mean=self.place(normal[None])[0])


def gaussians(weight: Array, first: Array, second: Array, square: Array) -> list[list[Gaussian]]:
    """One Gaussian for each class and component.

    Covariances are shrunk towards the pooled covariance within components [1]_. A component without samples is one
    Gaussian over everything.

    Parameters
    ----------
    weight : (C, K), shares of all samples.
    first : (C, K, d), means times share.
    second : (C, K, b, b), second moments of the first b coordinates times share.
    square : (C, K, d − b), those of each other coordinate.

    .. [1] J. H. Friedman, "Regularized Discriminant Analysis", 1989.
    """
    block = second.shape[-1]
    seen = weight >= LEAST_SHARE
    share = np.where(seen, weight, 1.0)
    means = first / share[..., None]
    within = second - share[..., None, None] * means[..., :block, None] * means[..., None, :block]
    scatter = square - share[..., None] * np.square(means[..., block:])
    if not seen.any():
        width = first.shape[-1]
        blank = Gaussian(np.zeros(width), np.ones(block), np.eye(block), np.ones(width - block))
        return [[blank] * weight.shape[1] for _ in weight]
    total = float(weight[seen].sum())
    pooled, pooled_rest = within[seen].sum(axis=0) / total, scatter[seen].sum(axis=0) / total
    mean = first[seen].sum(axis=0) / total
    overall = _gaussian(
        mean,
        second[seen].sum(axis=0) / total - np.outer(mean[:block], mean[:block]),
        square[seen].sum(axis=0) / total - np.square(mean[block:]),
    )

    def component(cell: tuple[int, ...]) -> Gaussian:
        if not seen[cell]:
            return overall
        covariance = (1.0 - _TO_POOLED) * within[cell] / share[cell] + _TO_POOLED * pooled
        variances = (1.0 - _TO_POOLED) * scatter[cell] / share[cell] + _TO_POOLED * pooled_rest
        return _gaussian(means[cell], covariance, variances)

    return [[component((c, k)) for k in range(weight.shape[1])] for c in range(weight.shape[0])]


def _gaussian(mean: Array, covariance: Array, variances: Array) -> Gaussian:
    values, vectors = np.linalg.eigh(covariance)
    return Gaussian(mean, np.maximum(values, _LEAST_VARIANCE), vectors, np.maximum(variances, _LEAST_VARIANCE))
