"""What the rounds so far left behind: the files of a workspace, believed only as far as the ledger bears them out.

The ledger holds the digest of every contribution's evidence document. A document holds what counts, κ of the next round
and the digests of bundle and model; the resolved terms hold the first κ and the first model. Everything here follows
that chain, reads the files again on every call, writes nothing, and raises at the first file that is missing or says
otherwise. Left out: what is done in a round (``cocogen.rounds.loop``), and the list of everything that contradicts the
ledger (``cocogen.rounds.evidence_audit``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cocogen.errors import WorkspaceError
from cocogen.files import evidence_hash, measured_quality
from cocogen.ledger import Ledger, RoundOutcome
from cocogen.rounds.attested import Attested, contradictions
from cocogen.rounds.workspace import Workspace
from cocogen.terms.resolved import ResolvedTerms

if TYPE_CHECKING:
    from cocogen.evidence.bundle import Bundle
    from cocogen.learning.models.states import SharedModel

__all__ = ["History", "contributors", "held_rounds", "load_model"]


def contributors(outcome: RoundOutcome) -> tuple[bool, ...]:
    """Whose contribution the ledger recorded in a round that is not void: (N,) flags, all False while it is open."""
    final = outcome.status not in ("open", "voided")
    return tuple(final and contribution is not None for contribution in outcome.contributions)


def held_rounds(outcomes: Sequence[RoundOutcome], count: int, before: int) -> list[int]:
    """The round whose model each of ``count`` organizations holds before round ``before``; 0: the registered one."""
    held = [0] * count
    for outcome in outcomes:
        if outcome.round < before:
            held = [outcome.round if given else last for given, last in zip(contributors(outcome), held, strict=True)]
    return held


def load_model(path: Path, digest: str) -> SharedModel:
    """The model in a file; WorkspaceError unless it has this digest, LearningError where it cannot be read."""
    from cocogen.learning.models.states import SharedModel

    model = SharedModel.load(path)
    if model.digest() != digest:
        raise WorkspaceError(
            f"{path} was altered: its digest is not the one that was agreed", hint="restore it from a copy"
        )
    return model


class History:
    """The rounds of one consortium as its ledger, its workspace and its resolved terms tell them together."""

    def __init__(self, resolved: ResolvedTerms, ledger: Ledger, workspace: Workspace) -> None:
        self.resolved = resolved
        self.ledger = ledger
        self.workspace = workspace

    def attested(self, number: int) -> Attested:
        """What the attester made of a round.

        Raises
        ------
        WorkspaceError
            Before it did, and where the file says something else than the evidence that was signed, or than κ in force.
        """
        return self._attested(number, dict(enumerate(measured_quality(self.quality(number)))))

    def _attested(self, number: int, in_force: Mapping[int, float | None] | None = None) -> Attested:
        path = self.workspace.attested(number)
        attested = Attested.from_dict(self.workspace.read_json(path), file=path)
        for problem in contradictions(attested, number, self.ledger.decoded.terms_hash, self.resolved.names, in_force):
            raise WorkspaceError(f"{path} was altered: {problem}", hint="restore the file from a copy")
        return attested

    def documents(self, outcome: RoundOutcome) -> dict[int, dict[str, Any]]:
        """The evidence documents of a round's contributions that the ledger recorded, by the organization's index.

        Raises
        ------
        WorkspaceError
            When the round's attestation is missing or altered, or a document is not the one whose digest was recorded.
        """
        documents = self._attested(outcome.round).documents
        found = {}
        for n, contribution in enumerate(outcome.contributions):
            if contribution is None:
                continue
            document = documents[n]
            if document is None or evidence_hash(document) != contribution.evidence_hash:
                raise WorkspaceError(
                    f"{self.workspace.attested(outcome.round)} was altered: the evidence of {self.resolved.names[n]} "
                    "is not what the ledger recorded",
                    hint="restore the file from a copy",
                )
            found[n] = document
        return found

    def quality(self, number: int) -> NDArray[np.float64]:
        """κ in force in round ``number``: (N,) in [0, 1], NaN where nobody generates. It is the one measured in the
        last round before that recorded a contribution of the organization, at first the one of the terms.

        Raises
        ------
        WorkspaceError
            When the attestation of an earlier round is missing or altered.
        """
        quality = self.resolved.quality
        for outcome in self.ledger.outcomes():
            if outcome.round < number and any(contributors(outcome)):
                for n, document in self.documents(outcome).items():
                    if (measured := document["measurement"]["quality"]) is not None:
                        quality[n] = float(measured)
        return quality

    def agreed_model(self, outcome: RoundOutcome) -> str:
        """The digest of a recorded round's model, by the evidence that the ledger recorded.

        Raises
        ------
        WorkspaceError
            As :meth:`documents`.
        """
        return str(next(iter(self.documents(outcome).values()))["aggregated_model"])

    def base_models(self, number: int, organizations: Sequence[int] | None = None) -> list[SharedModel]:
        """The model each organization holds: the aggregate of the last round before ``number`` that recorded its
        contribution, or the registered one, which also stands for organizations other than those named (default: all).

        Raises
        ------
        WorkspaceError
            When one of these models or the attestation of its round is missing or altered.
        LearningError
            When a model cannot be read.
        """
        names, outcomes = self.resolved.names, self.ledger.outcomes()
        held = held_rounds(outcomes, len(names), number)
        wanted = range(len(names)) if organizations is None else organizations
        origins = {held[n] for n in wanted}
        digests = {0: self.resolved.model_digest}
        for outcome in outcomes:
            if outcome.round in origins:
                digests[outcome.round] = self.agreed_model(outcome)
        models = {0: self.model(0, digests[0])}
        for n in wanted:
            if held[n] not in models:
                models[held[n]] = self.model(held[n], digests[held[n]], names[n])
        return [models[held[n] if n in wanted else 0] for n in range(len(names))]

    def model(self, number: int, digest: str, name: str = "") -> SharedModel:
        """The shared model after a round, 0 being the registered one, as the attester has it, or as organization
        ``name`` was given it.

        Raises
        ------
        WorkspaceError
            When it is in neither place, or has another digest than ``digest``.
        LearningError
            When its file cannot be read.
        """
        path = self.workspace.model(number)
        if not path.exists() and name:
            path = self.workspace.delivered(number, name)
        if not path.exists():
            hint = "restore it from a copy" if number == 0 else f"ask the attester for it, or restore {name}'s copy"
            raise WorkspaceError(f"{path} is not there", hint=hint)
        return load_model(path, digest)

    def accepted_bundle(self, outcome: RoundOutcome, index: int) -> Bundle:
        """The bundle of organization ``index`` that was accepted in a round, after making sure that it is the one whose
        digest was recorded; while the round is open, the one that was attested.

        Raises
        ------
        WorkspaceError
            When it is not there, or it or the round's attestation was altered.
        EvidenceRejected
            When its file cannot be read.
        """
        from cocogen.evidence.bundle import Bundle

        name, path = self.resolved.names[index], self.workspace.bundle(outcome.round, self.resolved.names[index])
        attested = self.attested(outcome.round)
        document, recorded = attested.documents[index], outcome.contributions[index] or attested.contributions[index]
        if document is None or recorded is None or evidence_hash(document) != recorded.evidence_hash:
            raise WorkspaceError(
                f"{self.workspace.attested(outcome.round)} was altered: the evidence of {name} is not what was "
                "recorded",
                hint="restore the file from a copy",
            )
        if not path.exists():
            raise WorkspaceError(
                f"{path} is not there: what {name} contributed to round {outcome.round} cannot be looked at again",
                hint="put the organization's bundle in its place",
            )
        bundle = Bundle.load(path)
        measurement = document["measurement"]
        attested_digest = measurement.get("bundle") if isinstance(measurement, dict) else None
        if bundle.digest().hex() != attested_digest or not bundle.is_intact():
            raise WorkspaceError(
                f"{path} was altered: it is not the bundle that was attested", hint="restore it from a copy"
            )
        return bundle
