"""What a data set is to the rest of the engine, and the bounds within which a stranger's files are read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["MAXIMUM_BYTES", "Dataset"]

MAXIMUM_BYTES = 2 * 2**30
"""The most that the samples of one data set may occupy once unpacked."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """Labelled samples, flattened: ``features`` (n, d) in the units of the source, ``labels`` (n,) int64 in [0, C).

    Images stay uint8, a quarter of the memory of float32, until :mod:`cocogen.data.sources.split` standardizes them;
    tables are float32. ``shape``: that of one sample, (d,) for a table, (channels, height, width) with the product d
    for an image. ``test_from``: index of the first sample of the official test set, which comes last; None when the
    source has none, so that test folds are cut from the whole.
    """

    name: str
    features: NDArray[np.float32] | NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    shape: tuple[int, ...]
    test_from: int | None = None
