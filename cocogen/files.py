"""Files: written whole or not at all, read within limits, and JSON that is the same bytes for the same values.

Whatever is written is there whole or as it was before, also after a kill (:func:`whole_file`). Texts of strangers are
bounded in size and nesting before any parser sees them: a parser of TOML needs a time that grows with the square of the
length of a dotted key, so that a file of a megabyte can keep it busy for an hour; what is nested deeply ends every
program that walks through it. Nothing that CoCoGen reads is nested more than a few levels.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import re
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from cocogen.errors import WorkspaceError

__all__ = [
    "CHECK_FOLDER",
    "MAXIMUM_DEPTH",
    "MAXIMUM_JSON_BYTES",
    "canonical_json",
    "duration",
    "evidence_hash",
    "link_or_copy",
    "measured_quality",
    "parse_json",
    "parse_toml",
    "read_bounded",
    "whole_file",
    "write_atomically",
]

MAXIMUM_DEPTH = 16
MAXIMUM_JSON_BYTES = 8_000_000

_TOML = re.compile(
    r"""
      (?P<string>
          \"{3} [^"\\]* (?: (?: \\. | "(?!"") ) [^"\\]* )* "{3,5}
        | '{3}  [^']*   (?: '(?!'') [^']* )* '{3,5}
        | " (?!"") [^"\\\n]* (?: \\[^\n] [^"\\\n]* )* "
        | ' (?!'') [^'\n]* '
      )
    | (?P<comment> \#[^\n]* )
    | (?P<open>  [\[{] )
    | (?P<close> [\]}] )
    | (?P<dot>   \. )
    | (?P<end>   [\n,=] )
    | (?P<other> [^"'\#\[\]{}.\n,=]+ )
    """,
    re.VERBOSE | re.DOTALL,
)
_JSON = re.compile(r'(?:"[^"\\]*(?:\\.[^"\\]*)*"|[^"\[\]{}]+)+|(?P<open>[\[{])|(?P<close>[\]}])', re.DOTALL)
# No two parts of a loop begin alike, so that a failure costs one look at each character. Possessive loops would say so,
# but Python 3.11.2 (Debian 12) takes these wrongly: the guard stopped early, and let everything behind through.
# Both stop at a quote that opens nothing. They must not go on behind it: every quote would be looked for again.


def read_bounded(path: Path, maximum_bytes: int = MAXIMUM_JSON_BYTES) -> bytes:
    """The content of a file; ValueError when it is larger than ``maximum_bytes``, OSError when it cannot be read."""
    with path.open("rb") as stream:
        content = stream.read(maximum_bytes + 1)
    if len(content) > maximum_bytes:
        raise ValueError(f"larger than {maximum_bytes:,} bytes")
    return content


def parse_json(content: bytes | str, *, pairs: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    """What a JSON text says; ValueError when it is none, or nested too deeply. ``pairs`` makes the objects."""
    text = content.decode("utf-8") if isinstance(content, bytes) else content
    position = depth = 0
    while token := _JSON.match(text, position):
        kind, position = token.lastgroup, token.end()
        depth += (kind == "open") - (kind == "close")
        _check(depth)
    return json.loads(text, object_pairs_hook=pairs)


def parse_toml(text: str) -> dict[str, Any]:
    """What a TOML text says; ValueError when it is none, or nested too deeply."""
    position = depth = dots = 0
    while token := _TOML.match(text, position):
        kind, position = token.lastgroup, token.end()
        depth += (kind == "open") - (kind == "close")
        dots = dots + 1 if kind == "dot" else dots if kind in ("string", "other") else 0
        _check(max(depth, dots + 1))
    return tomllib.loads(text)


def _check(depth: int) -> None:
    if depth > MAXIMUM_DEPTH:
        raise ValueError(f"it is nested more than {MAXIMUM_DEPTH} levels deep")


def canonical_json(value: Any) -> bytes:
    """Sorted keys, no spaces, shortest exact floats, no NaN: equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def evidence_hash(document: dict[str, Any]) -> bytes:
    """SHA-256 of an evidence document's canonical JSON, 32 bytes: what the contribution carries to the ledger."""
    return hashlib.sha256(canonical_json(document)).digest()


def measured_quality(values: Iterable[float]) -> tuple[float | None, ...]:
    """κ as documents state it: None for NaN, which JSON has not, where nobody generates and nothing was measured."""
    return tuple(None if math.isnan(value) else float(value) for value in values)


def duration(seconds: int) -> str:
    """Seconds in words, the two largest units: "1 day 2 h", "59 min 58 s", "0 s"."""
    parts, rest = [], max(0, seconds)
    for unit, size in ((" days", 86_400), (" h", 3_600), (" min", 60), (" s", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{' day' if unit == ' days' and count == 1 else unit}")
    return " ".join(parts[:2]) or "0 s"


def _usual_mode() -> int:
    """Permissions of a new file by the user's mask; temporary files are private whatever it says."""
    mask = os.umask(0o077)
    os.umask(mask)
    return 0o666 & ~mask


_FILE_MODE = _usual_mode()
CHECK_FOLDER = "check that the folder exists, that you may write to it, and that the disk has space"
_MAKE_ROOM = "make room or write to another folder; nothing that was there before is lost"


@contextlib.contextmanager
def whole_file(path: Path, what: str = "", *, hint: str = _MAKE_ROOM, private: bool = False) -> Iterator[BinaryIO]:
    """Give a file to write to that takes the place of ``path`` at the end, and not at all if anything is raised.

    What was written is durable when the context ends. ``private``: nobody else may read it, whatever the user's mask.

    Raises
    ------
    WorkspaceError
        The file cannot be written; ``what`` says what it is, ``hint`` what to do.
    """
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        if not private:
            Path(temporary).chmod(_FILE_MODE)
        Path(temporary).replace(path)
        temporary = ""
    except OSError as error:
        subject = f"{what} {path}".lstrip()
        raise WorkspaceError(f"{subject} cannot be written: {error.strerror or error}", hint=hint) from error
    finally:
        if temporary:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()


def write_atomically(path: Path, content: bytes, *, private: bool = False) -> None:
    """Write ``content`` so that ``path`` holds the old or the new content, never a part, in a folder that is made where
    there is none; WorkspaceError on failure. ``private``: for its owner alone."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WorkspaceError(f"{path} cannot be written: {error.strerror or error}", hint=_MAKE_ROOM) from error
    with whole_file(path, private=private) as stream:
        stream.write(content)


def link_or_copy(source: Path, path: Path) -> None:
    """Let ``path`` hold the content of ``source``: by a hard link, or by a copy where the disk has none or something
    else is there; WorkspaceError on failure."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.hardlink_to(source)
    except OSError:
        try:
            content = source.read_bytes()
        except OSError as error:
            raise WorkspaceError(
                f"{source} cannot be read: {error.strerror or error}", hint="restore it from a copy"
            ) from error
        write_atomically(path, content)
