"""Typed errors: one for each custom error of the contract, and back from revert data."""

from __future__ import annotations

import pickle
import re
from dataclasses import fields
from pathlib import Path

import pytest
from eth_abi import encode as abi_encode

from chain import errors
from chain.abi import keccak256
from chain.errors import CONTRACT_ERRORS, ContractError, UnknownRevert, decode_revert
from cocogen.errors import CoCoGenError, FieldProblem, LedgerError

SOLIDITY = Path(__file__).resolve().parents[2] / "contracts" / "src" / "libraries" / "Errors.sol"
CLASSES = sorted(CONTRACT_ERRORS.values(), key=lambda cls: cls.__name__)
ADDRESS = "0x52908400098527886E0F7030069857D2E4169EE7"
SAMPLES = {"uint256": 2**255 + 7, "uint8": 2, "address": ADDRESS, "bytes32": bytes(range(32)), "name": "quorum"}


def sample(cls: type[ContractError]) -> ContractError:
    return cls(*(SAMPLES[kind] for kind in cls.abi))


def test_classes_mirror_the_solidity_library():
    declared = {
        name: tuple(tuple(part.split()) for part in arguments.split(", "))
        for name, arguments in re.findall(r"^    error (\w+)\((.*)\);$", SOLIDITY.read_text(), re.MULTILINE)
    }
    mirrored = {
        cls.__name__: tuple(
            ("bytes32" if kind == "name" else kind, item.name) for kind, item in zip(cls.abi, fields(cls), strict=True)
        )
        for cls in CLASSES
        if cls.__name__ != "ReentrancyGuardReentrantCall"
    }
    assert mirrored == declared


def test_selectors_are_unique():
    assert len({cls.selector for cls in CLASSES}) == len(CLASSES) == len(CONTRACT_ERRORS)


def test_a_known_selector():
    assert errors.ReentrancyGuardReentrantCall.selector == bytes.fromhex("3ee5aeb5")


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_revert_data_becomes_the_typed_error(cls):
    types = ["bytes32" if kind == "name" else kind for kind in cls.abi]
    values = [SAMPLES[kind].encode().ljust(32, b"\0") if kind == "name" else SAMPLES[kind] for kind in cls.abi]
    selector = keccak256(f"{cls.__name__}({','.join(types)})".encode())[:4]
    error = decode_revert(selector + abi_encode(types, values))
    assert type(error) is cls
    assert error.values == sample(cls).values
    assert isinstance(error, LedgerError)
    assert error.exit_code == 3
    assert error.code == cls.__name__


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_message_and_hint_are_whole_sentences_with_the_values(cls):
    error = sample(cls)
    assert "{" not in error.message + error.hint
    assert len(error.message) > 20
    assert len(error.hint) > 10
    for item in fields(cls):
        value = getattr(error, item.name)
        if cls.__name__ not in ("WrongPhase", "CapExceeded"):
            shown = "0x" + value.hex() if isinstance(value, bytes) else str(value)
            assert shown in error.message + error.hint


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_errors_survive_pickling(cls):
    error = pickle.loads(pickle.dumps(sample(cls)))
    assert type(error) is cls
    assert error.values == sample(cls).values


@pytest.mark.parametrize("data", [b"", b"\x01", bytes(4), keccak256(b"Error(string)")[:4] + bytes(64)])
def test_unknown_data_is_no_contract_error(data):
    assert decode_revert(data) is None


def test_a_known_selector_with_a_wrong_length_is_no_contract_error():
    data = errors.NotExiting.selector + bytes(31)
    assert decode_revert(data) is None
    assert decode_revert(data + bytes(2)) is None
    assert decode_revert(data + bytes(1)).values == (0,)


def test_phases_and_components_are_named():
    assert "is open" in errors.WrongPhase(1, 2).message
    assert "recorded" in errors.WrongPhase(1, 2).message
    assert "9" in errors.WrongPhase(9, 0).message
    assert "of generated" in errors.CapExceeded(0, 1, 5, 4).message


def test_unknown_reverts_show_their_data():
    error = UnknownRevert(b"\x4e\x48")
    assert error.data == b"\x4e\x48"
    assert "0x4e48" in error.message
    assert "no data" in UnknownRevert(b"").message


def test_unencodable_terms_list_every_problem():
    error = errors.UnencodableTerms([FieldProblem("a", "1", "x"), FieldProblem("b", "2", "y")])
    assert "a = 1: x" in error.message
    assert "b = 2: y" in error.message
    assert error.hint


@pytest.mark.parametrize("name", [name for name in errors.__all__ if name[0].isupper() and name != "CONTRACT_ERRORS"])
def test_every_exported_error_is_a_ledger_error_with_exit_code_3(name):
    cls = getattr(errors, name)
    assert issubclass(cls, LedgerError)
    assert issubclass(cls, CoCoGenError)
    assert cls.exit_code == 3
