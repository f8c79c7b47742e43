"""Canonical rows: the same integers and the same bytes for the same row, on every machine.

A number is q = rint(((x − minimum) / (maximum − minimum)) · 2^48), x clipped to its bounds: operations of IEEE 754
double precision, each rounded by itself to nearest even, then half to even to an integer of 0 … 2^48. A category is the
index of its level. What is summed, hashed and trained on are these integers: a row that is opened can be checked, and
training is a function of it. A row's bytes are its features in the schema's order: 8 bytes big-endian for a number
(missing: all ones), 4 for a category (missing: all ones); an image's are its pixels.

Rows are made in pieces, whenever they are asked for: of two million by forty, whole, they would need as much memory as
the table itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cocogen.data.own.table import Images, Table
from cocogen.terms.schema import ImageSchema, NumberFeature, TableSchema

__all__ = ["MISSING", "SCALE", "Cells", "Rows", "packed", "quantized", "restored", "row_width", "unpacked"]

SCALE = 2**48
"""Steps between a number's minimum and its maximum."""
MISSING = np.uint64(2**64 - 1)
_MISSING_LEVEL = np.uint32(2**32 - 1)
_PIECE_BYTES = 2**21
"""Of canonical rows made at once: they stay in a processor's cache."""


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """m canonical rows: ``numbers`` (m, A) uint64, 0 … 2^48 or :data:`MISSING`; ``levels`` (m, K) int32, −1 missing;
    ``pixels`` (m, d) uint8; ``labels`` (m,) int64, −1 unknown. A, K or d are 0 where the schema has none."""

    numbers: NDArray[np.uint64]
    levels: NDArray[np.int32]
    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """A site's canonical rows in the order of its leaves: training rows as in the file, then validation rows.

    ``training``, ``validation``: rows of ``data``, int64. ``number_fill`` (A,) uint64, ``level_fill`` (K,) int32: what
    the site itself puts where a value is missing, because too few are for their number to be told
    (:func:`.sums.filled`); :data:`MISSING` and −1 where they stay missing.
    """

    data: Table | Images
    training: NDArray[np.int64]
    validation: NDArray[np.int64]
    number_fill: NDArray[np.uint64]
    level_fill: NDArray[np.int32]

    @classmethod
    def of(
        cls,
        data: Table | Images,
        training: NDArray[np.int64] | None = None,
        validation: NDArray[np.int64] | None = None,
    ) -> Rows:
        """Rows in which nothing is filled; all of them to train on, in their order, unless stated."""
        numbers, categories = (data.numbers.shape[1], data.levels.shape[1]) if isinstance(data, Table) else (0, 0)
        return cls(
            data,
            np.arange(len(data), dtype=np.int64) if training is None else training,
            np.zeros(0, dtype=np.int64) if validation is None else validation,
            np.full(numbers, MISSING, dtype=np.uint64),
            np.full(categories, -1, dtype=np.int32),
        )

    def __len__(self) -> int:
        return len(self.training) + len(self.validation)

    @property
    def schema(self) -> TableSchema | ImageSchema:
        """What the rows are."""
        return self.data.schema

    @property
    def labels(self) -> NDArray[np.int64]:
        """(n,), in the order of the leaves."""
        labels: NDArray[np.int64] = self.data.labels[np.concatenate([self.training, self.validation])]
        return labels

    def cells(self, start: int, stop: int) -> Cells:
        """Rows ``start`` to ``stop`` (excluded), counted as leaves are."""
        at = self._at(start, stop)
        labels = self.data.labels[at]
        if isinstance(self.data, Images):
            nothing = np.zeros((len(at), 0))
            return Cells(nothing.astype(np.uint64), nothing.astype(np.int32), self.data.pixels[at], labels)
        numbers = quantized(self.data.schema, self.data.numbers[at])
        for column in np.flatnonzero(self.number_fill != MISSING):
            own = numbers[:, column]
            own[own == MISSING] = self.number_fill[column]
        levels = self.data.levels[at]
        for column in np.flatnonzero(self.level_fill >= 0):
            own_levels = levels[:, column]
            own_levels[own_levels < 0] = self.level_fill[column]
        return Cells(numbers, levels, np.zeros((len(at), 0), dtype=np.uint8), labels)

    def pieces(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, int]]:
        """(start, stop) of pieces that fit a processor's cache, of all rows or of those from ``start`` to ``stop``."""
        end = len(self) if stop is None else stop
        step = max(1, min(2**15, _PIECE_BYTES // max(1, row_width(self.schema))))
        for first in range(start, end, step):
            yield first, min(end, first + step)

    def _at(self, start: int, stop: int) -> NDArray[np.int64]:
        border = len(self.training)
        if stop <= border:
            return self.training[start:stop]
        if start >= border:
            return self.validation[start - border : stop - border]
        return np.concatenate([self.training[start:], self.validation[: stop - border]])


def quantized(schema: TableSchema, numbers: NDArray[np.float64]) -> NDArray[np.uint64]:
    """The q of each number, (m, A) uint64, from (m, A) float64 in the schema's units; NaN becomes :data:`MISSING`."""
    minimum, maximum = _bounds(schema)
    steps = np.clip(numbers, minimum, maximum)
    steps -= minimum
    steps /= maximum - minimum
    steps *= float(SCALE)
    np.rint(steps, out=steps)
    missing = np.isnan(steps)
    if not missing.any():
        return steps.astype(np.uint64)
    steps[missing] = 0.0
    whole = steps.astype(np.uint64)
    whole[missing] = MISSING
    return whole


def restored(schema: TableSchema, numbers: NDArray[np.uint64]) -> NDArray[np.float64]:
    """The numbers in the schema's units, (m, A) float64, to 2^-49 of their range and rounding; NaN where missing."""
    minimum, maximum = _bounds(schema)
    values = minimum + numbers.astype(np.float64) / float(SCALE) * (maximum - minimum)
    values[numbers == MISSING] = np.nan
    return values


def row_width(schema: TableSchema | ImageSchema) -> int:
    """Bytes of a canonical row."""
    return schema.pixels if isinstance(schema, ImageSchema) else _layout(schema).itemsize


def packed(schema: TableSchema | ImageSchema, cells: Cells) -> NDArray[np.uint8]:
    """The bytes of each row, (m, :func:`row_width`) uint8, contiguous."""
    if isinstance(schema, ImageSchema):
        return np.ascontiguousarray(cells.pixels)
    layout = _layout(schema)
    records = np.empty(len(cells), dtype=layout)
    number = category = 0
    for feature, name in zip(schema.feature, layout.names or (), strict=True):
        if isinstance(feature, NumberFeature):
            records[name] = cells.numbers[:, number]
            number += 1
        else:
            records[name] = cells.levels[:, category].view(np.uint32)  # −1 is all ones
            category += 1
    return records.view(np.uint8).reshape(len(cells), layout.itemsize)


def unpacked(schema: TableSchema | ImageSchema, rows: NDArray[np.uint8], labels: NDArray[np.int64]) -> Cells:
    """What (m, width) bytes of a stranger's rows say.

    Raises
    ------
    ValueError
        They are no rows of this schema: the reason names the feature, not the value.
    """
    count = len(labels)
    if rows.dtype != np.uint8 or rows.shape != (count, row_width(schema)):
        raise ValueError(f"rows of {rows.shape[-1]} bytes instead of {row_width(schema)}, or not {count}")
    if count and not 0 <= int(labels.min()) <= int(labels.max()) < len(schema.classes):
        raise ValueError(f"a label that is none of the {len(schema.classes)} classes")
    nothing = np.zeros((count, 0))
    if isinstance(schema, ImageSchema):
        return Cells(nothing.astype(np.uint64), nothing.astype(np.int32), rows, labels)
    layout = _layout(schema)
    records = np.ascontiguousarray(rows).view(layout).reshape(count)
    numbers: list[NDArray[np.uint64]] = []
    levels: list[NDArray[np.int32]] = []
    for feature, name in zip(schema.feature, layout.names or (), strict=True):
        column = records[name]
        if isinstance(feature, NumberFeature):
            absent, beyond = column == MISSING, column > SCALE
            numbers.append(column.astype(np.uint64))
        else:
            absent, beyond = column == _MISSING_LEVEL, column >= len(feature.levels)
            levels.append(column.astype(np.uint32).view(np.int32))
        if bool(np.any(beyond & ~absent)):
            raise ValueError(f"a value of {feature.name!r} beyond its range")
        if feature.missing == "refuse" and bool(np.any(absent)):
            raise ValueError(f"no value of {feature.name!r}, which the schema requires")
    return Cells(
        np.stack(numbers, axis=1) if numbers else nothing.astype(np.uint64),
        np.stack(levels, axis=1) if levels else nothing.astype(np.int32),
        np.zeros((count, 0), dtype=np.uint8),
        labels,
    )


def _bounds(schema: TableSchema) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    minimum = np.array([feature.minimum for feature in schema.numbers], dtype=np.float64)
    return minimum, np.array([feature.maximum for feature in schema.numbers], dtype=np.float64)


def _layout(schema: TableSchema) -> np.dtype[np.void]:
    kinds = [">u8" if isinstance(feature, NumberFeature) else ">u4" for feature in schema.feature]
    return np.dtype([(f"f{n}", kind) for n, kind in enumerate(kinds)])
