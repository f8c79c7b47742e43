"""What is found in one column of a site's file: values taken into the schema, counted, and remembered where wrong."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cocogen.data.own.cells import advice, is_missing, numbers_in
from cocogen.data.own.delimited import NotTyped
from cocogen.data.own.extras import polars
from cocogen.data.own.site import CLASS, CsvSettings, Site, near
from cocogen.errors import SiteError
from cocogen.terms.schema import NumberFeature

__all__ = ["LevelColumn", "NumberColumn"]

_EXAMPLES = 5
_DISTINCT = 1_000
"""Unknown values that are told apart; a column with more is no category."""
_LISTED = 8
_SHOWN = 40


@dataclass(slots=True)
class NumberColumn:
    """A number of the schema. ``low``, ``high``: of its values in the schema's unit, before they are clipped; NaN
    where there are none. ``missing``, ``clipped``, ``bad``, ``infinite``: how many cells."""

    feature: NumberFeature
    site: Site
    file: str
    name: str = field(init=False)
    own: str = field(init=False)
    missing: int = 0
    clipped: int = 0
    low: float = np.nan
    high: float = np.nan
    bad: int = 0
    examples: list[tuple[int, str]] = field(default_factory=list)
    infinite: int = 0
    _infinite_row: int = 0
    _missing_row: int = 0
    _below: int = 0
    _scale: tuple[float, float] = field(init=False)

    def __post_init__(self) -> None:
        self.name, self.own = self.feature.name, self.site.own_name(self.feature.name)
        self._scale = self.site.factors.get(self.name, 1.0), self.site.offsets.get(self.name, 0.0)

    @property
    def text(self) -> str:
        """What kind of column it is, in a word."""
        return "number"

    def take(self, cells: Any, start: int, into: NDArray[np.float64], *, typed: bool) -> None:
        """Take a batch that begins at row ``start`` (from 0) ``into`` a row of the table; NaN where there is none.

        NotTyped when ``typed`` cells of text are infinite or no number: only their text can be told of.
        """
        pl = polars()
        if cells.dtype == pl.String:
            cells = self._parsed(cells, start)
        values = cells.to_numpy()
        factor, offset = self._scale
        if factor != 1.0 or offset != 0.0:
            with np.errstate(over="ignore"):
                values = values * factor + offset
        if len(values) and not cells.null_count():
            low, high = float(values.min()), float(values.max())  # NaN where one is
            if self.feature.minimum <= low and high <= self.feature.maximum:
                self.low, self.high = float(np.fmin(self.low, low)), float(np.fmax(self.high, high))
                into[:] = values
                return
        self._take_odd(values, start, into, nulls=cells.null_count(), typed=typed)

    def _take_odd(
        self, values: NDArray[np.float64], start: int, into: NDArray[np.float64], *, nulls: int, typed: bool
    ) -> None:
        """Take values of which some are missing, infinite or beyond the bounds."""
        empty = np.isnan(values)
        missing = int(np.count_nonzero(empty))
        infinite = np.isinf(values)
        if typed and (missing != nulls or infinite.any()):
            raise NotTyped
        if missing:
            self._missing_row = self._missing_row or start + int(np.argmax(empty)) + 1
            self.missing += missing
        if infinite.any():
            self.infinite += int(np.count_nonzero(infinite))
            self._infinite_row = self._infinite_row or start + int(np.argmax(infinite)) + 1
            values = np.where(infinite, np.nan, values)
        present = values[~np.isnan(values)]
        if not present.size:
            into[:] = np.nan
            return
        self.low = float(np.fmin(self.low, present.min()))
        self.high = float(np.fmax(self.high, present.max()))
        minimum, maximum = self.feature.minimum, self.feature.maximum
        self.clipped += int(np.count_nonzero((present < minimum) | (present > maximum)))
        np.clip(values, minimum, maximum, out=into)

    def _parsed(self, cells: Any, start: int) -> Any:
        """Cells of text as numbers; those that are none are counted, and the first remembered."""
        values, bad = numbers_in(cells, self.site.csv)
        if bad.any():
            self.bad += int(bad.sum())
            self.missing -= int(bad.sum())  # they come as null, but are not missing
            for place in np.flatnonzero(bad.to_numpy())[: _EXAMPLES - len(self.examples)]:
                self.examples.append((start + int(place) + 1, str(cells[int(place)])))
        return values

    def problems(self, count: int) -> list[SiteError]:
        """What is wrong with it, the gravest first, after ``count`` rows."""
        found = []
        if self.bad:
            row, value = self.examples[0]
            what, hint = advice(value, self.site.csv)
            more = f"; so {self.bad:,} of {count:,} cells" if self.bad > 1 else ""
            found.append(
                SiteError(
                    f"{value[:_SHOWN]!r} {what}, but {self.name!r} is a number{more}",
                    file=self.file,
                    row=row,
                    column=self.own,
                    value=value,
                    hint=hint,
                )
            )
        if self.infinite:
            found.append(
                SiteError(
                    f"is infinite; so {self.infinite:,} of {count:,} cells",
                    file=self.file,
                    row=self._infinite_row,
                    column=self.own,
                    value="inf",
                    hint="correct the cell, or remove the row; no agreed range holds an infinity",
                )
            )
        if self.missing and self.feature.missing == "refuse":
            found.append(_missing(self.file, self._missing_row, self.own, self.name, self.missing, count, '"mean"'))
        return found


@dataclass(slots=True)
class LevelColumn:
    """A category of the schema, or the label. ``counts``: rows of each level; ``missing``: of none; ``unknown``: how
    often each value stands that is none of them."""

    name: str
    levels: tuple[str, ...]
    site: Site
    file: str
    refuses: bool
    is_label: bool = False
    own: str = field(init=False)
    counts: NDArray[np.int64] = field(init=False)
    missing: int = 0
    unknown: Counter[str] = field(default_factory=Counter)
    unknown_cells: int = 0
    _values: dict[str, int] = field(init=False)
    _missing_row: int = 0
    _unknown_row: int = 0
    _unknown_first: str = ""

    def __post_init__(self) -> None:
        self.own = self.site.own_name(self.name)
        self.counts = np.zeros(len(self.levels), dtype=np.int64)
        self._values = self.site.own_values(self.name, self.levels)

    @property
    def text(self) -> str:
        """What kind of column it is, in a word."""
        return "label" if self.is_label else "category"

    def take(self, cells: Any, start: int) -> NDArray[np.int32]:
        """Indices of the levels of a batch that begins at row ``start`` (from 0); -1 where there is none."""
        pl = polars()
        indices = _coded(cells, self._values)
        strange = indices == -2
        if strange.any():
            # Spaces around a value are those of a field of fixed width; then it may be missing, too.
            places = np.flatnonzero(strange)
            texts = cells.gather(pl.Series(places)).str.strip_chars()
            again = _coded(texts, self._values)
            again[(again == -2) & is_missing(texts, self.site.csv).to_numpy()] = -1
            indices[places] = again
            if (left := again == -2).any():
                self._remember(texts.filter(pl.Series(left)), start + int(places[np.argmax(left)]) + 1)
                indices[indices == -2] = -3
        empty = indices == -1
        if missing := int(np.count_nonzero(empty)):
            self._missing_row = self._missing_row or start + int(np.argmax(empty)) + 1
            self.missing += missing
        indices[indices == -3] = -1
        known = indices[indices >= 0]
        self.counts += np.bincount(known, minlength=len(self.levels))
        return indices

    def _remember(self, texts: Any, row: int) -> None:
        self.unknown_cells += len(texts)
        if not self._unknown_row:
            self._unknown_row, self._unknown_first = row, str(texts[0])
        for value, times in texts.value_counts(sort=True).iter_rows():
            if value in self.unknown or len(self.unknown) < _DISTINCT:
                self.unknown[value] += times

    def problems(self, count: int) -> list[SiteError]:
        """What is wrong with it, after ``count`` rows."""
        found = []
        if self.unknown_cells:
            listed = self.unknown.most_common(_LISTED)
            shown = ", ".join(
                f"{value[:_SHOWN]!r} ({times:,} {'time' if times == 1 else 'times'})" for value, times in listed
            )
            more = f" and {len(self.unknown) - len(listed):,} more values" if len(self.unknown) > len(listed) else ""
            kind = "class" if self.is_label else "level"
            found.append(
                SiteError(
                    f"holds values that are no {kind} of {self.name!r}: {shown}{more}; allowed: "
                    f"{_some(list(self._values))}",
                    file=self.file,
                    row=self._unknown_row,
                    column=self.own,
                    value=self._unknown_first,
                    hint=self._hint(listed[0][0]),
                )
            )
        if self.missing and self.refuses:
            instead = "" if self.is_label else '"level"'
            found.append(_missing(self.file, self._missing_row, self.own, self.name, self.missing, count, instead))
        return found

    def _hint(self, value: str) -> str:
        if (mended := _mended(value, self.site.csv)) is not None:
            return f'{value[:_SHOWN]!r} looks like {mended[:_SHOWN]!r} read wrongly: set [csv] encoding = "utf-8"'
        meant = near(value, self.levels)
        level = meant[0] if meant else "..."
        section = CLASS if self.name == "" else self.name
        return f'say which are which: [values."{section}"] "{level}" = ["{value[:_SHOWN]}"]'


def _coded(texts: Any, values: dict[str, int]) -> NDArray[np.int32]:
    """The index of each text, -1 for null and -2 for one that is not there."""
    pl = polars()
    coded = texts.replace_strict(list(values), list(values.values()), default=-2, return_dtype=pl.Int32)
    missing = texts.is_null()
    if missing.any():
        coded = coded.to_frame("coded").select(pl.when(missing).then(-1).otherwise("coded")).to_series()
    found: NDArray[np.int32] = coded.cast(pl.Int32).to_numpy(writable=True)
    return found


def _missing(file: str, row: int, own: str, name: str, missing: int, count: int, instead: str) -> SiteError:
    either = "complete it, or leave these rows out of the export"
    agreed = f"; or the consortium agrees on missing = {instead} in its schema" if instead else ""
    return SiteError(
        f"has no value, but {name!r} refuses missing values; so {missing:,} of {count:,} rows",
        file=file,
        row=row,
        column=own,
        hint=f"{either}{agreed}",
    )


def _mended(value: str, settings: CsvSettings) -> str | None:
    """What a text of UTF-8 was that was read in another encoding, None if it was none."""
    if value.isascii():
        return None
    try:
        return value.encode(settings.encoding).decode("utf-8") if settings.encoding != "utf-8" else None
    except UnicodeError:
        return None


def _some(values: list[str]) -> str:
    shown = ", ".join(repr(value[:_SHOWN]) for value in values[:20])
    return shown + (f" and {len(values) - 20:,} more" if len(values) > 20 else "")
