"""Signs that something is wrong with a table although each of its cells is right: a feature that gives the label away,
rows that stand there twice, rows of one patient apart. Said to the people at the site; nothing follows from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocogen.data.own.table import Table

__all__ = ["LEAK", "SAMPLED", "Leak", "Repeats", "duplicates", "leaks", "repeats"]

LEAK = 0.98
"""Area under the ROC curve beyond which one feature alone nearly determines a class."""
SAMPLED = 50_000
"""Rows that are looked at for leaks; of more, every k-th from the first, k the least that gives no more."""
_LEAST = 10
"""Rows of the class, and of the others: of fewer, chance alone separates."""
_BLOCK = 2**14
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class Leak:
    """``feature`` alone tells class ``name`` from the others, by an area of ``area``; ``absence``: that its value is
    missing does."""

    feature: str
    name: str
    area: float
    absence: bool = False


@dataclass(frozen=True, slots=True)
class Repeats:
    """Of the ``rows`` of a column: ``values`` different ones, of which ``repeated`` stand in several rows."""

    column: str
    rows: int
    values: int
    repeated: int


def leaks(table: Table) -> list[Leak]:
    """Features that alone nearly determine a class: the area under the ROC curve, of the class against the others, by
    the feature's values in either direction (ties count half), or by how common the class is at each level, is above
    :data:`LEAK`. Exact over the rows that are looked at (:data:`SAMPLED`)."""
    schema = table.schema
    rows = slice(0, len(table), max(1, -(-len(table) // SAMPLED)))
    labels = table.labels[rows]
    known = labels >= 0
    labels = labels[known]
    sizes = np.bincount(labels, minlength=len(schema.classes))
    found = []
    for column, number in enumerate(schema.numbers):
        values = table.numbers[rows, column][known]
        there = ~np.isnan(values)
        own = np.bincount(labels[there], minlength=len(sizes))
        found += _leak(number.name, schema.classes, _areas(values[there], labels[there], own), own)
        found += _leak(number.name, schema.classes, _areas(there, labels, sizes), sizes, absence=True)
    for column, category in enumerate(schema.categories):
        levels = table.levels[rows, column][known] + 1
        counts = np.zeros((len(category.levels) + 1, len(sizes)), dtype=np.int64)
        np.add.at(counts, (levels, labels), 1)
        found += _leak(category.name, schema.classes, _areas_of_levels(counts), sizes)
    return sorted(found, key=lambda leak: -leak.area)


def _leak(
    feature: str,
    classes: tuple[str, ...],
    areas: NDArray[np.float64],
    sizes: NDArray[np.int64],
    *,
    absence: bool = False,
) -> list[Leak]:
    enough = (sizes >= _LEAST) & (sizes.sum() - sizes >= _LEAST)
    apart = np.where(enough, np.maximum(areas, 1.0 - areas), 0.0)
    best = int(np.argmax(apart))
    return [Leak(feature, classes[best], float(apart[best]), absence)] if apart[best] > LEAK else []


def _areas(values: NDArray[Any], labels: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Of each class against the others, from sums of mid-ranks (Mann and Whitney)."""
    count = len(values)
    if not count:
        return np.full(len(sizes), 0.5)
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    first = np.r_[True, ordered[1:] != ordered[:-1]]
    starts = np.flatnonzero(first)
    ends = np.r_[starts[1:], count]
    ranks = ((starts + ends + 1) / 2.0)[np.cumsum(first) - 1]
    sums = np.bincount(labels[order], weights=ranks, minlength=len(sizes))
    others = count - sizes
    with np.errstate(invalid="ignore", divide="ignore"):
        areas = (sums - sizes * (sizes + 1) / 2.0) / (sizes * others)
    return np.where((sizes > 0) & (others > 0), areas, 0.5)


def _areas_of_levels(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Of each class against the others, its share at each level being the score; ``counts``: (levels, classes)."""
    totals = counts.sum(axis=1)
    areas = np.full(counts.shape[1], 0.5)
    for place in range(counts.shape[1]):
        own = counts[:, place].astype(np.float64)
        rest = totals - own
        if not own.sum() or not rest.sum():
            continue
        share = own / np.maximum(totals, 1)
        _, group = np.unique(share, return_inverse=True)  # levels of one share are ties
        inside, outside = np.bincount(group, weights=own), np.bincount(group, weights=rest)
        below = np.cumsum(outside) - outside
        areas[place] = float((inside * (below + outside / 2.0)).sum() / (own.sum() * rest.sum()))
    return areas


def duplicates(table: Table) -> NDArray[np.int64]:
    """Rows (from 0) that repeat an earlier one in every feature and in the label, ascending."""
    mixed = table.labels.astype(np.uint64)
    for start in range(0, len(mixed), _BLOCK):  # a block of all columns stays in a processor's cache
        rows = slice(start, start + _BLOCK)
        for column in table.numbers[rows].T:
            _mix(mixed[rows], (column + 0.0).view(np.uint64))  # -0.0 becomes 0.0
        for column in table.levels[rows].T:
            _mix(mixed[rows], column.astype(np.uint64))
    order = np.argsort(mixed, kind="stable")
    same = np.flatnonzero(mixed[order[1:]] == mixed[order[:-1]])
    earlier, later = order[same], order[same + 1]
    alike = table.labels[earlier] == table.labels[later]
    alike &= _equal(table.numbers[earlier], table.numbers[later])
    alike &= (table.levels[earlier] == table.levels[later]).all(axis=1)
    return np.sort(later[alike])


def _equal(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.bool_]:
    equal: NDArray[np.bool_] = ((one == other) | (np.isnan(one) & np.isnan(other))).all(axis=1)
    return equal


def _mix(state: NDArray[np.uint64], values: NDArray[np.uint64]) -> None:
    state ^= values
    state *= _MULTIPLIER
    state ^= state >> np.uint64(32)


def repeats(column: str, texts: Any) -> Repeats:
    """How often values stand in several rows of a Series of text; rows without a value count for themselves."""
    present = texts.drop_nulls()
    counts = present.value_counts()["count"]
    return Repeats(column, len(texts), len(counts), int((counts > 1).sum()))
