"""The contract's rules on disputes and on signed transfers as Python errors, one class per Solidity custom error.

The other rules are in ``chain.errors.contract``; see there. Import them from ``chain.errors.chain``.
"""

from __future__ import annotations

from typing import Any

from chain.errors.reverts import ContractError, named
from cocogen.ledger import RULINGS

_MODES = ("pairwise", "vector")


class WrongMode(ContractError):
    """The call belongs to the other mode of payoffs: 0 pairwise, 1 vector."""

    abi = ("uint8", "uint8")
    text = "these terms are in {actual_name} mode, but this call belongs to {expected_name} mode"
    advice = "in pairwise mode the contributions alone determine the transfers; in vector mode the attester signs them"
    actual: int
    expected: int

    def _shown(self) -> dict[str, Any]:
        names = {"actual_name": named(_MODES, self.actual), "expected_name": named(_MODES, self.expected)}
        return ContractError._shown(self) | names


class TransfersAlreadySubmitted(ContractError):
    """The round's transfers are already there."""

    text = "the transfers of round {round} are already there"
    advice = "nothing to do: they are submitted once a round; dispute them if they are wrong"
    round: int


class TransfersLengthInvalid(ContractError):
    """There is not one transfer for every member."""

    text = "there are {length} transfers for {expected} members"
    advice = "give one transfer for every member, zero for whoever has not contributed"
    length: int
    expected: int


class TransfersEvidenceMissing(ContractError):
    """Transfers need the digest of their evidence."""

    text = "the transfers of round {round} name no evidence"
    advice = "give the non-zero 32-byte digest of how the transfers came about"
    round: int


class TransferOutOfRange(ContractError):
    """A transfer takes more than the member's liability, or is that of a member who has not contributed."""

    abi = ("uint256", "int256", "int256", "int256")
    text = "the transfer of member {index} is {transfer} wei, outside {minimum} to {maximum}"
    advice = "take at most its largest debit from a member, and nothing from or to whoever has not contributed"
    index: int
    transfer: int
    minimum: int
    maximum: int


class TransfersUnbalanced(ContractError):
    """The transfers do not sum to zero."""

    abi = ("int256",)
    text = "the transfers sum to {sum} wei, not to zero"
    advice = "what some receive is what others pay: correct the transfers and sign them again"
    sum: int


class TransfersMissing(ContractError):
    """There are no transfers yet that could be disputed."""

    text = "round {round} has no transfers yet that could be disputed"
    advice = "wait for the attester's transfers; without any in time the round is voided"
    round: int


class DisputeBondTooSmall(ContractError):
    """The balance does not cover the dispute bond and what the round may still take: the liability, or of an absent
    member what it owes by its stand-in."""

    text = (
        "member {index} holds {balance} wei; to dispute it needs {needed} wei: the dispute bond and its liability or, "
        "if it is absent, what it owes"
    )
    advice = "deposit so that the balance reaches at least {needed} wei, then dispute within the window"
    index: int
    balance: int
    needed: int


class ReasonMissing(ContractError):
    """A dispute needs the digest of its reason."""

    text = "the dispute of member {index} names no reason"
    advice = "give the non-zero 32-byte digest of the reason"
    index: int


class NotArbiter(ContractError):
    """Up to the deadline only the arbiter rules."""

    text = "{caller} is not the arbiter, who alone rules until its window is over"
    advice = "rule with the arbiter's key, or wait: after the window anyone can bring about the terms' default"
    caller: str


class RulingOutOfRange(ContractError):
    """There is no such ruling."""

    abi = ("uint8", "uint8")
    text = "there is no ruling {ruling}; they are numbered 0 to {maximum}"
    advice = "rule 0 settle, 1 void or 2 settle and forfeit"
    ruling: int
    maximum: int


class NotDefaultRuling(ContractError):
    """After the deadline only the terms' default can be brought about."""

    abi = ("uint8", "uint8")
    text = "the arbiter's window is over; only the terms' default ({expected_name}) is left, not {ruling_name}"
    advice = "resolve the dispute with the default of the terms"
    ruling: int
    expected: int

    def _shown(self) -> dict[str, Any]:
        names = {"ruling_name": named(RULINGS, self.ruling), "expected_name": named(RULINGS, self.expected)}
        return ContractError._shown(self) | names
