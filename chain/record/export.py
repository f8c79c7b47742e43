"""A consortium's whole ledger as one file that anyone can audit without a chain: ``ledger.jsonl``.

One JSON object a line: a header (where the contract is, its code and terms), every event with its call and receipt, the
blocks, the contract's final storage, and a footer with counts and the SHA-256 of all earlier lines. The footer guards
against truncation and other accidents only: whoever changes a line on purpose can compute it anew, and it is the audit
that finds out. The same ledger gives the same bytes.

Integers beyond 2^53 − 1 are decimal strings, since most readers of JSON lose their last digits; bytes are 0x-prefixed
hexadecimal text. Reading goes line by line and refuses whatever is not exactly this format, with file and line. Left
out: any judgement of the content (``chain.audit``). The fields are those of ``chain.record.values``: see docs/audit.md.
"""

from __future__ import annotations

import hashlib
import json
import os
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO

from chain.encoding.terms import ScalarTerms
from chain.record.plain import JSON, PlainInvalid, read_event_arguments, read_fields, reader, to_plain
from chain.record.values import BlockView, LedgerEvent, LedgerRecord, StorageView
from cocogen.errors import AuditError
from cocogen.files import CHECK_FOLDER, whole_file

__all__ = ["FORMAT", "MAX_LINE", "SCHEMA_VERSION", "Exported", "LedgerFileInvalid", "read_ledger", "write_ledger"]

FORMAT = "cocogen-ledger"
SCHEMA_VERSION = 2
"""1: before there were stand-ins for absent members; such files are read as well."""
MAX_LINE = 1 << 23
"""Bytes that a line may have; the longest real one, a header of 120 members, has a hundredth of it."""

_MAX_NESTED = 400
"""Lists and objects that a line may have; the storage of 120 members has 130."""

Progress = Callable[[str, int, int], None]

_KINDS = ("header", "event", "block", "storage", "footer")
"""The kinds of lines in their order; there can be any number of events and blocks."""
_COLLECTIONS = ("events", "blocks", "storage")
_LATER = {1: ("stand_ins_blob",), 2: ()}
"""By the schema versions that are read, the header's fields that came later; they have their defaults then."""


class LedgerFileInvalid(AuditError):
    """A file is no exported ledger; ``file`` and ``line`` (from 1; 0 for the file as a whole) say where."""

    def __init__(self, file: Path, line: int, reason: str) -> None:
        self.file = str(file)
        self.line = line
        self.reason = reason
        where = f"{file}:{line}" if line else str(file)
        super().__init__(f"{where}: {reason}", hint="export the ledger again, or ask for another copy of the file")


@dataclass(frozen=True, slots=True)
class Exported:
    """What a file holds: the record, the digest of the artifact it was exported with, counts and SHA-256 (hex)."""

    record: LedgerRecord
    artifact: str
    events: int
    blocks: int
    sha256: str


def write_ledger(record: LedgerRecord, path: Path, *, artifact: str) -> Exported:
    """Write the record to ``path``, replacing what is there, so that a crash leaves either the old file or the new.

    ``artifact`` is the SHA-256 (hexadecimal) of the compiler's input for the shipped contract.

    Raises
    ------
    WorkspaceError
        The file cannot be written.
    """
    digest = hashlib.sha256()
    with whole_file(path, "the ledger's file", hint=CHECK_FOLDER) as file:
        for content in _contents(record, artifact):
            line = _line(content)
            digest.update(line)
            file.write(line)
        counts = {"events": len(record.events), "blocks": len(record.blocks)}
        file.write(_line({"kind": "footer", **counts, "sha256": digest.hexdigest()}))
    return Exported(record, artifact, **counts, sha256=digest.hexdigest())


def read_ledger(path: Path, *, progress: Progress | None = None) -> Exported:
    """Read a file that :func:`write_ledger` wrote, without judging whether its content is true.

    ``progress`` is told (description, bytes read, bytes in all) now and then.

    Raises
    ------
    LedgerFileInvalid
        The file cannot be read, or is not exactly of this format and version.
    """
    try:
        with path.open("rb") as file:
            return _Parser(path, file, progress).parse()
    except OSError as error:
        raise LedgerFileInvalid(path, 0, f"cannot be read: {error.strerror or error}") from error


def _contents(record: LedgerRecord, artifact: str) -> Iterator[dict[str, Any]]:
    header = {item.name: getattr(record, item.name) for item in fields(record) if item.name not in _COLLECTIONS}
    yield {
        "kind": "header",
        "format": FORMAT,
        "schema_version": SCHEMA_VERSION,
        "artifact": artifact,
        "terms_hash": to_plain(record.storage.terms_hash),
        **{name: to_plain(value) for name, value in header.items()},
    }
    for event in record.events:
        yield {"kind": "event", **to_plain(event)}
    for block in record.blocks:
        yield {"kind": "block", **to_plain(block)}
    storage = to_plain(record.storage)
    yield {"kind": "storage", **storage, "terms": to_plain(ScalarTerms(*record.storage.terms))}  # type: ignore[arg-type]


def _line(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode() + b"\n"


class _Parser:
    """Reads one file: lines to objects, objects to the record's parts, parts to the record."""

    def __init__(self, path: Path, file: BinaryIO, progress: Progress | None) -> None:
        self._path = path
        self._file = file
        self._size = os.fstat(file.fileno()).st_size
        self._progress = progress
        self._number = 0
        self._read = 0
        self._digest = hashlib.sha256()
        self._header: dict[str, Any] = {}
        self._events: list[LedgerEvent] = []
        self._blocks: list[BlockView] = []
        self._storage: StorageView | None = None

    def parse(self) -> Exported:
        before = ""
        while line := self._next():
            content = self._object(line)
            kind = content.pop("kind", None)
            if kind not in _KINDS or not _follows(kind, before):
                raise self._error(
                    f"a line of kind {ascii(kind)[:40]} {f'after a line of kind {before!r}' if before else 'first'}"
                )
            try:
                if kind == "footer":
                    return self._finish(content)
                self._take(kind, content)
            except PlainInvalid as error:
                raise self._error(str(error)) from error
            self._digest.update(line)
            before = kind
        raise self._error("the file ends before its footer: it was cut off")

    def _take(self, kind: str, content: dict[str, Any]) -> None:
        if kind == "header":
            self._header = self._read_header(content)
        elif kind == "event":
            arguments = read_event_arguments(_text(content, "name"), content.pop("args", None))
            self._events.append(LedgerEvent(**read_fields(LedgerEvent, ("args",))(content, ""), args=arguments))
        elif kind == "block":
            self._blocks.append(reader(BlockView)(content, ""))
        else:
            terms = reader(ScalarTerms)(content.pop("terms", None), "terms")
            self._storage = StorageView(**read_fields(StorageView, ("terms",))(content, ""), terms=terms.values)

    def _read_header(self, content: dict[str, Any]) -> dict[str, Any]:
        form, version = content.pop("format", None), content.pop("schema_version", None)
        if form != FORMAT:
            raise PlainInvalid(f"this is no exported ledger: its format is {ascii(form)[:80]}, not {FORMAT!r}")
        if isinstance(version, bool) or not isinstance(version, int) or version not in _LATER:
            known = " and ".join(map(str, _LATER))
            raise PlainInvalid(f"schema_version is {ascii(version)[:80]}; this version of CoCoGen reads {known}")
        own = {"artifact": _text(content, "artifact"), "terms_hash": _text(content, "terms_hash")}
        del content["artifact"], content["terms_hash"]
        return own | read_fields(LedgerRecord, (*_COLLECTIONS, *_LATER[version]))(content, "")

    def _finish(self, footer: dict[str, Any]) -> Exported:
        counts = {"events": len(self._events), "blocks": len(self._blocks)}
        sha256 = self._digest.hexdigest()
        for name, value in {**counts, "sha256": sha256}.items():
            if footer.pop(name, None) != value:
                raise PlainInvalid(f"the footer's {name} is not {value}, as the lines before it give it")
        if footer:
            raise PlainInvalid(f"the footer has no field {ascii(min(footer))[:80]}")
        if self._file.read(1):
            self._number += 1
            raise PlainInvalid("there is more after the footer")
        artifact, terms_hash = self._header.pop("artifact"), self._header.pop("terms_hash")
        storage = typing.cast(StorageView, self._storage)
        if terms_hash != to_plain(storage.terms_hash):
            raise PlainInvalid(f"the header's terms_hash is not the storage's, {to_plain(storage.terms_hash)}")
        record = LedgerRecord(**self._header, events=tuple(self._events), blocks=tuple(self._blocks), storage=storage)
        return Exported(record, artifact, **counts, sha256=sha256)

    def _next(self) -> bytes:
        line = self._file.readline(MAX_LINE + 1)
        if not line:
            return b""
        self._number += 1
        self._read += len(line)
        if len(line) > MAX_LINE:
            raise self._error(f"the line is longer than {MAX_LINE} bytes")
        if not line.endswith(b"\n"):
            raise self._error("the line does not end: the file was cut off")
        if self._progress is not None and self._number % 1_000 == 1:
            self._progress("reading the ledger", self._read, self._size)
        return line

    def _object(self, line: bytes) -> dict[str, Any]:
        if line.startswith(b"\xef\xbb\xbf"):
            raise self._error("the line starts with a byte order mark")
        # the decoder recurses in C: deep nesting would end the process where a library has raised Python's limit
        if line.count(b"[") + line.count(b"{") > _MAX_NESTED:
            raise self._error(f"the line holds more than {_MAX_NESTED} lists and objects")
        try:
            content = JSON.decode(line.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise self._error(f"byte {error.start} of the line is not UTF-8") from error
        except PlainInvalid as error:
            raise self._error(str(error)) from error
        except ValueError as error:
            raise self._error(f"the line is not JSON: {error}") from error
        if not isinstance(content, dict):
            raise self._error("the line is not a JSON object")
        return content

    def _error(self, reason: str) -> LedgerFileInvalid:
        return LedgerFileInvalid(self._path, self._number, reason)


def _follows(kind: str, before: str) -> bool:
    """Tell whether a line of ``kind`` may follow one of kind ``before`` ("" at the start)."""
    if not before or kind == "footer":
        return (before, kind) in (("", "header"), ("storage", "footer"))
    step = _KINDS.index(kind) - _KINDS.index(before)
    return step > 0 or (step == 0 and kind in ("event", "block"))


def _text(content: dict[str, Any], name: str) -> str:
    value: str = reader(str)(content.get(name), name)
    return value
