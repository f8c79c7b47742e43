"""The few encodings of Ethereum that settlement hashes are made of: keccak-256, 32-byte words, checksummed addresses.

They are written out here because ``eth_utils`` and ``eth_abi`` take longer to import than a whole round takes to
settle in memory, and because every value that a settlement hash covers is a single static word. General ABI
coding (calls, logs) is left to web3 in the chain client.
"""

from __future__ import annotations

from eth_hash.auto import keccak as _keccak

from cocogen.addresses import ADDRESS, address_bytes, checksum_address, is_address

__all__ = [
    "ADDRESS",
    "LARGEST_WORD",
    "WORD",
    "address_bytes",
    "checksum_address",
    "decode_ascii",
    "is_address",
    "keccak256",
    "word",
    "words",
]

WORD = 32
"""Bytes in an EVM word."""

LARGEST_WORD = (1 << 256) - 1
"""The largest integer of an EVM word, and so of a chain id."""


def keccak256(data: bytes) -> bytes:
    """Return the 32-byte keccak-256 digest of ``data``."""
    return bytes(_keccak(data))


def word(value: int | bool | bytes | str) -> bytes:
    """Encode one static ABI value as a 32-byte word.

    Integers in [-2^255, 2^256) (negative ones in two's complement), booleans, 32-byte strings, and addresses given
    as 0x-prefixed text.

    Raises
    ------
    ValueError
        The value has no such word.
    """
    if isinstance(value, str):
        return address_bytes(value).rjust(WORD, b"\0")
    if isinstance(value, bytes):
        if len(value) != WORD:
            raise ValueError(f"a bytes32 value has 32 bytes, not {len(value)}")
        return value
    if not -(1 << 255) <= value < 1 << 256:
        raise ValueError(f"{value} does not fit 256 bits")
    return (int(value) % (1 << 256)).to_bytes(WORD, "big")


def words(*values: int | bool | bytes | str) -> bytes:
    """Encode static ABI values as ``abi.encode`` does: one word after another."""
    return b"".join(map(word, values))


def decode_ascii(value: bytes) -> str:
    """Read a bytes32 that holds a short ASCII name, padded with zeros on the right."""
    return value.rstrip(b"\0").decode("ascii", errors="backslashreplace")
