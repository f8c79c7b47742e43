"""What an organization, or the attester for its holdout, registers of its own data: one signed document.

The document says which terms it is for, how many rows there are of each class, the sums of :mod:`cocogen.data.own.sums`
(an organization's), and the root over the rows' leaves. Its canonical JSON is what is signed; ``purpose`` is in it, so
that the signature is good for nothing else. Whoever reads one trusts nothing: the file is bounded, and
:func:`check_registration` refuses what does not fit the terms, and sums that no rows could have.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cocogen.addresses import Address
from cocogen.data.own.leaves import DIGEST_BYTES, root
from cocogen.data.own.rows import SCALE
from cocogen.data.own.site import ATTESTER
from cocogen.data.own.sums import ChannelSums, LevelCounts, NumberSums, Sums, deviates_too_little
from cocogen.errors import RegistrationRefused
from cocogen.files import MAXIMUM_JSON_BYTES, canonical_json, parse_json, read_bounded, write_atomically
from cocogen.terms.consortium import Consortium
from cocogen.terms.schema import ImageSchema, NumberFeature, TableSchema
from cocogen.terms.sections import Slug

__all__ = [
    "ATTESTER",
    "RegisteredSums",
    "Registration",
    "RegistrationDocument",
    "check_registration",
    "read_leaves",
    "read_registration",
]

_VERSION: Literal[1] = 1
_PURPOSE: Literal["cocogen: registration of own data"] = "cocogen: registration of own data"
_MAXIMUM_SIGNATURE = 8_192
"""Bytes; a key's signature has 65, a contract wallet's as many as its owners need."""

_Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Rows = Annotated[int, Field(ge=0, lt=2**40)]
_Exact = Annotated[str, Field(pattern=r"^(0|[1-9][0-9]{0,59})$")]
"""An integer from 0 as decimal text: many programs would read JSON's numbers as doubles, which lose digits."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Number(_Record):
    count: _Rows
    missing: _Rows
    clipped: _Rows
    total: _Exact
    squares: _Exact


class _Category(_Record):
    counts: tuple[_Rows, ...]
    missing: _Rows


class _Channel(_Record):
    total: _Exact
    squares: _Exact


class RegisteredSums(_Record):
    """:class:`~cocogen.data.own.sums.Sums` of an organization's training rows, in the schema's order."""

    numbers: tuple[_Number, ...] = ()
    categories: tuple[_Category, ...] = ()
    channels: tuple[_Channel, ...] = ()


class RegistrationDocument(_Record):
    """What is signed. ``schema_digest``, ``terms_digest``: of the agreed schema and of the terms file, SHA-256.

    ``organization``: its name in the terms, or "attester". ``classes``, ``validation``: training and validation rows of
    each class; an attester's holdout is all in ``classes``. ``leaves``: of both, ``training`` of them come first.
    ``root``: over the leaves. ``sums``: None for a holdout, from which no scale is made.
    """

    purpose: Literal["cocogen: registration of own data"] = _PURPOSE
    version: Literal[1] = _VERSION
    consortium: Slug
    role: Literal["organization", "attester"]
    organization: Slug
    address: Address
    schema_digest: _Digest
    terms_digest: _Digest
    classes: tuple[_Rows, ...]
    validation: tuple[_Rows, ...]
    sums: RegisteredSums | None
    leaves: _Rows
    training: _Rows
    root: _Digest

    @classmethod
    def of(
        cls,
        terms: Consortium,
        organization: str,
        address: str,
        sums: Sums,
        root: bytes,
        *,
        attester: bool = False,
    ) -> RegistrationDocument:
        """What one site says under ``terms``; with ``attester`` the sums stay at home."""
        numbers = tuple(
            _Number(count=n.count, missing=n.missing, clipped=n.clipped, total=str(n.total), squares=str(n.squares))
            for n in sums.numbers
        )
        categories = tuple(_Category(counts=c.counts, missing=c.missing) for c in sums.categories)
        channels = tuple(_Channel(total=str(c.total), squares=str(c.squares)) for c in sums.channels)
        return cls(
            consortium=terms.consortium.name,
            role="attester" if attester else "organization",
            organization=organization,
            address=address,
            schema_digest=_schema(terms).digest(),
            terms_digest=terms.source_digest,
            classes=sums.classes,
            validation=sums.validation,
            sums=None if attester else RegisteredSums(numbers=numbers, categories=categories, channels=channels),
            leaves=sum(sums.classes) + sum(sums.validation),
            training=sum(sums.classes),
            root=root.hex(),
        )

    def encode(self) -> bytes:
        """Canonical JSON."""
        return canonical_json(self.model_dump(mode="json"))

    def digest(self) -> bytes:
        """SHA-256 of it, 32 bytes: what is signed."""
        return hashlib.sha256(self.encode()).digest()


@dataclass(frozen=True, slots=True)
class Registration:
    """A document with its signature: of a key 65 bytes, whatever a contract wallet takes, or none yet."""

    document: RegistrationDocument
    signature: bytes

    @classmethod
    def signed(cls, document: RegistrationDocument, sign: Callable[[bytes], bytes]) -> Registration:
        """The document with ``sign``'s signature of its digest."""
        return cls(document, sign(document.digest()))

    @property
    def sums(self) -> Sums:
        """As integers, to be added up; a holdout's have no numbers, categories or channels."""
        said, found = self.document, self.document.sums or RegisteredSums()
        return Sums(
            said.classes,
            said.validation,
            tuple(NumberSums(n.count, n.missing, n.clipped, int(n.total), int(n.squares)) for n in found.numbers),
            tuple(LevelCounts(c.counts, c.missing) for c in found.categories),
            tuple(ChannelSums(int(c.total), int(c.squares)) for c in found.channels),
        )

    def encode(self) -> bytes:
        """The file: canonical JSON of document and signature."""
        return canonical_json(
            {"document": self.document.model_dump(mode="json"), "signature": f"0x{self.signature.hex()}"}
        )

    def digest(self) -> bytes:
        """SHA-256 of the file, 32 bytes."""
        return hashlib.sha256(self.encode()).digest()

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all; WorkspaceError on failure."""
        write_atomically(path, self.encode())


def read_registration(source: Path | bytes, name: str = "") -> Registration:
    """A registration from its file, or from the file's bytes; ``name`` says then where they are from.

    Raises
    ------
    RegistrationRefused
        It is none, or too large; nothing of what it says is checked.
    """
    said = name or (source.name if isinstance(source, Path) else "somebody")
    try:
        content = source if isinstance(source, bytes) else read_bounded(source)
        if len(content) > MAXIMUM_JSON_BYTES:
            raise ValueError(f"larger than {MAXIMUM_JSON_BYTES:,} bytes")
        plain = parse_json(content)
        if not isinstance(plain, dict) or set(plain) != {"document", "signature"}:
            raise ValueError("not a document with its signature")
        signature = _signature(plain["signature"])
        version = plain["document"].get("version") if isinstance(plain["document"], dict) else None
        if type(version) is int and version != _VERSION:
            raise ValueError(f"version {version} of the format, and this CoCoGen knows {_VERSION}")
        document = RegistrationDocument.model_validate_json(canonical_json(plain["document"]))
    except OSError as error:
        raise RegistrationRefused(
            said, f"it cannot be read: {error.strerror or error}", hint="check the path"
        ) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise RegistrationRefused(said, f"{place or 'document'}: {first['msg']}", hint=_AGAIN) from None
    except (ValueError, RecursionError) as error:
        raise RegistrationRefused(said, str(error), hint=_AGAIN) from None
    return Registration(document, signature)


_AGAIN = "let its organization run cocogen register with this version and these terms, and send the file as it is"


def read_leaves(path: Path, registration: Registration) -> NDArray[np.uint8]:
    """The leaves that an organization sent to the attester, (n, 32) uint8.

    Raises
    ------
    RegistrationRefused
        They are not those over which it registered the root.
    """
    said = registration.document
    try:
        content = read_bounded(path, said.leaves * DIGEST_BYTES)
    except (OSError, ValueError) as error:
        reason = f"its leaves {path.name} cannot be read: {getattr(error, 'strerror', None) or error}"
        raise RegistrationRefused(said.organization, reason, hint=_LEAVES) from error
    if len(content) == said.leaves * DIGEST_BYTES:
        leaves = np.frombuffer(content, dtype=np.uint8).reshape(said.leaves, DIGEST_BYTES)
        if len(leaves) and root(leaves).hex() == said.root:
            return leaves
    reason = f"{path.name} does not hold the {said.leaves:,} leaves under its root"
    raise RegistrationRefused(said.organization, reason, hint=_LEAVES)


_LEAVES = "ask for the .leaves file that cocogen register wrote beside this registration"


def _signature(text: object) -> bytes:
    if not isinstance(text, str) or not re.fullmatch(r"0x(?:[0-9a-f]{2})*", text):
        raise ValueError("its signature is no 0x and hexadecimal digits")
    if len(text) > 2 + 2 * _MAXIMUM_SIGNATURE:
        raise ValueError(f"its signature has more than {_MAXIMUM_SIGNATURE:,} bytes")
    return bytes.fromhex(text[2:])


def _schema(terms: Consortium) -> TableSchema | ImageSchema:
    if (schema := terms.learning.schema_) is None:
        raise ValueError("terms without a schema register nothing")
    return schema


def check_registration(
    registration: Registration, terms: Consortium, verify: Callable[[str, bytes, bytes], bool]
) -> None:
    """See that a registration is one for these terms, signed by who it names, and of rows that there could be.

    ``verify`` tells whether a signature over a digest is that of an address: (address, digest, signature).

    Raises
    ------
    RegistrationRefused
        With the reason.
    """
    said, schema = registration.document, _schema(terms)

    def refuse(reason: str, hint: str = _AGAIN) -> RegistrationRefused:
        return RegistrationRefused(said.organization, reason, hint=hint)

    stated = _stated_address(registration, terms)
    for what, claimed, wanted in (
        ("consortium", said.consortium, terms.consortium.name),
        ("schema", said.schema_digest, schema.digest()),
        ("terms file", said.terms_digest, terms.source_digest),
    ):
        if claimed != wanted:
            digest = "" if what == "consortium" else " has the digest"
            raise refuse(f"its {what}{digest} {claimed}, not {wanted}", "register again with the agreed terms file")
    if stated is not None and stated.lower() != said.address.lower():
        raise refuse(f"its key is {said.address}, and the terms say {stated}", "register with the key of the terms")
    if not verify(said.address, said.digest(), registration.signature):
        raise refuse(f"it is not signed by {said.address}, or was altered after signing")
    for reason in _impossible(registration, schema):
        raise refuse(reason)


def _stated_address(registration: Registration, terms: Consortium) -> str | None:
    said = registration.document
    if said.role == "attester":
        if said.organization != ATTESTER:
            raise RegistrationRefused(said.organization, f"an attester's is called {ATTESTER}", hint=_AGAIN)
        return terms.settlement.attester
    if said.organization not in terms.names:
        names = ", ".join(terms.names)
        raise RegistrationRefused(
            said.organization, "no organization of the terms has this name", hint=f"it is one of {names}"
        )
    return terms.organization[terms.names.index(said.organization)].address


def _impossible(registration: Registration, schema: TableSchema | ImageSchema) -> list[str]:
    """Why no rows could have led to what it says, or why they may not; empty where some could."""
    said, sums = registration.document, registration.sums
    classes = len(schema.classes)
    if len(said.classes) != classes or len(said.validation) != classes:
        return [f"it counts {len(said.classes)} and {len(said.validation)} classes, not {classes}"]
    training, rows = sum(said.classes), sum(said.classes) + sum(said.validation)
    if said.training != training or said.leaves != rows or not training:
        return [
            f"it counts {training} training rows of {rows}, but has {said.training} leaves for them of {said.leaves}"
        ]
    found = [*_few("class", (*said.classes, *said.validation), schema.minimum_cell)]
    if said.role == "attester":
        if said.sums is not None or any(said.validation):
            found.append("a holdout has class counts and a root, no sums and no validation rows")
        return found
    if said.sums is None:
        return [*found, "it has no sums"]
    if isinstance(schema, ImageSchema):
        lengths, wanted = (len(sums.numbers), len(sums.categories), len(sums.channels)), (0, 0, schema.shape[0])
    else:
        lengths = (len(sums.numbers), len(sums.categories), len(sums.channels))
        wanted = (len(schema.numbers), len(schema.categories), 0)
    if lengths != wanted:
        return [
            *found,
            "it sums {} numbers, {} categories and {} channels, not {}, {} and {}".format(*lengths, *wanted),
        ]
    if isinstance(schema, ImageSchema):
        pixels = training * (schema.pixels // schema.shape[0])
        for n, channel in enumerate(sums.channels):
            found += _moments(f"channel {n}", pixels, channel.total, channel.squares, 255)
        return found
    for feature, number in zip(schema.numbers, sums.numbers, strict=True):
        found += _number(feature, number, training, rows, schema.minimum_cell)
    for category, levels in zip(schema.categories, sums.categories, strict=True):
        if len(levels.counts) != len(category.levels) or sum(levels.counts) + levels.missing != training:
            found.append(f"{category.name} counts other levels or rows than {len(category.levels)} and {training}")
        if category.missing == "refuse" and levels.missing:
            found.append(f"{category.name} is missing in {levels.missing} rows, which the schema refuses")
        found += _few(category.name, (*levels.counts, levels.missing), schema.minimum_cell)
    return found


def _number(feature: NumberFeature, own: NumberSums, training: int, rows: int, least: int) -> list[str]:
    name = feature.name
    found = _moments(name, own.count, own.total, own.squares, SCALE)
    found += _few(name, (own.count, own.missing, own.clipped), least)
    if own.count + own.missing != training or own.clipped > rows:
        found.append(f"{name} counts {own.count} values, {own.missing} missing and {own.clipped} clipped of {training}")
    if feature.missing == "refuse" and own.missing:
        found.append(f"{name} is missing in {own.missing} rows, which the schema refuses")
    if deviates_too_little(own):
        found.append(f"{name} deviates by less than 2^-20 of its range")
    return found


def _moments(name: str, count: int, total: int, squares: int, largest: int) -> list[str]:
    """Bounds of Σq and Σq² over ``count`` integers from 0 to ``largest``; q and q² are odd together."""
    possible = total <= count * largest and total**2 <= count * squares and squares <= largest * total
    if possible and (total - squares) % 2 == 0:
        return []
    return [f"{name} has sums that no {count} values within its bounds have"]


def _few(name: str, counts: tuple[int, ...], least: int) -> list[str]:
    few = [count for count in counts if 0 < count < least]
    return [f"{name} has a count of {few[0]}, and none between 1 and {least - 1} may leave a site"] if few else []
