"""A stranger's text, made fit to be shown: in one line, with nothing that a terminal obeys, and not without end.

Names, paths, cells, keys and messages come from files and machines of other people. Whatever is not printable (control
characters, marks that turn the direction of reading, lone surrogates, blanks other than a space) is shown as its escape
sequence, so that it does nothing and can still be told. Left out: where it is shown (``cli.output``).
"""

from __future__ import annotations

import unicodedata

__all__ = ["printable", "shorten"]

_LOOKS_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and symbols by their category, which are drawn as nothing."""
_MARKS = 4
"""Accents that one letter may carry; more would be drawn across the lines above and below."""
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def shorten(text: str, limit: int) -> str:
    """``text``, or its beginning and how many characters there are in all, together ``limit``; twice is as once."""
    if len(text) <= limit:
        return text
    told = f"… ({len(text):,} characters)"
    return text[: max(0, limit - len(told))] + told


def printable(text: str, limit: int | None = None) -> str:
    """``text`` in one line, cut to ``limit`` characters before anything is escaped (None: not cut)."""
    if limit is not None:
        text = shorten(text, limit)
    if text.isascii() and text.isprintable():
        return text
    shown, marks = [], 0
    for character in text:
        marks = marks + 1 if unicodedata.category(character) in ("Mn", "Me") else 0
        plain = character.isprintable() and character not in _LOOKS_BLANK and marks <= _MARKS
        shown.append(character if plain else _escape(character))
    return "".join(shown)


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return _SHORT.get(character, f"\\x{code:02x}")
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
