"""Amounts of money as people write them, and as they are shown: integers of wei, never a float on the way.

``250`` is the consortium's currency (``wei_per_unit`` wei each), ``0.25ether``, ``30gwei`` and ``250wei`` say their
unit.
"""

from __future__ import annotations

import re

from cocogen.errors import ConfigurationError, FieldProblem

__all__ = ["ETHER", "GWEI", "MAX", "in_ether", "parse_amount", "runway"]

GWEI = 10**9
ETHER = 10**18
MAX = "max"
"""As much as there is."""

_UNITS = {"ether": ETHER, "gwei": GWEI, "wei": 1}
_AMOUNT = re.compile(r"(?P<sign>-?)(?P<whole>[0-9]{1,60})(\.(?P<part>[0-9]{1,60}))? ?(?P<unit>[A-Za-z]*)", re.ASCII)
_BELOW = 2**127
"""Wei that no consortium reaches: its contract holds less."""


def parse_amount(
    text: str, wei_per_unit: int, *, field: str = "--amount", smallest: int = 0, token: bool = False
) -> int:
    """Return an amount in wei, or in a token's smallest units.

    Parameters
    ----------
    text : str
        ASCII digits with at most one point, and a unit: none for the consortium's currency, ``ether``, ``gwei`` or
        ``wei``; a space before it is allowed.
    wei_per_unit : int
        Wei in one unit of the consortium's currency, positive.
    field : str
        What errors call it.
    smallest : int
        Wei that it must reach.
    token : bool
        The amounts are of a token, whose smallest units ``wei`` then means; it has no ``ether``.

    Raises
    ------
    ConfigurationError
        It is no such amount, has more decimals than wei, is below ``smallest``, or not below 2^127 wei.
    """
    given = text.strip()
    known = ("wei",) if token else tuple(_UNITS)
    valid = f"a number, for example 250 (in the consortium's currency) or {'250wei' if token else '0.25ether, 250wei'}"
    found = _AMOUNT.fullmatch(given)
    if found is None:
        hint = "write digits and at most one point, without separators of thousands or exponents"
        raise _wrong(field, given, valid, hint)
    unit = found["unit"].lower()
    if unit and unit not in known:
        why = "the consortium settles in a token, which has no such unit" if token and unit in _UNITS else ""
        raise _wrong(field, given, f"no unit (the consortium's currency), or one of {', '.join(known)}", why)
    scale, part = _UNITS[unit] if unit else wei_per_unit, found["part"] or ""
    digits = int(found["whole"] + part)
    wei, rest = divmod(digits * scale, int("1" + "0" * len(part)))
    if found["sign"] and (wei or rest):
        raise _wrong(field, given, "not negative", "")
    if rest:
        raise _wrong(field, given, f"a whole number of wei; one {unit or 'unit'} is {scale} wei", "use fewer decimals")
    if not smallest <= wei < _BELOW:
        raise _wrong(field, f"{given} ({wei} wei)", f"at least {smallest} and below 2^127 wei", "check the unit")
    return wei


def in_ether(wei: int, decimals: int = 18) -> str:
    """An amount of wei as ether, exact, or cut to so many decimals; zeros at the end are left out."""
    sign = "-" if wei < 0 else ""
    whole, rest = divmod(abs(wei), ETHER)
    part = f"{rest:018d}"[:decimals].rstrip("0")
    return f"{sign}{whole:,}{'.' + part if part else ''}"


def runway(balance: int, liability: int) -> int | None:
    """How many rounds a balance covers if each takes the most, ⌊balance / L_i⌋, both in wei; None where no round
    can take anything."""
    return balance // liability if liability else None


def _wrong(field: str, given: str, valid: str, hint: str) -> ConfigurationError:
    return ConfigurationError("the amount is wrong", problems=[FieldProblem(field, repr(given[:80]), valid)], hint=hint)
