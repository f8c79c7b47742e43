"""Bounds as text in few digits, rounded so that whoever follows the text stays within the bound.

``f"{bound:.6g}"`` rounds to the nearest: half of all limits that are stated so are refused when they are followed.
"""

from __future__ import annotations

import decimal

__all__ = ["rounded_down", "rounded_up"]


def rounded_up(value: float, digits: int = 6) -> str:
    """The least number of at most ``digits`` significant digits that is not below ``value``: for "at least"."""
    return _rounded(value, digits, decimal.ROUND_CEILING)


def rounded_down(value: float, digits: int = 6) -> str:
    """The largest number of at most ``digits`` significant digits that is not above ``value``: for "at most"."""
    return _rounded(value, digits, decimal.ROUND_FLOOR)


def _rounded(value: float, digits: int, rounding: str) -> str:
    context = decimal.Context(prec=digits, rounding=rounding, Emin=-999_999, Emax=999_999)
    # A float of at most 15 digits is written back as it was; the binary number itself may lie beyond its text.
    rounded = context.create_decimal(repr(float(value)))
    text = f"{float(rounded):.{digits}g}"
    # With 16 or 17 digits formatting rounds the binary number once more, to either side.
    return text if decimal.Decimal(text) == rounded else repr(float(rounded))
