"""CSV and TSV: the columns of a text file in batches, as numbers where all of its cells are, else as the text it has.

polars reads; what it does not tell (which row has too few fields, where the encoding breaks) is looked for once it is
known that something is wrong. Left out: what a cell of text means (``cells``).
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from cocogen.data.own.extras import polars
from cocogen.data.own.site import CsvSettings
from cocogen.errors import SiteError

__all__ = ["Delimited", "NotTyped"]

_PIECE = 2**24
_LONGEST_HEADER = 2**20
_LONGEST_FIELD = 2**20
_SEPARATORS = (";", ",", "\t", "|")
_TABS = (".tsv", ".tab")
_UTF8 = ("utf-8", "utf-8-sig", "ascii")
_BATCH = 50_000


class NotTyped(Exception):
    """A column of numbers holds something else: read the file again as text, to say what and where."""


class Delimited:
    """A text file of rows, with names in its first.

    ``names``: its columns. ``bound``: at least as many rows as it has. ``exact``: numbers may be asked for as such,
    and :class:`NotTyped` is raised where a cell is none; else they come as text.

    Raises
    ------
    SiteError
        It is empty, not of its encoding, or its first row holds no names that differ.
    """

    def __init__(self, path: Path, settings: CsvSettings) -> None:
        self.path = path
        self._settings = settings
        self._separator = settings.separator or ("\t" if path.suffix.lower() in _TABS else ",")
        self._source: Path | bytes = path if settings.encoding in _UTF8 else _transcoded(path, settings.encoding)
        newlines, self._separators = self._survey()
        self.bound = newlines + 1
        self.names = self._header()
        # polars takes "1.5" and "1,5" alike once commas are told, so that 1.234 thousands would become one and a bit.
        self.exact = settings.decimal == "." and settings.thousands is None

    def batches(self, numbers: Sequence[str], texts: Sequence[str], *, typed: bool) -> Iterator[Any]:
        """Frames of the columns asked for, in the order of the file: ``numbers`` as Float64 if ``typed``, else String;
        ``texts`` as String. What stands for no value is null, wherever an empty cell is "" or null.

        Raises
        ------
        NotTyped
            A cell of ``numbers`` is no number, or the file is not well-formed; only if ``typed``.
        SiteError
            The file is not well-formed: it says where.
        """
        pl = polars()
        wanted = set(numbers)
        kinds = {
            str(place): pl.Float64 if typed and name in wanted else pl.String for place, name in enumerate(self.names)
        }
        columns = [pl.col(str(self.names.index(name))).alias(name) for name in (*numbers, *texts)]
        count = 0
        try:
            scanned = pl.scan_csv(
                self._source,
                has_header=False,
                skip_rows=1,
                separator=self._separator,
                quote_char=self._settings.quote or None,
                schema=kinds,
                null_values=list(self._settings.missing) or None,
                raise_if_empty=False,
                glob=False,
            )
            for batch in scanned.select(columns).collect_batches(chunk_size=_BATCH):
                count += len(batch)
                yield batch
        except pl.exceptions.PolarsError as error:
            if typed:
                raise NotTyped from error
            self._diagnose()
            raise SiteError(
                f"is not a well-formed text file: {str(error).splitlines()[0]}",
                file=str(self.path),
                hint="a quote within a cell is written twice; set [csv] quote where another sign quotes, "
                '"" where none does',
            ) from error
        if (len(self.names) - 1) * (count + 1) != self._separators:
            self._diagnose()  # silent where the difference are separators within quotes

    def _survey(self) -> tuple[int, int]:
        """Line feeds and separators: an upper bound of the rows, and what tells that rows are of different length."""
        newlines = separators = size = 0
        lone = False
        sign = ord(self._separator)
        with self._opened() as stream:
            while piece := stream.read(_PIECE):
                size += len(piece)
                values = np.frombuffer(piece, dtype=np.uint8)
                newlines += int(np.count_nonzero(values == 10))
                separators += int(np.count_nonzero(values == sign))
                lone = lone or b"\r" in piece[:_LONGEST_HEADER]
        if not size:
            raise SiteError("is empty", file=str(self.path), hint="export the data again, with names in the first row")
        if lone and not newlines:
            raise SiteError(
                "ends its lines with carriage returns alone",
                file=str(self.path),
                hint="save it with lines that end with a line feed, as every system does today",
            )
        return newlines, separators

    def _header(self) -> tuple[str, ...]:
        with self._opened() as stream:
            start = stream.read(_LONGEST_HEADER)
        encoding, name = self._settings.encoding, str(self.path)
        if isinstance(self._source, Path):
            if start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
                raise SiteError(
                    "is UTF-16, not UTF-8", file=name, hint='set [csv] encoding = "utf-16" in the site file'
                )
            if b"\x00" in start:
                raise SiteError(
                    "is no text file: it holds zero bytes",
                    file=name,
                    hint="name a CSV or TSV file; Parquet, Arrow, .xlsx and .npz are read by their suffix",
                )
        line = start[: end + 1] if (end := _header_end(start, self._settings.quote)) >= 0 else start
        try:
            text = line.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise _not_encoded(self.path, encoding, None, repr(line[error.start : error.start + 1])) from error
        if text.lower().startswith("sep="):
            raise SiteError(
                f"begins with the line {text.strip()!r}, not with names",
                file=name,
                hint="remove that line, and set [csv] separator",
            )
        names = next(csv.reader(io.StringIO(text, newline=""), **self._dialect()), [])
        if not names:
            raise SiteError("has no names in its first row", file=name, hint="write the names of the columns there")
        if len(names) == 1:
            other = max(_SEPARATORS, key=text.count)
            if text.count(other) and other != self._separator:
                raise SiteError(
                    f"has one column only, by the separator {self._separator!r}: {names[0][:200]!r}",
                    file=name,
                    hint=f"{other!r} stands there {text.count(other)} times: set [csv] separator = "
                    f'"{_toml(other)}" in the site file',
                )
        if twice := sorted({own for own in names if names.count(own) > 1}):
            raise SiteError(
                f"has {names.count(twice[0])} columns of the name {twice[0]!r}",
                file=name,
                hint="give every column a name of its own; if the first row holds values, write names above it",
            )
        return tuple(names)

    def _dialect(self) -> dict[str, Any]:
        quote = self._settings.quote
        quoting = csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE
        return {"delimiter": self._separator, "quotechar": quote or None, "quoting": quoting}

    def _opened(self) -> Any:
        if isinstance(self._source, bytes):
            return io.BytesIO(self._source)
        return _opened(self._source)

    def _diagnose(self) -> None:
        """Look at every row for what is wrong with it; SiteError for the first that differs from the header."""
        previous = csv.field_size_limit(_LONGEST_FIELD)
        try:
            with io.TextIOWrapper(self._opened(), "utf-8-sig", errors="surrogateescape", newline="") as stream:
                self._scan(stream)
        except csv.Error as error:
            raise SiteError(
                f"is not a well-formed text file: {error}",
                file=str(self.path),
                hint="a quote that opens and never closes makes one cell of all that follows",
            ) from error
        finally:
            csv.field_size_limit(previous)

    def _scan(self, stream: TextIO) -> None:
        for row, fields in enumerate(csv.reader(stream, **self._dialect())):
            for column, value in zip(self.names, fields, strict=False):
                if not value.isascii() and any("\udc80" <= character <= "\udcff" for character in value):
                    raise _not_encoded(self.path, self._settings.encoding, row, repr(value), column)
            if len(fields) == len(self.names) or row == 0:
                continue
            if not fields:
                raise SiteError("is a blank line", file=str(self.path), row=row, hint="remove blank lines")
            raise SiteError(
                f"has {len(fields)} fields, but the first row names {len(self.names)} columns",
                file=str(self.path),
                row=row,
                hint=f"a cell that holds {self._separator!r} stands in quotes; export the file again",
            )


def _header_end(start: bytes, quote: str) -> int:
    """Where the first line feed outside quotes is; -1 where there is none."""
    sign, within = quote.encode()[:1], False
    for place, byte in enumerate(start):
        if sign and byte == sign[0]:
            within = not within
        elif byte == 10 and not within:
            return place
    return -1


def _transcoded(path: Path, encoding: str) -> bytes:
    """The file in UTF-8."""
    decoder, content = codecs.getincrementaldecoder(encoding)(), io.BytesIO()
    rows = 0
    with _opened(path) as stream:
        while True:
            piece = stream.read(_PIECE)
            try:
                text = decoder.decode(piece, final=not piece)
            except UnicodeError as error:
                before = piece[: getattr(error, "start", 0)]
                raise _not_encoded(path, encoding, rows + before.count(b"\n"), str(error)[:100]) from error
            rows += text.count("\n")
            content.write(text.encode("utf-8", "surrogatepass"))
            if not piece:
                return content.getvalue()


def _not_encoded(path: Path, encoding: str, row: int | None, what: str, column: str | None = None) -> SiteError:
    other = "cp1252" if encoding in _UTF8 else "utf-8"
    return SiteError(
        f"is not {encoding} throughout: {what}",
        file=str(path),
        row=row,
        column=column,
        value=what,
        hint=f'set [csv] encoding, such as "{other}"; a file that mixes encodings is exported again, in one',
    )


def _opened(path: Path) -> Any:
    try:
        return path.open("rb")
    except OSError as error:
        raise SiteError(f"cannot be read: {error.strerror or error}", file=str(path)) from error


def _toml(character: str) -> str:
    return "\\t" if character == "\t" else character
