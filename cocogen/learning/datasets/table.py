"""One's own data as an ``.npz`` file of the arrays ``features`` and ``labels``; nothing in it is executed."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cocogen.errors import DatasetError, LearningError
from cocogen.learning.archive import read_arrays
from cocogen.learning.datasets.base import MAXIMUM_BYTES, Dataset

__all__ = ["read_table"]

_HINT = (
    'write it with numpy.savez("table.npz", features=..., labels=...): numbers, and labels from 0 to C - 1, such as '
    "numpy.unique(classes, return_inverse=True)[1]"
)
_TYPES = ("float32", "float64", "uint8", "int8", "int16", "int32", "int64")
_LARGEST = 1e15
"""Of absolute values: squares, and their sums over any number of samples that fits, stay far within float32."""
_SHAPES = "(n, d), (n, height, width) or (n, channels, height, width)"


def read_table(path: Path) -> Dataset:
    """The data set of an npz file: ``features`` floating point or uint8, ``labels`` (n,) integers, 0 to C − 1.

    ``features`` (n, d) is a table, (n, height, width) grey images, (n, channels, height, width) images. Every class
    must occur.

    Raises
    ------
    DatasetError
        When the file is malformed, too large, the arrays are not as above, or a value lies beyond ±1e15; the message
        says which.
    """
    try:
        arrays = read_arrays(path, maximum_bytes=MAXIMUM_BYTES, types=_TYPES, packed=True)
    except LearningError as error:
        raise DatasetError(str(error), hint=_HINT) from error
    if set(arrays) != {"features", "labels"}:
        raise DatasetError(f"{path} holds the arrays {sorted(arrays)}, not features and labels", hint=_HINT)
    features, labels = arrays["features"], arrays["labels"]
    if labels.dtype.kind not in "iu" or labels.ndim != 1 or not labels.size:
        raise DatasetError(
            f"labels of {path} have type {labels.dtype} and shape {labels.shape}, not integers of shape (n,)",
            hint=_HINT,
        )
    if features.dtype.kind == "i" or features.ndim not in (2, 3, 4) or math.prod(features.shape[1:]) < 1:
        raise DatasetError(
            f"features of {path} have type {features.dtype} and shape {features.shape}, not floating point or "
            f"uint8 and {_SHAPES}",
            hint=_HINT,
        )
    if len(features) != len(labels):
        raise DatasetError(f"{path} holds {len(features):,} samples, but {len(labels):,} labels", hint=_HINT)
    if features.ndim == 4 and features.shape[3] in (1, 3, 4) and features.shape[1] not in (1, 3, 4):
        raise DatasetError(
            f"features of {path} have shape {features.shape}, which looks like channels last",
            hint="transpose them to (n, channels, height, width)",
        )
    present = np.unique(labels)
    if not np.array_equal(present, np.arange(len(present))):
        raise DatasetError(
            f"labels of {path} are {_some(present)}, not 0 to C - 1 with every class present",
            hint="number them anew, for example by numpy.unique(labels, return_inverse=True)[1]",
        )
    flat = _flat(features, len(labels))
    if flat.dtype.kind == "f" and not np.isfinite(flat).all():
        raise DatasetError(
            f"features of {path} hold NaN or infinity, or numbers beyond float32", hint="fill or remove these samples"
        )
    if flat.dtype.kind == "f":
        reach = np.maximum(flat.max(axis=0), -flat.min(axis=0))
        worst = int(np.argmax(reach))
        if reach[worst] > _LARGEST:
            place = ", ".join(str(index) for index in np.unravel_index(worst, features.shape[1:]))
            raise DatasetError(
                f"features[:, {place}] of {path} reaches {reach[worst]:.3g} in absolute value, more than {_LARGEST:g}",
                hint="rescale this feature, or remove the samples that hold it",
            )
    shape = features.shape[1:] if features.ndim != 3 else (1, *features.shape[1:])
    return Dataset(
        name=path.name,
        features=flat,
        labels=labels.astype(np.int64),
        classes=tuple(str(label) for label in range(len(present))),
        shape=tuple(int(size) for size in shape),
    )


def _flat(features: NDArray[np.generic], count: int) -> NDArray[np.float32] | NDArray[np.uint8]:
    flat = features.reshape(count, -1)
    if features.ndim > 2 and features.dtype == np.uint8:
        return flat.astype(np.uint8, copy=False)
    with np.errstate(over="ignore"):  # what overflows is found and named
        return flat.astype(np.float32, copy=False)


def _some(values: NDArray[np.generic]) -> str:
    first = ", ".join(str(value) for value in values[:8])
    return first + (", ..." if len(values) > 8 else "")
