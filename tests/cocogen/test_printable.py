"""What is not printable is escaped, and nothing else is."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from cocogen.printable import printable, shorten


def test_no_character_of_unicode_gets_through_that_is_not_printable() -> None:
    for code in range(sys.maxunicode + 1):
        shown = printable(chr(code))
        assert shown.isprintable(), hex(code)
        if unicodedata.category(chr(code))[0] in "CZ" and chr(code) != " ":
            assert shown != chr(code), hex(code)


@pytest.mark.parametrize("text", ["north", "κ = 0.5 Σ_n, 80 %", "Zürich", "東京", "e\u0301", "👩", "a\\n"])
def test_what_is_printable_stays(text) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\rc\td", r"a\nb\rc\td"),
        ("\x1b[2J", r"\x1b[2J"),
        ("\x9b2J", r"\x9b2J"),
        ("\u202eabc\u2066", r"\u202eabc\u2066"),
        ("\udcff", r"\udcff"),
        ("\U000e0041", r"\U000e0041"),
        ("\u3164\u2800", r"\u3164\u2800"),
        ("e" + "\u0301" * 6, "e" + "\u0301" * 4 + r"\u0301\u0301"),
    ],
)
def test_what_is_not_printable_is_told(text, shown) -> None:
    assert printable(text) == shown


def test_a_text_is_cut_and_its_length_said() -> None:
    assert shorten("abcdef", 6) == "abcdef"
    assert shorten("x" * 5_000_000, 27) == "xxx… (5,000,000 characters)"
    assert printable("\x1b" * 5_000_000, 26) == r"\x1b\x1b… (5,000,000 characters)"


def test_what_was_cut_is_not_cut_again() -> None:
    for limit in range(60):
        cut = shorten("x" * 1_000, limit)
        assert len(cut) <= max(limit, 20)
        assert limit < 20 or shorten(cut, limit) == cut
