"""What a site discloses of its rows: counts, and exact sums of canonical integers; of training rows, save where said.

Exact, so that a federation's sums do not depend on who is added first, and those of sites apart are those of their rows
together. No count of people between 1 and ``minimum_cell`` leaves a site: of classes, levels and values such a count is
refused; missing and clipped values that are fewer leave as 0, and the site itself fills the missing ones, with its own
mean or most frequent level, before anything is summed, hashed or trained on (:func:`filled`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from cocogen.data.own.rows import MISSING, SCALE, Rows
from cocogen.data.own.table import Images, Table
from cocogen.errors import SiteError
from cocogen.terms.schema import ImageSchema, TableSchema

__all__ = ["NARROW", "ChannelSums", "LevelCounts", "NumberSums", "Sums", "added", "deviates_too_little", "filled"]

NARROW = SCALE // 2**20
"""Steps of 2^-48 of the range, 2^-20 of it: a number that deviates less, and is not constant, is refused."""
_LOW = np.uint64(2**24 - 1)
_HALF = np.uint64(24)


@dataclass(frozen=True, slots=True)
class NumberSums:
    """Of one number: ``count`` values, ``missing`` ones; Σq and Σq² of the values, q in 2^-48 of the range.

    ``clipped``: values of training and validation rows that were beyond the bounds.
    """

    count: int
    missing: int
    clipped: int
    total: int
    squares: int


@dataclass(frozen=True, slots=True)
class LevelCounts:
    """Of one category: training rows at each level, and those ``missing`` it."""

    counts: tuple[int, ...]
    missing: int


@dataclass(frozen=True, slots=True)
class ChannelSums:
    """Of one channel of images: Σb and Σb² of its bytes b."""

    total: int
    squares: int


@dataclass(frozen=True, slots=True)
class Sums:
    """All of it, in the schema's order. ``classes``, ``validation``: training and validation rows of each class."""

    classes: tuple[int, ...]
    validation: tuple[int, ...]
    numbers: tuple[NumberSums, ...] = ()
    categories: tuple[LevelCounts, ...] = ()
    channels: tuple[ChannelSums, ...] = ()

    @property
    def training(self) -> int:
        """Training rows."""
        return sum(self.classes)

    @classmethod
    def of(cls, rows: Rows) -> Sums:
        """The sums of a site's :func:`filled` rows, which may leave it.

        Raises
        ------
        SiteError
            A count that may not leave the site, a number that hardly varies over its range, or a missing value that
            the schema refuses.
        """
        sums = cls.counted(rows)
        _check(sums, rows.schema)
        return sums

    @classmethod
    def counted(cls, rows: Rows) -> Sums:
        """The same without asking whether they may leave the site: for its own eyes."""
        data = rows.data
        classes = len(data.schema.classes)
        sides = [np.bincount(data.labels[side], minlength=classes) for side in (rows.training, rows.validation)]
        training, validation = (tuple(int(count) for count in side) for side in sides)
        if isinstance(data, Images):
            return cls(training, validation, channels=_channels(data.schema, rows))
        return cls(training, validation, numbers=_numbers(data, rows), categories=_categories(data, rows))


def filled(data: Table | Images, training: NDArray[np.int64], validation: NDArray[np.int64]) -> Rows:
    """The rows that a site registers and trains on: missing values of a feature that are fewer than ``minimum_cell``
    among the training rows are the site's own mean (q rounded half to even) or most frequent level (the first of them)
    instead, in validation rows too."""
    rows = Rows.of(data, training, validation)
    least = data.schema.minimum_cell
    if isinstance(data, Images) or least < 2:
        return rows
    # Column by column, as they lie: all rows at once would be a second table.
    absent = np.array([np.count_nonzero(np.isnan(column)[training]) for column in data.numbers.T])
    number_fill, level_fill = rows.number_fill.copy(), rows.level_fill.copy()
    if np.any((absent > 0) & (absent < least)):
        for column, own in enumerate(_numbers(data, rows)):
            if 0 < own.missing < least and own.count:
                number_fill[column] = round(Fraction(own.total, own.count))
    for column, levels in enumerate(_categories(data, rows)):
        if 0 < levels.missing < least and any(levels.counts):
            level_fill[column] = int(np.argmax(levels.counts))
    return replace(rows, number_fill=number_fill, level_fill=level_fill)


def added(sums: Sequence[Sums]) -> Sums:
    """The sums of all sites: exact, whatever their order; ValueError when they are not of one schema, or none."""
    first, *others = sums
    for own in others:
        shapes = [tuple(len(category.counts) for category in one.categories) for one in (first, own)]
        lengths = [(len(one.classes), len(one.numbers), len(one.channels)) for one in (first, own)]
        if shapes[0] != shapes[1] or lengths[0] != lengths[1]:
            raise ValueError("sums of different schemas")
    return Sums(
        _total([own.classes for own in sums]),
        _total([own.validation for own in sums]),
        tuple(
            NumberSums(*_total([(o.count, o.missing, o.clipped, o.total, o.squares) for o in number]))
            for number in zip(*(own.numbers for own in sums), strict=True)
        ),
        tuple(
            LevelCounts(_total([own.counts for own in category]), sum(own.missing for own in category))
            for category in zip(*(own.categories for own in sums), strict=True)
        ),
        tuple(
            ChannelSums(*_total([(own.total, own.squares) for own in channel]))
            for channel in zip(*(own.channels for own in sums), strict=True)
        ),
    )


def deviates_too_little(sums: NumberSums) -> bool:
    """Whether a number that is not constant deviates by less than 2^-20 of its range: exact."""
    spread = sums.count * sums.squares - sums.total**2
    return 0 < spread < (sums.count * NARROW) ** 2


def _total(counts: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    return tuple(sum(column) for column in zip(*counts, strict=True))


def _numbers(data: Table, rows: Rows) -> tuple[NumberSums, ...]:
    """Squares by halves of 24 bits: their products add up below 2^63 over the at most 2^15 rows of a piece."""
    width = data.numbers.shape[1]
    if not width:
        return ()
    missing = np.zeros(width, dtype=np.int64)
    total, high, mixed, low = (np.zeros(width, dtype=object) for _ in range(4))
    for start, stop in rows.pieces(0, len(rows.training)):
        whole = rows.cells(start, stop).numbers
        absent = whole == MISSING
        if absent.any():
            missing += absent.sum(axis=0)
            whole[absent] = 0
        upper, lower = whole >> _HALF, whole & _LOW
        total += whole.sum(axis=0).astype(object)
        high += np.einsum("ij,ij->j", upper, upper).astype(object)
        mixed += np.einsum("ij,ij->j", upper, lower).astype(object)
        low += np.einsum("ij,ij->j", lower, lower).astype(object)
    squares = high * 2**48 + mixed * 2**25 + low
    least = data.schema.minimum_cell
    clipped = [0 if count < least else int(count) for count in data.clipped]
    rows_in_all = len(rows.training)
    return tuple(
        NumberSums(rows_in_all - int(absent), int(absent), beyond, int(plain), int(square))
        for absent, beyond, plain, square in zip(missing, clipped, total, squares, strict=True)
    )


def _categories(data: Table, rows: Rows) -> tuple[LevelCounts, ...]:
    found = []
    for column, feature in enumerate(data.schema.categories):
        levels = data.levels[rows.training, column]
        counts = np.bincount(levels + 1, minlength=len(feature.levels) + 1)
        fill = rows.level_fill[column]
        if fill >= 0:
            counts[fill + 1] += counts[0]
            counts[0] = 0
        found.append(LevelCounts(tuple(int(count) for count in counts[1:]), int(counts[0])))
    return tuple(found)


def _channels(schema: ImageSchema, rows: Rows) -> tuple[ChannelSums, ...]:
    channels = schema.shape[0]
    total, squares = [0] * channels, [0] * channels
    for start, stop in rows.pieces(0, len(rows.training)):
        pixels = rows.cells(start, stop).pixels.reshape(stop - start, channels, -1)
        for channel in range(channels):
            own = pixels[:, channel].astype(np.uint32)
            total[channel] += int(own.sum(dtype=np.uint64))
            squares[channel] += int(np.square(own).sum(dtype=np.uint64))
    return tuple(ChannelSums(*sums) for sums in zip(total, squares, strict=True))


def _check(sums: Sums, schema: TableSchema | ImageSchema) -> None:
    label = schema.label if isinstance(schema, TableSchema) else None
    for side, counts in (("training", sums.classes), ("validation", sums.validation)):
        remedy = "merge classes, or change split.validation in the site file"
        _check_cells(schema, f"{side} rows of class", schema.classes, counts, label, remedy)
    if isinstance(schema, ImageSchema):
        return
    for feature, category in zip(schema.categories, sums.categories, strict=True):
        if feature.missing == "refuse" and category.missing:
            raise SiteError(f"{category.missing:,} training rows have none", column=feature.name, hint=_FILL)
        _check_cells(schema, "training rows at level", feature.levels, category.counts, feature.name, "merge levels")
    for number, own in zip(schema.numbers, sums.numbers, strict=True):
        if number.missing == "refuse" and own.missing:
            raise SiteError(f"{own.missing:,} training rows have none", column=number.name, hint=_FILL)
        _check_cells(schema, "training rows with", ("a value",), (own.count,), number.name, "leave the feature out")
        if deviates_too_little(own):
            raise SiteError(
                f"the values deviate by less than 2^-20 of their range, {number.minimum:g} to {number.maximum:g}",
                column=number.name,
                hint="narrow its minimum and maximum in the schema: they must be agreed anew",
            )


_FILL = 'fill them in, or agree on another "missing" of this feature in the schema'


def _check_cells(
    schema: TableSchema | ImageSchema,
    what: str,
    names: Sequence[str],
    counts: Sequence[int],
    column: str | None,
    remedy: str,
) -> None:
    few = [(name, count) for name, count in zip(names, counts, strict=True) if 0 < count < schema.minimum_cell]
    if few:
        listed = ", ".join(f"{name} ({count})" for name, count in few[:10]) + (" …" if len(few) > 10 else "")
        raise SiteError(
            f"fewer than {schema.minimum_cell} {what} {listed}: such a count may not leave the site",
            column=column,
            hint=f"{remedy}, or agree on a lower minimum_cell (0 for public data); cocogen data check shows all counts",
        )
