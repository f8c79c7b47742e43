"""Addresses of accounts as people write them, with the check that finds a typing error (EIP-55)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Annotated

from eth_hash.auto import keccak
from pydantic import AfterValidator

__all__ = ["ADDRESS", "Address", "address_bytes", "checksum_address", "is_address"]

ADDRESS = "an address: 0x and 40 hexadecimal digits, in one case or with their EIP-55 checksum; look for a typing error"
"""What :func:`is_address` asks for, in words."""

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")


def is_address(value: object) -> bool:
    """Tell whether ``value`` is a 20-byte address as 0x-prefixed hexadecimal text without a typing error.

    Letters of both cases are a checksum (EIP-55), which must be right; those of one case are none.
    """
    if not isinstance(value, str) or _ADDRESS.fullmatch(value) is None:
        return False
    digits = value[2:]
    return digits in (digits.lower(), digits.upper()) or checksum_address(value) == value


def address_bytes(address: str) -> bytes:
    """Return the 20 bytes of an address given as 0x-prefixed text in any letter case.

    Raises
    ------
    ValueError
        ``address`` is not 0x followed by 40 hexadecimal digits.
    """
    if _ADDRESS.fullmatch(address) is None:
        raise ValueError(f"{address!r} is not an address: 0x followed by 40 hexadecimal digits")
    return bytes.fromhex(address[2:])


# a consortium names the same few addresses in every call of a long log, and each costs a hash
@lru_cache(maxsize=4096)
def checksum_address(address: str | bytes) -> str:
    """Return the mixed-case form of an address (EIP-55) given as text in any letter case or as 20 bytes."""
    digits = (address_bytes(address) if isinstance(address, str) else address).hex()
    nibbles = keccak(digits.encode("ascii")).hex()
    return "0x" + "".join(
        digit.upper() if int(nibble, 16) >= 8 else digit for digit, nibble in zip(digits, nibbles, strict=False)
    )


def _checked(value: str) -> str:
    if not is_address(value):
        raise ValueError(ADDRESS)
    return value


Address = Annotated[str, AfterValidator(_checked)]
"""An address as a field of what people write."""
