"""Amounts are what was written, to the wei, or an error that says why not."""

from __future__ import annotations

import re

import pytest

from cocogen.amounts import ETHER, GWEI, in_ether, parse_amount
from cocogen.errors import ConfigurationError

UNIT = 10**15


@pytest.mark.parametrize(
    ("text", "wei"),
    [
        ("250", 250 * UNIT),
        ("0", 0),
        ("-0", 0),
        ("0.000000000000001", 1),
        ("1.5", 1_500_000_000_000_000),
        ("0.25ether", ETHER // 4),
        ("0.25 ether", ETHER // 4),
        ("0.25Ether", ETHER // 4),
        (" 250wei ", 250),
        ("250.000wei", 250),
        ("30gwei", 30 * GWEI),
        ("0.000000000000000001ether", 1),
        ("123456789.123456789123456789ether", 123456789123456789123456789),
        ("0000250", 250 * UNIT),
        (f"{2**127 - 1}wei", 2**127 - 1),
    ],
)
def test_an_amount_is_exact(text: str, wei: int) -> None:
    assert parse_amount(text, UNIT) == wei


def test_a_unit_that_is_no_power_of_ten_is_exact_too() -> None:
    assert parse_amount("0.5", 6) == 3
    with pytest.raises(ConfigurationError, match="a whole number of wei; one unit is 6 wei"):
        parse_amount("0.25", 6)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "a number"),
        ("lots", "a number"),
        ("1,000", "a number"),
        ("1_000", "a number"),
        ("1e18", "a number"),
        ("1e18wei", "a number"),
        (".5", "a number"),
        ("5.", "a number"),
        ("+5", "a number"),
        ("٣", "a number"),
        ("0x10", "a number"),
        ("1  ether", "a number"),
        ("nan", "a number"),
        ("9" * 61, "a number"),
        ("max", "a number"),
        ("-1", "not negative"),
        ("-0.1wei", "not negative"),
        ("1e", "no unit"),
        ("1finney", "one of ether, gwei, wei"),
        ("0.5wei", "a whole number of wei"),
        ("0.0000000000000001", "a whole number of wei"),
        ("0.0000000000000000001ether", "a whole number of wei"),
        (f"{2**127}wei", "below 2^127 wei"),
        ("9" * 60, "below 2^127 wei"),
    ],
)
def test_what_is_no_amount_is_refused_with_what_is_allowed(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(said)) as caught:
        parse_amount(text, UNIT, field="--amount")
    assert caught.value.problems[0].field == "--amount"
    assert caught.value.exit_code == 2


def test_an_amount_below_the_smallest_is_refused() -> None:
    assert parse_amount("1wei", UNIT, smallest=1) == 1
    with pytest.raises(ConfigurationError, match="at least 1 and below"):
        parse_amount("0", UNIT, smallest=1)


def test_a_token_has_no_ether() -> None:
    assert parse_amount("250", UNIT, token=True) == 250 * UNIT
    assert parse_amount("250wei", UNIT, token=True) == 250
    with pytest.raises(ConfigurationError, match="one of wei") as caught:
        parse_amount("1ether", UNIT, token=True)
    assert "settles in a token" in caught.value.hint


@pytest.mark.parametrize(
    ("wei", "decimals", "text"),
    [
        (ETHER, 18, "1"),
        (ETHER // 4, 18, "0.25"),
        (1, 18, "0.000000000000000001"),
        (1, 9, "0"),
        (-ETHER - 1, 18, "-1.000000000000000001"),
        (1234 * ETHER, 9, "1,234"),
        (10**10, 9, "0.00000001"),
    ],
)
def test_ether_is_shown_exactly_or_cut(wei: int, decimals: int, text: str) -> None:
    assert in_ether(wei, decimals) == text
