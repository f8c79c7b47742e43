"""One experiment's data as a tidy table: a row for each measurement, written as CSV and read by claims and figures.

Claims and figures are functions of this table alone, so the CSV beside a figure is all that is in it. Left out:
anything that a data-frame library does better; a handful of columns and some thousand rows need none.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cocogen.game.arrays import Array

__all__ = ["Cell", "Row", "Table"]

Cell = str | int | float
Row = tuple[Cell, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Named columns; ``rows`` in the order in which they are written."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def where(self, **values: Cell) -> Table:
        """The rows whose named cells equal these values."""
        wanted = [(self.columns.index(name), value) for name, value in values.items()]
        return Table(self.columns, tuple(row for row in self.rows if all(row[i] == value for i, value in wanted)))

    def column(self, name: str) -> list[Cell]:
        """One column."""
        index = self.columns.index(name)
        return [row[index] for row in self.rows]

    def numbers(self, name: str) -> Array:
        """One column of numbers, float64."""
        return np.array([float(value) for value in self.column(name)])

    def distinct(self, name: str) -> list[Cell]:
        """The different values of a column, in order of appearance."""
        return list(dict.fromkeys(self.column(name)))

    def pivot(self, by: str, value: str) -> tuple[list[Cell], Array]:
        """One row for each seed, one column for each distinct value of ``by``: (those values, array (S, K)).

        Where several rows share a seed and a value, their mean is taken; a missing one is NaN.
        """
        seeds, keys = self.distinct("seed"), self.distinct(by)
        total, count = np.zeros((len(seeds), len(keys))), np.zeros((len(seeds), len(keys)))
        place = {seed: i for i, seed in enumerate(seeds)}, {key: i for i, key in enumerate(keys)}
        for seed, key, number in zip(self.column("seed"), self.column(by), self.numbers(value), strict=True):
            cell = place[0][seed], place[1][key]
            total[cell] += number
            count[cell] += 1.0
        return keys, np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0.0)

    def per_seed(self, value: str) -> Array:
        """The mean of a column for each seed, shape (S,)."""
        keys, values = self.pivot("seed", value)
        return np.diagonal(values).copy() if keys else np.empty(0)

    def csv(self) -> bytes:
        """RFC 4180 with a header; floats in their shortest exact form."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows([repr(cell) if isinstance(cell, float) else cell for cell in row] for row in self.rows)
        return text.getvalue().encode()


def stack(columns: Sequence[str], rows: Sequence[Row]) -> Table:
    """A table from rows, with NumPy's scalars turned into Python's."""
    return Table(tuple(columns), tuple(tuple(_plain(cell) for cell in row) for row in rows))


def _plain(cell: Cell) -> Cell:
    value: Cell = cell.item() if isinstance(cell, np.generic) else cell
    return value
