"""How samples of a named data set are prepared: as its source writes them, less the mean, over the deviation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocogen.data.scaling import Features, Scale
from cocogen.errors import DatasetError

__all__ = ["Standardization"]


@dataclass(frozen=True, slots=True, eq=False)
class Standardization:
    """``mean`` and ``deviation`` (positive), float64: (d,) of the features of a table, (channels,) of images.

    ``shape``: that of a sample, (d,) or (channels, height, width).
    """

    shape: tuple[int, ...]
    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]

    @classmethod
    def of(cls, scale: Scale, shape: tuple[int, ...]) -> Standardization:
        """The scale that all organizations agreed on, which is one of each channel for images."""
        each = math.prod(shape[1:])
        return cls(shape, scale.mean[::each].copy(), scale.deviation[::each].copy())

    def apply(self, features: Features) -> NDArray[np.float32]:
        """Standardized samples (n, d) float32, of flattened features (n, d) in the units of the source."""
        each = math.prod(self.shape[1:])
        return Scale(np.repeat(self.mean, each), np.repeat(self.deviation, each)).apply(features)

    def to_plain(self) -> dict[str, Any]:
        """As JSON takes it, exact."""
        return {"shape": list(self.shape), "mean": self.mean.tolist(), "deviation": self.deviation.tolist()}

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Standardization:
        """The inverse of :meth:`to_plain`; DatasetError when it is no standardization."""
        try:
            shape = tuple(int(side) for side in plain["shape"])
            mean, deviation = (np.array(plain[name], dtype=np.float64) for name in ("mean", "deviation"))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise DatasetError("the standardization is malformed", hint="export the model again") from error
        good = len(shape) in (1, 3) and min(shape) > 0 and mean.shape == deviation.shape == shape[:1]
        if not good or not np.all(np.isfinite(mean) & np.isfinite(deviation) & (deviation > 0.0)):
            raise DatasetError(
                "the standardization has no mean and deviation of each feature or channel",
                hint="export the model again",
            )
        return cls(shape, mean, deviation)
