"""Every reason for which a settlement fails, as typed errors.

::

    LedgerError                      (cocogen.errors)
    ├── ContractError                the contract's rules say no; one class per Solidity custom error
    │   ├── MemberCountOutOfRange … NotExiting
    │   └── ReentrancyGuardReentrantCall
    ├── UnencodableTerms             the terms do not fit the contract's integers
    ├── ArgumentOutOfRange           an argument does not fit the type that a call gives it
    ├── MissingKey                   a signature is asked of an address whose key is not at hand
    ├── MalformedSignature           bytes that are no signature
    └── backends: ChainUnavailable, ChainLocked, IncompatibleChainFile, NoContract, ArtifactMismatch, WrongChain,
        NotALocalChain, TransactionRejected, TransactionTimeout, UnknownRevert
"""

from __future__ import annotations

from collections.abc import Sequence

from chain.contract_errors import (
    CONTRACT_ERRORS,
    AlreadyExiting,
    AlreadySubmitted,
    ArithmeticBound,
    BondLocked,
    BondTooSmall,
    CapExceeded,
    ContractError,
    EvidenceMissing,
    InvalidRecipient,
    InvalidSignature,
    MemberCountOutOfRange,
    MembersNotSorted,
    NoRoundsLeft,
    NotAttester,
    NotEnoughMembers,
    NotExiting,
    NotMember,
    NotParticipant,
    RecordsLengthInvalid,
    ReentrancyGuardReentrantCall,
    TermOutOfRange,
    TermsMismatch,
    TooEarly,
    TooLate,
    TotalBalanceTooLarge,
    TransferFailed,
    TriangleLengthInvalid,
    UnknownMember,
    UnsupportedToken,
    WithdrawalExceedsBalance,
    WrongPhase,
    decode_revert,
)
from cocogen.errors import FieldProblem, LedgerError

__all__ = [
    "CONTRACT_ERRORS",
    "AlreadyExiting",
    "AlreadySubmitted",
    "ArgumentOutOfRange",
    "ArithmeticBound",
    "ArtifactMismatch",
    "BondLocked",
    "BondTooSmall",
    "CapExceeded",
    "ChainLocked",
    "ChainUnavailable",
    "ContractError",
    "EvidenceMissing",
    "IncompatibleChainFile",
    "InvalidRecipient",
    "InvalidSignature",
    "MalformedSignature",
    "MemberCountOutOfRange",
    "MembersNotSorted",
    "MissingKey",
    "NoContract",
    "NoRoundsLeft",
    "NotALocalChain",
    "NotAttester",
    "NotEnoughMembers",
    "NotExiting",
    "NotMember",
    "NotParticipant",
    "RecordsLengthInvalid",
    "ReentrancyGuardReentrantCall",
    "TermOutOfRange",
    "TermsMismatch",
    "TooEarly",
    "TooLate",
    "TotalBalanceTooLarge",
    "TransactionRejected",
    "TransactionTimeout",
    "TransferFailed",
    "TriangleLengthInvalid",
    "UnencodableTerms",
    "UnknownMember",
    "UnknownRevert",
    "UnsupportedToken",
    "WithdrawalExceedsBalance",
    "WrongChain",
    "WrongPhase",
    "decode_revert",
]


class UnencodableTerms(LedgerError):
    """The terms do not fit the contract's integers; ``problems`` names every field at fault."""

    def __init__(self, problems: Sequence[FieldProblem]) -> None:
        self.problems = tuple(problems)
        lines = "".join(f"\n  {problem}" for problem in self.problems)
        super().__init__(
            f"the terms cannot be written into the contract:{lines}", hint="change the named fields of the terms"
        )


class ArgumentOutOfRange(LedgerError):
    """An argument of a call does not fit the type that the contract gives it (it could not even be sent)."""

    def __init__(self, name: str, value: object, valid: str) -> None:
        self.name = name
        self.value = value
        super().__init__(f"{name} is {value!r}", hint=f"give {valid}")


class MissingKey(LedgerError):
    """A signature is asked of an address whose key is not at hand."""

    def __init__(self, address: str, role: str) -> None:
        self.address = address
        self.role = role
        super().__init__(
            f"there is no key for {role} at {address}",
            hint="development accounts are derived from the seed: leave the address out of the terms to use them",
        )


class MalformedSignature(LedgerError):
    """Bytes that are no signature of the accepted form."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, hint="ask for a new 65-byte signature (r, s, v)")


class ChainUnavailable(LedgerError):
    """The node or the chain file cannot be reached, read or written."""


class ChainLocked(LedgerError):
    """Another process holds the embedded chain's file."""


class IncompatibleChainFile(LedgerError):
    """The file is no embedded chain of this version."""


class NoContract(LedgerError):
    """There is no code at the deployment's address."""


class ArtifactMismatch(LedgerError):
    """The code at the deployment's address is not the shipped contract."""


class WrongChain(LedgerError):
    """The node serves another chain than the deployment names."""


class NotALocalChain(LedgerError):
    """Only a local chain can be funded or have its clock moved."""


class TransactionRejected(LedgerError):
    """The node did not take a transaction: too little ether for value and gas, or a wrong nonce."""


class TransactionTimeout(LedgerError):
    """A transaction was not mined in time."""


class UnknownRevert(LedgerError):
    """The contract reverted with data that is none of its errors; ``data`` holds it."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        shown = "0x" + data.hex() if data else "no data"
        super().__init__(
            f"the contract reverted with {shown}",
            hint="this is not one of the contract's rules: check that the address and the artifact belong together",
        )
