"""The three ways in which a terms file states who competes with whom, each turned into the matrix ρ.

* one number: every pair;
* a table: ``{ default = 0.01, north = { harbor = 0.05 } }``. An entry ``a = { b = x }`` sets ρ_ab, and ρ_ba too
  unless ``b = { a = y }`` stands in the table; pairs that are not named get ``default`` (0 when absent);
* a CSV file: a header line with any first cell and the organizations' names, then one line per organization with its
  name and its row of ρ. Cells are separated by commas, semicolons or tabs, whichever the header has most of, or what a
  first line ``sep=;`` says; decimals have a point or a comma. Empty lines and empty last columns, as spreadsheets leave
  them behind, are skipped, and so is a byte order mark; text is UTF-8, or UTF-16 with such a mark.

Errors are returned as :class:`FieldProblem` lists, so that the caller reports all of them at once.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cocogen.errors import FieldProblem
from cocogen.files import read_bounded
from cocogen.printable import shorten

__all__ = ["LEAST_COMPETITION", "competition_matrix", "competition_source", "is_number", "read_competition_csv"]

LEAST_COMPETITION = 1e-12
"""Less than this is 0, or a mistake: strengths that it would ask for do not fit a ledger."""

_FIELD = "market.competition"
_RANGE = f"0, or between {LEAST_COMPETITION:g} and 1"
_MAXIMUM_FILE_BYTES = 1_000_000
_NUMBER = re.compile(r"[+-]?([0-9]+([.,][0-9]*)?|[.,][0-9]+)([eE][+-]?[0-9]{1,4})?")
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_SHOWN = 12  # names in a message


def competition_source(value: object) -> object:
    """The field's value as one of the three; ValueError, for pydantic, where it is none."""
    if is_number(value):
        number = float(value)  # type: ignore[arg-type]  # a number, tested above
        if 0 < abs(number) < LEAST_COMPETITION:
            raise ValueError(f"0, or between {LEAST_COMPETITION:g} and 1")
        return number
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        rows = [entry for entry in value.values() if isinstance(entry, dict)]
        cells = [entry for entry in value.values() if not isinstance(entry, dict)]
        for entry in itertools.chain(cells, *(row.values() for row in rows)):
            if not is_number(entry):
                raise ValueError(f"a table of numbers between 0 and 1, but it holds {entry!r}")
        return value
    raise ValueError("a number between 0 and 1, a table of rivals, or the name of a CSV file")


def is_number(value: object) -> bool:
    """Whether it is a number and no truth value, and has a float."""
    if isinstance(value, int) and not isinstance(value, bool):
        return abs(value) < 10**300  # larger ones have no float
    return isinstance(value, float)


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
        if not path.is_file():
            return matrix, [FieldProblem(_FIELD, str(path), "must be a CSV file, relative to the terms file")]
        rows, separator = _rows(read_bounded(path, _MAXIMUM_FILE_BYTES))
    except (OSError, ValueError, csv.Error) as error:
        return matrix, [FieldProblem(_FIELD, str(path), f"must be a readable CSV file: {error}")]
    header = rows[0][1:] if rows else []
    row_names = [row[0] for row in rows[1:]]
    for what, found in (("columns", header), ("rows", row_names)):
        if sorted(found) != sorted(names):
            shown = ", ".join(shorten(ascii(name), 40) for name in found[:_SHOWN])
            shown = shown or f"nothing after {shorten(ascii(rows[0][0] if rows else ''), 40)}"
            shown += f" and {len(found) - _SHOWN:,} more" if len(found) > _SHOWN else ""
            valid = (
                f"its {what} must be exactly the organizations {', '.join(names)}, but read with "
                f"{_SEPARATORS.get(separator, repr(separator))} between cells they are {shown}"
            )
            return matrix, [FieldProblem(_FIELD, str(path), valid)]
    problems = []
    for row in rows[1:]:
        name, cells = row[0], row[1:]
        if len(cells) != count:
            problems.append(FieldProblem(f"{_FIELD}.{name}", f"{len(cells)} values in {path}", f"{count} values"))
            continue
        for column, cell in zip(header, cells, strict=True):
            field = f"{_FIELD}.{name}.{column}"
            if not _NUMBER.fullmatch(cell):
                problems.append(FieldProblem(field, repr(cell), f"a number: {_RANGE}"))
                continue
            entry = float(cell.replace(",", "."))
            if name == column and entry != 0:
                problems.append(FieldProblem(field, cell, "an organization does not compete with itself: 0"))
            elif not _valid(entry):
                problems.append(FieldProblem(field, cell, _RANGE))
            matrix[names.index(name), names.index(column)] = entry
    return matrix, problems


def _rows(content: bytes) -> tuple[list[list[str]], str]:
    """The cells of a spreadsheet's text without what is empty around them, and what separates them."""
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = content.decode("utf-16" if wide else "utf-8-sig")
    first, _, rest = text.partition("\n")
    stated = re.fullmatch(r'"?sep=(.)"?', first.rstrip("\r"))
    if stated:
        text, separator = rest, stated[1]
    else:
        header = next((line for line in text.splitlines() if line.strip()), "")
        separator = max(_SEPARATORS, key=header.count)
    rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator)]
    rows = [row for row in rows if any(row)]
    width = max((n + 1 for row in rows for n, cell in enumerate(row) if cell), default=0)
    return [row[:width] for row in rows], separator


def _valid(value: float) -> bool:
    return value == 0 or LEAST_COMPETITION <= value <= 1
