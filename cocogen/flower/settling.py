"""What a node does once the attester has signed: compare, hand in with its own key over its own ledger, keep models.

The node believes the server nothing here either: what was signed must be what the node itself measured of the evidence
that it sent, by its own copy of it. Left out: the server's side (:mod:`.submission`), and how a ledger is opened.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from cocogen.errors import LearningError, SettlementRefused
from cocogen.files import evidence_hash, parse_json, write_atomically
from cocogen.flower.messages import Attestation
from cocogen.ledger import Contribution, Ledger, Member

if TYPE_CHECKING:
    from cocogen.evidence.bundle import Bundle

__all__ = ["Settling", "differences"]

_HANDED_IN = "the ledger has it already"


def differences(attested: Attestation, own: Bundle, caps: Member, terms_hash: bytes) -> Iterator[str]:
    """In words what was attested otherwise than the organization's ``own`` evidence has it; nothing if it is the same.

    ``caps``: the organization as the terms have it. The document is looked at as the attester's digest covers it.
    """
    try:
        document: Any = parse_json(attested.document)
        digest = evidence_hash(document)
    except ValueError as error:
        yield f"the document cannot be read: {error}"
        return
    if not isinstance(document, dict) or not isinstance(document.get("measurement"), dict):
        yield "the document is no evidence document"
        return
    signed, said, made = attested.contribution, document["measurement"], own.manifest
    if digest != signed.evidence_hash:
        yield "the document is not the one whose digest was signed"
    compared = [
        ("the terms", document.get("terms_hash"), terms_hash.hex()),
        ("the round", document.get("round"), attested.round),
        ("the round of the evidence", attested.round, made.round),
        ("the organization", said.get("organization"), caps.name),
        ("the bundle", said.get("bundle"), own.digest().hex()),
        ("the model that was started from", document.get("base_model"), made.base),
        ("the synthetic samples used", said.get("raw"), made.raw),
        ("the real samples that count", said.get("data"), min(made.real, caps.data_cap)),
        ("the gradient steps that count", said.get("compute"), min(len(made.training.real), caps.compute_cap)),
    ]
    yield from (f"{what} is {found!r}, not {mine!r}" for what, found, mine in compared if found != mine)
    counts = tuple(said.get(part) for part in ("data", "generated", "compute"))
    if counts != (signed.data, signed.generated, signed.compute):
        yield f"what counts is {counts} in the document, not what was signed"
    if signed.generated > made.raw:
        yield f"{signed.generated} effective synthetic samples of {made.raw} that were made"


@dataclass(frozen=True, slots=True)
class Settling:
    """How the organization of ``index`` hands in what was attested, by its ``ledger``, and keeps models in ``folder``.

    ``caps``: the organization as the terms have it. ``ledger`` is opened for each submission.
    """

    index: int
    caps: Member
    terms_hash: bytes
    folder: Path
    ledger: Callable[[], AbstractContextManager[Ledger]]

    def submit(self, attested: Attestation, evidence: bytes | None) -> str:
        """Hand in what was attested, if it is what the node measured; the transaction.

        ``evidence``: what the node sent in the round, None where it has nothing. Asked again, after a kill for example,
        it hands in what is missing.

        Raises
        ------
        LearningError
            It is not what the node measured, which the message says, or nobody but the server says that it was signed.
        LedgerError
            The ledger refuses it, or cannot be reached.
        """
        name = self.caps.name
        if evidence is None:
            raise LearningError(f"{name} sent no evidence of round {attested.round} that could have been attested")
        found = list(differences(attested, _loaded(evidence), self.caps, self.terms_hash))
        if found:
            raise LearningError(
                f"{name} does not hand in what was attested for round {attested.round}: {'; '.join(found)}",
                hint="ask the attester; the own evidence is in flower-orders of the workspace",
            )
        with self.ledger() as ledger:
            sent = self._handed_in(ledger, attested.round, attested.contribution, attested.signature)
        write_atomically(self._document(attested.round), attested.document)
        return sent

    def _handed_in(self, ledger: Ledger, number: int, contribution: Contribution, signature: bytes) -> str:
        state = ledger.state()
        if state.round != number or state.phase != "open":
            raise LearningError(f"round {number} is not open on this ledger: round {state.round} is {state.phase}")
        if state.submitted[self.index]:
            return _HANDED_IN
        if not ledger.is_attested(self.index, contribution, signature):
            raise LearningError(f"the attester has not signed the contribution of {self.caps.name}")
        try:
            return ledger.submit(self.index, contribution, signature).transaction or "in memory"
        except SettlementRefused:
            if ledger.state().submitted[self.index]:  # somebody relayed it meanwhile
                return _HANDED_IN
            raise

    def keep_model(self, number: int, file: bytes) -> Path:
        """Keep the model of a round, if it is the one that the attested document names; where.

        Raises
        ------
        LearningError
            It is another one, or the node knows of no such round.
        """
        from cocogen.learning.models.states import SharedModel

        try:
            expected = json.loads(self._document(number).read_bytes())["aggregated_model"]
        except (OSError, ValueError, KeyError) as error:
            raise LearningError(f"{self.caps.name} handed nothing in for round {number}: {error}") from error
        with TemporaryDirectory(prefix="cocogen-") as folder:
            path = Path(folder) / "model.npz"
            path.write_bytes(file)
            if SharedModel.load(path).digest() != expected:
                raise LearningError(f"the model of round {number} is not the one whose digest was attested")
        path = self.folder / "models" / f"{number:04d}.npz"
        write_atomically(path, file)
        return path

    def _document(self, number: int) -> Path:
        return self.folder / "attested" / f"{number:04d}.json"


def _loaded(evidence: bytes) -> Bundle:
    from cocogen.evidence.bundle import Bundle

    with TemporaryDirectory(prefix="cocogen-") as folder:
        path = Path(folder) / "own.bundle"
        path.write_bytes(evidence)
        return Bundle.load(path)
