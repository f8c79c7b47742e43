"""The attester's verdict on a round, as it is kept in the workspace: one JSON file, written once.

Whoever loads it checks it (:func:`contradictions`): the evidence documents, whose digests the attester signed, say what
was contributed, which κ is in force next, and how the model did; the rest of the file must say the same. Left out: how
the verdict is reached (``cocogen.evidence.attester``), and what the ledger says of it
(``cocogen.rounds.evidence_audit``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cocogen.errors import REASON_LIMIT, EvidenceRejected, WorkspaceError
from cocogen.files import canonical_json, evidence_hash
from cocogen.ledger import Contribution
from cocogen.printable import shorten

__all__ = ["Attested", "contradictions"]


_SHOWN = 100
"""Characters of a value that a message shows."""


@dataclass(frozen=True, slots=True)
class Attested:
    """What the attester made of a round: per organization the contribution with its signature, or None, and why not.

    A contribution without a signature waits for the owners of an attester that is a contract wallet.
    ``quality``: κ per organization for the next round, shape (N,), None where nobody generates. ``evaluation``:
    accuracy and loss of the aggregated model on the test fold. ``documents``: the evidence whose digest each
    contribution carries.
    """

    round: int
    contributions: tuple[Contribution | None, ...]
    signatures: tuple[bytes | None, ...]
    rejected: dict[str, str]
    quality: tuple[float | None, ...]
    evaluation: dict[str, float]
    documents: tuple[dict[str, Any] | None, ...]

    def signed(self, index: int, name: str, *, masks: bool) -> tuple[Contribution, bytes]:
        """What an organization can hand in; ``masks``: its absence costs it nothing.

        Raises
        ------
        WorkspaceError
            It waits for the signature of the attester's owners.
        EvidenceRejected
            It did not count, or there was none.
        """
        contribution, signature = self.contributions[index], self.signatures[index]
        if contribution is not None and signature is None:
            raise WorkspaceError(
                f"the contribution of {name} waits for the signature of the attester's owners",
                hint="they sign the digest that `cocogen attest` shows; then `cocogen attest --signatures FILE`",
            )
        if contribution is None or signature is None:
            reason = self.rejected.get(name, "no evidence was handed to the attester")
            pays = "" if masks else ", and pays what `cocogen plan` says"
            hint = f"without the attester's signature it is absent: it gets no model of the round{pays}"
            raise EvidenceRejected(name, reason, hint=hint)
        return contribution, signature

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; :meth:`from_dict` inverts."""
        return {
            "round": self.round,
            "contributions": [
                None
                if c is None
                else {
                    "data": c.data,
                    "generated": c.generated,
                    "compute": c.compute,
                    "evidence_hash": c.evidence_hash.hex(),
                }
                for c in self.contributions
            ],
            "signatures": [None if s is None else s.hex() for s in self.signatures],
            "rejected": self.rejected,
            "quality": list(self.quality),
            "evaluation": self.evaluation,
            "documents": list(self.documents),
        }

    @classmethod
    def from_dict(cls, value: dict[str, Any], *, file: Path) -> Attested:
        """Rebuild from :meth:`to_dict`; WorkspaceError when the file was altered."""
        try:
            attested = cls(
                round=value["round"],
                contributions=tuple(
                    None
                    if c is None
                    else Contribution(
                        _count(c["data"]),
                        _count(c["generated"]),
                        _count(c["compute"]),
                        bytes.fromhex(c["evidence_hash"]),
                    )
                    for c in value["contributions"]
                ),
                signatures=tuple(None if s is None else bytes.fromhex(s) for s in value["signatures"]),
                rejected={_text(name): _text(reason) for name, reason in value["rejected"].items()},
                quality=tuple(None if q is None else float(q) for q in value["quality"]),
                evaluation={key: float(number) for key, number in value["evaluation"].items()},
                documents=tuple(None if d is None else dict(d) for d in value["documents"]),
            )
            per_organization = (attested.contributions, attested.signatures, attested.quality, attested.documents)
            if len({len(entries) for entries in per_organization}) != 1:
                raise ValueError("its lists differ in length")
            canonical_json(value["documents"])  # what JSON files may hold, and no canonical form has: NaN
            return attested
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise WorkspaceError(
                f"{file} is not an attestation file: {error!r}", hint="restore it from a copy"
            ) from error


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no name or reason")
    return shorten(value, REASON_LIMIT)


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**64:
        raise ValueError(f"{value!r} is not a count")
    return value


def contradictions(
    attested: Attested,
    number: int,
    terms_hash: bytes,
    names: Sequence[str],
    in_force: Mapping[int, float | None] | None = None,
) -> Iterator[str]:
    """In words what a file of round ``number`` says against itself or its signed documents; nothing if it is sound.

    ``in_force``: κ during the round by the organization's index, where it is known; None where nobody generates.
    """
    known = {} if in_force is None else in_force
    if attested.round != number:
        yield f"it is of round {attested.round}, not {number}"
    if len(attested.contributions) != len(names):
        yield f"it is of {len(attested.contributions)} organizations, not {len(names)}"
        return
    models = set()
    for n, name in enumerate(names):
        contribution, document = attested.contributions[n], attested.documents[n]
        if contribution is None or document is None:
            if (contribution, document, attested.signatures[n]) != (None, None, None):
                yield f"the contribution of {name} has no evidence, or its evidence or signature no contribution"
            if n in known and attested.quality[n] != known[n]:
                yield f"κ of {name} was not measured, and is {attested.quality[n]} where {known[n]} is in force"
            continue
        if evidence_hash(document) != contribution.evidence_hash:
            yield f"the evidence of {name} is not the one whose digest was signed"
            continue
        models.add(document.get("aggregated_model"))
        yield from _document_contradictions(attested, n, name, terms_hash, known)
    if len(models) > 1:
        yield "its documents name different models"


def _document_contradictions(
    attested: Attested, n: int, name: str, terms_hash: bytes, in_force: Mapping[int, float | None]
) -> Iterator[str]:
    """What one document says otherwise than the file around it."""
    document: dict[str, Any] = attested.documents[n] or {}
    found = document.get("measurement")
    measurement: dict[str, Any] = found if isinstance(found, dict) else {}
    contribution = attested.contributions[n]
    counts = None if contribution is None else (contribution.data, contribution.generated, contribution.compute)
    says = [
        ("the round", document.get("round"), attested.round),
        ("the terms", document.get("terms_hash"), terms_hash.hex()),
        ("the organization", measurement.get("organization"), name),
        ("what counts", tuple(measurement.get(part) for part in ("data", "generated", "compute")), counts),
        ("κ of the next round", measurement.get("quality"), attested.quality[n]),
    ]
    if n in in_force:
        says.append(("κ in force", measurement.get("quality_in_force"), in_force[n]))
    # documents of version 1 do not hold these
    if document.get("version") != 1:
        says.append(("the evaluation", document.get("evaluation"), attested.evaluation))
        says.append(("who was refused", _cut(document.get("rejected")), attested.rejected))
    for what, signed, written in says:
        if signed != written:
            first, second = _apart(signed, written)
            yield f"the evidence of {name} says otherwise of {what}: {first}, not {second}"


def _cut(rejected: object) -> object:
    """Refusals as they are loaded: no reason is longer than the limit."""
    if isinstance(rejected, dict) and all(isinstance(reason, str) for reason in rejected.values()):
        return {_text(name): _text(reason) for name, reason in rejected.items()}
    return rejected


def _apart(signed: Any, written: Any) -> tuple[str, str]:
    """Two different values in words, of objects the first entry in which they differ; cut, for strangers wrote them."""
    if isinstance(signed, dict) and isinstance(written, dict):
        key = min((key for key in {*signed, *written} if signed.get(key) != written.get(key)), default="")
        signed, written = f"{key} = {signed.get(key)!r}", f"{key} = {written.get(key)!r}"
        return shorten(signed, _SHOWN), shorten(written, _SHOWN)
    return shorten(repr(signed), _SHOWN), shorten(repr(written), _SHOWN)
