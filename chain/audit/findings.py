"""What an audit hands over: its report, and what of the ledger the consortium's own files are compared with.

Left out: those files and the members' data, which lie beside the ledger (``cocogen.operations.verdict``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from chain.audit.auditor import audit
from chain.audit.report import AuditReport, incomplete
from chain.audit.second import ask_second_node
from chain.backends.urls import masked
from chain.contract.bytecode import in_layout_of, shipped_artifact
from chain.encoding.codec import encode
from chain.encoding.signatures import Domain, contribution_struct_hash, verify
from chain.encoding.terms import LAYOUT, EncodedTerms
from chain.errors.chain import NoContract, UnknownRevert
from chain.errors.reverts import ContractError
from chain.record.export import read_ledger
from chain.record.outcomes import round_outcomes
from chain.record.values import LedgerRecord
from cocogen.errors import LedgerError
from cocogen.ledger import Contribution, Deployment, LedgerProvider, RoundOutcome, SettlementTerms

__all__ = ["Claims", "Findings", "audit_deployment", "audit_export", "claims_of"]

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Claims:
    """What a ledger that replays says of the rounds.

    ``signatures``: the attester's, by round and organization. ``signers`` tells whose a signature is.
    """

    terms_hash: bytes
    outcomes: tuple[RoundOutcome, ...]
    signatures: Mapping[tuple[int, int], bytes]
    signers: Signers


@dataclass(frozen=True, slots=True)
class Findings:
    """The ``report`` of an audit, and what else the ledger says.

    ``layout``: that of the contract; None where there is no such contract. ``present``: it is the contract of today,
    with these terms. ``claims``: None where the log does not replay, so that nothing can be compared with it.
    """

    report: AuditReport
    layout: int | None = None
    present: bool = False
    claims: Claims | None = None


def audit_deployment(
    ledger: LedgerProvider,
    terms: SettlementTerms,
    deployment: Deployment,
    *,
    second_node: str | None = None,
    progress: Progress | None = None,
) -> Findings:
    """Collect a deployed consortium's ledger and judge it.

    ``second_node`` is the URL of a node that is asked for the same contract. An address without the contract fails the
    check of the code.

    Raises
    ------
    LedgerError
        The ledger cannot be read, or contradicts the deployment record, which is nobody's ledger then.
    """
    encoded = encode(terms)
    if progress is not None:
        progress("collecting the ledger", 0, 1)
    try:
        record: LedgerRecord = ledger.inspect(terms, deployment)
    except (ContractError, NoContract, UnknownRevert) as error:
        code, *others = incomplete("there is no such contract").checks
        return Findings(AuditReport("FAIL", (replace(code, status="FAIL", detail=str(error)), *others)))
    second = None if second_node is None else _second(second_node, record, encoded)
    return _findings(audit(record, encoded, second=second, progress=progress), record, encoded, ledger.is_wallet)


def audit_export(
    file: Path,
    terms: SettlementTerms,
    *,
    second_node: str | None = None,
    progress: Progress | None = None,
    note: Callable[[str], None] | None = None,
) -> Findings:
    """Judge a ledger that was exported to a file, without any chain; ``note`` is told what somebody should know.

    Raises
    ------
    AuditError
        The file cannot be read, or is no exported ledger.
    """
    exported = read_ledger(file, progress=progress)
    record, encoded = exported.record, encode(terms)
    deployed = in_layout_of(encoded, record.runtime_code, record.storage.terms_hash)
    if note is not None and exported.artifact != shipped_artifact(deployed).input_sha256:
        note("the ledger was exported by a version of CoCoGen with another build of the contract")
    second = None if second_node is None else _second(second_node, record, encoded)
    return _findings(audit(record, encoded, second=second, offline=True, progress=progress), record, encoded, None)


def _findings(
    report: AuditReport, record: LedgerRecord, terms: EncodedTerms, is_wallet: Callable[[str], bool] | None
) -> Findings:
    deployed = in_layout_of(terms, record.runtime_code, record.storage.terms_hash)
    replays = next(check for check in report.checks if check.name == "events").status == "PASS"
    return Findings(
        report,
        layout=deployed.layout,
        present=deployed.layout == LAYOUT and deployed.terms_hash == record.storage.terms_hash,
        claims=claims_of(record, deployed, is_wallet) if replays else None,
    )


def claims_of(record: LedgerRecord, terms: EncodedTerms, is_wallet: Callable[[str], bool] | None = None) -> Claims:
    """What a ledger that replays says, its terms in the layout of its contract; ``is_wallet`` tells contracts, where a
    node can."""
    signatures = {}
    for event in record.events:
        args: Any = event.args
        if event.name == "ContributionSubmitted":
            signatures[args["round"], terms.organizations[args["index"]]] = args["attesterSignature"]
    outcomes = round_outcomes(record.events, terms)
    return Claims(terms.terms_hash, outcomes, signatures, Signers(record, terms, is_wallet))


def _second(url: str, record: LedgerRecord, terms: EncodedTerms) -> LedgerRecord | str:
    """What the second node says at the record's block, or why it says nothing."""
    try:
        return ask_second_node(url, record, terms.contract_name)
    except LedgerError as error:
        return f"the second node {masked(url)} gave no answer: {error}"


class Signers:
    """Whose signatures the ledger's are (``cocogen.rounds.evidence_audit.Signers``); keys are told here, contracts only
    by a node and not at all now."""

    def __init__(self, record: LedgerRecord, terms: EncodedTerms, is_wallet: Callable[[str], bool] | None) -> None:
        self._domain = Domain(record.chain_id, record.address)
        self._terms = terms
        self.attester_is_contract = record.attester_is_contract
        self._is_wallet = is_wallet

    def contribution(self, number: int, index: int, contribution: Contribution, signature: bytes) -> bool | None:
        """Whether the attester signed this contribution of organization ``index`` to round ``number``."""
        account = self._terms.members[self._terms.positions[index]].account
        parts = (contribution.data, contribution.generated, contribution.compute, contribution.evidence_hash)
        digest = self._domain.digest(contribution_struct_hash(self._terms.terms_hash, number, account, *parts))
        if verify(digest, signature, self._terms.scalars.attester):
            return True
        return None if self.attester_is_contract else False

    def bundle(self, address: str, digest: bytes, signature: bytes) -> bool | None:
        """Whether ``address`` signed the bundle with this digest."""
        if verify(self._domain.evidence_digest(digest), signature, address):
            return True
        # what a wallet approved then it need not approve now
        return None if self._is_wallet is None or self._is_wallet(address) else False

    def registration(self, address: str, digest: bytes, signature: bytes) -> bool | None:
        """Whether ``address`` signed the registration with this digest, which was made before there was a contract."""
        if verify(digest, signature, address):
            return True
        return None if self._is_wallet is None or self._is_wallet(address) else False
