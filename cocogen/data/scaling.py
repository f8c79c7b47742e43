"""Standardization that all organizations agree on without showing each other a sample.

Tables are standardized feature by feature, images channel by channel: pixels keep their relation to each other, and a
border pixel that is nearly always dark is not blown up to the spread of the others.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Features", "Scale", "federated_scale"]

Features = NDArray[np.float32] | NDArray[np.uint8]
_ROWS = 1024
"""Samples that are converted to float64 at once, so that a large set needs no float64 copy of the whole."""


@dataclass(frozen=True, slots=True)
class Scale:
    """``mean`` and ``deviation`` (positive) of each feature, shape (d,), float64; equal within a channel of images."""

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]

    def apply(self, features: Features) -> NDArray[np.float32]:
        """Standardized features, shape (n, d), float32."""
        scaled = np.empty(features.shape, dtype=np.float32)
        for start in range(0, len(features), _ROWS):
            rows = slice(start, start + _ROWS)
            scaled[rows] = (features[rows] - self.mean) / self.deviation
        return scaled


def federated_scale(members: Iterable[Features], shape: tuple[int, ...]) -> Scale:
    """Mean and deviation from what each member would disclose: its count, sums and sums of squares per feature.

    ``shape``: that of one sample, (d,) or (channels, height, width); features are flattened. Neither the test fold nor
    the attester's holdout takes part. A constant feature or channel gets deviation 1.
    """
    disclosed = [(len(own), *_sums(own)) for own in members]
    count = sum(own for own, _, _ in disclosed)
    total = np.sum([own for _, own, _ in disclosed], axis=0)
    squares = np.sum([own for _, _, own in disclosed], axis=0)
    pixels = math.prod(shape[1:])
    if pixels > 1:
        count *= pixels
        total = total.reshape(shape[0], -1).sum(axis=1)
        squares = squares.reshape(shape[0], -1).sum(axis=1)
    mean = total / count
    variance = squares / count - mean**2
    # Below this the difference of the two terms is rounding noise, not spread.
    spread = variance > 1e-10 * np.maximum(squares / count, 1e-300)
    deviation = np.sqrt(np.where(spread, variance, 1.0))
    return Scale(np.repeat(mean, pixels), np.repeat(deviation, pixels))


def _sums(own: Features) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sums and sums of squares of each feature, both (d,)."""
    total = np.zeros(own.shape[1])
    squares = np.zeros(own.shape[1])
    for start in range(0, len(own), _ROWS):
        rows = own[start : start + _ROWS]
        total += rows.sum(axis=0, dtype=np.float64)
        squares += np.square(rows, dtype=np.float64).sum(axis=0)
    return total, squares
