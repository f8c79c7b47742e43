"""What a cell of text means as a number, and if it means none, what it looks like and which setting would help."""

from __future__ import annotations

import re
from typing import Any

from cocogen.data.own.extras import polars
from cocogen.data.own.site import CsvSettings

__all__ = ["advice", "is_missing", "numbers_in"]

_DATE = re.compile(
    r"\d{1,4}([-./])\d{1,2}\1\d{1,4}([T ].*)?|\d{1,2}[-. ][A-Za-zäéû]{3,9}\.?[-. ]\d{2,4}|\d{1,2}:\d{2}(:\d{2}.*)?"
)
_COMMA = re.compile(r"[+-]?\d+,\d+([eE][+-]?\d+)?")
_POINT = re.compile(r"[+-]?\d*\.\d+([eE][+-]?\d+)?")
_GROUPS = re.compile(r"[+-]?[1-9]\d{0,2}(?P<sign>[.,'’ \u00a0\u202f])\d{3}((?P=sign)\d{3})*(?P<rest>[.,]\d+)?")
_NOTHING = re.compile(r"(?i)n\.?/?a\.?n?|nan|null|none|nil|missing|unknown|unk|keine?|k\.?a\.?|-+|\?+|\.|#n/a|\\n")
_INFINITE = re.compile(r"(?i)[+-]?inf(inity)?")
_MEASURED = re.compile(r"(?P<limit>[<>≤≥~])?\s*[+-]?\d[\d.,]*\s*(?P<unit>[^\d\s].*)?")
_SHOWN = 40


def is_missing(texts: Any, settings: CsvSettings) -> Any:
    """Whether each text (a Series of String, without spaces around) stands for no value: null, empty, or as said."""
    return texts.is_null() | texts.is_in(["", *settings.missing])


def numbers_in(texts: Any, settings: CsvSettings) -> tuple[Any, Any]:
    """A Series of text as Float64, null where there is no number; and whether a cell holds text that is none.

    Infinities that are written as text are none; a number beyond the range of floats becomes one.
    """
    pl = polars()
    plain = texts.str.strip_chars()
    missing = is_missing(plain, settings)
    if settings.thousands is not None:
        sign, point = re.escape(settings.thousands), re.escape(settings.decimal)
        grouped = plain.str.contains(rf"^[+-]?[0-9]{{1,3}}(?:{sign}[0-9]{{3}})+(?:{point}[0-9]*)?$")
        joined = plain.str.replace_all(settings.thousands, "", literal=True)
        plain = _where(grouped, joined, plain)
    if settings.decimal == ",":
        pointed = plain.str.contains(".", literal=True)
        plain = _where(pointed, None, plain).str.replace(",", ".", literal=True)
    values = plain.cast(pl.Float64, strict=False)
    odd = ~values.is_finite() | values.is_nan()
    if odd.any():  # "inf" and "nan" are words, and no numbers
        values = _where(odd & ~plain.str.contains(r"[0-9]"), None, values)
    values = _where(missing, None, values)
    return values, ~missing & values.is_null()


def _where(mask: Any, yes: Any, no: Any) -> Any:
    """``yes`` where ``mask`` is true, else ``no``; null counts as false."""
    pl = polars()
    chosen = pl.lit(None) if yes is None else pl.Series("yes", yes)
    frame = pl.DataFrame({"mask": mask, "no": no})
    return frame.select(pl.when("mask").then(chosen).otherwise("no").alias(no.name)).to_series()


def advice(text: str, settings: CsvSettings) -> tuple[str, str]:
    """What a cell that should be a number looks like, and what to do; the text may be a stranger's."""
    cell = text.strip()[:200]
    if _DATE.fullmatch(cell):
        return "is a date or time", (
            "map another column in [columns], or write the number that is meant, such as an age in years"
        )
    if _INFINITE.fullmatch(cell):
        return "is infinite", "correct the cell, or remove the row; no agreed range holds an infinity"
    if _NOTHING.fullmatch(cell):
        return "is no number", f"if it stands for no value, add it to [csv] missing: missing = [{_quoted(cell)}]"
    if grouped := _GROUPS.fullmatch(cell):
        return "has a thousands separator, or another decimal sign", _grouping(grouped, settings)
    if settings.decimal == "." and _COMMA.fullmatch(cell):
        return "has a decimal comma", 'set [csv] decimal = "," in the site file'
    if settings.decimal == "," and _POINT.fullmatch(cell):
        return "has a decimal point", 'leave [csv] decimal = "," out of the site file, or write all numbers alike'
    if (measured := _MEASURED.fullmatch(cell)) and (measured["limit"] or measured["unit"]):
        what = measured["limit"] or measured["unit"][:_SHOWN]
        return "is more than a number", f"export the number without {what!r}; other units are said by [factors]"
    return "is no number", "correct the cell, map another column in [columns], or list it in [csv] missing"


def _grouping(found: re.Match[str], settings: CsvSettings) -> str:
    sign, rest = found["sign"], found["rest"]
    if rest is not None and rest[0] != sign:
        return f'set [csv] thousands = "{sign}" and decimal = "{rest[0]}" in the site file'
    if sign == ",":
        return 'set [csv] thousands = "," in the site file if 1,234 means 1234, decimal = "," if it lies above one'
    if sign == "." and settings.decimal == ",":
        return (
            'set [csv] thousands = "." in the site file if 1.234 means 1234; else leave decimal = "," out, '
            "and write all numbers with points"
        )
    if sign == ".":
        return 'set [csv] thousands = "." and decimal = "," in the site file if 1.234.567 means 1234567'
    return f'set [csv] thousands = "{sign}" in the site file'


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
