"""Parquet, Arrow, workbooks and npz: files whose columns have types, given in batches as numbers and as text.

Numbers stay what they are; a column of text is given as text, whose cells mean what they mean in a CSV. Left out: that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cocogen.data.archive import read_arrays
from cocogen.data.own.extras import fastexcel, polars
from cocogen.data.own.site import Site
from cocogen.data.sets.base import MAXIMUM_BYTES
from cocogen.errors import DatasetError, LearningError, SiteError
from cocogen.terms.schema import TableSchema

__all__ = ["Columnar", "arrow_file", "npz_table", "parquet_file", "workbook"]

_BATCH = 50_000
_WRITE = 'write it with numpy.savez("table.npz", age=..., sex=..., outcome=...), an array for each column'


class Columnar:
    """A file of typed columns. ``names``, ``bound``, ``exact`` and ``batches`` are those of a
    :class:`~cocogen.data.own.delimited.Delimited`; numbers need no second reading as text."""

    exact = False

    def __init__(self, path: Path, frame: Any, count: int) -> None:
        """``frame``: a LazyFrame of ``count`` rows."""
        self.path = path
        self._frame = frame
        self._kinds = dict(frame.collect_schema().items())
        self.names = tuple(self._kinds)
        self.bound = count

    def batches(self, numbers: Sequence[str], texts: Sequence[str], *, typed: bool) -> Iterator[Any]:
        """Frames of the columns asked for: ``numbers`` as Float64 where the file has numbers, NaN and null where there
        is none, else as String; ``texts`` as String."""
        del typed
        pl = polars()
        columns = [self._number(name) for name in numbers] + [self._text(name) for name in texts]
        try:
            yield from self._frame.select(columns).collect_batches(chunk_size=_BATCH)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise _damaged(self.path, error) from error

    def _number(self, name: str) -> Any:
        pl, kind = polars(), self._kinds[name]
        if kind.is_numeric():
            return pl.col(name).cast(pl.Float64)
        return self._text(name)

    def _text(self, name: str) -> Any:
        """As text; a whole number is written as one, whatever its type."""
        pl, kind = polars(), self._kinds[name]
        column = pl.col(name)
        if kind.is_float():
            column = pl.when(column.is_nan()).then(None).otherwise(column)
            whole = (column == column.floor()) & (column.abs() < 2**53)
            return (
                pl.when(whole)
                .then(column.cast(pl.Int64, strict=False).cast(pl.String))
                .otherwise(column.cast(pl.String))
                .alias(name)
            )
        if kind.is_nested() or kind == pl.Binary or kind == pl.Object:
            raise SiteError(
                f"is of type {kind}, which is neither numbers nor text",
                file=str(self.path),
                column=name,
                hint="export it as a column of numbers or text",
            )
        return column.cast(pl.String)


def parquet_file(path: Path) -> Columnar:
    """A Parquet file."""
    pl = polars()
    return _scanned(path, lambda: pl.scan_parquet(path, glob=False))


def arrow_file(path: Path) -> Columnar:
    """An Arrow IPC file, also called Feather (version 2)."""
    pl = polars()
    return _scanned(path, lambda: pl.scan_ipc(path))


def _scanned(path: Path, scan: Callable[[], Any]) -> Columnar:
    pl = polars()
    try:
        frame = scan()
        return Columnar(path, frame, int(frame.select(pl.len()).collect().item()))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> SiteError:
    lines = str(getattr(error, "strerror", None) or error).splitlines() or [type(error).__name__]
    return SiteError(
        f"cannot be read: {lines[0][:300]}", file=str(path), hint="export it again, or name the file by what it is"
    )


def workbook(path: Path, site: Site) -> Columnar:
    """A sheet of an .xlsx workbook.

    Its columns are read twice, as text and as numbers: fastexcel drops words among numbers, and shortens numbers among
    words. A cell that is a number is that number to the last digit; every other is the text that it shows.
    """
    pl, excel = polars(), fastexcel()
    try:
        book = excel.read_excel(str(path))
        sheet = _sheet(path, book.sheet_names, site.excel.sheet)
        texts = book.load_sheet(sheet, dtypes="string").to_polars()
        names = _first_row(path, book, sheet)
        numbers = book.load_sheet(sheet, dtypes=dict.fromkeys(texts.columns, "float")).to_polars() if names else texts
    except (excel.FastExcelError, OSError, ValueError) as error:
        raise _damaged(path, error) from error
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise SiteError(
            f"has {names.count(twice[0])} columns of the name {twice[0]!r}",
            file=str(path),
            hint="give every column a name of its own",
        )
    missing = ["", *site.csv.missing]
    columns = []
    for name in texts.columns:
        shown = texts[name].str.strip_chars()
        is_number = shown.cast(pl.Float64, strict=False).is_not_null() & numbers[name].is_not_null()
        if (is_number | shown.is_null() | shown.is_in(missing)).all() and is_number.any():
            columns.append(pl.select(pl.when(is_number).then(numbers[name]).alias(name)).to_series())
            continue
        written = numbers[name].cast(pl.String)
        if site.csv.decimal == ",":
            written = written.str.replace(".", ",", literal=True)
        exact = is_number & (numbers[name] != numbers[name].floor())  # 1 stays 1, and not 1.0
        columns.append(pl.select(pl.when(exact).then(written).otherwise(texts[name]).alias(name)).to_series())
    return Columnar(path, pl.DataFrame(columns).lazy(), len(texts))


def _sheet(path: Path, names: Sequence[str], wanted: str | None) -> str:
    shown = ", ".join(repr(name[:100]) for name in names[:20])
    if wanted is None and len(names) != 1:
        raise SiteError(
            f"has {len(names)} sheets: {shown}",
            file=str(path),
            hint='name the one that holds the data: [excel] sheet = "..."',
        )
    if wanted is not None and wanted not in names:
        raise SiteError(f"has no sheet {wanted!r}, but {shown}", file=str(path), hint="correct [excel] sheet")
    return wanted or names[0]


def _first_row(path: Path, book: Any, sheet: str) -> list[str]:
    """The names as they stand there: fastexcel numbers those that are there twice."""
    row = book.load_sheet(sheet, header_row=None, n_rows=1, dtypes="string").to_polars()
    if row.is_empty():
        raise SiteError(f"has an empty sheet {sheet!r}", file=str(path), hint="write names in its first row")
    return [str(value) for value in row.row(0) if value is not None]


def npz_table(path: Path, schema: TableSchema) -> Columnar:
    """An npz file: an array for each column; or ``features`` (n, A + K), a column for each of the schema in its order,
    and ``labels`` (n,), with any others beside them."""
    pl = polars()

    def accept(name: str, dtype: np.dtype[np.generic]) -> None:
        if dtype.kind not in "biufUS":
            raise DatasetError(f"the array {name} is of type {dtype}, neither numbers nor text", hint=_WRITE)

    try:
        arrays = read_arrays(path, maximum_bytes=MAXIMUM_BYTES, packed=True, accept=accept)
    except LearningError as error:
        raise SiteError(error.message.removeprefix(f"{path} "), file=str(path), hint=error.hint or _WRITE) from error
    columns: dict[str, Any] = {}
    for name, array in arrays.items():
        if name == "features" and array.ndim == 2:
            if array.shape[1] != len(schema.feature):
                raise SiteError(
                    f"its array features has {array.shape[1]} columns, but the schema {len(schema.feature)} features",
                    file=str(path),
                    hint=_WRITE,
                )
            columns |= {feature.name: array[:, place] for place, feature in enumerate(schema.feature)}
        elif array.ndim != 1:
            raise SiteError(f"its array {name} has shape {array.shape}, not (n,)", file=str(path), hint=_WRITE)
        else:
            columns[schema.label if name == "labels" and "features" in arrays else name] = array
    if len({len(array) for array in columns.values()}) > 1:
        sizes = ", ".join(f"{name}: {len(array):,}" for name, array in list(columns.items())[:8])
        raise SiteError(f"its arrays differ in length ({sizes})", file=str(path), hint=_WRITE)
    try:
        frame = pl.DataFrame({name: _series(array) for name, array in columns.items()})
    except UnicodeDecodeError as error:
        raise SiteError(f"holds bytes that are no text: {error}", file=str(path), hint="write text as str") from error
    return Columnar(path, frame.lazy(), len(frame))


def _series(array: np.ndarray[Any, np.dtype[np.generic]]) -> Any:
    pl = polars()
    if array.dtype.kind == "S":
        return pl.Series([bytes(value).decode("utf-8") for value in array.tolist()], dtype=pl.String)
    if array.dtype.kind == "U":
        return pl.Series(array.tolist(), dtype=pl.String)
    if array.dtype.kind == "f" and array.dtype.itemsize != 8:
        array = array.astype(np.float64)
    return pl.Series(np.ascontiguousarray(array))
