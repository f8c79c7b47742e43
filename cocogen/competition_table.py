"""The three ways in which a terms file states who competes with whom, each turned into the matrix ρ.

* one number: every pair;
* a table: ``{ default = 0.01, north = { harbor = 0.05 } }``. An entry ``a = { b = x }`` sets ρ_ab, and ρ_ba too
  unless ``b = { a = y }`` stands in the table; pairs that are not named get ``default`` (0 when absent);
* a CSV file: a header line with an empty first cell and the organizations' names, then one line per organization
  with its name and its row of ρ.

Errors are returned as :class:`FieldProblem` lists, so that the caller reports all of them at once.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cocogen.errors import FieldProblem

__all__ = ["competition_matrix", "read_competition_csv"]

_FIELD = "market.competition"
_RANGE = "between 0 and 1"
_MAXIMUM_FILE_BYTES = 1_000_000


def competition_matrix(
    value: float | Mapping[str, float | Mapping[str, float]], names: Sequence[str]
) -> tuple[NDArray[np.float64], list[FieldProblem]]:
    """ρ of shape (N, N) from one number or a table, and what is wrong with it (empty when valid)."""
    count = len(names)
    if not isinstance(value, Mapping):
        matrix = np.full((count, count), float(value))
        np.fill_diagonal(matrix, 0.0)
        return matrix, [] if _valid(value) else [FieldProblem(_FIELD, f"{value}", _RANGE)]
    position = {name: index for index, name in enumerate(names)}
    problems: list[FieldProblem] = []
    default = value.get("default", 0.0)
    if isinstance(default, Mapping) or not _valid(default):
        return np.zeros((count, count)), [FieldProblem(f"{_FIELD}.default", f"{default}", _RANGE)]
    matrix = np.full((count, count), float(default))
    np.fill_diagonal(matrix, 0.0)
    given: dict[tuple[int, int], float] = {}
    for row, entries in value.items():
        if row == "default":
            continue
        if row not in position or not isinstance(entries, Mapping):
            valid = f"one of {', '.join(names)}, each with a table of rivals, or default"
            problems.append(FieldProblem(f"{_FIELD}.{row}", f"{entries}", valid))
            continue
        for column, entry in entries.items():
            field = f"{_FIELD}.{row}.{column}"
            if column not in position:
                problems.append(FieldProblem(field, f"{entry}", f"unknown organization; one of {', '.join(names)}"))
            elif column == row and entry != 0:
                problems.append(FieldProblem(field, f"{entry}", "an organization does not compete with itself: 0"))
            elif not _valid(entry):
                problems.append(FieldProblem(field, f"{entry}", _RANGE))
            else:
                given[position[row], position[column]] = float(entry)
    for (row_index, column_index), entry in given.items():
        matrix[row_index, column_index] = entry
        if (column_index, row_index) not in given:
            matrix[column_index, row_index] = entry
    return matrix, problems


def read_competition_csv(path: Path, names: Sequence[str]) -> tuple[NDArray[np.float64], list[FieldProblem]]:
    """ρ of shape (N, N) from a CSV file, in the order of ``names``, and what is wrong with it."""
    count = len(names)
    matrix = np.zeros((count, count))
    try:
        if not path.is_file() or path.stat().st_size > _MAXIMUM_FILE_BYTES:
            valid = f"must be a CSV file of at most {_MAXIMUM_FILE_BYTES:,} bytes"
            return matrix, [FieldProblem(_FIELD, str(path), valid)]
        with path.open(newline="", encoding="utf-8") as stream:
            rows = [row for row in csv.reader(stream) if row]
    except (OSError, ValueError, csv.Error) as error:
        return matrix, [FieldProblem(_FIELD, str(path), f"must be a readable CSV file: {error}")]
    header = [cell.strip() for cell in rows[0][1:]] if rows else []
    row_names = [row[0].strip() for row in rows[1:]]
    for what, found in (("columns", header), ("rows", row_names)):
        if sorted(found) != sorted(names):
            valid = f"its {what} must be exactly the organizations {', '.join(names)}, but are {', '.join(found)}"
            return matrix, [FieldProblem(_FIELD, str(path), valid)]
    problems = []
    for row in rows[1:]:
        name, cells = row[0].strip(), row[1:]
        if len(cells) != count:
            problems.append(FieldProblem(f"{_FIELD}.{name}", f"{len(cells)} values in {path}", f"{count} values"))
            continue
        for column, cell in zip(header, cells, strict=True):
            field = f"{_FIELD}.{name}.{column}"
            try:
                entry = float(cell)
            except ValueError:
                problems.append(FieldProblem(field, repr(cell), f"a number {_RANGE}"))
                continue
            if name == column and entry != 0:
                problems.append(FieldProblem(field, cell, "an organization does not compete with itself: 0"))
            elif not _valid(entry):
                problems.append(FieldProblem(field, cell, _RANGE))
            matrix[names.index(name), names.index(column)] = entry
    return matrix, problems


def _valid(value: float) -> bool:
    return math.isfinite(value) and 0 <= value <= 1
