"""Checks 1 and 2: the code on the chain and the terms in it, against the shipped contract and the agreed terms."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

from chain.artifacts import Artifact
from chain.audit.replay import Finding
from chain.contract.bytecode import blob_address, code_differences, immutable_values
from chain.encoding import signatures
from chain.encoding.terms import STAND_IN_LENGTH, EncodedTerms, ScalarTerms
from chain.record.values import MEMORY_CHAIN_ID, LedgerRecord
from cocogen.ledger import ZERO_ADDRESS

__all__ = ["check_code", "check_terms", "shown"]

_RECORD_LENGTH = 84
_RECORD_FIELDS = (
    *(("account", 20), ("data_cap", 8), ("generated_cap", 8), ("compute_cap", 8)),
    *(("weight", 8), ("offset", 16), ("liability", 16)),
)


def check_code(record: LedgerRecord, terms: EncodedTerms, artifact: Artifact) -> Iterator[Finding]:
    """Compare the runtime code, immutables masked and decoded, and where it reads its terms."""
    if record.runtime_code is None:
        if record.chain_id != MEMORY_CHAIN_ID:
            yield Finding("code", f"there is no contract at {record.address}")
        elif record.blob_address != ZERO_ADDRESS:
            yield Finding("code", f"a ledger in memory has no terms blob, so none at {record.blob_address}")
        return
    values = immutable_values(terms, signatures.Domain(record.chain_id, record.address))
    for difference in code_differences(record.runtime_code, artifact, values):
        yield Finding("code", difference, record.created_transaction)
    expected = blob_address(record.address)
    if record.blob_address != expected:
        detail = f"the terms blob is read from {record.blob_address}; the contract created {expected}"
        yield Finding("code", detail, record.created_transaction)


def check_terms(record: LedgerRecord, terms: EncodedTerms) -> Iterator[Finding]:
    """Compare the scalar terms, the terms hash, the liabilities, the terms blob and the stand-ins."""

    def differs(what: str, found: object, expected: object) -> Finding:
        return Finding("terms", f"{what} is {found} on the ledger, {expected} by the terms", record.created_transaction)

    storage = record.storage
    names = tuple(ScalarTerms.__dataclass_fields__)
    if len(storage.terms) != len(names):
        yield differs("the number of scalar terms", len(storage.terms), len(names))
    for name, found, expected in zip(names, storage.terms, terms.scalars.values, strict=False):
        if found != expected:
            yield differs(name, shown(found), shown(expected))
    if storage.terms_hash != terms.terms_hash:
        yield differs("the terms hash", shown(storage.terms_hash), shown(terms.terms_hash))
    if storage.liabilities != terms.liabilities:
        yield differs("the liabilities", storage.liabilities, terms.liabilities)
    if record.terms_blob != terms.blob:
        place = _blob_field(record.terms_blob, terms)
        yield Finding("terms", f"the terms blob differs from the terms {place}", record.created_transaction)
    if record.stand_ins_blob != terms.stand_ins_blob:
        place = _stand_in_field(record.stand_ins_blob, terms)
        yield Finding("terms", f"the stand-ins differ from the terms {place}", record.created_transaction)


def shown(value: object) -> object:
    """Return bytes as hexadecimal text, anything else as it is."""
    return "0x" + value.hex() if isinstance(value, bytes) else value


def _stand_in_field(blob: bytes, terms: EncodedTerms) -> str:
    """Say in words where the stand-ins first differ from those that the terms give."""
    if len(blob) != len(terms.stand_ins_blob):
        return f"in length: {len(blob)} bytes, not {len(terms.stand_ins_blob)}"
    at = next(i for i, (a, b) in enumerate(zip(blob, terms.stand_ins_blob, strict=True)) if a != b)
    if at == 0:
        return "in their STOP byte"
    return f"for {terms.names[terms.organizations[(at - 1) // STAND_IN_LENGTH]]}"


def _blob_field(blob: bytes, terms: EncodedTerms) -> str:
    """Say in words where a terms blob first differs from the one that the terms give."""
    if len(blob) != len(terms.blob):
        return f"in length: {len(blob)} bytes, not {len(terms.blob)}"
    at = next(i for i, (a, b) in enumerate(zip(blob, terms.blob, strict=True)) if a != b)
    if at == 0:
        return "in its STOP byte"
    member, rest = divmod(at - 1, _RECORD_LENGTH)
    if member >= len(terms.members):
        return f"in pair weight {(at - 1 - _RECORD_LENGTH * len(terms.members)) // 2} of the triangle"
    organization = terms.names[terms.organizations[member]]
    ends = accumulate(length for _, length in _RECORD_FIELDS)
    name = next(name for (name, _), end in zip(_RECORD_FIELDS, ends, strict=True) if rest < end)
    return f"in {name} of {organization}"
