"""The files of a workspace against what the ledger holds: the check "evidence" of an audit.

The ledger holds the digest of every contribution's evidence document; a document holds what counts, κ in force and of
the next round, and the digests of bundle and model; the resolved terms, whose digest is on the ledger too, hold the
first κ and the first model. So every file that is here is checked along that chain, and files that are not here
contradict nothing. A file whose round has no attestation here is compared with nothing, which is said. Left out:
whether the evidence is true (``cocogen.evidence.attester``), and what is on the ledger (``chain.audit``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from cocogen.errors import LearningError, WorkspaceError
from cocogen.files import evidence_hash, measured_quality
from cocogen.ledger import Contribution, RoundOutcome
from cocogen.rounds.attested import Attested, contradictions
from cocogen.rounds.history import contributors
from cocogen.rounds.workspace import Workspace

if TYPE_CHECKING:
    from cocogen.terms.resolved import ResolvedTerms

__all__ = ["Evidence", "Signers", "check_evidence"]

Progress = Callable[[str, int, int], None]


class Signers(Protocol):
    """Whose signatures can be told; None where only a contract wallet could say."""

    @property
    def attester_is_contract(self) -> bool:
        """Whether a contribution may wait, without a signature, for the owners of the attester."""

    def contribution(self, number: int, index: int, contribution: Contribution, signature: bytes) -> bool | None:
        """Whether the attester signed this contribution of organization ``index`` to round ``number``."""

    def bundle(self, address: str, digest: bytes, signature: bytes) -> bool | None:
        """Whether ``address`` signed the bundle with this digest."""

    def registration(self, address: str, digest: bytes, signature: bytes) -> bool | None:
        """Whether ``address`` signed the registration with this digest."""


@dataclass(slots=True)
class Evidence:
    """What was found: in words what the ledger contradicts, and how many files were compared with it.

    ``missing``: rounds with contributions on the ledger whose attested.json is not here. ``unchecked``: files of these
    rounds, which are compared with nothing.
    """

    problems: list[str] = field(default_factory=list)
    unchecked: list[Path] = field(default_factory=list)
    rounds: int = 0
    missing: list[int] = field(default_factory=list)
    models: int = 0
    bundles: int = 0
    reasons: int = 0

    @property
    def files(self) -> int:
        return self.rounds + self.models + self.bundles + self.reasons


def check_evidence(
    workspace: Workspace,
    resolved: ResolvedTerms,
    terms_hash: bytes,
    outcomes: Sequence[RoundOutcome],
    signatures: Mapping[tuple[int, int], bytes],
    signers: Signers,
    progress: Progress | None = None,
) -> Evidence:
    """Compare every file of the workspace that the ledger or the terms cover.

    ``signatures``: those on the ledger, by round and organization. Files that cannot be read count as altered: they
    were written whole.
    """
    found = Evidence()
    in_force = dict(enumerate(measured_quality(resolved.quality)))
    if workspace.initial_model.exists():
        found.models += 1
        found.problems += _model(workspace.initial_model, resolved.model_digest)
    for number, outcome in enumerate(outcomes):
        if progress is not None:
            progress("comparing the evidence", number, len(outcomes))
        found.problems += _reasons(workspace, outcome, found)
        found.problems += _given(workspace, resolved, outcome)
        attested = _attested(workspace, resolved, terms_hash, outcome, in_force, found)
        if attested is not None:
            found.problems += _ledger(workspace, resolved, outcome, attested, signatures, signers)
            found.problems += _models(workspace, resolved, outcome, attested, found)
            found.problems += _bundles(workspace, resolved, outcome, attested, signers, found)
        for n, contributed in enumerate(contributors(outcome)):
            if contributed:
                _follow(in_force, attested, n)
    return found


def _follow(in_force: dict[int, float | None], attested: Attested | None, n: int) -> None:
    """Put κ of the next round, by the signed document, in force; it is not known where the document is not here."""
    document = None if attested is None else attested.documents[n]
    measurement = None if document is None else document.get("measurement")
    if not isinstance(measurement, dict) or "quality" not in measurement:
        in_force.pop(n, None)
    elif measurement["quality"] is not None:
        in_force[n] = measurement["quality"]


def _attested(
    workspace: Workspace,
    resolved: ResolvedTerms,
    terms_hash: bytes,
    outcome: RoundOutcome,
    in_force: Mapping[int, float | None],
    found: Evidence,
) -> Attested | None:
    path = workspace.attested(outcome.round)
    if not path.exists():
        if any(contribution is not None for contribution in outcome.contributions):
            found.missing.append(outcome.round)
            found.unchecked += _unattested(workspace, resolved, outcome)
        return None
    found.rounds += 1
    try:
        attested = Attested.from_dict(workspace.read_json(path), file=path)
    except WorkspaceError as error:
        found.problems.append(str(error))
        return None
    problems = list(contradictions(attested, outcome.round, terms_hash, resolved.names, in_force))
    found.problems += [f"{path}: {problem}" for problem in problems]
    return attested if len(attested.contributions) == len(resolved.names) else None


def _unattested(workspace: Workspace, resolved: ResolvedTerms, outcome: RoundOutcome) -> Iterator[Path]:
    """The files that only the attestation of their round could be compared with."""
    names = resolved.names
    models = [workspace.model(outcome.round), *(workspace.delivered(outcome.round, name) for name in names)]
    bundles = [
        workspace.bundle(outcome.round, name)
        for name, contribution in zip(names, outcome.contributions, strict=True)
        if contribution is not None
    ]
    return (path for path in (*models, *bundles) if path.exists())


def _ledger(
    workspace: Workspace,
    resolved: ResolvedTerms,
    outcome: RoundOutcome,
    attested: Attested,
    signatures: Mapping[tuple[int, int], bytes],
    signers: Signers,
) -> Iterator[str]:
    """Compare contributions and signatures with those on the ledger; what never got there must be signed at least."""
    path = workspace.attested(outcome.round)
    for n, name in enumerate(resolved.names):
        recorded, written, signature = outcome.contributions[n], attested.contributions[n], attested.signatures[n]
        if recorded is not None and written != recorded:
            yield f"{path}: the contribution of {name} is not the one on the ledger"
        elif written is not None and signature is None and not signers.attester_is_contract:
            yield f"{path}: the signature for {name} is missing"
        elif recorded is not None and signature not in (None, signatures.get((outcome.round, n))):
            yield f"{path}: the signature for {name} is not the one on the ledger"
        elif (
            recorded is None
            and written is not None
            and signature is not None
            and signers.contribution(outcome.round, n, written, signature) is False
        ):
            yield f"{path}: the attester has not signed the contribution of {name}"


def _given(workspace: Workspace, resolved: ResolvedTerms, outcome: RoundOutcome) -> Iterator[str]:
    """Look for copies of the round's model in the places of those who are not to be given it.

    Not while the round is open: an older export of the ledger may lie beside files of today. What was void only after
    it was recorded, by a ruling say, was delivered before.
    """
    if outcome.status == "open":
        return
    contributed = [contribution is not None for contribution in outcome.contributions]
    quorum = resolved.settlement_terms().quorum_bps
    recorded = sum(contributed) * 10_000 >= sum(outcome.participants) * quorum
    for name, gave in zip(resolved.names, contributed, strict=True):
        path = workspace.delivered(outcome.round, name)
        if not (recorded and gave) and path.exists():
            reason = f"{name} contributed nothing to it that was recorded" if recorded else "the round was void"
            yield f"{path}: {name} is not to have the model of round {outcome.round}: {reason}"


def _models(
    workspace: Workspace, resolved: ResolvedTerms, outcome: RoundOutcome, attested: Attested, found: Evidence
) -> Iterator[str]:
    """Compare the round's model, and the copies that its contributors were given, with the signed digest."""
    documents = [
        document
        for document, contribution in zip(attested.documents, attested.contributions, strict=True)
        if document is not None and contribution is not None and evidence_hash(document) == contribution.evidence_hash
    ]
    if not documents:
        return
    first = workspace.model(outcome.round)
    for path in (first, *(workspace.delivered(outcome.round, name) for name in resolved.names)):
        if path.exists() and (path == first or not first.exists() or not path.samefile(first)):
            found.models += 1
            yield from _model(path, str(documents[0].get("aggregated_model")))


def _model(path: Path, digest: str) -> Iterator[str]:
    from cocogen.learning.models.states import SharedModel

    try:
        if SharedModel.load(path).digest() != digest:
            yield f"{path}: its digest is not the one that was agreed"
    except LearningError as error:
        yield f"{path}: {error}"


def _bundles(
    workspace: Workspace,
    resolved: ResolvedTerms,
    outcome: RoundOutcome,
    attested: Attested,
    signers: Signers,
    found: Evidence,
) -> Iterator[str]:
    """Compare the bundles that were accepted with the digests in their documents."""
    from cocogen.rounds.bundle_audit import check_bundle

    for n, organization in enumerate(resolved.organization):
        path, document = workspace.bundle(outcome.round, organization.name), attested.documents[n]
        if document is not None and path.exists():
            found.bundles += 1
            yield from (
                f"{path}: {why}" for why in check_bundle(path, workspace, resolved, n, document, signers.bundle)
            )


def _reasons(workspace: Workspace, outcome: RoundOutcome, found: Evidence) -> Iterator[str]:
    """Compare the reason of a dispute, if it is here, with its digest on the ledger."""
    if outcome.dispute is None:
        return
    path = workspace.reason(outcome.round, outcome.dispute.reason_hash)
    if path.exists():
        found.reasons += 1
        try:
            digest = hashlib.sha256(path.read_bytes()).digest()
        except OSError as error:
            yield f"{path} cannot be read: {error.strerror or error}"
            return
        if digest != outcome.dispute.reason_hash:
            yield f"{path}: it is not the reason whose digest is on the ledger"
