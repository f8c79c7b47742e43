"""Texts of strangers, read within limits: bounded in size and nesting before any parser sees them.

A parser of TOML needs a time that grows with the square of the length of a dotted key, so that a file of a megabyte can
keep it busy for an hour; what is nested deeply ends every program that walks through it. Nothing that CoCoGen reads is
nested more than a few levels.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["MAXIMUM_DEPTH", "MAXIMUM_JSON_BYTES", "parse_json", "parse_toml", "read_bounded"]

MAXIMUM_DEPTH = 16
MAXIMUM_JSON_BYTES = 8_000_000

_TOML = re.compile(
    r"""
      (?P<string>
          \"{3} (?: [^"\\] | \\. | "(?!"") )*+ "{3,5}
        | '{3}  (?: [^']         | '(?!'') )*+ '{3,5}
        | " (?!"") (?: [^"\\\n] | \\[^\n] )*+ "
        | ' (?!'') [^'\n]*+ '
      )
    | (?P<comment> \#[^\n]*+ )
    | (?P<open>  [\[{] )
    | (?P<close> [\]}] )
    | (?P<dot>   \. )
    | (?P<end>   [\n,=] )
    | (?P<other> [^"'\#\[\]{}.\n,=]++ )
    """,
    re.VERBOSE | re.DOTALL,
)
_JSON = re.compile(r'(?:"(?:[^"\\]|\\.)*+"|[^"\[\]{}]++)++|(?P<open>[\[{])|(?P<close>[\]}])', re.DOTALL)
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
