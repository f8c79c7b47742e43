"""The door to a site's file: which reader a file has, and that it stays the same while it is read.

Left out: what its columns mean (``conform``).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from cocogen.data.own.columnar import arrow_file, npz_table, parquet_file, workbook
from cocogen.data.own.delimited import Delimited
from cocogen.data.own.site import Site
from cocogen.errors import SiteError
from cocogen.terms.schema import TableSchema

__all__ = ["TableFile", "digest_of", "open_table", "unchanged"]

_PIECE = 2**20
_TEXT = (".csv", ".tsv", ".tab", ".txt")
_ARROW = (".arrow", ".feather", ".ipc")
_PARQUET = (".parquet", ".pq")
_KNOWN = ".csv, .tsv, .parquet, .arrow, .feather, .xlsx or .npz"


class TableFile(Protocol):
    """A file of columns, read in batches."""

    path: Path
    names: tuple[str, ...]
    bound: int
    exact: bool

    def batches(self, numbers: Sequence[str], texts: Sequence[str], *, typed: bool) -> Iterator[Any]:
        """As of a :class:`~cocogen.data.own.delimited.Delimited`."""
        ...


def open_table(site: Site, path: Path, schema: TableSchema) -> TableFile:
    """The reader of a file, by its suffix.

    Raises
    ------
    SiteError
        It is no file, of no known kind, or not well-formed.
    """
    suffix = path.suffix.lower()
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "is no regular file"
        raise SiteError(f"{what}, but the schema is one of a table", file=str(path), hint=f"name a {_KNOWN} file")
    if suffix in _TEXT:
        return Delimited(path, site.csv)
    if suffix in _PARQUET:
        return parquet_file(path)
    if suffix in _ARROW:
        return arrow_file(path)
    if suffix == ".xlsx":
        return workbook(path, site)
    if suffix == ".npz":
        return npz_table(path, schema)
    raise SiteError(f"is of no kind that is read: {_KNOWN}", file=str(path), hint="export it as one of them")


@contextlib.contextmanager
def unchanged(path: Path) -> Iterator[None]:
    """Read within the context; SiteError when a file is another one, or was written to, at its end, or is not there."""
    if not path.exists():
        raise SiteError("is not there", file=str(path), hint="data in the site file names it, relative to that file")
    before = _state(path)
    yield
    if _state(path) != before:
        raise SiteError(
            "changed while it was read", file=str(path), hint="wait until it is written, or copy it, and read it again"
        )


def _state(path: Path) -> list[tuple[str, int, int, int]]:
    return [(str(file), *_stamp(file)) for file in _files(path)]


def _stamp(file: Path) -> tuple[int, int, int]:
    status = _tried(file, lambda: file.stat())
    return status.st_size, status.st_mtime_ns, status.st_ino


def digest_of(path: Path) -> str:
    """SHA-256 of a file's bytes; of a folder, of the names and digests of all files in it, in the order of names."""
    if not path.is_dir():
        return _digest(path).hexdigest()
    whole = hashlib.sha256()
    for file in _files(path):
        whole.update(file.relative_to(path).as_posix().encode("utf-8", "surrogateescape") + b"\x00")
        whole.update(_digest(file).digest())
    return whole.hexdigest()


def _digest(file: Path) -> hashlib._Hash:
    digest = hashlib.sha256()

    def absorb() -> None:
        with file.open("rb") as stream:
            while piece := stream.read(_PIECE):
                digest.update(piece)

    _tried(file, absorb)
    return digest


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = [Path(folder, name) for folder, _, names in os.walk(path) for name in names]
    return sorted(file for file in found if not file.relative_to(path).as_posix().startswith("."))


def _tried(file: Path, act: Any) -> Any:
    try:
        return act()
    except OSError as error:
        raise SiteError(
            f"cannot be read: {error.strerror or error}", file=str(file), hint="check the path and its permissions"
        ) from error
