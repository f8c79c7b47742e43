"""The data sets that come with scikit-learn: small, real, and there without a download."""

from __future__ import annotations

import numpy as np

from cocogen.data.sets.base import Dataset

__all__ = ["diagnostic", "digits"]


def diagnostic() -> Dataset:
    """Wisconsin diagnostic breast cancer: 569 cases, 30 measurements of cell nuclei, malignant or benign [1]_.

    .. [1] W. N. Street, W. H. Wolberg, O. L. Mangasarian, "Nuclear feature extraction for breast tumor diagnosis",
       1993.
    """
    from sklearn.datasets import load_breast_cancer

    table = load_breast_cancer()
    return Dataset(
        name="diagnostic",
        features=np.ascontiguousarray(table.data, dtype=np.float32),
        labels=np.ascontiguousarray(table.target, dtype=np.int64),
        classes=tuple(str(label) for label in table.target_names),
        shape=(table.data.shape[1],),
    )


def digits() -> Dataset:
    """Handwritten digits: 1,797 grey images of 8 × 8 pixels, intensities 0 to 16, ten classes [1]_.

    .. [1] E. Alpaydin, C. Kaynak, "Optical recognition of handwritten digits", UCI, 1998 (its test part).
    """
    from sklearn.datasets import load_digits

    table = load_digits()
    return Dataset(
        name="digits",
        features=np.ascontiguousarray(table.data, dtype=np.uint8),
        labels=np.ascontiguousarray(table.target, dtype=np.int64),
        classes=tuple(str(label) for label in table.target_names),
        shape=(1, 8, 8),
    )
