"""Typed errors: one for each custom error of the contract, and back from revert data."""

from __future__ import annotations

import pickle
import re
from dataclasses import fields
from pathlib import Path

import pytest
from eth_abi import encode as abi_encode

from chain.abi import keccak256
from chain.errors import chain, contract, disputes, foreign
from chain.errors.chain import UnknownRevert
from chain.errors.contract import TooEarly, TooLate
from chain.errors.reverts import CONTRACT_ERRORS, ContractError, decode_revert
from cocogen.errors import CoCoGenError, FieldProblem, LedgerError
from cocogen.files import duration

SOLIDITY = Path(__file__).resolve().parents[3] / "contracts" / "src" / "libraries" / "Errors.sol"
CLASSES = sorted(CONTRACT_ERRORS.values(), key=lambda cls: cls.__name__)
ADDRESS = "0x52908400098527886E0F7030069857D2E4169EE7"
SAMPLES = {
    "uint256": 2**255 + 7,
    "int256": -(2**254) - 5,
    "uint8": 2,
    "address": ADDRESS,
    "bytes32": bytes(range(32)),
    "name": "quorum",
    "string": "transfers are paused: § 7",
}
WORDED = ("WrongPhase", "WrongMode", "CapExceeded", "NotDefaultRuling")


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
        if cls.__module__ != foreign.__name__
    }
    assert mirrored == declared


def test_selectors_are_unique():
    assert len({cls.selector for cls in CLASSES}) == len(CLASSES) == len(CONTRACT_ERRORS)


def test_a_known_selector():
    assert foreign.ReentrancyGuardReentrantCall.selector == bytes.fromhex("3ee5aeb5")
    assert foreign.RefusedWithReason.selector == bytes.fromhex("08c379a0")
    assert foreign.Panicked.selector == bytes.fromhex("4e487b71")
    assert foreign.SafeERC20FailedOperation.selector == bytes.fromhex("5274afe7")
    assert foreign.ERC20InsufficientBalance.selector == bytes.fromhex("e450d38c")
    assert foreign.ERC20InsufficientAllowance.selector == bytes.fromhex("fb8f41b2")


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_revert_data_becomes_the_typed_error(cls):
    types = ["bytes32" if kind == "name" else kind for kind in cls.abi]
    values = [SAMPLES[kind].encode().ljust(32, b"\0") if kind == "name" else SAMPLES[kind] for kind in cls.abi]
    selector = keccak256(f"{cls.declared or cls.__name__}({','.join(types)})".encode())[:4]
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
        if cls.__name__ not in WORDED:
            shown = "0x" + value.hex() if isinstance(value, bytes) else str(value)
            assert shown in error.message + error.hint


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_errors_survive_pickling(cls):
    error = pickle.loads(pickle.dumps(sample(cls)))
    assert type(error) is cls
    assert error.values == sample(cls).values


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"\x01", bytes(4)),
        foreign.RefusedWithReason.selector + bytes(64),
        foreign.RefusedWithReason.selector + bytes(63),
        foreign.RefusedWithReason.selector + abi_encode(["string"], ["x" * 33])[:-32],
    ],
)
def test_unknown_data_is_no_contract_error(data):
    assert decode_revert(data) is None


def test_a_known_selector_with_a_wrong_length_is_no_contract_error():
    data = contract.NotExiting.selector + bytes(31)
    assert decode_revert(data) is None
    assert decode_revert(data + bytes(2)) is None
    assert decode_revert(data + bytes(1)).values == (0,)


def test_phases_and_components_are_named():
    assert "is open" in contract.WrongPhase(1, 2).message
    assert "recorded" in contract.WrongPhase(1, 2).message
    assert "9" in contract.WrongPhase(9, 0).message
    assert "is disputed" in contract.WrongPhase(3, 2).message
    assert "calculated" in contract.WrongPhase(4, 2).message
    assert "pairwise" in disputes.WrongMode(0, 1).message
    assert "vector" in disputes.WrongMode(0, 1).message
    assert "(void) is left, not settle-and-forfeit" in disputes.NotDefaultRuling(2, 1).message
    assert "overflow" in foreign.Panicked(0x11).message
    assert "unknown check" in foreign.Panicked(0x77).message
    assert "of generated" in contract.CapExceeded(0, 1, 5, 4).message


def test_unknown_reverts_name_the_selector_and_dump_nothing():
    data = b"\x4e\x48\x7b\x72" + b"\xab" * 64
    error = UnknownRevert(data)
    assert error.data == data
    assert "(selector 0x4e487b72)" in error.message
    assert "abab" not in error.message + error.hint
    assert "no reason" in UnknownRevert(b"").message


def test_missing_tokens_and_wallet_keys_say_what_to_do():
    tokens = chain.InsufficientTokens("0xA", "0xB", 3, 10)
    assert (tokens.held, tokens.needed) == (3, 10)
    assert "holds 3 units" in tokens.message
    assert "7 more units" in tokens.hint
    assert "owners sign" in chain.MissingKey("0xA", "attester", wallet=True).hint
    assert "seed" in chain.MissingKey("0xA", "attester").hint


def test_unencodable_terms_list_every_problem():
    error = chain.UnencodableTerms([FieldProblem("a", "1", "x"), FieldProblem("b", "2", "y")])
    assert "a = 1: x" in error.message
    assert "b = 2: y" in error.message
    assert error.hint


@pytest.mark.parametrize(
    "cls",
    [
        cls
        for module in (chain, contract, disputes, foreign)
        for cls in vars(module).values()
        if isinstance(cls, type) and cls.__module__ == module.__name__
    ],
)
def test_every_error_is_a_ledger_error_with_exit_code_3(cls):
    assert issubclass(cls, LedgerError)
    assert issubclass(cls, CoCoGenError)
    assert cls.exit_code == 3


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (3_600, "1 h"),
        (86_399, "23 h 59 min"),
        (90_061, "1 day 1 h"),
        (172_800, "2 days"),
        (-5, "0 s"),
    ],
)
def test_durations_are_said_in_their_two_largest_units(seconds, words):
    assert duration(seconds) == words


def test_windows_are_said_as_durations_and_exact_times():
    assert "allowed in 23 h 59 min" in str(TooEarly(100, 100 + 86_399))
    assert "passed 5 min ago" in str(TooLate(400, 100))
