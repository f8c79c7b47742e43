"""The data sets by name, as plain arrays.

Left out: who owns which sample (:mod:`cocogen.learning.partition`) and downloads; every set here comes with a
library that is installed anyway.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cocogen.errors import DatasetError
from cocogen.learning.catalogue import known_datasets

__all__ = ["Dataset", "load"]


@dataclass(frozen=True, slots=True)
class Dataset:
    """Labelled samples: ``features`` (n, d) float32 in the units of the source, ``labels`` (n,) int64 in [0, C).

    ``shape``: that of one sample, (d,) for a table, (channels, height, width) with the product d for an image.
    """

    name: str
    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    shape: tuple[int, ...]


def load(name: str) -> Dataset:
    """The data set ``name``; DatasetError lists the known names when there is none."""
    try:
        reader = _READERS[name]
    except KeyError:
        raise DatasetError(
            f"no data set is called {name!r}", hint=f"choose one of: {', '.join(known_datasets())}"
        ) from None
    return reader(name)


def _diagnostic(name: str) -> Dataset:
    """Wisconsin diagnostic breast cancer: 569 cases, 30 measurements of cell nuclei, malignant or benign [1]_.

    .. [1] W. N. Street, W. H. Wolberg, O. L. Mangasarian, "Nuclear feature extraction for breast tumor diagnosis",
       1993. Bundled with scikit-learn.
    """
    from sklearn.datasets import load_breast_cancer

    table = load_breast_cancer()
    return Dataset(
        name=name,
        features=np.ascontiguousarray(table.data, dtype=np.float32),
        labels=np.ascontiguousarray(table.target, dtype=np.int64),
        classes=tuple(str(label) for label in table.target_names),
        shape=(table.data.shape[1],),
    )


_READERS: dict[str, Callable[[str], Dataset]] = {"diagnostic": _diagnostic}
