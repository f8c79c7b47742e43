"""A few of the rows that a member says it used, opened to the attester: is there a patient behind a leaf?

The attester draws a nonce before the round and tells its SHA-256 with the order; members sign it in their bundles. When
the bundles are in, the nonce is told, and with a member's own bundle it says which k of its used leaves are opened::

    word_j = SHA-256("cocogen challenge" ‖ 0x00 ‖ nonce ‖ digest of the bundle ‖ organization ‖ j), the first 8 bytes

Neither side chooses: the member has signed its bundle before it knows the nonce, the attester is bound to the nonce
before it knows the bundle. No other member's bundle goes in, for whoever lists them could invent some until a wanted
patient is drawn. A member opens for the one bundle of a round, so that however often it is asked, the same rows leave.
Left out: who asks and where answers lie (``cocogen.rounds.challenges``), and what a leaf is
(:mod:`cocogen.data.own.leaves`).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cocogen.data.own.leaves import Opening, opened_leaf
from cocogen.data.own.rows import row_width, unpacked
from cocogen.data.sources.base import RegisteredRows
from cocogen.errors import EvidenceRejected, LearningError
from cocogen.evidence.agreed import Agreed
from cocogen.evidence.bundle import Digest, Manifest
from cocogen.evidence.leaves import used
from cocogen.files import canonical_json
from cocogen.terms.schema import ImageSchema, TableSchema

__all__ = [
    "Answer",
    "Challenge",
    "Opened",
    "answer",
    "check_answer",
    "commitment",
    "drawn",
    "longest_answer",
    "new_nonce",
    "require_leaves",
]

_DOMAIN = b"cocogen challenge\x00"
_MAXIMUM_BUNDLES = 10_000


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Challenge(_Record):
    """What the attester tells when the bundles of a round are in, hexadecimal text.

    ``nonce``: 32 bytes, whose SHA-256 went out with the orders. ``bundles``: digests of the bundles that were in,
    ascending; one that comes later is not attested, for its member may know the nonce.
    """

    round: Annotated[int, Field(ge=1, lt=2**32)]
    nonce: Digest
    bundles: Annotated[tuple[Digest, ...], Field(max_length=_MAXIMUM_BUNDLES)]

    @property
    def commitment(self) -> str:
        """SHA-256 of the nonce."""
        return commitment(self.nonce)

    def to_plain(self) -> dict[str, Any]:
        """Plain JSON values; :meth:`from_plain` inverts."""
        return self.model_dump(mode="json")

    @classmethod
    def from_plain(cls, value: object) -> Challenge:
        """Rebuild from :meth:`to_plain`; LearningError when it is something else."""
        try:
            return cls.model_validate_json(canonical_json(value))
        except (ValidationError, ValueError, TypeError, RecursionError) as error:
            raise LearningError(f"not a challenge: {_first(error)}", hint="ask the attester for it again") from error


class _Row(_Record):
    """One :class:`~cocogen.data.own.leaves.Opening`, its bytes as hexadecimal text."""

    index: Annotated[int, Field(ge=0, lt=2**63)]
    row: Annotated[str, Field(pattern=r"^([0-9a-f]{2})*$")]
    label: Annotated[int, Field(ge=0, lt=2**32)]
    salt: Digest

    @property
    def opening(self) -> Opening:
        return Opening(self.index, bytes.fromhex(self.row), self.label, bytes.fromhex(self.salt))


class Answer(_Record):
    """The rows that a member opens, for the attester alone: ``bundle`` is the digest of the bundle that used them."""

    organization: Annotated[str, Field(min_length=1, max_length=64)]
    round: Annotated[int, Field(ge=1, lt=2**32)]
    bundle: Digest
    rows: tuple[_Row, ...]

    @property
    def openings(self) -> tuple[Opening, ...]:
        """The rows, as they were opened."""
        return tuple(row.opening for row in self.rows)

    def digest(self) -> str:
        """SHA-256 of the canonical JSON, hexadecimal; nobody guesses rows from it, for salts go in."""
        return hashlib.sha256(canonical_json(self.to_plain())).hexdigest()

    def to_plain(self) -> dict[str, Any]:
        """Plain JSON values; :meth:`from_plain` inverts."""
        return self.model_dump(mode="json")

    @classmethod
    def from_plain(cls, value: object, organization: str) -> Answer:
        """Rebuild from :meth:`to_plain`; EvidenceRejected, of ``organization``, when it is something else."""
        try:
            return cls.model_validate_json(canonical_json(value))
        except (ValidationError, ValueError, TypeError, RecursionError) as error:
            raise EvidenceRejected(
                organization, f"what it opened is malformed: {_first(error)}", hint="let it answer again"
            ) from error


def new_nonce() -> str:
    """32 bytes of the system's randomness, hexadecimal."""
    return secrets.token_hex(32)


def commitment(nonce: str) -> str:
    """SHA-256 of the nonce's bytes, hexadecimal: what members are told before they train."""
    return hashlib.sha256(bytes.fromhex(nonce)).hexdigest()


def drawn(nonce: str, manifest: Manifest, openings: int) -> NDArray[np.int64]:
    """Which of the leaves that a bundle says it used are opened, ascending: ``openings`` of them, or all if fewer.

    The first places of a Fisher-Yates shuffle; words that would favour the first leaves are drawn again.
    """
    leaves = used(manifest.leaves or "")
    start = hashlib.sha256(_DOMAIN + bytes.fromhex(nonce) + manifest.digest() + manifest.organization.encode())
    count, j = len(leaves), 0
    for place in range(min(openings, count)):
        left = count - place
        while True:
            state = start.copy()
            state.update(j.to_bytes(8, "big"))
            word, j = int.from_bytes(state.digest()[:8], "big"), j + 1
            if word < 2**64 - 2**64 % left:
                break
        other = place + word % left
        leaves[[place, other]] = leaves[[other, place]]
    return np.sort(leaves[: min(openings, count)])


def answer(challenge: Challenge, manifest: Manifest, openings: int, open_row: Callable[[int], Opening]) -> Answer:
    """What the member that signed ``manifest`` opens: the leaves that are drawn, and no others.

    Raises
    ------
    LearningError
        The challenge is not the one that was committed to before the bundle was signed, or not for this bundle.
    """
    name, digest = manifest.organization, manifest.digest().hex()
    if challenge.round != manifest.round or digest not in challenge.bundles:
        raise LearningError(
            f"{name} opens no row: the challenge of round {challenge.round} is not for its bundle of round "
            f"{manifest.round}",
            hint="the attester draws rows of the bundles that it has; it must have this one",
        )
    if challenge.commitment != manifest.challenge:
        raise LearningError(
            f"{name} opens no row: the nonce of the challenge is not the one that the attester bound itself to before "
            f"round {manifest.round}",
            hint="another nonce could be chosen to open a wanted row; do not answer it",
        )
    rows = []
    for index in drawn(challenge.nonce, manifest, openings).tolist():
        shown = open_row(index)
        rows.append(_Row(index=index, row=shown.row.hex(), label=shown.label, salt=shown.salt.hex()))
    return Answer(organization=name, round=manifest.round, bundle=digest, rows=tuple(rows))


@dataclass(frozen=True, slots=True)
class Opened:
    """What was drawn in a round, and what was opened of it, by the organization's index."""

    challenge: Challenge
    answers: Mapping[int, Answer]

    def check(self, n: int, manifest: Manifest, agreed: Agreed, rows: RegisteredRows | None) -> None:
        """EvidenceRejected, as :func:`check_answer` says, unless organization ``n`` opened the rows that were drawn."""
        schema = agreed.learning.schema_
        if rows is not None and rows.leaves is not None and schema is not None:
            check_answer(self.answers.get(n), self.challenge, manifest, agreed.openings, rows.leaves, schema)


def require_leaves(openings: int, opened: Opened | None, rows: Sequence[RegisteredRows | None]) -> None:
    """LearningError where ``openings`` rows are to be checked and nothing was drawn, or no leaves are here."""
    if openings and (opened is None or any(own is None or own.leaves is None for own in rows)):
        raise LearningError(
            f"{openings} rows of each member are to be opened, but "
            f"{'none were drawn' if opened is None else 'the registered leaves are not here'}",
            hint="rows are drawn when the bundles are in; leaves come with the registrations",
        )


def longest_answer(schema: TableSchema | ImageSchema, openings: int) -> int:
    """Bytes of the JSON text of an answer, at most."""
    return 1_000 + openings * (2 * row_width(schema) + 300)


def check_answer(
    given: Answer | None,
    challenge: Challenge,
    manifest: Manifest,
    openings: int,
    leaves: NDArray[np.uint8],
    schema: TableSchema | ImageSchema,
) -> None:
    """The member opened exactly the leaves drawn, and behind each is the row that it registered, a row of the schema.

    ``leaves``: (n, 32), as registered.

    Raises
    ------
    EvidenceRejected
        With the leaf and what is wrong, never with a value.
    """
    name, wanted = manifest.organization, drawn(challenge.nonce, manifest, openings).tolist()
    if given is None:
        raise EvidenceRejected(
            name,
            f"it has not opened the {len(wanted)} rows that were drawn",
            hint="its node answers while it can be reached",
        )
    if (given.organization, given.round, given.bundle) != (name, manifest.round, manifest.digest().hex()):
        raise EvidenceRejected(name, "it opened rows of another bundle", hint="let it answer again")
    if (found := [row.index for row in given.rows]) != wanted:
        raise EvidenceRejected(
            name, f"it opened the leaves {found}, not {wanted}, which were drawn", hint="let it answer again"
        )
    for shown in given.openings:
        if opened_leaf(shown) != leaves[shown.index].tobytes():
            raise EvidenceRejected(
                name,
                f"the row that it opened is not the one that it registered as leaf {shown.index}",
                hint="give its node the data as they were registered",
            )
        try:
            unpacked(
                schema,
                np.frombuffer(shown.row, dtype=np.uint8).reshape(1, -1),
                np.array([shown.label], dtype=np.int64),
            )
        except ValueError as error:
            raise EvidenceRejected(
                name, f"the row behind leaf {shown.index} is none of the schema: {error}", hint="register again"
            ) from error


def _first(error: Exception) -> str:
    """The first thing wrong, by its place and without its value, which may be a row."""
    if not isinstance(error, ValidationError):
        return "no JSON object"
    found = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return f"{'.'.join(map(str, found['loc'])) or 'the whole'}: {found['msg']}"
