"""Runs the checks, each on its own, and turns what they found into the report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from chain.artifacts import Artifact
from chain.audit.deployed import check_code, check_terms
from chain.audit.log import check_log
from chain.audit.replay import Finding, Replay, replay
from chain.audit.report import CHECKS, AuditReport, Check, overall
from chain.audit.rounds import Payments, account, settled_rounds, tally
from chain.audit.second import check_second
from chain.audit.signatures import Signatures, check_signatures
from chain.audit.storage import check_storage
from chain.contract.bytecode import in_layout_of, shipped_artifact
from chain.encoding.codec import encode
from chain.encoding.terms import EncodedTerms
from chain.errors.reverts import ContractError
from chain.record.values import LedgerRecord
from cocogen.ledger import SettlementTerms

__all__ = ["audit"]

_BESIDE = {"evidence": "no files of the consortium were compared", "data": "no data were measured"}
"""The checks of what lies beside the ledger, which whoever has files or data fills in."""

_REPLAYED = ("events", "limits", "settlement", "balances")
"""The checks that need the replay of the whole log."""


def audit(
    record: LedgerRecord,
    terms: SettlementTerms | EncodedTerms,
    *,
    artifact: Artifact | None = None,
    second: LedgerRecord | str | None = None,
    offline: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
) -> AuditReport:
    """Judge a recorded ledger against the terms that the parties agreed.

    ``artifact`` is the compiled contract to compare the code with; by default the shipped one that these terms need, or
    the earlier one that was deployed. ``second`` is what a second node gives at the block of the record's storage, or
    in words why it gives nothing. ``offline`` says that the record was read from a file, where whatever a node alone
    can know is hearsay.
    ``progress`` is told (description, done, total) now and then.

    Raises
    ------
    UnencodableTerms
        The terms given are not even terms.
    ArtifactInvalid
        The shipped contract cannot be read.
    """
    encoded = encode(terms) if isinstance(terms, SettlementTerms) else terms
    encoded = in_layout_of(encoded, record.runtime_code, record.storage.terms_hash)
    confirmed = second if isinstance(second, LedgerRecord) else None
    signatures = check_signatures(record, encoded, progress, offline=offline, second=confirmed)
    seen = _Evidence(record, second, signatures)
    seen.findings += [*check_terms(record, encoded), *check_log(record, encoded), *seen.signatures.findings]
    seen.findings += check_code(record, encoded, artifact or shipped_artifact(encoded))
    if confirmed is not None:
        seen.findings += check_second(record, confirmed)
    if progress is not None:
        progress("replaying the log", 0, 1)
    try:
        seen.replayed = replay(record, encoded)
    except ContractError as error:
        seen.findings.append(Finding("terms", f"the contract's constructor refuses these terms: {error}"))
    accounting = None
    if seen.replayed is not None:
        seen.findings += seen.replayed.findings
        if seen.replayed.stopped_at is None:
            seen.findings += check_storage(record, seen.replayed)
        seen.payments = tally(settled_rounds(record.events, encoded), encoded)
        seen.findings += seen.payments.findings
        if len(record.storage.balances) == len(encoded.members):
            accounting = account(seen.payments, record, encoded)
    checks = tuple(_judge(number, name, seen) for number, name in enumerate(CHECKS, start=1))
    return AuditReport(overall(checks), checks, accounting, "file" if offline else "node")


@dataclass(slots=True)
class _Evidence:
    """Everything that the checks have brought to light."""

    record: LedgerRecord
    second: LedgerRecord | str | None
    signatures: Signatures
    replayed: Replay | None = None
    payments: Payments | None = None
    findings: list[Finding] = field(default_factory=list)


def _judge(number: int, name: str, seen: _Evidence) -> Check:
    own = [finding for finding in seen.findings if finding.check == name]
    if own:
        return _failed(number, name, own)
    if name in _BESIDE:
        return Check(number, name, "SKIPPED", _BESIDE[name], None)
    if name == "code" and seen.record.runtime_code is None:
        return Check(number, name, "SKIPPED", "in-memory ledger: no bytecode", None)
    if name == "cross-check" and not isinstance(seen.second, LedgerRecord):
        if seen.second is None:
            return Check(number, name, "SKIPPED", "no second node was asked", None)
        return Check(number, name, "INCOMPLETE", seen.second, None)
    if name == "signatures" and (doubted := seen.signatures.hearsay or seen.signatures.unanswered):
        return Check(number, name, "INCOMPLETE", _doubt(seen.signatures), doubted[0].transaction)
    if name in (*_REPLAYED, "rounding", "transfers"):
        if seen.replayed is None:
            return Check(number, name, "INCOMPLETE", "the terms cannot be replayed", None)
        if name in _REPLAYED and seen.replayed.stopped_at is not None:
            detail = f"the replay broke off at {seen.replayed.stopped_at}"
            return Check(number, name, "INCOMPLETE", detail, seen.replayed.stopped_at)
    return Check(number, name, "PASS", _success(name, seen), None)


def _failed(number: int, name: str, own: Sequence[Finding]) -> Check:
    more = f" (and {len(own) - 1} more)" if len(own) > 1 else ""
    return Check(number, name, "FAIL", own[0].detail + more, own[0].transaction)


def _doubt(signatures: Signatures) -> str:
    """Say which signatures of an attester that is a contract nobody vouches for."""
    reasons = []
    if signatures.hearsay:
        reasons.append(
            f"the file says that the attester's wallet accepted {len(signatures.hearsay)} of {signatures.count} "
            "signatures; only a node with the state of their time can confirm it: --second-node"
        )
    if signatures.unanswered:
        reasons.append(
            f"the attester is a contract (EIP-1271), and its answers for {len(signatures.unanswered)} of "
            f"{signatures.count} signatures are missing: they need a node with the state of their time"
        )
    return "; ".join(reasons)


def _success(name: str, seen: _Evidence) -> str:
    record, replayed, payments = seen.record, seen.replayed, seen.payments
    if name == "code":
        return f"{len(record.runtime_code or b'')} bytes, all immutables as the terms give them"
    if name == "terms":
        return f"terms hash 0x{record.storage.terms_hash.hex()}, {len(record.storage.liabilities)} liabilities"
    if name == "events":
        return f"{len(record.events)} events, each what the rules give"
    if name == "signatures":
        return f"{seen.signatures.count} signatures of the attester"
    if name == "cross-check":
        return f"code, {len(record.events)} events and storage are the same at block {record.storage.block}"
    if replayed is None or payments is None:
        return ""
    if name == "limits":
        return f"{replayed.rounds} rounds, {replayed.contributions} contributions"
    if name == "settlement":
        return f"ledger hash 0x{record.storage.ledger.hex()}"
    if name == "balances":
        return f"{record.storage.total_balance} wei in all, {record.storage.assets} wei held"
    if name == "rounding":
        if replayed.twin.terms.is_vector:
            return "vector mode: payoffs are the numbers that the attester signed; nothing is rounded"
        return f"at most {payments.largest_rounding:.3g} wei in {payments.rounds} rounds"
    return f"{sum(payments.paid)} wei between the members in {payments.rounds} rounds"
