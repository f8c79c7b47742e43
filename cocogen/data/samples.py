"""Labelled samples: what a member holds, generates and hands over."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cocogen.data.archive import array_digest

__all__ = ["Samples"]


@dataclass(frozen=True, slots=True)
class Samples:
    """Labelled samples: ``features`` (m, d) float32, standardized, and ``labels`` (m,) int64."""

    features: NDArray[np.float32]
    labels: NDArray[np.int64]

    def digest(self) -> str:
        """SHA-256 over both arrays, as hexadecimal text."""
        return array_digest(self.features, self.labels)
