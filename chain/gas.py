"""What the contract's operations take, measured once and kept in this one place: gas of whole transactions.

Measured with the shipped contracts on the embedded chain (rules of Shanghai), with stand-ins, ECDSA
signatures and contributions that differ from the round before; the same again costs 2,800 less. Three operations
depend on the number of members: between the sizes that were measured they follow the parabola through the three
nearest, which is off by less than a hundredth. Where a fifth is absent, calculation takes up to a tenth more
(docs/settlement.md). With a token, its own work comes in: measured with a plain ERC-20, others cost more.

What a transaction will take on the chain where it is sent, that chain estimates (``chain.contract.transactions``).
"""

from __future__ import annotations

from chain.errors.contract import MemberCountOutOfRange
from cocogen.fees import Gas

__all__ = ["LARGEST", "SMALLEST", "measured_gas"]

SMALLEST, LARGEST = 2, 120
"""Members that a consortium can have."""

_DEPLOY = {
    2: 3_380_324,
    3: 3_405_608,
    5: 3_458_285,
    10: 3_602_666,
    20: 3_946_833,
    50: 5_422_719,
    100: 9_362_343,
    120: 11_457_305,
}
_CALCULATE = {
    2: 59_635,
    3: 69_030,
    5: 88_351,
    10: 139_816,
    20: 256_260,
    50: 713_618,
    100: 1_836_555,
    120: 2_412_231,
}
_TRANSFER = {
    2: 48_504,
    5: 66_969,
    10: 97_763,
    20: 159_387,
    50: 344_676,
    100: 655_295,
    120: 780_370,
}
_FORFEIT = {
    2: 45_913,
    5: 61_942,
    10: 88_657,
    20: 142_087,
    50: 302_377,
    100: 569_527,
    120: 676_387,
}


def measured_gas(members: int, *, token: bool = False) -> Gas:
    """Return the gas of the operations of a consortium of so many members; ``token``: it settles in one.

    Raises
    ------
    MemberCountOutOfRange
        No consortium has so many members.
    """
    if not SMALLEST <= members <= LARGEST:
        raise MemberCountOutOfRange(members, SMALLEST, LARGEST)
    return Gas(
        deploy=_at(_DEPLOY, members) + (111_300 if token else 0),
        approve=44_300 if token else 0,
        first_deposit=81_200 if token else 64_300,
        founding=51_300 if token else 34_300,
        deposit=59_200 if token else 42_400,
        open=38_600,
        open_first=75_400,
        submit=55_900,
        submit_first=73_000,
        record=39_500,
        record_first=56_600,
        calculate=_at(_CALCULATE, members),
        transfer=_at(_TRANSFER, members),
        withdraw=58_500 if token else 51_500,
        dispute=38_300,
        resolve=_at(_FORFEIT, members),
    )


def _at(measured: dict[int, int], members: int) -> int:
    """The value at ``members`` of the parabola through the three nearest sizes, rounded up to a hundred."""
    nearest = sorted(measured, key=lambda size: abs(size - members))[:3]
    value = 0.0
    for size in nearest:
        weight = 1.0
        for other in nearest:
            if other != size:
                weight *= (members - other) / (size - other)
        value += weight * measured[size]
    return -int(-value // 100) * 100
