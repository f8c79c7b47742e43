"""Signatures that settlement rests on: the attester's over contributions and transfers, the members' over evidence.

All are EIP-712 messages under the consortium's own domain (name "CoCoGen", version "1", chain id, contract), so no
signature is good for another chain, contract or purpose: a contribution signs the type ``Contribution(...)``, a
round's transfers in vector mode ``Transfers(...)``, an evidence bundle ``Evidence(bytes32 digest)``, and the type
hashes differ. Signatures are 65 bytes r ‖ s ‖ v with v 27 or 28 and s in the lower half of the group order, as
OpenZeppelin's ECDSA accepts them; equal keys and messages give equal signatures (RFC 6979).

Left out: contract wallets (EIP-1271), which only a node can ask (``chain.contract.wallets``), and where keys come from
(``chain.keys.keystores``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import coincurve

from chain.abi import WORD, checksum_address, keccak256, words
from chain.errors.chain import MalformedSignature

__all__ = [
    "CONTRIBUTION_TYPE",
    "DOMAIN_NAME",
    "DOMAIN_VERSION",
    "EVIDENCE_TYPE",
    "TRANSFERS_TYPE",
    "Domain",
    "address_of",
    "contribution_struct_hash",
    "recover",
    "sign",
    "transfers_hash",
    "transfers_struct_hash",
    "verify",
]

DOMAIN_NAME = "CoCoGen"
DOMAIN_VERSION = "1"
CONTRIBUTION_TYPE = (
    "Contribution(bytes32 termsHash,uint32 round,address member,uint64 data,uint64 generated,uint64 compute,"
    "bytes32 evidenceHash)"
)
TRANSFERS_TYPE = "Transfers(bytes32 termsHash,uint32 round,bytes32 transfersHash,bytes32 evidenceHash)"
EVIDENCE_TYPE = "Evidence(bytes32 digest)"

_DOMAIN_TYPE = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
_GROUP_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_SIGNATURE_LENGTH = 65
_DIGEST_LENGTH = 32


def contribution_struct_hash(
    terms_hash: bytes,
    round_number: int,
    member: str,
    data: int,
    generated: int,
    compute: int,
    evidence_hash: bytes,
) -> bytes:
    """EIP-712 struct hash of a contribution: what the round hash chains and what :class:`Domain` turns to a digest."""
    return keccak256(
        words(_CONTRIBUTION_TYPEHASH, terms_hash, round_number, member, data, generated, compute, evidence_hash)
    )


def transfers_hash(transfers: Sequence[int]) -> bytes:
    """Return keccak256(abi.encode(transfers)) for an int256[]: the hash of a round's transfers or payoffs, wei."""
    return keccak256(words(WORD, len(transfers), *transfers))


def transfers_struct_hash(terms_hash: bytes, round_number: int, transfers: bytes, evidence_hash: bytes) -> bytes:
    """EIP-712 struct hash of a round's transfers, which are given by their :func:`transfers_hash`."""
    return keccak256(words(_TRANSFERS_TYPEHASH, terms_hash, round_number, transfers, evidence_hash))


@dataclass(frozen=True)
class Domain:
    """The EIP-712 domain of one consortium: its chain id and its contract's address."""

    chain_id: int
    contract: str
    separator: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        separator = keccak256(words(_DOMAIN_TYPEHASH, _NAME_HASH, _VERSION_HASH, self.chain_id, self.contract))
        object.__setattr__(self, "separator", separator)

    def digest(self, struct_hash: bytes) -> bytes:
        """Return the 32 bytes that are signed for a struct hash: keccak256(0x1901 ‖ separator ‖ struct hash)."""
        return keccak256(b"\x19\x01" + self.separator + struct_hash)

    def evidence_digest(self, digest: bytes) -> bytes:
        """Return the 32 bytes that are signed for the 32-byte digest of an evidence bundle.

        Raises
        ------
        MalformedSignature
            ``digest`` is not 32 bytes long.
        """
        if len(digest) != _DIGEST_LENGTH:
            raise MalformedSignature(f"the digest of an evidence bundle has 32 bytes, not {len(digest)}")
        return self.digest(keccak256(words(_EVIDENCE_TYPEHASH, digest)))


def address_of(secret: bytes) -> str:
    """Return the EIP-55 address of a 32-byte private key."""
    return _address(coincurve.PrivateKey(secret).public_key)


def sign(digest: bytes, secret: bytes) -> bytes:
    """Sign a 32-byte digest with a 32-byte private key: 65 bytes r ‖ s ‖ v, low s, deterministic."""
    signature = coincurve.PrivateKey(secret).sign_recoverable(digest, hasher=None)
    return signature[:64] + bytes([27 + signature[64]])


def recover(digest: bytes, signature: bytes) -> str:
    """Return the EIP-55 address whose key signed ``digest``.

    Accepts what the contract accepts: 65 bytes, v 27 or 28, s in the lower half of the group order.

    Raises
    ------
    MalformedSignature
        The bytes are no such signature.
    """
    if len(signature) != _SIGNATURE_LENGTH:
        raise MalformedSignature(f"a signature has 65 bytes, not {len(signature)}")
    v = signature[64]
    if v not in (27, 28):
        raise MalformedSignature(f"the last byte of a signature (v) is 27 or 28, not {v}")
    s = int.from_bytes(signature[32:64], "big")
    if s > _GROUP_ORDER // 2:
        raise MalformedSignature("the signature's s lies in the upper half of the group order (malleable form)")
    try:
        key = coincurve.PublicKey.from_signature_and_message(signature[:64] + bytes([v - 27]), digest, hasher=None)
    except Exception as error:
        # coincurve raises plain Exception and ValueError alike for r, s or a point off the curve
        raise MalformedSignature("the signature belongs to no point of the curve") from error
    return _address(key)


def verify(digest: bytes, signature: bytes, address: str) -> bool:
    """Tell whether ``signature`` is that of ``address`` over ``digest``; malformed ones are simply not."""
    try:
        return recover(digest, signature) == checksum_address(address)
    except MalformedSignature:
        return False


def _address(key: coincurve.PublicKey) -> str:
    return checksum_address(keccak256(key.format(compressed=False)[1:])[-20:])


_DOMAIN_TYPEHASH = keccak256(_DOMAIN_TYPE.encode())
_NAME_HASH = keccak256(DOMAIN_NAME.encode())
_VERSION_HASH = keccak256(DOMAIN_VERSION.encode())
_CONTRIBUTION_TYPEHASH = keccak256(CONTRIBUTION_TYPE.encode())
_TRANSFERS_TYPEHASH = keccak256(TRANSFERS_TYPE.encode())
_EVIDENCE_TYPEHASH = keccak256(EVIDENCE_TYPE.encode())
