"""Is the code on a chain the shipped contract, and with exactly these terms in it?

The runtime code is the artifact's with 32-byte immutables (the scalar terms among them) written into it by the
constructor; the artifact has zeros in their places. All of them follow from the terms, the chain and the address, so
the whole code can be predicted; a difference is named by the immutable that it falls into. Left out: compiling and
loading artifacts (``chain.contract.build``).

Consortia deployed with the contracts of an earlier layout keep them: which they are is told by their code.
"""

from __future__ import annotations

from collections.abc import Mapping

from chain.abi import WORD, address_bytes, checksum_address, keccak256, word
from chain.artifacts import ARTIFACTS, Artifact, load_artifact
from chain.encoding import signatures
from chain.encoding.terms import FIRST_LAYOUT, LAYOUT, EncodedTerms
from cocogen.ledger import ZERO_ADDRESS

__all__ = [
    "blob_address",
    "code_differences",
    "immutable_values",
    "in_layout_of",
    "is_artifact_code",
    "mask_immutables",
    "shipped_artifact",
    "stand_ins_address",
]


def shipped_artifact(terms: EncodedTerms) -> Artifact:
    """Return the compiled contract that holds terms of this asset, mode and layout.

    Raises
    ------
    ArtifactInvalid
        It is missing or cannot be read.
    """
    directory = ARTIFACTS if terms.layout == LAYOUT else ARTIFACTS / str(terms.layout)
    return load_artifact(terms.contract_name, directory)


def in_layout_of(terms: EncodedTerms, code: bytes | None, terms_hash: bytes) -> EncodedTerms:
    """Return the terms in the layout of the shipped contract whose runtime code it is.

    A ledger in memory has no code: there the layout is that in which the terms have the ledger's ``terms_hash``. Terms
    that no earlier contract can hold, and code that is no shipped contract's, leave the layout as it is.
    """
    if code is None:
        return terms.hashed_as(terms_hash)
    for layout in (LAYOUT,) if terms.stand_ins else (LAYOUT, FIRST_LAYOUT):
        if is_artifact_code(code, shipped_artifact(terms.in_layout(layout))):
            return terms.in_layout(layout)
    return terms


def mask_immutables(code: bytes, artifact: Artifact) -> bytes:
    """Return ``code`` with zeros in the places of the artifact's immutables."""
    masked = bytearray(code)
    for places in artifact.immutable_references.values():
        for start, length in places:
            masked[start : start + length] = bytes(length)
    return bytes(masked)


def is_artifact_code(code: bytes, artifact: Artifact) -> bool:
    """Tell whether runtime ``code`` is that of ``artifact``, whatever its immutables."""
    expected = artifact.deployed_bytecode
    return len(code) == len(expected) and mask_immutables(code, artifact) == mask_immutables(expected, artifact)


def blob_address(contract: str) -> str:
    """Return the address of the first contract that ``contract`` creates, its terms blob: CREATE with nonce 1."""
    return _created(contract, 1)


def stand_ins_address(contract: str) -> str:
    """Return the address of the second contract that ``contract`` creates, its stand-ins, where it has any."""
    return _created(contract, 2)


def immutable_values(terms: EncodedTerms, domain: signatures.Domain) -> dict[str, bytes]:
    """Return the 32-byte value of every immutable of the contract, by its name in the sources."""
    scalars = {name.upper(): word(getattr(terms.scalars, name)) for name in terms.scalars.__dataclass_fields__}
    return scalars | {
        "TERMS_HASH": terms.terms_hash,
        "TERMS_BLOB": word(blob_address(domain.contract)),
        "STAND_INS": word(stand_ins_address(domain.contract) if terms.stand_ins else ZERO_ADDRESS),
        "MEMBER_COUNT": word(len(terms.members)),
        "_cachedDomainSeparator": domain.separator,
        "_cachedChainId": word(domain.chain_id),
        "_cachedThis": word(domain.contract),
        "_hashedName": keccak256(signatures.DOMAIN_NAME.encode()),
        "_hashedVersion": keccak256(signatures.DOMAIN_VERSION.encode()),
        "_name": _short_string(signatures.DOMAIN_NAME),
        "_version": _short_string(signatures.DOMAIN_VERSION),
    }


def code_differences(code: bytes, artifact: Artifact, values: Mapping[str, bytes]) -> list[str]:
    """Return in words how ``code`` differs from the artifact with ``values`` in the places of its immutables."""
    expected = artifact.deployed_bytecode
    if len(code) != len(expected):
        return [f"the code has {len(code)} bytes, the shipped contract {len(expected)}"]
    differences = []
    for name, places in artifact.immutable_references.items():
        if name not in values:
            differences.append(f"the artifact has an immutable {name} that does not follow from the terms")
            continue
        for start, length in places:
            found = code[start : start + length]
            if found != values[name]:
                differences.append(f"immutable {name} at byte {start} is 0x{found.hex()}, not 0x{values[name].hex()}")
    masked, expected_masked = mask_immutables(code, artifact), mask_immutables(expected, artifact)
    if masked != expected_masked:
        at = next(i for i, (a, b) in enumerate(zip(masked, expected_masked, strict=True)) if a != b)
        differences.append(f"byte {at} is 0x{masked[at]:02x}, in the shipped contract 0x{expected_masked[at]:02x}")
    return differences


def _created(contract: str, nonce: int) -> str:
    # RLP of the list [20 bytes, nonce], for a nonce of one byte below 128
    return checksum_address(keccak256(b"\xd6\x94" + address_bytes(contract) + bytes([nonce]))[-20:])


def _short_string(text: str) -> bytes:
    """Encode as OpenZeppelin's ShortString: the text padded with zeros, its length in the last byte."""
    return text.encode().ljust(WORD - 1, b"\0") + bytes([len(text)])
