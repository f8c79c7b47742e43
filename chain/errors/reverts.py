"""The way back from revert data to typed errors: what every error of a contract has in common.

A class below :class:`ContractError` declares one error as Solidity does, and thereby enters the table by which
:func:`decode_revert` finds it. Left out: the errors themselves (``chain.errors.contract`` and ``chain.errors.disputes``
for the consortium's own, ``chain.errors.foreign`` for those of compiler, libraries and tokens).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar, dataclass_transform

from chain.abi import WORD, checksum_address, decode_ascii, keccak256
from cocogen.errors import SettlementRefused

__all__ = ["CONTRACT_ERRORS", "ContractError", "decode_revert", "named"]

_SELECTOR = 4
_DYNAMIC = ("string",)
_USUAL = {"int": "uint256", "str": "address", "bytes": "bytes32"}


@dataclass_transform(eq_default=False)
class ContractError(SettlementRefused):
    """A contract refused a call or its terms. Subclasses become dataclasses whose fields are the error's values.

    ``abi`` gives the Solidity types of the fields; unless it says otherwise an int is a uint256, a str an address and
    bytes are a bytes32 ("name" stands for a bytes32 that holds ASCII; a string can only be the single field). ``text``
    and ``advice`` are the format strings of message and hint, ``declared`` is the error's name in Solidity (the
    class's, unless it says otherwise), ``selector`` the four bytes in the revert data.
    """

    abi: ClassVar[tuple[str, ...]] = ()
    text: ClassVar[str] = ""
    advice: ClassVar[str] = ""
    declared: ClassVar[str] = ""
    selector: ClassVar[bytes] = b""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        dataclass(eq=False)(cls)
        cls.abi = cls.abi or tuple(_USUAL[str(item.type)] for item in fields(cls))  # type: ignore[arg-type]
        types = ",".join("bytes32" if kind == "name" else kind for kind in cls.abi)
        cls.selector = keccak256(f"{cls.declared or cls.__name__}({types})".encode())[:_SELECTOR]
        CONTRACT_ERRORS[cls.selector] = cls

    def __post_init__(self) -> None:
        shown = self._shown()
        super().__init__(self.text.format(**shown), hint=self.advice.format(**shown))

    def __reduce__(self) -> tuple[type[ContractError], tuple[Any, ...]]:
        return type(self), self.values

    @property
    def values(self) -> tuple[Any, ...]:
        """The error's values in the order of the Solidity declaration."""
        return tuple(getattr(self, item.name) for item in fields(self))  # type: ignore[arg-type]

    def _shown(self) -> dict[str, Any]:
        """Return what the format strings may use: the values, bytes as 0x text."""
        names = (item.name for item in fields(self))  # type: ignore[arg-type]
        return {
            name: "0x" + value.hex() if isinstance(value, bytes) else value
            for name, value in zip(names, self.values, strict=True)
        }


CONTRACT_ERRORS: dict[bytes, type[ContractError]] = {}
"""Selector → class, filled by the subclasses of the error modules."""


def decode_revert(data: bytes) -> ContractError | None:
    """Turn revert data into the typed error, or None when it holds no known error."""
    cls = CONTRACT_ERRORS.get(data[:_SELECTOR])
    if cls is None:
        return None
    body = data[_SELECTOR:]
    if cls.abi == _DYNAMIC:
        text = _decode_string(body)
        return None if text is None else cls(text)
    if len(body) != WORD * len(cls.abi):
        return None
    values: list[Any] = [_decode_word(kind, body[WORD * i : WORD * (i + 1)]) for i, kind in enumerate(cls.abi)]
    return cls(*values)


def named(names: tuple[str, ...], number: int) -> str:
    """Return the name of an enumeration's value, or the number itself where there is none."""
    return names[number] if number < len(names) else str(number)


def _decode_word(kind: str, word: bytes) -> int | str | bytes:
    if kind == "address":
        return checksum_address(word[-20:])
    if kind == "name":
        return decode_ascii(word)
    if kind == "bytes32":
        return word
    return int.from_bytes(word, "big", signed=kind == "int256")


def _decode_string(body: bytes) -> str | None:
    """Read ``abi.encode(string)``; None when the bytes are none."""
    if len(body) < 2 * WORD or int.from_bytes(body[:WORD], "big") != WORD:
        return None
    length = int.from_bytes(body[WORD : 2 * WORD], "big")
    text = body[2 * WORD : 2 * WORD + length]
    return text.decode("utf-8", errors="backslashreplace") if len(text) == length else None
