"""Everything that can be said of a site's data before they are registered, in one report: what ``data check`` shows.

Nothing is changed and nothing leaves the machine. What would be refused is a ``problem``; what only people can judge is
a ``remark``. Left out: how a file is read (``conform``) and how the report is shown (``cli.data``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cocogen.data.own.columns import LevelColumn, NumberColumn
from cocogen.data.own.conform import Conformed, conform, read_table
from cocogen.data.own.signs import LEAK, SAMPLED, Leak, Repeats, duplicates, leaks, repeats
from cocogen.data.own.site import Site, check_site
from cocogen.data.own.split import site_rng, split
from cocogen.data.own.sums import Sums, filled
from cocogen.data.own.table import Images, Table
from cocogen.errors import SiteError
from cocogen.terms.schema import ImageSchema, Schema, TableSchema

__all__ = ["Column", "Problem", "Report", "check"]

_SMALL = 100_000_000
"""Bytes of a file whose unused columns are looked at, too: one of them may number patients."""
_ROWS_OF_ONE = 3
"""Rows to a value, on average, in an unused column that may number patients."""
_DRAW = bytes(32)
"""Stands for the secret by which a registration draws the rows that it keeps for validation."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something for which a registration would be refused, where it is, and what to do."""

    message: str
    hint: str
    row: int | None = None
    column: str | None = None
    value: str | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the schema, as it was found; ``low``, ``high``: None where it is no number, or has none."""

    name: str
    own: str
    kind: str
    missing: int
    low: float | None = None
    high: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    clipped: int = 0
    unreadable: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    unknown: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    """``classes``: rows of each. ``disclosed``: the sums of a registration, None where none would be made.
    ``validation``: the share that would be kept. ``duplicates``: rows that repeat an earlier one."""

    organization: str
    file: str
    rows: int
    classes: dict[str, int]
    columns: tuple[Column, ...] = ()
    unused: tuple[str, ...] = ()
    duplicates: int = 0
    first_duplicate: int | None = None
    leaks: tuple[Leak, ...] = ()
    groups: tuple[Repeats, ...] = ()
    problems: tuple[Problem, ...] = ()
    remarks: tuple[str, ...] = ()
    disclosed: Sums | None = None
    attester: bool = False
    minimum_cell: int = 0

    @property
    def passed(self) -> bool:
        """Whether a registration would be made."""
        return not self.problems


def check(site: Site, schema: Schema) -> Report:
    """Look at all of a site's data.

    Raises
    ------
    ConfigurationError
        The site file names what the schema has not.
    SiteError
        The data cannot be read at all.
    """
    check_site(site, schema)
    return _check_images(site, schema) if isinstance(schema, ImageSchema) else _check_table(site, schema)


def _check_table(site: Site, schema: TableSchema) -> Report:
    small = site.path.is_file() and site.path.stat().st_size <= _SMALL
    found = conform(site, schema, keep=None if small else site.identifiers)
    table = found.table
    problems = [_problem(error) for error in found.problems]
    whole = len(found.columns) == 1 + len(schema.feature) and len(table) > 0
    twice = duplicates(table) if whole else np.zeros(0, dtype=np.int64)
    told = tuple(leaks(table)) if whole else ()
    groups = tuple(_groups(site, found)) if whole else ()
    disclosed: Sums | None = None
    if len(table) and table.labels.min() >= 0:
        disclosed, few = _disclosed(site, table, schema, readable=not problems)
        problems += few
    label = found.columns.get(schema.label)
    return Report(
        organization=site.organization,
        file=str(site.path),
        rows=len(table),
        classes=_counts(label) if isinstance(label, LevelColumn) else {},
        columns=tuple(_column(column) for column in found.columns.values()),
        unused=found.unused,
        duplicates=len(twice),
        first_duplicate=int(twice[0]) + 1 if len(twice) else None,
        leaks=told,
        groups=groups,
        problems=tuple(problems),
        remarks=tuple(_remarks(site, found, len(twice), told, groups)),
        disclosed=None if problems else disclosed,
        attester=site.is_attester,
        minimum_cell=schema.minimum_cell,
    )


def _check_images(site: Site, schema: ImageSchema) -> Report:
    images = read_table(site, schema)
    assert isinstance(images, Images)
    counts = np.bincount(images.labels, minlength=len(schema.classes))
    disclosed, problems = _disclosed(site, images, schema)
    _, first, again = np.unique(images.pixels, axis=0, return_index=True, return_inverse=True)
    repeated = np.flatnonzero(first[again.reshape(-1)] != np.arange(len(images)))
    remarks = [f"{len(repeated):,} images repeat an earlier one, pixel by pixel"] if len(repeated) else []
    return Report(
        organization=site.organization,
        file=str(site.path),
        rows=len(images),
        classes=dict(zip(schema.classes, counts.tolist(), strict=True)),
        duplicates=len(repeated),
        first_duplicate=int(repeated[0]) + 1 if len(repeated) else None,
        problems=tuple(problems),
        remarks=tuple(remarks),
        disclosed=None if problems else disclosed,
        attester=site.is_attester,
        minimum_cell=schema.minimum_cell,
    )


def _problem(error: SiteError) -> Problem:
    place = f"{error.file}, row {error.row}, column {error.column!r}: "
    message = error.message.removeprefix(place)
    for start in (f"{error.file}, row {error.row}: ", f"{error.file}, column {error.column!r}: ", f"{error.file}: "):
        message = message.removeprefix(start)
    return Problem(message.removeprefix(f"column {error.column!r}: "), error.hint, error.row, error.column, error.value)


def _counts(column: LevelColumn) -> dict[str, int]:
    return dict(zip(column.levels, column.counts.tolist(), strict=True))


def _column(column: NumberColumn | LevelColumn) -> Column:
    if isinstance(column, LevelColumn):
        return Column(
            column.name,
            column.own,
            column.text,
            column.missing,
            unreadable=column.unknown_cells,
            counts=_counts(column),
            unknown=dict(column.unknown.most_common(100)),
        )
    there = not np.isnan(column.low)
    return Column(
        column.name,
        column.own,
        column.text,
        column.missing,
        low=column.low if there else None,
        high=column.high if there else None,
        minimum=column.feature.minimum,
        maximum=column.feature.maximum,
        clipped=column.clipped,
        unreadable=column.bad + column.infinite,
    )


def _groups(site: Site, found: Conformed) -> list[Repeats]:
    """How often values repeat: of identifiers, and of unused columns that may be one, with few rows to a value."""
    there = found.beside.columns
    known = [repeats(name, found.beside[name]) for name in site.identifiers if name in there]
    others = [
        repeats(name, found.beside[name])
        for name in found.unused
        if name in there and not found.beside[name].str.contains(r"^[0-9]*[.,][0-9]+$").any()
    ]
    return known + [own for own in others if own.repeated and own.values * _ROWS_OF_ONE >= own.rows]


def _disclosed(
    site: Site, data: Table | Images, schema: Schema, *, readable: bool = True
) -> tuple[Sums | None, list[Problem]]:
    """What a registration would sign, but for the draw of its rows; and why it could not."""
    share = 0.0 if site.is_attester else site.split.validation
    training, validation = split(data.labels, data.groups, share, site_rng(_DRAW))
    cells = _few_cells(schema, data, training, validation)
    if cells or not readable:
        return None, cells
    try:
        return Sums.of(filled(data, training, validation)), []
    except SiteError as error:
        return None, [_problem(error)]


def _few_cells(schema: Schema, data: Table | Images, training: Any, validation: Any) -> list[Problem]:
    """Every count that may not leave the site, rather than the first."""
    least = schema.minimum_cell
    label = schema.label if isinstance(schema, TableSchema) else None
    found = []

    def look(what: str, column: str | None, names: Sequence[str], counts: Any, remedy: str) -> None:
        few = [(name, int(count)) for name, count in zip(names, counts, strict=True) if 0 < count < least]
        if few:
            listed = ", ".join(f"{name} ({count})" for name, count in few[:10]) + (" …" if len(few) > 10 else "")
            found.append(
                Problem(
                    f"fewer than {least} {what}: {listed}; such a count may not leave the site",
                    f"{remedy}, or the consortium agrees on a lower minimum_cell (0 for public data)",
                    column=column,
                )
            )

    for side, rows in (("training", training), ("validation", validation)):
        counts = np.bincount(data.labels[rows], minlength=len(schema.classes))
        look(
            f"{side} rows of a class",
            label,
            schema.classes,
            counts,
            "bring more rows, change validation in [split], or the consortium merges classes",
        )
    if isinstance(data, Images) or isinstance(schema, ImageSchema):
        return found
    for place, category in enumerate(schema.categories):
        counts = np.bincount(data.levels[training, place] + 1, minlength=len(category.levels) + 1)[1:]
        look(
            "training rows at a level",
            category.name,
            category.levels,
            counts,
            "merge levels: [values] can list several",
        )
    for place, number in enumerate(schema.numbers):
        count = len(training) - int(np.count_nonzero(np.isnan(data.numbers[:, place])[training]))
        look("training rows with a value", number.name, [number.name], [count], "the consortium leaves the feature out")
    return found


def _remarks(site: Site, found: Conformed, twice: int, told: Sequence[Leak], groups: Sequence[Repeats]) -> list[str]:
    remarks = []
    for leak in told:
        what = f"whether {leak.feature!r} is missing" if leak.absence else f"{leak.feature!r}"
        remarks.append(
            f"{what} alone tells {leak.name!r} from the rest (area under the ROC curve {leak.area:.3f}, above {LEAK}): "
            "is it known before the label is, or written down because of it?"
        )
    if len(found.table) > SAMPLED and told:
        step = -(-len(found.table) // SAMPLED)
        remarks.append(f"that was measured on every {step}th row")
    if twice:
        rows = "1 row repeats" if twice == 1 else f"{twice:,} rows repeat"
        grouped = (
            "exported twice?" if site.split.group else "exported twice, or rows of one patient? Then set [split] group"
        )
        remarks.append(f"{rows} an earlier one in every feature and the label: {grouped}")
    for column in found.columns.values():
        if isinstance(column, NumberColumn) and column.clipped:
            share = column.clipped / max(1, len(found.table))
            unit = " Is the unit the schema's ([factors])?" if share > 0.05 else ""
            remarks.append(
                f"{column.name!r}: {column.clipped:,} values ({share:.1%}) lie beyond {column.feature.minimum:g} to "
                f"{column.feature.maximum:g} and are clipped.{unit}"
            )
    if site.split.group is None:
        remarks += [
            f"{own.column!r} stands in several rows for {own.repeated:,} of its {own.values:,} values, and [split] "
            "group is not set. If it tells one patient from another, rows of one would straddle training and "
            f'validation: set group = "{own.column}"'
            for own in groups
            if own.repeated
        ]
    return remarks
