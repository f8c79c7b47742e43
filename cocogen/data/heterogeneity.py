"""How unlike the organizations' data are: measures of label skew, from counts alone.

``counts`` is (N, C) int64 everywhere: samples of each class that each organization holds. A mean over organizations,
weighted by samples, is δ̄ (:func:`cocogen.game.accuracy.mean_heterogeneity`). Left out: skew of quantity, which the
counts show by themselves, and of features, which no count shows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["heterogeneity", "label_counts", "label_deviation", "label_entropy", "label_mix"]


def label_counts(labels: Sequence[NDArray[np.int64]], classes: int) -> NDArray[np.int64]:
    """Samples of each class and organization, shape (N, C)."""
    return np.stack([np.bincount(own, minlength=classes) for own in labels]).astype(np.int64)


def label_mix(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Label distribution of each organization, shape (N, C), rows sum to 1 (an empty row counts as uniform)."""
    totals = counts.sum(axis=1, keepdims=True)
    mix: NDArray[np.float64] = np.where(totals > 0, counts / np.maximum(totals, 1), 1.0 / counts.shape[1])
    return mix


def heterogeneity(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """δ_n in [0, 1]: total variation between own label distribution and the consortium's, shape (N,) [ours]."""
    consortium = counts.sum(axis=0) / counts.sum()
    distance: NDArray[np.float64] = 0.5 * np.abs(label_mix(counts) - consortium).sum(axis=1)
    return distance


def label_deviation(counts: NDArray[np.int64], reference: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """λ_k = Σ_i |p_k(i) − p(i)| in [0, 2), shape (N,): L1 distance of each label distribution to a common one [1]_.

    ``reference``: p, shape (C,), positive, sums to 1; the consortium's own distribution when absent, and λ_k is 2 δ_k
    then. It stays below 2, since every p(i) is positive.

    .. [1] IMFL-AIGC, arXiv 2406.08526.
    """
    common = counts.sum(axis=0) / counts.sum() if reference is None else reference
    distance: NDArray[np.float64] = np.abs(label_mix(counts) - common).sum(axis=1)
    return distance


def label_entropy(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Shannon entropy of each label distribution, nats in [0, ln C], shape (N,); 0 for a single class."""
    mix = label_mix(counts)
    terms = np.where(mix > 0, -mix * np.log(np.where(mix > 0, mix, 1.0)), 0.0)
    entropy: NDArray[np.float64] = terms.sum(axis=1)
    return entropy
