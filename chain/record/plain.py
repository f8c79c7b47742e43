"""The values of a ledger record as plain JSON, and back, strictly.

Integers are JSON numbers up to 2^53 − 1 in magnitude and decimal strings beyond; bytes are 0x-prefixed hexadecimal
text in lower case, addresses EIP-55 text, tuples lists, data classes objects. There is one spelling for every value,
and any other is refused: what reads equal is equal. Readers are built once from the type hints of the data classes, so
a field cannot be forgotten. Left out: lines and files (``chain.record.export``).
"""

from __future__ import annotations

import json
import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

from chain.abi import LARGEST_WORD, checksum_address, is_address
from chain.artifacts import CONTRACTS, load_artifact

__all__ = ["EXACT", "JSON", "PlainInvalid", "read_event_arguments", "read_fields", "reader", "to_plain"]

EXACT = (1 << 53) - 1
"""The largest integer that every reader of JSON keeps exactly."""

Reader = Callable[[object, str], Any]

_ADDRESSES = ("address", "blob_address", "sender", "attester", "arbiter", "token")
"""Text fields that hold addresses."""
_NATURALS = ("chain_id", "created_block", "block", "log_index", "number", "time")
"""Integer fields that a node is asked about, or that count."""
_TRANSACTIONS = ("transaction", "created_transaction")
"""Text fields that hold a transaction's hash; a ledger in memory has numbered operations instead."""
_TRANSACTION = re.compile(r"0x[0-9a-f]{64}|operation (?:0|[1-9][0-9]{0,15})")
_HEX = re.compile(r"0x(?:[0-9a-f]{2})*")
_LARGE = re.compile(r"-?[1-9][0-9]{15,77}")
_SHOWN = 80


class PlainInvalid(ValueError):
    """A value is not spelled as this format demands; the message names the field, the value and what is valid."""


def to_plain(value: Any) -> Any:
    """Return a value of a record as what ``json`` can write."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return value if abs(value) <= EXACT else str(value)
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {name: to_plain(item) for name, item in value.items()}
    return {item.name: to_plain(getattr(value, item.name)) for item in fields(value)}


@cache
def reader(hint: Any) -> Reader:
    """Return the function (value, field) that reads a value of the type ``hint`` or raises :class:`PlainInvalid`."""
    if isinstance(hint, type) and is_dataclass(hint):
        as_fields = read_fields(hint)
        return lambda value, where: hint(**as_fields(value, where))
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        return _tuple_reader(arguments)
    if origin is types.UnionType and type(None) in arguments:
        (other,) = (reader(argument) for argument in arguments if argument is not type(None))
        return lambda value, where: None if value is None else other(value, where)
    return {int: _integer, bool: _boolean, bytes: _bytes, str: _text}[hint]


@cache
def read_fields(kind: type[Any], excluded: tuple[str, ...] = ()) -> Callable[[object, str], dict[str, Any]]:
    """Return the function that reads the fields of data class ``kind`` but the ``excluded`` ones, by name."""
    hints = typing.get_type_hints(kind)
    names = [item.name for item in fields(kind) if item.name not in excluded]
    readers = {name: _reader_of(name, hints[name]) for name in names}

    def read(value: object, where: str) -> dict[str, Any]:
        _require_names(value, readers.keys(), where)
        prefix = f"{where}." if where else ""
        return {name: read_one(value[name], prefix + name) for name, read_one in readers.items()}  # type: ignore[index]

    return read


def read_event_arguments(event: str, value: object) -> dict[str, Any]:
    """Read the arguments of a contract event by the ABI's types."""
    readers = _events().get(event)
    if readers is None:
        raise PlainInvalid(f"the contract has no event {_shown(event)}")
    _require_names(value, readers.keys(), "args")
    return {name: read(value[name], name) for name, read in readers.items()}  # type: ignore[index]


@cache
def _events() -> dict[str, dict[str, Reader]]:
    kinds = {"address": _address, "int256[]": _tuple_reader((int, Ellipsis)), "bytes32": _word, "bytes": _bytes}
    return {
        entry["name"]: {item["name"]: kinds.get(item["type"], _integer) for item in entry["inputs"]}
        for contract in CONTRACTS
        for entry in load_artifact(contract).abi
        if entry["type"] == "event"
    }


def _require_names(value: object, names: typing.AbstractSet[str], where: str) -> None:
    of = f" of {where}" if where else ""
    if not isinstance(value, dict):
        raise PlainInvalid(f"{where or 'the line'} is {_shown(value)}, not an object")
    if missing := names - value.keys():
        raise PlainInvalid(f"the field {min(missing)}{of} is missing")
    if unknown := value.keys() - names:
        raise PlainInvalid(f"there is no field {_shown(min(unknown))}{of}")


def _tuple_reader(arguments: tuple[Any, ...]) -> Reader:
    if arguments[-1] is Ellipsis:
        item = reader(arguments[0])

        def read_many(value: object, where: str) -> tuple[Any, ...]:
            return tuple(item(each, f"{where}[{n}]") for n, each in enumerate(_list(value, where)))

        return read_many
    items = [reader(argument) for argument in arguments]

    def read_some(value: object, where: str) -> tuple[Any, ...]:
        given = _list(value, where)
        if len(given) != len(items):
            raise PlainInvalid(f"{where} has {len(given)} entries, not {len(items)}")
        return tuple(item(each, f"{where}[{n}]") for n, (item, each) in enumerate(zip(items, given, strict=True)))

    return read_some


def _list(value: object, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise PlainInvalid(f"{where} is {_shown(value)}, not a list")
    return value


def _integer(value: object, where: str) -> int:
    if type(value) is int and -EXACT <= value <= EXACT:
        return value
    if isinstance(value, str) and _LARGE.fullmatch(value) and abs(number := int(value)) > EXACT:
        return number
    raise PlainInvalid(f"{where} is {_shown(value)}, not an integer (beyond 2^53 - 1 a decimal string)")


def _boolean(value: object, where: str) -> bool:
    if isinstance(value, bool):
        return value
    raise PlainInvalid(f"{where} is {_shown(value)}, not true or false")


def _bytes(value: object, where: str) -> bytes:
    if isinstance(value, str) and _HEX.fullmatch(value):
        return bytes.fromhex(value[2:])
    raise PlainInvalid(f"{where} is {_shown(value)}, not 0x and hexadecimal digits in lower case")


def _word(value: object, where: str) -> bytes:
    read = _bytes(value, where)
    if len(read) != 32:
        raise PlainInvalid(f"{where} has {len(read)} bytes, not 32")
    return read


def _text(value: object, where: str) -> str:
    # what a file holds may reach a terminal, which obeys control characters and cannot show half a character
    if isinstance(value, str) and value.isprintable():
        return value
    raise PlainInvalid(f"{where} is {_shown(value)}, not text of printable characters")


@cache
def _checked(address: str) -> bool:
    return is_address(address) and checksum_address(address) == address


def _address(value: object, where: str) -> str:
    # a short text first: what is cached must not be whatever a file holds
    if isinstance(value, str) and len(value) == 42 and _checked(value):
        return value
    raise PlainInvalid(f"{where} is {_shown(value)}, not an address with its checksum (EIP-55)")


def _natural(value: object, where: str) -> int:
    read = _integer(value, where)
    if not 0 <= read <= LARGEST_WORD:
        raise PlainInvalid(f"{where} is {_shown(value)}, {'below 0' if read < 0 else 'beyond 2^256 - 1'}")
    return read


def _transaction(value: object, where: str) -> str:
    if isinstance(value, str) and _TRANSACTION.fullmatch(value):
        return value
    raise PlainInvalid(f"{where} is {_shown(value)}, not 0x and 64 hexadecimal digits in lower case, or 'operation N'")


_BY_NAME: dict[str, Reader] = {
    **dict.fromkeys(_ADDRESSES, _address),
    **dict.fromkeys(_NATURALS, _natural),
    **dict.fromkeys(_TRANSACTIONS, _transaction),
}


def _reader_of(name: str, hint: Any) -> Reader:
    """Return the reader of a field, whose name can say more than its type."""
    read = _BY_NAME.get(name)
    if read is not None and type(None) in typing.get_args(hint):
        return lambda value, where: None if value is None else read(value, where)
    return reader(hint) if read is None else read


def _shown(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        names = [name for name, _ in pairs]
        raise PlainInvalid(f"the field {_shown(next(n for n in names if names.count(n) > 1))} stands there twice")
    return result


def _whole(text: str) -> int:
    # checked before conversion: a number of a million digits takes minutes to read
    if len(text.lstrip("-")) > len(str(EXACT)) or abs(number := int(text)) > EXACT:
        raise PlainInvalid(f"{_shown(text)} is beyond 2^53 - 1: such integers are decimal strings")
    return number


def _no_number(text: str) -> typing.NoReturn:
    raise PlainInvalid(f"{_shown(text)} is not an integer")


JSON = json.JSONDecoder(object_pairs_hook=_object, parse_int=_whole, parse_float=_no_number, parse_constant=_no_number)
"""Reads JSON without repeated names, fractions, NaN, infinities and integers that others would not keep exactly."""
