"""The checks of an audit that need more than the ledger: files of the consortium, and its data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from chain.encoding.terms import EncodedTerms
    from chain.record.values import LedgerRecord
    from cocogen.data.sets import DataFolders
    from cocogen.ledger import Contribution
    from cocogen.rounds.loop import Progress
    from cocogen.rounds.workspace import Workspace
    from cocogen.terms.resolved import ResolvedTerms

__all__ = ["Verdict", "data_verdict", "evidence_verdict"]

Verdict = tuple[str, str]
"""Status and detail of a check."""


def evidence_verdict(
    workspace: Workspace,
    resolved: ResolvedTerms,
    record: LedgerRecord,
    terms: EncodedTerms,
    is_wallet: Callable[[str], bool] | None = None,
    bars: Progress | None = None,
) -> Verdict:
    """Compare the workspace's files with a ledger that replays; ``is_wallet`` tells contracts, where a node can."""
    from chain.record.outcomes import round_outcomes
    from cocogen.rounds.evidence_audit import check_evidence

    signatures = {}
    for event in record.events:
        args: Any = event.args
        if event.name == "ContributionSubmitted":
            signatures[args["round"], terms.organizations[args["index"]]] = args["attesterSignature"]
    outcomes = round_outcomes(record.events, terms)
    signers = _Signers(record, terms, is_wallet)
    found = check_evidence(workspace, resolved, terms.terms_hash, outcomes, signatures, signers, bars)
    if found.problems:
        more = f" (and {len(found.problems) - 1} more)" if len(found.problems) > 1 else ""
        return "FAIL", found.problems[0] + more
    if found.unchecked:
        first, others = found.unchecked[0], len(found.unchecked) - 1
        them = f"{first} and {others} more files are" if others else f"{first} is"
        rounds = ", ".join(map(str, found.missing))
        return "INCOMPLETE", (
            f"{them} here, but not the attestation that it is compared with; "
            f"the attester has attested.json of rounds {rounds}"
        )
    if not found.rounds:
        return "SKIPPED", f"no attestation of any round lies in {workspace.root}"
    counts = f"{found.rounds} rounds, {found.models} models, {found.bundles} bundles as they were signed"
    missing = ", ".join(map(str, found.missing))
    return "PASS", f"{counts}; no attestation of rounds {missing} is here" if missing else counts


class _Signers:
    """See :class:`cocogen.rounds.evidence_audit.Signers`; keys are told here, contracts only by a node and not at all
    now."""

    def __init__(self, record: LedgerRecord, terms: EncodedTerms, is_wallet: Callable[[str], bool] | None) -> None:
        from chain.encoding.signatures import Domain

        self._domain = Domain(record.chain_id, record.address)
        self._terms = terms
        self.attester_is_contract = record.attester_is_contract
        self._is_wallet = is_wallet

    def contribution(self, number: int, index: int, contribution: Contribution, signature: bytes) -> bool | None:
        from chain.encoding.signatures import contribution_struct_hash, verify

        account = self._terms.members[self._terms.positions[index]].account
        parts = (contribution.data, contribution.generated, contribution.compute, contribution.evidence_hash)
        digest = self._domain.digest(contribution_struct_hash(self._terms.terms_hash, number, account, *parts))
        if verify(digest, signature, self._terms.scalars.attester):
            return True
        return None if self.attester_is_contract else False

    def bundle(self, address: str, digest: bytes, signature: bytes) -> bool | None:
        from chain.encoding.signatures import verify

        if verify(self._domain.evidence_digest(digest), signature, address):
            return True
        # what a wallet approved then it need not approve now
        return None if self._is_wallet is None or self._is_wallet(address) else False


def data_verdict(resolved: ResolvedTerms, folders: DataFolders, *, asked: bool) -> Verdict:
    """Measure the agreed samples, label mixes and skew again; ``asked``: somebody named where the data are."""
    from cocogen.errors import ConfigurationError, LearningError
    from cocogen.operations.registration import measurement_disagreements

    try:
        found = measurement_disagreements(resolved, folders)
    except (ConfigurationError, LearningError) as error:
        reason = f"samples and label mixes cannot be measured again: {error}"
        return "INCOMPLETE" if asked else "SKIPPED", f"{reason}; {error.hint}" if error.hint else reason
    if found:
        return "FAIL", f"the data contradict the terms in {', '.join(found)}"
    return "PASS", f"samples, label mixes and skew of {len(resolved.names)} organizations, measured again"
