"""Feature skew: the same kind of samples, measured by every organization with an instrument of its own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["add_noise", "noise_level"]


def noise_level(strength: float, organization: int, organizations: int) -> float:
    """Standard deviation of organization n's noise, ``strength`` · n/(N − 1): none for the first, all for the last.

    In the published form [1]_ the *variance* is σ · n/N; a deviation in those of the standardized features says by
    itself how strong the noise is beside the signal [ours].

    .. [1] Q. Li et al., "Federated Learning on Non-IID Data Silos: An Experimental Study", 2022, noise-based feature
       imbalance.
    """
    return strength * organization / max(organizations - 1, 1)


def add_noise(features: NDArray[np.float32], level: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Standardized ``features`` (n, d) with Gaussian noise of deviation ``level``, drawn once and for all; float32."""
    if level == 0.0:
        return features
    return features + np.float32(level) * rng.standard_normal(features.shape, dtype=np.float32)
