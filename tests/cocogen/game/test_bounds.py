"""Bounds in few digits never lead beyond the bound."""

from __future__ import annotations

import decimal
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cocogen.game.bounds import rounded_down, rounded_up

FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(value=FINITE, digits=st.integers(1, 17))
@example(value=2.0**-24, digits=16)  # 5.9604644775390625e-08, which is written 5.960464477539063e-08
def test_what_is_said_lies_on_the_safe_side_and_near(value: float, digits: int) -> None:
    low, high = float(rounded_down(value, digits)), float(rounded_up(value, digits))
    assert low <= value <= high
    nearest = float(decimal.Context(prec=digits).create_decimal(repr(value)))
    assert nearest in (low, high) or math.isinf(nearest)


@pytest.mark.parametrize(
    ("value", "down", "up"),
    [(1.6, "1.6", "1.6"), (2 / 3, "0.666666", "0.666667"), (1234567.0, "1.23456e+06", "1.23457e+06"), (0.0, "0", "0"),
     (-2 / 3, "-0.666667", "-0.666666"), (math.inf, "inf", "inf")],
)  # fmt: skip
def test_examples(value: float, down: str, up: str) -> None:
    assert (rounded_down(value), rounded_up(value)) == (down, up)
