"""From a site's file to rows of the agreed schema, batch by batch; everything wrong on the way is counted and named.

Numbers get the schema's unit and are clipped to its bounds, own values become levels and classes. What a reading finds
(:class:`Conformed`) is what ``cocogen data check`` shows; :func:`read_table` raises the first thing that is wrong.
Left out: how a file is read (``reading``, ``pictures``), and what leaves the site (``sums``, ``leaves``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cocogen.data.own.columns import LevelColumn, NumberColumn
from cocogen.data.own.delimited import NotTyped
from cocogen.data.own.extras import polars
from cocogen.data.own.pictures import read_images
from cocogen.data.own.reading import TableFile, digest_of, open_table, unchanged
from cocogen.data.own.site import Site, check_site, near
from cocogen.data.own.table import Images, Table
from cocogen.errors import SiteError
from cocogen.terms.schema import ImageSchema, Schema, TableSchema

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Conformed", "conform", "file_digest", "read_table", "read_unlabelled"]


@dataclass(frozen=True, slots=True)
class Conformed:
    """What came of a file: its rows, what was found in each column, and all that is wrong with it.

    ``columns``: by the schema's name, the label among them; only those that the file has. ``names``: all columns of
    the file. ``unused``: those of them that no part of the site file or the schema names. With ``problems`` the rows
    are not to be used: a value that could not be read is missing in them. ``beside``: the columns that were to be kept.
    """

    table: Table
    columns: dict[str, NumberColumn | LevelColumn]
    names: tuple[str, ...]
    unused: tuple[str, ...]
    problems: tuple[SiteError, ...]
    beside: pl.DataFrame


def read_table(site: Site, schema: Schema, *, labelled: bool = True) -> Table | Images:
    """The rows of a site's file, in its order.

    ``labelled``: False where there need be no label, as of rows whose class is to be predicted; labels are -1 then.

    Raises
    ------
    ConfigurationError
        The site file names what the schema has not.
    SiteError
        The file cannot be read, changed meanwhile, or holds what the schema does not take; it says where and what.
    """
    check_site(site, schema)
    if isinstance(schema, ImageSchema):
        with unchanged(site.path):
            return read_images(site, site.path, schema, labelled=labelled)
    found = conform(site, schema, labelled=labelled)
    if found.problems:
        raise found.problems[0]
    return found.table


def read_unlabelled(site: Site, path: Path, schema: TableSchema) -> tuple[Table, pl.DataFrame]:
    """The rows of another file in the site's dialect, without labels, and its columns that are no features, as text.

    Raises as :func:`read_table`.
    """
    check_site(site, schema)
    found = conform(site, schema, path=path, labelled=False, keep=None)
    if found.problems:
        raise found.problems[0]
    return found.table, found.beside


def file_digest(site: Site) -> str:
    """SHA-256 of the site's data, as hexadecimal text: its file's bytes, or the names and files of its folder.

    Raises
    ------
    SiteError
        It cannot be read, or changed meanwhile.
    """
    with unchanged(site.path):
        return digest_of(site.path)


def conform(
    site: Site,
    schema: TableSchema,
    *,
    path: Path | None = None,
    labelled: bool = True,
    keep: Sequence[str] | None = (),
) -> Conformed:
    """Read a file, and say all that is wrong with its cells; ``keep``: own columns to hand over as text, beside the
    rows, where the file has them; None for all that are no features.

    Raises
    ------
    SiteError
        It cannot be read at all: not there, not well-formed, changed meanwhile.
    """
    place = site.path if path is None else path
    with unchanged(place):
        file = open_table(site, place, schema)
        try:
            reading = _Reading(site, schema, file, typed=file.exact, labelled=labelled, keep=keep)
            reading.run()
        except NotTyped:
            reading = _Reading(site, schema, file, typed=False, labelled=labelled, keep=keep)
            reading.run()
    return reading.result()


@dataclass(slots=True)
class _Reading:
    """One pass over a file."""

    site: Site
    schema: TableSchema
    file: TableFile
    typed: bool
    labelled: bool
    keep: Sequence[str] | None
    numbers: list[NumberColumn] = field(init=False)
    levels: list[LevelColumn] = field(init=False)
    label: LevelColumn = field(init=False)
    count: int = field(init=False, default=0)
    _groups: list[Any] = field(init=False, default_factory=list)
    _beside: list[Any] = field(init=False, default_factory=list)
    _matrix: NDArray[np.float64] = field(init=False)
    _indices: NDArray[np.int32] = field(init=False)
    _labels: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        schema, site, bound = self.schema, self.site, self.file.bound
        name = str(self.file.path)
        # Each column lies together: a file is read, and summed, column by column.
        try:
            self._matrix = np.empty((len(schema.numbers), bound))
            self._indices = np.empty((len(schema.categories), bound), dtype=np.int32)
            self._labels = np.empty(bound, dtype=np.int64)
        except MemoryError as error:
            raise SiteError(
                f"has up to {bound:,} rows, whose {len(schema.feature):,} features do not fit in memory",
                file=name,
                hint="use a machine with more memory, or fewer rows; blank lines count, too",
            ) from error
        self.numbers = [NumberColumn(feature, site, name) for feature in schema.numbers]
        self.levels = [
            LevelColumn(feature.name, feature.levels, site, name, refuses=feature.missing == "refuse")
            for feature in schema.categories
        ]
        self.label = LevelColumn(schema.label, schema.classes, site, name, refuses=True, is_label=True)

    def run(self) -> None:
        """Read all batches."""
        there = set(self.file.names)
        numbers = [column.own for column in self.numbers if column.own in there]
        texts = [column.own for column in self._with_label() if column.own in there]
        group = self.site.split.group
        extra = [*([group] if group in there and self.labelled else []), *self._kept()]
        wanted = list(dict.fromkeys([*texts, *extra]))
        if not numbers and not wanted:
            wanted = [self.file.names[0]]  # rows are counted all the same
        for batch in self.file.batches(numbers, wanted, typed=self.typed):
            self._take(batch, there)

    def _with_label(self) -> list[LevelColumn]:
        return [*self.levels, self.label] if self.labelled else self.levels

    def _columns(self) -> list[NumberColumn | LevelColumn]:
        """The label if there is one, and the features in the order of the schema."""
        features: dict[str, NumberColumn | LevelColumn] = {column.name: column for column in self.numbers}
        features |= {column.name: column for column in self.levels}
        label: list[NumberColumn | LevelColumn] = [self.label] if self.labelled else []
        return label + [features[feature.name] for feature in self.schema.feature]

    def _kept(self) -> list[str]:
        features = {column.own for column in self._columns() if column is not self.label}
        kept = [name for name in self.file.names if name not in features]
        return kept if self.keep is None else [name for name in kept if name in self.keep]

    def _take(self, batch: Any, there: set[str]) -> None:
        start, end = self.count, self.count + len(batch)
        for number, row in zip(self.numbers, self._matrix, strict=True):
            if number.own in there:
                number.take(batch[number.own], start, row[start:end], typed=self.typed)
            else:
                row[start:end] = np.nan
        for level, indices in zip(self.levels, self._indices, strict=True):
            indices[start:end] = level.take(batch[level.own], start) if level.own in there else -1
        self._labels[start:end] = (
            self.label.take(batch[self.label.own], start) if self.labelled and self.label.own in there else -1
        )
        if self.site.split.group in batch.columns:
            self._groups.append(batch[self.site.split.group])
        if kept := self._kept():
            self._beside.append(batch.select(kept))
        self.count = end

    def result(self) -> Conformed:
        """What was read."""
        there, n = set(self.file.names), self.count
        groups, group_problems = self._numbered_groups()
        table = Table(
            schema=self.schema,
            numbers=self._matrix[:, :n].T,
            levels=self._indices[:, :n].T,
            labels=self._labels[:n],
            clipped=np.array([column.clipped for column in self.numbers], dtype=np.int64),
            groups=groups,
        )
        columns = {column.name: column for column in self._columns() if column.own in there}
        used = {column.own for column in columns.values()} | {self.site.split.group, *self.site.identifiers}
        problems = [*self._absent(), *self._few_rows()]
        for column in columns.values():
            problems += column.problems(n)
        problems += [*self._one_class(), *group_problems]
        return Conformed(
            table=table,
            columns=columns,
            names=self.file.names,
            unused=tuple(
                name for name in self.file.names if name not in used | {self.site.own_name(self.schema.label)}
            ),
            problems=tuple(problems),
            beside=self._concatenated(),
        )

    def _concatenated(self) -> Any:
        pl = polars()
        if self._beside:
            return pl.concat(self._beside)
        return pl.DataFrame(schema=dict.fromkeys(self._kept(), pl.String))

    def _absent(self) -> list[SiteError]:
        """Columns that should be there."""
        there = set(self.file.names)
        wanted = [(column.name, column.own) for column in self._columns()]
        taken = {own for _, own in wanted}
        free = [name for name in self.file.names if name not in taken]
        problems = [self._no_column(name, own, free) for name, own in wanted if own not in there]
        said = [("[split] group", self.site.split.group)] if self.labelled else []
        said += [("identifiers", name) for name in self.site.identifiers]
        for where, own in said:
            if own is not None and own not in there:
                meant = near(own, self.file.names)
                hint = f"did you mean {meant[0]!r}?" if meant else f"it has {_listed(self.file.names)}"
                problems.append(
                    SiteError(f"has no column {own!r}, which {where} names", file=str(self.file.path), hint=hint)
                )
        return problems

    def _no_column(self, name: str, own: str, free: Sequence[str]) -> SiteError:
        said = f", which [columns] says is {name!r}" if own != name else ", which the schema asks for"
        meant = near(own, free) or near(name, free)
        if meant:
            hint = f'if {meant[0]!r} is meant, say so in the site file: [columns] "{name}" = "{meant[0]}"'
        else:
            hint = f'say in [columns] what it is called: "{name}" = "..."; the file has {_listed(free)}'
        return SiteError(f"has no column {own!r}{said}", file=str(self.file.path), hint=hint)

    def _few_rows(self) -> list[SiteError]:
        least = len(self.schema.classes) if self.labelled else 1
        if self.count >= least:
            return []
        why = f" for {least} classes" if self.labelled else ""
        rows = "no rows" if not self.count else f"{self.count} rows"
        return [SiteError(f"has {rows}{why}", file=str(self.file.path), hint="export the data again; it needs more")]

    def _one_class(self) -> list[SiteError]:
        if not self.labelled or self.label.own not in self.file.names or self.label.problems(self.count):
            return []
        present = np.flatnonzero(self.label.counts)
        if len(present) != 1 or self.count < len(self.schema.classes):
            return []
        return [
            SiteError(
                f"every row is of the class {self.schema.classes[present[0]]!r}",
                file=str(self.file.path),
                column=self.label.own,
                hint="a label that is constant teaches nothing: is it the right column, and the whole export?",
            )
        ]

    def _numbered_groups(self) -> tuple[NDArray[np.int64] | None, list[SiteError]]:
        """Groups numbered in the order of their names, as text: the same however a file writes them."""
        if not self._groups:
            return None, []
        texts = polars().concat(self._groups)
        missing = np.flatnonzero(texts.is_null().to_numpy() | (texts == "").fill_null(True).to_numpy())
        if missing.size:
            problem = SiteError(
                f"has no value, which [split] group needs; so {missing.size:,} rows",
                file=str(self.file.path),
                row=int(missing[0]) + 1,
                column=self.site.split.group,
                hint="give every row the number of its group, one of its own where it belongs to none",
            )
            return None, [problem]
        return texts.rank("dense").to_numpy().astype(np.int64) - 1, []


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name[:60]) for name in names[:12])
    return (shown or "no other") + (f" and {len(names) - 12} more" if len(names) > 12 else "")
