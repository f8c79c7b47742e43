"""A mistyped address is found wherever people write one; the other places have their tests beside what reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from cocogen.addresses import address_bytes, checksum_address, is_address
from cocogen.errors import ConfigurationError
from cocogen.terms.consortium import load_consortium

EXAMPLE = Path(__file__).parents[2] / "examples" / "clinics.toml"
RIGHT = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045"
MISTYPED = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96046"


# EIP-55, test cases
@pytest.mark.parametrize(
    "address",
    [
        "0x52908400098527886E0F7030069857D2E4169EE7",
        "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
        "0xde709f2102306220921060314715629080e2fb77",
        "0x27b1fdb04752bbc536007a920d24acb045561c26",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    ],
)
def test_published_checksums_are_right_and_one_wrong_letter_is_found(address):
    assert checksum_address(address.lower()) == checksum_address(address_bytes(address)) == address
    assert is_address(address)
    assert is_address(address.lower())
    assert is_address("0x" + address[2:].upper())
    letters = [position for position, letter in enumerate(address) if position > 1 and letter.isalpha()]
    for position in letters:
        typed = address[:position] + address[position].swapcase() + address[position + 1 :]
        one_case = typed[2:] in (typed[2:].lower(), typed[2:].upper())
        assert is_address(typed) is one_case


@pytest.mark.parametrize("value", ["", "0x", RIGHT[2:], RIGHT[:-1], RIGHT + "0", RIGHT.replace("0x", "0X"), 5, None])
def test_what_is_no_address_is_none(value):
    assert not is_address(value)


@pytest.mark.parametrize("field", ["address", "token", "attester", "arbiter"])
def test_mistyped_address_in_the_terms_is_named(tmp_path, field):
    path, text = tmp_path / "clinics.toml", EXAMPLE.read_text()
    before = 'name = "north"\n' if field == "address" else "[settlement]\n"
    assert before in text
    for address in (RIGHT, RIGHT.lower()):
        path.write_text(text.replace(before, f'{before}{field} = "{address}"\n'))
        load_consortium(path)
    path.write_text(text.replace(before, f'{before}{field} = "{MISTYPED}"\n'))
    with pytest.raises(ConfigurationError, match="typing error") as error:
        load_consortium(path)
    expected = "organization[0].address" if field == "address" else f"settlement.{field}"
    assert [(problem.field, problem.value) for problem in error.value.problems] == [(expected, repr(MISTYPED))]
