"""One's own data as an ``.npz`` file of the arrays ``features`` and ``labels``; nothing in it is executed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cocogen.data.archive import read_arrays
from cocogen.data.sets.base import MAXIMUM_BYTES, Dataset
from cocogen.errors import DatasetError, LearningError

__all__ = ["read_table"]

_WRITE = 'write it with numpy.savez("table.npz", features=..., labels=...), both arrays of numpy'
_NUMBERS = "biuf"
_NAMES = "biuUS"
_INSTEAD = {
    "features": {
        "O": "features=table.to_numpy(float), after pandas.get_dummies(table) where a column holds text",
        "U": "features=pandas.get_dummies(table).to_numpy(float): a column of zeros and ones for every text",
        "S": "features=pandas.get_dummies(table).to_numpy(float): a column of zeros and ones for every text",
        "V": "features=table.to_numpy(float) rather than to_records()",
        "c": "features=numpy.hstack([features.real, features.imag])",
        "M": 'features=features.astype("datetime64[D]").astype(float), days since 1970',
        "m": 'features=features / numpy.timedelta64(1, "D"), days',
    },
    "labels": {
        "O": "labels=labels.astype(str), which keeps the names",
        "f": "labels=labels.astype(int), or labels.astype(str) where they are no whole numbers",
    },
}
"""What to write instead, by the kind of the type that is found."""
_LARGEST = 1e15
"""Of absolute values: squares, and their sums over any number of samples that fits, stay far within float32."""
_LEAST_SPREAD = 2e-5
"""Deviation of a column that varies, as a share of its root mean square: less is not told from rounding."""
_LONGEST_NAME = 200
_CELLS = 2**22
"""Numbers that are looked at as float64 at once: 32 MB."""
_SHAPES = "(n, d), (n, height, width) or (n, channels, height, width)"


def read_table(path: Path) -> Dataset:
    """The data set of an npz file: ``features``, numbers of any type, and ``labels`` (n,), integers, bool or text.

    ``features`` (n, d) is a table, (n, height, width) grey images, (n, channels, height, width) images; what is neither
    uint8 nor bool images becomes float32. The classes are the different labels in their order, and keep their names.

    Raises
    ------
    DatasetError
        When the file is malformed, too large, the arrays are not as above, a value lies beyond ±1e15, or a column
        varies by less than is left of it in float32; the message says which, the hint which call helps.
    """
    try:
        arrays = read_arrays(path, maximum_bytes=MAXIMUM_BYTES, packed=True, accept=_accept)
    except DatasetError as error:
        raise DatasetError(f"{path}: {error.message}", hint=error.hint) from error
    except LearningError as error:
        raise DatasetError(str(error.message), hint=_WRITE) from error
    if set(arrays) != {"features", "labels"}:
        raise DatasetError(
            f"{path} holds the arrays {_some(sorted(arrays))}, not features and labels",
            hint=f"{_WRITE}: named so, and no others",
        )
    features, (labels, classes) = arrays["features"], _classes(path, arrays["labels"])
    _check_shape(path, features, len(labels))
    shape = features.shape[1:] if features.ndim != 3 else (1, *features.shape[1:])
    return Dataset(
        name=path.name,
        features=_flat(path, features),
        labels=labels,
        classes=classes,
        shape=tuple(int(size) for size in shape),
    )


def _accept(name: str, dtype: np.dtype[np.generic]) -> None:
    if name in _INSTEAD and dtype.kind not in (_NUMBERS if name == "features" else _NAMES):
        wanted = "numbers" if name == "features" else "integers or text"
        raise DatasetError(
            f"{name} are of type {dtype}, not {wanted}",
            hint=f"write {_INSTEAD[name].get(dtype.kind, f'{name} as {wanted}')}",
        )


def _classes(path: Path, labels: NDArray[np.generic]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Class of each sample, and the names of the classes in their order."""
    if labels.ndim != 1 or not labels.size:
        raise DatasetError(
            f"labels of {path} have shape {labels.shape}, not (n,)",
            hint="write labels=labels.ravel(), one for each sample; of indicator columns labels.argmax(axis=1)",
        )
    if labels.dtype.kind == "U" and labels.dtype.itemsize:
        codes = labels.view(np.uint32)
        if ((codes > 0x10FFFF) | ((codes >= 0xD800) & (codes < 0xE000))).any():
            raise DatasetError(f"labels of {path} hold code points that no text has", hint="write them anew")
    try:
        text = np.char.decode(labels.astype(np.bytes_), "utf-8") if labels.dtype.kind == "S" else labels
        present, numbered = np.unique(text, return_inverse=True)
        names = tuple(str(name) for name in present.tolist())
    except UnicodeDecodeError as error:
        raise DatasetError(
            f"labels of {path} are bytes that are no text: {error}", hint="write labels=labels.astype(str), or integers"
        ) from error
    longest = max(names, key=len)
    if len(longest) > _LONGEST_NAME:
        raise DatasetError(
            f"a label of {path} has {len(longest):,} characters, more than {_LONGEST_NAME}: {longest[:40]!r}...",
            hint="give every class a short name",
        )
    if "" in names:
        raise DatasetError(
            f"{int((numbered == names.index('')).sum()):,} labels of {path} are empty",
            hint="leave out the samples that have none",
        )
    stripped = [name.strip() for name in names]
    twin = next((name for name in names if stripped.count(name.strip()) > 1), None) if len(names) < 1000 else None
    if twin is not None:
        raise DatasetError(
            f"labels of {path} differ in nothing but the spaces around {twin.strip()!r}",
            hint="write labels=numpy.char.strip(labels)",
        )
    return numbered.astype(np.int64), names


def _check_shape(path: Path, features: NDArray[np.generic], count: int) -> None:
    shape = features.shape
    if features.ndim not in (2, 3, 4) or math.prod(shape[1:]) < 1:
        call = "write features=features.reshape(-1, 1)" if features.ndim == 1 else "write them in one of these shapes"
        raise DatasetError(f"features of {path} have shape {shape}, not {_SHAPES}", hint=call)
    if len(features) != count:
        raise DatasetError(
            f"{path} holds {len(features):,} samples, but {count:,} labels",
            hint="write features=features.T"
            if features.ndim == 2 and shape[1] == count
            else "give every sample one label",
        )
    if features.ndim == 4 and shape[3] in (1, 3, 4) and shape[1] not in (1, 3, 4):
        raise DatasetError(
            f"features of {path} have shape {shape}, which looks like channels last",
            hint="write features=features.transpose(0, 3, 1, 2), which makes them (n, channels, height, width)",
        )


def _flat(path: Path, features: NDArray[np.generic]) -> NDArray[np.float32] | NDArray[np.uint8]:
    """One row a sample; float32, but for images of bytes or bits."""
    rows = features.reshape(len(features), -1)
    if features.ndim > 2 and features.dtype.kind + str(features.dtype.itemsize) in ("u1", "b1"):
        return rows.astype(np.uint8, copy=False)
    _check_values(path, rows, features.shape[1:])
    return rows.astype(np.float32, copy=False)


def _check_values(path: Path, rows: NDArray[np.generic], shape: tuple[int, ...]) -> None:
    """All are finite and within bounds, and what varies in a table still does once standardized in float32."""
    width = rows.shape[1]
    low, high = np.full(width, np.inf), np.full(width, -np.inf)
    for part in _in_parts(rows):
        if not np.isfinite(part).all():
            column = int(np.argmin(np.isfinite(part).all(axis=0)))
            raise DatasetError(
                f"{_column(column, shape)} of {path} holds NaN or infinity",
                hint="write features=table.fillna(table.mean()).to_numpy(float), or leave these samples out: "
                "numpy.isfinite(features).all(axis=1) says which are whole",
            )
        low, high = np.minimum(low, part.min(axis=0)), np.maximum(high, part.max(axis=0))
    reach = np.maximum(high, -low)
    worst = int(np.argmax(reach))
    if reach[worst] > _LARGEST:
        raise DatasetError(
            f"{_column(worst, shape)} of {path} reaches {reach[worst]:.3g} in absolute value, more than {_LARGEST:g}",
            hint="rescale this feature, or remove the samples that hold it",
        )
    if len(shape) > 1:
        return  # images are standardized by channel
    middle = (low + high) / 2
    mean = middle + sum((part - middle).sum(axis=0) for part in _in_parts(rows)) / len(rows)
    variance = sum(np.square(part - mean).sum(axis=0) for part in _in_parts(rows)) / len(rows)
    lost = (high > low) & (variance <= _LEAST_SPREAD**2 * (mean**2 + variance))
    if lost.any():
        column = int(np.argmax(lost))
        raise DatasetError(
            f"{_column(column, shape)} of {path} lies between {low[column]:.12g} and {high[column]:.12g}, a spread too "
            "small beside its size to be told apart in float32",
            hint=f"write features[:, {column}] -= features[:, {column}].mean() first",
        )


def _in_parts(rows: NDArray[np.generic]) -> Iterator[NDArray[np.float64]]:
    step = max(1, _CELLS // rows.shape[1])
    for start in range(0, len(rows), step):
        with np.errstate(over="ignore"):  # of types wider than float64: what overflows is found and named
            yield rows[start : start + step].astype(np.float64)


def _column(column: int, shape: tuple[int, ...]) -> str:
    return f"features[:, {', '.join(str(index) for index in np.unravel_index(column, shape))}]"


def _some(values: list[str]) -> str:
    first = ", ".join(value if len(value) <= 40 else f"{value[:40]}..." for value in values[:8])
    return first + (", ..." if len(values) > 8 else "")
