"""What travels between the server and the nodes, as Flower's records.

Models and evidence travel as the bytes of their files, in one Flower array of bytes each (Flower cuts it into chunks);
everything else is a number or a text. Neither side trusts the other: whatever is read here has a type, and a limit.

========  ====================================================================================================
query     server → node: nothing. Node → server: organization, and its signature of :func:`identity_digest`.
train     server → node: round, terms hash, real and synthetic samples to use, the shared model, and the
          organization's own control variate where there is one. Node → server: its signed evidence, or the reason
          why there is none.
challenged  server → node: which of its used rows it is to open. Node → server: these rows, or why not. Only where the
          terms say that rows are opened.
attested  server → node: what the attester signed for the organization, and the evidence document. Node → server: the
          transaction by which the organization handed it in, or why it did not. Only where each member submits itself.
recorded  server → node: the model of a round to which the ledger recorded its contribution. Node → server: nothing.
========  ====================================================================================================

A query must not cost a node the import of torch, so this module loads the learning engine only where it is needed.
Left out: what is done with all this (:mod:`.node`, :mod:`.strategy`).
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict

from cocogen.errors import LearningError
from cocogen.files import MAXIMUM_JSON_BYTES, canonical_json
from cocogen.ledger import Contribution
from cocogen.printable import printable

if TYPE_CHECKING:
    from cocogen.evidence.bundle import Bundle
    from cocogen.evidence.member import Assignment
    from cocogen.learning.models.states import ModelState, SharedModel

__all__ = [
    "ATTESTED",
    "CHALLENGED",
    "RECORDED",
    "Attestation",
    "Identity",
    "Order",
    "bytes_of_bundle",
    "challenge",
    "evidence",
    "identity_digest",
    "model",
    "opened",
    "read_attestation",
    "read_document",
    "read_evidence",
    "read_identity",
    "read_model",
    "read_order",
    "read_transaction",
    "readable",
    "refusal",
    "transaction",
]

CHALLENGED, ATTESTED, RECORDED = "query.challenged", "query.attested", "query.recorded"
"""Types of messages, beside Flower's own two."""

_MAXIMUM_TEXT = 400
_MAXIMUM_SIGNATURE = 8_192
_FILE, _FACTS, _VARIATE = "file", "facts", "variate"
_Fact = TypeVar("_Fact", str, bytes, int)
_Loaded = TypeVar("_Loaded")


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a node claims to belong to, with the organization's signature of :func:`identity_digest`."""

    organization: str
    signature: bytes

    def content(self) -> RecordDict:
        """As a node sends it."""
        return RecordDict({_FACTS: ConfigRecord({"organization": self.organization, "signature": self.signature})})


@dataclass(frozen=True, slots=True)
class Order:
    """One organization's work in a round: ``terms_hash`` (32 bytes) says under which agreement.

    ``variate``: the organization's control variate, None before it has one. ``commitment``: SHA-256, hexadecimal, of
    the nonce by which rows are drawn to be opened; None where none are.
    """

    round: int
    terms_hash: bytes
    assignment: Assignment
    base: SharedModel
    variate: ModelState | None = None
    commitment: str | None = None

    def content(self) -> RecordDict:
        """As the server sends it."""
        files = {_FILE: _file(_saved(self.base.save))}
        if self.variate is not None:
            files[_VARIATE] = _file(_saved(self.variate.save))
        facts: dict[str, int | bytes] = {
            "round": self.round,
            "terms_hash": self.terms_hash,
            "data": self.assignment.data,
            "raw": self.assignment.raw,
        }
        if self.commitment is not None:
            facts["commitment"] = bytes.fromhex(self.commitment)
        return RecordDict({_FACTS: ConfigRecord({**facts}), **files})


@dataclass(frozen=True, slots=True)
class Attestation:
    """What the attester signed for one organization in a round; ``document``: the evidence document as JSON."""

    round: int
    contribution: Contribution
    signature: bytes
    document: bytes

    def content(self) -> RecordDict:
        """As the server sends it."""
        signed = self.contribution
        facts: dict[str, int | bytes] = {
            "round": self.round,
            "data": signed.data,
            "generated": signed.generated,
            "compute": signed.compute,
            "evidence_hash": signed.evidence_hash,
            "signature": self.signature,
        }
        return RecordDict({_FACTS: ConfigRecord({**facts}), _FILE: _file(self.document)})


def read_attestation(content: RecordDict) -> Attestation:
    """What the server says was attested; LearningError when it is something else."""
    number, data, generated, compute = (_count(content, name) for name in ("round", "data", "generated", "compute"))
    digest, signature = _fact(content, "evidence_hash", bytes), _fact(content, "signature", bytes)
    document = _bytes(content)
    if len(digest) != 32 or len(signature) > _MAXIMUM_SIGNATURE or len(document) > MAXIMUM_JSON_BYTES:
        raise LearningError(
            f"a digest of {len(digest)}, a signature of {len(signature)} or a document of {len(document)} bytes"
        )
    return Attestation(number, Contribution(data, generated, compute, digest), signature, document)


def transaction(identifier: str) -> RecordDict:
    """By which transaction the organization handed its contribution in, as a node sends it."""
    return RecordDict({_FACTS: ConfigRecord({"transaction": identifier})})


def read_transaction(content: RecordDict) -> str:
    """What a node says of its submission; LearningError with its own reason where it refused."""
    record = content.get(_FACTS)
    if isinstance(record, ConfigRecord) and "refusal" in record:
        raise LearningError(readable(_fact(content, "refusal", str)))
    return readable(_fact(content, "transaction", str))


def challenge(drawn: Mapping[str, Any]) -> RecordDict:
    """Which rows the attester asks for, plain JSON values, as the server sends it."""
    return RecordDict({_FILE: _file(canonical_json(drawn))})


def opened(answer: Mapping[str, Any]) -> RecordDict:
    """The rows that a node opens, plain JSON values, as it sends them."""
    return RecordDict({_FILE: _file(canonical_json(answer))})


def read_document(content: RecordDict) -> bytes:
    """The JSON text of a challenge, or of what was opened; LearningError with its own reason where a node refused."""
    record = content.get(_FACTS)
    if isinstance(record, ConfigRecord) and "refusal" in record:
        raise LearningError(readable(_fact(content, "refusal", str)))
    if len(document := _bytes(content)) > MAXIMUM_JSON_BYTES:
        raise LearningError(f"a document of {len(document):,} bytes, more than {MAXIMUM_JSON_BYTES:,}")
    return document


def model(number: int, file: bytes) -> RecordDict:
    """The model of round ``number``, as the server sends it."""
    return RecordDict({_FACTS: ConfigRecord({"round": number}), _FILE: _file(file)})


def read_model(content: RecordDict) -> tuple[int, bytes]:
    """A round, and the bytes of what claims to be its model; LearningError when it is something else."""
    return _count(content, "round"), _bytes(content)


def identity_digest(terms_hash: bytes, run: int, node: int) -> bytes:
    """The 32 bytes by which an organization signs that a node of a run is its own: SHA-256 of canonical JSON.

    The document is none that any evidence could have, so the signature is good for nothing else.
    """
    document = {"purpose": "node", "terms_hash": terms_hash.hex(), "run": str(run), "node": str(node)}
    return hashlib.sha256(canonical_json(document)).digest()


def read_identity(content: RecordDict) -> Identity:
    """What a node answered to a query; LearningError when it is something else."""
    name = _fact(content, "organization", str)
    signature = _fact(content, "signature", bytes)
    if len(name) > _MAXIMUM_TEXT or len(signature) > _MAXIMUM_SIGNATURE:
        raise LearningError(f"a name of {len(name)} characters or a signature of {len(signature)} bytes")
    return Identity(name, signature)


def read_order(content: RecordDict) -> Order:
    """What the server asks for; LearningError when it is something else."""
    from cocogen.evidence.member import Assignment
    from cocogen.learning.models.states import ModelState, SharedModel

    numbers = {name: _fact(content, name, int) for name in ("round", "data", "raw")}
    if min(numbers.values()) < 0 or max(numbers.values()) >= 2**53:
        raise LearningError(f"the order counts {numbers}", hint="numbers from 0 to 2^53")
    base = _loaded(SharedModel.load, _bytes(content))
    variate = _loaded(ModelState.load, _bytes(content, _VARIATE)) if _VARIATE in content else None
    assignment = Assignment(data=numbers["data"], raw=numbers["raw"])
    return Order(numbers["round"], _fact(content, "terms_hash", bytes), assignment, base, variate, _commitment(content))


def _commitment(content: RecordDict) -> str | None:
    facts = content.get(_FACTS)
    if not isinstance(facts, ConfigRecord) or "commitment" not in facts:
        return None
    if len(bound := _fact(content, "commitment", bytes)) != 32:
        raise LearningError(f"the order is bound to {len(bound)} bytes, not 32")
    return bound.hex()


def evidence(bundle: bytes) -> RecordDict:
    """A bundle's file, as a node sends it."""
    return RecordDict({_FILE: _file(bundle)})


def bytes_of_bundle(bundle: Bundle) -> bytes:
    """The file that :meth:`Bundle.save` writes."""
    return _saved(bundle.save)


def refusal(reason: str) -> RecordDict:
    """Why a node sends no evidence."""
    return RecordDict({_FACTS: ConfigRecord({"refusal": reason[:_MAXIMUM_TEXT]})})


def read_evidence(content: RecordDict) -> bytes:
    """The bytes of what claims to be a bundle, which the attester will read.

    Raises
    ------
    LearningError
        There are none, or more than a bundle may have; the message is the node's own reason where it gave one.
    """
    if _FACTS in content:
        raise LearningError(readable(_fact(content, "refusal", str)))
    return _bytes(content)


def readable(text: str) -> str:
    """A stranger's text, cut and without anything that a terminal would obey: Flower's logs are read in one."""
    return printable(text, _MAXIMUM_TEXT)


def _file(content: bytes) -> ArrayRecord:
    return ArrayRecord({_FILE: Array("uint8", (len(content),), "bytes", content)})


def _saved(save: Callable[[Path], object]) -> bytes:
    with tempfile.TemporaryDirectory(prefix="cocogen-") as folder:
        path = Path(folder) / "content"
        save(path)
        return path.read_bytes()


def _loaded(load: Callable[[Path], _Loaded], content: bytes) -> _Loaded:
    with tempfile.TemporaryDirectory(prefix="cocogen-") as folder:
        path = Path(folder) / "content"
        path.write_bytes(content)
        return load(path)


def _bytes(content: RecordDict, part: str = _FILE) -> bytes:
    record = content.get(part)
    array = record.get(_FILE) if isinstance(record, ArrayRecord) else None
    if not isinstance(array, Array) or not isinstance(array.data, bytes):
        raise LearningError("the message holds no file")
    from cocogen.evidence.bundle import MAXIMUM_BUNDLE_BYTES

    if len(array.data) > MAXIMUM_BUNDLE_BYTES:
        raise LearningError(f"the file has {len(array.data):,} bytes, more than {MAXIMUM_BUNDLE_BYTES:,}")
    return array.data


def _count(content: RecordDict, name: str) -> int:
    found = _fact(content, name, int)
    if not 0 <= found < 2**63:
        raise LearningError(f"{name} = {found}", hint="numbers from 0 to 2^63")
    return found


def _fact(content: RecordDict, name: str, kind: type[_Fact]) -> _Fact:
    record = content.get(_FACTS)
    value = record.get(name) if isinstance(record, ConfigRecord) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        raise LearningError(f"the message has no {name} of type {kind.__name__}")
    return value
