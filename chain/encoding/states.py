"""The numbers by which the contract names a round's phase, a dispute's ruling and its members."""

from __future__ import annotations

from chain.abi import WORD
from chain.errors.chain import ArgumentOutOfRange
from cocogen.ledger import RULINGS

__all__ = [
    "CALCULATED",
    "DISPUTED",
    "FORFEIT",
    "IDLE",
    "NO_HASH",
    "OPEN",
    "RECORDED",
    "SETTLE",
    "VOID",
    "bits",
    "ruling_number",
]

IDLE, OPEN, RECORDED, DISPUTED, CALCULATED = range(5)
NO_HASH = bytes(WORD)
"""Where no hash is there yet."""

SETTLE, VOID, FORFEIT = range(3)


def bits(bitmap: int, count: int) -> tuple[bool, ...]:
    """Return the flags of members 0 … count − 1 in a bitmap."""
    return tuple(bool(bitmap >> index & 1) for index in range(count))


def ruling_number(ruling: str) -> int:
    """Return the contract's number of a ruling; ArgumentOutOfRange where there is none of that name."""
    for number, name in enumerate(RULINGS):
        if name == ruling:
            return number
    raise ArgumentOutOfRange("ruling", ruling, "one of " + ", ".join(RULINGS))
