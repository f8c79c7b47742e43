"""The audit: everything that a consortium's ledger claims, recomputed from its terms and judged check by check.

1. code        the runtime code is the shipped contract with these terms in its immutables
2. terms       terms, packed members and pair weights, terms hash and every liability follow from the terms file
3. events      the event log is complete, in order, and what the state machine accepts
4. signatures  every contribution bears the attester's signature over exactly its values
5. limits      participants, bonds, caps and deadlines were kept
6. settlement  profile hashes, payoffs (to the wei), their zero sum and the ledger hash
7. balances    replayed balances equal the contract's; it holds at least their total

A check says PASS, FAIL, INCOMPLETE (it could not be carried out: the replay broke off, or the attester is a contract
whose signatures only a node could check), or SKIPPED (there is nothing to check: a ledger in memory has no bytecode).
The audit reads a :class:`chain.record.LedgerRecord` and the terms, nothing else. What it cannot know: whether the
attested contributions are true, whom a withdrawal enriched (no state depends on it), and whether the record is really
the chain's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby, pairwise
from typing import Any, Literal

from chain import attestation
from chain.arithmetic import encode
from chain.build import Artifact, load_artifact
from chain.bytecode import blob_address, code_differences, immutable_values
from chain.errors import ContractError
from chain.record import MEMORY_CHAIN_ID, LedgerEvent, LedgerRecord, RoundView
from chain.replay import EVENT_ARGUMENTS, Finding, Replay, replay
from chain.terms import EncodedTerms, ScalarTerms
from cocogen.ledger import SettlementTerms

__all__ = ["CHECKS", "AuditReport", "Check", "Status", "audit"]

Status = Literal["PASS", "FAIL", "INCOMPLETE", "SKIPPED"]

CHECKS = ("code", "terms", "events", "signatures", "limits", "settlement", "balances")
"""The checks' stable names; their ids are 1 to 7."""

CONTRACT_NAME = "ConsortiumNative"

_RECORD_LENGTH = 84
_RECORD_FIELDS = (
    *(("account", 20), ("data_cap", 8), ("generated_cap", 8), ("compute_cap", 8)),
    *(("weight", 8), ("offset", 16), ("liability", 16)),
)


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its id from 1 and stable name, status, in words what was found, the first transaction at fault."""

    id: int
    name: str
    status: Status
    detail: str
    transaction: str | None


@dataclass(frozen=True, slots=True)
class AuditReport:
    """All checks. ``status`` is FAIL if one failed, else INCOMPLETE if one could not be carried out, else PASS."""

    status: Literal["PASS", "FAIL", "INCOMPLETE"]
    checks: tuple[Check, ...]


def audit(
    record: LedgerRecord, terms: SettlementTerms | EncodedTerms, *, artifact: Artifact | None = None
) -> AuditReport:
    """Judge a recorded ledger against the terms that the parties agreed.

    ``artifact`` is the compiled contract to compare the code with; by default the shipped one.

    Raises
    ------
    UnencodableTerms
        The terms given are not even terms.
    ArtifactInvalid
        The shipped contract cannot be read.
    """
    encoded = encode(terms) if isinstance(terms, SettlementTerms) else terms
    domain = attestation.Domain(record.chain_id, record.address)
    found = [*_terms(record, encoded), *_order(record), *_signatures(record, encoded, domain)]
    if record.runtime_code is not None:
        values = immutable_values(encoded, domain)
        found += _code(record, artifact or load_artifact(CONTRACT_NAME), values)
    elif record.chain_id != MEMORY_CHAIN_ID:
        found.append(Finding("code", f"there is no contract at {record.address}"))
    replayed: Replay | None = None
    try:
        replayed = replay(record, encoded)
    except ContractError as error:
        found.append(Finding("terms", f"the contract's constructor refuses these terms: {error}"))
    if replayed is not None:
        found += replayed.findings
        if replayed.stopped_at is None:
            found += _storage(record, replayed)
    checks = tuple(_judge(number, name, found, record, replayed) for number, name in enumerate(CHECKS, start=1))
    statuses = {check.status for check in checks}
    overall: Literal["PASS", "FAIL", "INCOMPLETE"] = "PASS"
    if "FAIL" in statuses:
        overall = "FAIL"
    elif "INCOMPLETE" in statuses:
        overall = "INCOMPLETE"
    return AuditReport(overall, checks)


def _judge(number: int, name: str, found: Sequence[Finding], record: LedgerRecord, replayed: Replay | None) -> Check:
    own = [finding for finding in found if finding.check == name]
    if own:
        more = f" (and {len(own) - 1} more)" if len(own) > 1 else ""
        return Check(number, name, "FAIL", own[0].detail + more, own[0].transaction)
    if name == "code" and record.runtime_code is None:
        return Check(number, name, "SKIPPED", "in-memory ledger: no bytecode", None)
    if name == "signatures" and record.attester_is_contract and _contributions(record):
        detail = "the attester is a contract (EIP-1271); its signatures need the state of a node at their time"
        return Check(number, name, "INCOMPLETE", detail, None)
    if name in ("events", "limits", "settlement", "balances"):
        if replayed is None:
            return Check(number, name, "INCOMPLETE", "the terms cannot be replayed", None)
        if replayed.stopped_at is not None:
            detail = f"the replay broke off at {replayed.stopped_at}"
            return Check(number, name, "INCOMPLETE", detail, replayed.stopped_at)
    return Check(number, name, "PASS", _success(name, record, replayed), None)


def _success(name: str, record: LedgerRecord, replayed: Replay | None) -> str:
    if name == "code":
        return f"{len(record.runtime_code or b'')} bytes, all immutables as the terms give them"
    if name == "terms":
        return f"terms hash 0x{record.storage.terms_hash.hex()}, {len(record.storage.liabilities)} liabilities"
    if name == "events":
        return f"{len(record.events)} events"
    if name == "signatures":
        return f"{len(_contributions(record))} attestations"
    if replayed is None:
        return ""
    if name == "limits":
        return f"{replayed.rounds} rounds, {replayed.contributions} contributions"
    if name == "settlement":
        return f"ledger 0x{record.storage.ledger.hex()}, rounding at most {replayed.largest_rounding:.3g} wei"
    return f"{record.storage.total_balance} wei in all, {record.storage.ether} wei held"


def _code(record: LedgerRecord, artifact: Artifact, values: dict[str, bytes]) -> Iterator[Finding]:
    for difference in code_differences(record.runtime_code or b"", artifact, values):
        yield Finding("code", difference, record.created_transaction)
    expected = blob_address(record.address)
    if record.blob_address != expected:
        detail = f"the terms blob is read from {record.blob_address}; the contract created {expected}"
        yield Finding("code", detail, record.created_transaction)


def _terms(record: LedgerRecord, terms: EncodedTerms) -> Iterator[Finding]:
    def differs(what: str, found: object, expected: object) -> Finding:
        return Finding("terms", f"{what} is {found} on the ledger, {expected} by the terms", record.created_transaction)

    storage = record.storage
    names = tuple(ScalarTerms.__dataclass_fields__)
    if len(storage.terms) != len(names):
        yield differs("the number of scalar terms", len(storage.terms), len(names))
    for name, found, expected in zip(names, storage.terms, terms.scalars.values, strict=False):
        if found != expected:
            yield differs(name, _hex(found), _hex(expected))
    if storage.terms_hash != terms.terms_hash:
        yield differs("the terms hash", _hex(storage.terms_hash), _hex(terms.terms_hash))
    if storage.liabilities != terms.liabilities:
        yield differs("the liabilities", storage.liabilities, terms.liabilities)
    if record.terms_blob != terms.blob:
        place = _blob_field(record.terms_blob, terms)
        yield Finding("terms", f"the terms blob differs from the terms {place}", record.created_transaction)


def _blob_field(blob: bytes, terms: EncodedTerms) -> str:
    """Say in words where a terms blob first differs from the one that the terms give."""
    if len(blob) != len(terms.blob):
        return f"in length: {len(blob)} bytes, not {len(terms.blob)}"
    at = next(i for i, (a, b) in enumerate(zip(blob, terms.blob, strict=True)) if a != b)
    if at == 0:
        return "in its STOP byte"
    member, rest = divmod(at - 1, _RECORD_LENGTH)
    if member >= len(terms.members):
        return f"in pair weight {(at - 1 - _RECORD_LENGTH * len(terms.members)) // 2} of the triangle"
    organization = terms.names[terms.organizations[member]]
    ends = accumulate(length for _, length in _RECORD_FIELDS)
    name = next(name for (name, _), end in zip(_RECORD_FIELDS, ends, strict=True) if rest < end)
    return f"in {name} of {organization}"


def _order(record: LedgerRecord) -> Iterator[Finding]:
    """Check what holds the log together: blocks, times, positions, and what one transaction can emit."""

    def wrong(detail: str, event: LedgerEvent) -> Finding:
        return Finding("events", detail, event.transaction)

    for event in record.events:
        if not record.created_block <= event.block <= record.storage.block:
            valid = f"{record.created_block} to {record.storage.block}"
            yield wrong(f"{event.name} in block {event.block}, outside the ledger's life ({valid})", event)
    for before, event in pairwise(record.events):
        if (event.block, event.log_index) <= (before.block, before.log_index):
            yield wrong(f"{event.name} stands out of order in the log", event)
        elif event.time < before.time or (event.block == before.block and event.time != before.time):
            yield wrong(f"{event.name} at {event.time} does not fit the event before it at {before.time}", event)
    by_transaction = sorted(record.events, key=lambda event: event.transaction)
    for _, group in groupby(by_transaction, key=lambda event: event.transaction):
        events = list(group)
        if len({(event.block, event.time, event.sender, event.value) for event in events}) > 1:
            yield wrong("the events of one transaction name different blocks, times, senders or values", events[0])
        names = [event.name for event in events]
        if events[0].sender is not None and len(names) > 1 and names != ["Accepted", "Deposited"]:
            yield wrong(f"one direct call cannot emit {', '.join(names)}", events[0])


def _contributions(record: LedgerRecord) -> list[LedgerEvent]:
    required = set(EVENT_ARGUMENTS["ContributionSubmitted"])
    return [event for event in record.events if event.name == "ContributionSubmitted" and required <= set(event.args)]


def _signatures(record: LedgerRecord, terms: EncodedTerms, domain: attestation.Domain) -> Iterator[Finding]:
    if record.attester_is_contract:
        return
    attester = terms.scalars.attester
    for event in _contributions(record):
        args: Any = event.args
        signed = ("round", "member", "data", "generated", "compute", "evidenceHash")
        try:
            struct_hash = attestation.contribution_struct_hash(terms.terms_hash, *(args[name] for name in signed))
        except ValueError as error:
            yield Finding("signatures", f"the contribution holds an impossible value: {error}", event.transaction)
            continue
        if not attestation.verify(domain.digest(struct_hash), args["attesterSignature"], attester):
            detail = f"the contribution of {args['member']} to round {args['round']} is not signed by {attester}"
            yield Finding("signatures", detail, event.transaction)


def _storage(record: LedgerRecord, replayed: Replay) -> Iterator[Finding]:
    """Compare the contract's final state with the twin's after the last event."""
    last = record.events[-1].transaction if record.events else None

    def differs(check: str, what: str, found: object, expected: object) -> Finding:
        return Finding(check, f"{what} is {_hex(found)} in storage, {_hex(expected)} by the events", last)

    storage, expected = record.storage, replayed.twin.storage()
    for name in RoundView.__dataclass_fields__:
        found, value = getattr(storage.round, name), getattr(expected.round, name)
        if found != value:
            yield differs("settlement" if name == "round_hash" else "events", f"round.{name}", found, value)
    for check, names in (
        ("events", ("accepted", "exiting", "contributions")),
        ("settlement", ("payoffs", "ledger")),
        ("balances", ("solvent", "balances", "total_balance")),
    ):
        for name in names:
            if getattr(storage, name) != getattr(expected, name):
                yield differs(check, name, getattr(storage, name), getattr(expected, name))
    if storage.ether < storage.total_balance:
        detail = f"the contract holds {storage.ether} wei for balances of {storage.total_balance} wei"
        yield Finding("balances", detail, last)


def _hex(value: object) -> object:
    return "0x" + value.hex() if isinstance(value, bytes) else value
