"""Replays a recorded ledger through the contract's twin: what the events claim against what the rules produce.

Every event implies the call that must have emitted it. The calls are made again, in order, on a fresh twin; a call
that the rules refuse, or an event with other values than the twin's, is a :class:`Finding`. After a refused call the
twin no longer stands where the contract stands, so the replay ends there and says so.

Signatures are not verified here: the audit does that on its own, over all events, whatever the replay finds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from chain.encoding.states import RECORDED
from chain.encoding.terms import EncodedTerms
from chain.errors.chain import ArgumentOutOfRange
from chain.errors.contract import (
    BondLocked,
    BondTooSmall,
    CapExceeded,
    EvidenceMissing,
    InvalidRecipient,
    NoRoundsLeft,
    NotEnoughMembers,
    NotParticipant,
    TermsMismatch,
    TooEarly,
    TooLate,
    TotalBalanceTooLarge,
    WithdrawalExceedsBalance,
)
from chain.errors.disputes import (
    DisputeBondTooSmall,
    NotArbiter,
    NotDefaultRuling,
    TransferOutOfRange,
    TransfersEvidenceMissing,
    TransfersLengthInvalid,
    TransfersUnbalanced,
)
from chain.errors.reverts import ContractError
from chain.record.calls import Call, calls
from chain.record.values import Event, LedgerEvent, LedgerRecord
from chain.twin.machine import Twin
from cocogen.ledger import ZERO_ADDRESS

__all__ = ["EVENT_ARGUMENTS", "Finding", "Replay", "replay"]

EVENT_ARGUMENTS = {
    "Accepted": ("index", "member", "termsHash"),
    "Deposited": ("index", "member", "amount", "balance"),
    "Withdrawn": ("index", "to", "amount", "balance"),
    "ExitRequested": ("index",),
    "ExitCancelled": ("index",),
    "RoundOpened": ("round", "participants", "deadline"),
    "ContributionSubmitted": (
        *("round", "index", "member", "data", "generated", "compute"),
        *("evidenceHash", "attesterSignature"),
    ),
    "ProfileRecorded": ("round", "profileHash", "submitted"),
    "RoundVoided": ("round", "reason"),
    "TransfersSubmitted": (
        *("round", "transfersHash", "transfers"),
        *("evidenceHash", "attesterSignature", "deadline"),
    ),
    "DisputeRaised": ("round", "index", "member", "reasonHash", "deadline"),
    "DisputeResolved": ("round", "index", "ruling", "forfeited"),
    "Absent": ("round", "bitmap"),
    "PayoffCalculated": ("round", "payoffHash", "payoffs"),
    "PayoffTransferred": ("round", "ledger"),
}
"""Every event of the contract with its arguments, in ABI order."""

_CHECK_OF_ERROR: dict[type[Exception], str] = {
    TermsMismatch: "terms",
    **dict.fromkeys((EvidenceMissing, TransfersEvidenceMissing), "signatures"),
    **dict.fromkeys((BondLocked, BondTooSmall, CapExceeded, NoRoundsLeft, NotEnoughMembers), "limits"),
    **dict.fromkeys((NotParticipant, TooEarly, TooLate), "limits"),
    **dict.fromkeys((DisputeBondTooSmall, NotArbiter, NotDefaultRuling, TransferOutOfRange), "limits"),
    **dict.fromkeys((TransfersLengthInvalid, TransfersUnbalanced), "settlement"),
    **dict.fromkeys((InvalidRecipient, TotalBalanceTooLarge, WithdrawalExceedsBalance), "balances"),
}
_CHECK_OF_ARGUMENT = {
    "termsHash": "terms",
    "participants": "limits",
    "deadline": "limits",
    "profileHash": "settlement",
    "submitted": "settlement",
    "bitmap": "settlement",
    "payoffHash": "settlement",
    "payoffs": "settlement",
    "transfersHash": "settlement",
    "transfers": "settlement",
    "forfeited": "balances",
    "ledger": "settlement",
    "amount": "balances",
    "balance": "balances",
}
"""The check that answers for a refusal or for an argument; all others belong to "events"."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong: the name of the check it belongs to, in words, and the transaction (None: no single one)."""

    check: str
    detail: str
    transaction: str | None = None


@dataclass(slots=True)
class Replay:
    """The outcome: the twin after the last event that could be replayed, and what was found on the way.

    ``stopped_at`` is the transaction at which the replay had to end (None: it went through). ``rounds``,
    ``contributions`` and ``disputes`` count what was replayed.
    """

    twin: Twin
    findings: list[Finding] = field(default_factory=list)
    stopped_at: str | None = None
    rounds: int = 0
    contributions: int = 0
    disputes: int = 0


def replay(record: LedgerRecord, terms: EncodedTerms) -> Replay:
    """Make the calls that the record's events imply on a fresh twin of ``terms``.

    Raises
    ------
    ContractError
        The constructor refuses the terms themselves.
    """
    # signatures are judged apart, so a bad one does not end the replay
    twin = Twin(terms, chain_id=record.chain_id, address=record.address, verify=lambda *_: True)
    result = Replay(twin)
    for call in calls(record.events):
        first = call.events[0]
        try:
            emitted = _execute(twin, call)
        except (ContractError, ArgumentOutOfRange) as error:
            check = _CHECK_OF_ERROR.get(type(error), "events")
            result.findings.append(Finding(check, f"{first.name}: {error}", first.transaction))
            result.stopped_at = first.transaction
            break
        except _NoSuchCall as error:
            result.findings.append(Finding("events", f"{first.name}: {error}", first.transaction))
            result.stopped_at = first.transaction
            break
        result.findings.extend(_compare(call.events, emitted))
        _take_note(result, call.events[-1])
    return result


class _NoSuchCall(Exception):
    """No call of the contract emits these events."""


def _execute(twin: Twin, call: Call) -> tuple[Event, ...]:
    events, event = call.events, call.event
    for item in events:
        expected = EVENT_ARGUMENTS.get(item.name)
        if expected is None or set(item.args) != set(expected):
            raise _NoSuchCall(f"the contract has no event {item.name}({', '.join(item.args)})")
    args: Any = event.args
    settles_in_ether = twin.terms.scalars.token == ZERO_ADDRESS
    if call.value and not (event.name == "Deposited" and settles_in_ether):
        raise _NoSuchCall(f"the call cannot carry {call.value} wei")
    sender, time = call.sender or _presumed_sender(twin, event), event.time
    match event.name:
        case "Deposited":
            accepted: Any = events[0].args.get("termsHash", twin.terms.terms_hash)
            value = call.value if settles_in_ether and call.value is not None else args["amount"]
            return twin.deposit_submit(args["index"], accepted, sender=sender, time=time, value=value)
        case "Withdrawn":
            return twin.withdraw(args["index"], args["amount"], args["to"], sender=sender, time=time)
        case "ExitRequested":
            return twin.exit_request(args["index"], sender=sender, time=time)
        case "ExitCancelled":
            return twin.exit_cancel(args["index"], sender=sender, time=time)
        case "RoundOpened":
            return twin.round_open(sender=sender, time=time)
        case "ContributionSubmitted":
            parts = (args["index"], args["data"], args["generated"], args["compute"], args["evidenceHash"])
            return twin.contribution_submit(*parts, args["attesterSignature"], sender=sender, time=time)
        case "TransfersSubmitted":
            signed = (args["transfers"], args["evidenceHash"], args["attesterSignature"])
            return twin.transfers_submit(*signed, sender=sender, time=time)
        case "DisputeRaised":
            return twin.dispute_raise(args["index"], args["reasonHash"], sender=sender, time=time)
        case "DisputeResolved":
            return twin.dispute_resolve(args["ruling"], sender=sender, time=time)
        case "RoundVoided" if twin.phase == RECORDED:
            return twin.payoff_calculate(sender=sender, time=time)
        case "ProfileRecorded" | "RoundVoided":
            return twin.profile_record(sender=sender, time=time)
        case "PayoffCalculated":
            return twin.payoff_calculate(sender=sender, time=time)
        case "PayoffTransferred":
            return twin.payoff_transfer(sender=sender, time=time)
        case name:
            follower = "PayoffCalculated" if name == "Absent" else "Deposited"
            raise _NoSuchCall(f"{name} is followed by no {follower} of the same transaction")


def _presumed_sender(twin: Twin, event: LedgerEvent) -> str:
    """Return who must have made a call that came through another contract (events do not name callers)."""
    scalars, members = twin.terms.scalars, twin.terms.members
    if event.name in ("RoundOpened", "DisputeResolved"):
        return scalars.attester if event.name == "RoundOpened" else scalars.arbiter
    index: Any = event.args.get("index")
    return members[index].account if index is not None and 0 <= index < len(members) else ZERO_ADDRESS


def _compare(call: Sequence[LedgerEvent], emitted: Sequence[Event]) -> Iterator[Finding]:
    transaction = call[0].transaction
    names, expected_names = [event.name for event in call], [event.name for event in emitted]
    if names != expected_names:
        yield Finding(
            "events", f"the log has {', '.join(names)}, the rules give {', '.join(expected_names)}", transaction
        )
        return
    for event, expected in zip(call, emitted, strict=True):
        for name, value in expected.args.items():
            if event.args[name] != value:
                check = _CHECK_OF_ARGUMENT.get(name, "events")
                detail = f"{event.name}.{name} is {_shown(event.args[name])}, the rules give {_shown(value)}"
                yield Finding(check, detail, transaction)


def _take_note(result: Replay, event: LedgerEvent) -> None:
    if event.name == "RoundOpened":
        result.rounds += 1
    elif event.name == "ContributionSubmitted":
        result.contributions += 1
    elif event.name == "DisputeRaised":
        result.disputes += 1
    elif event.name == "PayoffCalculated":
        recorded: Any = event.args["payoffs"]
        if sum(recorded) != 0:
            result.findings.append(Finding("settlement", f"the payoffs sum to {sum(recorded)} wei", event.transaction))


def _shown(value: object) -> str:
    return "0x" + value.hex() if isinstance(value, bytes) else str(value)
