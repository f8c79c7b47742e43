"""Check 4: the attester's signatures, over contributions and over vectors of transfers.

A private-key attester is checked here. A contract (EIP-1271) answers for its signatures itself, and its answer can
change: only what it said at the block of the signature counts, and only a node with that state can ask it. The record
holds those answers. A missing one leaves the check incomplete, unless the signature is a key's for that very address:
an account can get code later (EIP-7702). In a record read from a file, an answer is only what whoever wrote the file
says, flag and all: there it counts if a second node gives it too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chain.audit.replay import EVENT_ARGUMENTS, Finding
from chain.encoding import signatures
from chain.encoding.terms import EncodedTerms
from chain.record.values import LedgerEvent, LedgerRecord

__all__ = ["Signatures", "check_signatures"]

Progress = Callable[[str, int, int], None]

Answers = Mapping[tuple[int, int], LedgerEvent]
"""Events that hold a contract's answer, by block and position in it."""

_SIGNED = {
    "ContributionSubmitted": ("round", "member", "data", "generated", "compute", "evidenceHash"),
    "TransfersSubmitted": ("round", "transfersHash", "evidenceHash"),
}
"""The events that carry a signature, with what is signed besides the terms hash."""
_EVERY = 500


@dataclass(slots=True)
class Signatures:
    """How many signatures there are, which of them a contract's answers leave open, and what is wrong.

    ``unanswered`` lack an answer; of those in ``hearsay`` only a file says that the contract accepted them.
    """

    count: int = 0
    hearsay: list[LedgerEvent] = field(default_factory=list)
    unanswered: list[LedgerEvent] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def check_signatures(
    record: LedgerRecord,
    terms: EncodedTerms,
    progress: Progress | None = None,
    *,
    offline: bool = False,
    second: LedgerRecord | None = None,
) -> Signatures:
    """Verify every signature, whatever else is wrong with the log.

    ``offline``: the record was read from a file; a contract's answers are then those of the ``second`` node.
    """
    domain = signatures.Domain(record.chain_id, record.address)
    result = Signatures()
    for event in record.events:
        if event.attested is not None and not (record.attester_is_contract and event.name in _SIGNED):
            what = f"{event.name} holds a contract's answer to a signature, but no contract was asked"
            result.findings.append(Finding("signatures", what, event.transaction))
    signed = _signed_events(record.events)
    answers = _answers(record, second if offline else record)
    for event in signed:
        if progress is not None and result.count % _EVERY == 0:
            progress("verifying signatures", result.count, len(signed))
        result.count += 1
        wrong = _verify(record, event, terms, domain, answers)
        if wrong is None:
            (result.hearsay if event.attested else result.unanswered).append(event)
        elif wrong:
            result.findings.append(Finding("signatures", wrong, event.transaction))
    return result


def _signed_events(events: Sequence[LedgerEvent]) -> list[LedgerEvent]:
    """Return the events with a signature, but for malformed ones, which check 3 names."""
    return [event for event in events if event.name in _SIGNED and set(EVENT_ARGUMENTS[event.name]) <= set(event.args)]


def _answers(record: LedgerRecord, source: LedgerRecord | None) -> Answers:
    """Return the events of ``source`` with an answer, if it is a record of the same contract."""
    if source is None or (source.chain_id, source.address) != (record.chain_id, record.address):
        return {}
    return {(event.block, event.log_index): event for event in source.events if event.attested is not None}


def _answer(event: LedgerEvent, answers: Answers) -> bool | None:
    """Return what the contract said of exactly this event's signature; None if nobody knows."""
    known = answers.get((event.block, event.log_index))
    same = known is not None and (known.name, known.args) == (event.name, event.args)
    # whoever wrote a file may speak against it
    return False if event.attested is False else known.attested if known is not None and same else None


def _verify(
    record: LedgerRecord, event: LedgerEvent, terms: EncodedTerms, domain: signatures.Domain, answers: Answers
) -> str | None:
    """Return what is wrong with a signature ("": nothing), or None when only its contract could say."""
    args: Any = event.args
    attester = terms.scalars.attester
    is_contribution = event.name == "ContributionSubmitted"
    what = f"the contribution of {args['member']}" if is_contribution else "the vector of transfers"
    struct_hash_of: Callable[..., bytes] = (
        signatures.contribution_struct_hash if is_contribution else signatures.transfers_struct_hash
    )
    try:
        struct_hash = struct_hash_of(terms.terms_hash, *(args[name] for name in _SIGNED[event.name]))
    except ValueError as error:
        return f"{what} holds an impossible value: {error}"
    where = f"{what} to round {args['round']}"
    if record.attester_is_contract and (answer := _answer(event, answers)) is not None:
        return "" if answer else f"{where}: the contract {attester} does not own the signature (EIP-1271)"
    if signatures.verify(domain.digest(struct_hash), args["attesterSignature"], attester):
        return ""
    return None if record.attester_is_contract else f"{where} is not signed by {attester}"
