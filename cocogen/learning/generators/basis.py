"""The coordinates in which the Gaussian mixture models a sample: fixed in advance, so that nobody discloses any.

A shared principal component analysis would have to be agreed on first. The type-II discrete cosine transform needs no
data and comes close to it for images, whose neighbouring pixels are alike [1]_: few low frequencies carry most of the
variance, and what remains is nearly uncorrelated. Tables keep their columns.

.. [1] N. Ahmed, T. Natarajan, K. R. Rao, "Discrete Cosine Transform", 1974.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn, idctn

__all__ = ["Basis"]

_WIDEST_TABLE = 128
_FREQUENCIES = 64


class Basis:
    """Orthonormal coordinates of samples of ``shape``, the ``block`` of correlated ones first.

    Attributes
    ----------
    width : d, coordinates of a sample.
    block : b ≤ d, how many of the first are modelled with their covariances; the others count as uncorrelated. All
        columns of a table of up to 128, none of a wider one; the 64 lowest frequencies of an image, channels together.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.width = math.prod(shape)
        if len(shape) == 3:
            channels, height, width = shape
            rows, columns = np.arange(height)[:, None] / height, np.arange(width)[None, :] / width
            frequency = np.broadcast_to(np.square(rows) + np.square(columns), (channels, height, width)).ravel()
            # Stable, so that equal frequencies keep one order everywhere.
            self._order = np.argsort(frequency, kind="stable")
            self.block = min(self.width, _FREQUENCIES)
        else:
            self._order = np.arange(self.width)
            self.block = self.width if self.width <= _WIDEST_TABLE else 0

    def forward(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Coordinates (n, d) of features (n, d)."""
        values = features.astype(np.float64)
        if len(self.shape) == 3:
            values = dctn(values.reshape(len(values), *self.shape), axes=(2, 3), norm="ortho").reshape(values.shape)
        return np.asarray(values[:, self._order])

    def inverse(self, coordinates: NDArray[np.float64]) -> NDArray[np.float32]:
        """Features (n, d) of coordinates (n, d)."""
        values = np.empty_like(coordinates)
        values[:, self._order] = coordinates
        if len(self.shape) == 3:
            values = idctn(values.reshape(len(values), *self.shape), axes=(2, 3), norm="ortho").reshape(values.shape)
        return np.ascontiguousarray(values, dtype=np.float32)
