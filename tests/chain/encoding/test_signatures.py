"""Signatures: EIP-712 as any wallet makes it, and nothing but the accepted form."""

from __future__ import annotations

import pytest
from eth_abi import encode as abi_encode
from eth_account import Account
from eth_account.messages import encode_typed_data

from chain.abi import keccak256
from chain.encoding.signatures import (
    CONTRIBUTION_TYPE,
    EVIDENCE_TYPE,
    TRANSFERS_TYPE,
    Domain,
    address_of,
    contribution_struct_hash,
    recover,
    sign,
    transfers_hash,
    transfers_struct_hash,
    verify,
)
from chain.errors.chain import MalformedSignature
from chain.keys.keystores import development_account, development_key

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
CONTRACT = "0x" + "C0" * 20
MEMBER = "0x" + "ab" * 20
KEY = development_key(7, "attester")
VALUES = (b"\x11" * 32, 3, MEMBER, 100, 2**64 - 1, 0, b"\x22" * 32)
DOMAIN = Domain(31_337, CONTRACT)


def typed_data(primary: str, declaration: str, message: dict[str, object]) -> dict[str, object]:
    fields = declaration[declaration.index("(") + 1 : -1].split(",")
    return {
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"},
            ],
            primary: [dict(zip(("type", "name"), field.split(), strict=True)) for field in fields],
        },
        "primaryType": primary,
        "domain": {"name": "CoCoGen", "version": "1", "chainId": 31_337, "verifyingContract": CONTRACT},
        "message": message,
    }


def test_a_wallet_signs_the_same_contribution():
    names = ("termsHash", "round", "member", "data", "generated", "compute", "evidenceHash")
    message = typed_data("Contribution", CONTRIBUTION_TYPE, dict(zip(names, VALUES, strict=True)))
    wallet = Account.sign_message(encode_typed_data(full_message=message), KEY)
    assert sign(DOMAIN.digest(contribution_struct_hash(*VALUES)), KEY) == bytes(wallet.signature)


def test_a_wallet_signs_the_same_transfers():
    transfers = (5, -(2**126), 2**126 - 5, 0)
    hashed = keccak256(abi_encode(["int256[]"], [transfers]))
    assert transfers_hash(transfers) == hashed
    values = (b"\x11" * 32, 3, hashed, b"\x22" * 32)
    names = ("termsHash", "round", "transfersHash", "evidenceHash")
    message = typed_data("Transfers", TRANSFERS_TYPE, dict(zip(names, values, strict=True)))
    wallet = Account.sign_message(encode_typed_data(full_message=message), KEY)
    assert sign(DOMAIN.digest(transfers_struct_hash(*values)), KEY) == bytes(wallet.signature)


def test_a_wallet_signs_the_same_evidence():
    digest = bytes(range(32))
    message = typed_data("Evidence", EVIDENCE_TYPE, {"digest": digest})
    wallet = Account.sign_message(encode_typed_data(full_message=message), KEY)
    assert sign(DOMAIN.evidence_digest(digest), KEY) == bytes(wallet.signature)


@pytest.mark.parametrize("n", range(20))
def test_recover_finds_the_signer(n):
    key, digest = development_key(n, "o"), bytes([n]) * 32
    signature = sign(digest, key)
    assert len(signature) == 65
    assert signature[64] in (27, 28)
    assert int.from_bytes(signature[32:64], "big") <= ORDER // 2
    assert recover(digest, signature) == address_of(key) == Account.from_key(key).address
    assert verify(digest, signature, address_of(key).lower())
    assert not verify(digest, signature, MEMBER)
    assert not verify(b"\xee" * 32, signature, address_of(key))


@pytest.mark.parametrize("position", range(7))
def test_every_value_of_a_contribution_is_signed(position):
    others = (b"\x12" * 32, 4, CONTRACT, 101, 2**64 - 2, 1, b"\x23" * 32)
    changed = (*VALUES[:position], others[position], *VALUES[position + 1 :])
    assert contribution_struct_hash(*changed) != contribution_struct_hash(*VALUES)


def test_domains_differ_by_chain_and_contract():
    struct_hash = contribution_struct_hash(*VALUES)
    digests = {Domain(chain, contract).digest(struct_hash) for chain in (1, 2) for contract in (CONTRACT, MEMBER)}
    assert len(digests) == 4


def test_an_evidence_signature_is_no_attestation():
    # the digest of an evidence bundle may be chosen by anyone: even the struct hash of a contribution
    struct_hash = contribution_struct_hash(*VALUES)
    signature = sign(DOMAIN.evidence_digest(struct_hash), KEY)
    assert not verify(DOMAIN.digest(struct_hash), signature, address_of(KEY))
    assert not verify(struct_hash, signature, address_of(KEY))


def test_evidence_digest_has_32_bytes():
    with pytest.raises(MalformedSignature, match="32 bytes, not 31"):
        DOMAIN.evidence_digest(bytes(31))


def malleated(signature: bytes) -> bytes:
    s = ORDER - int.from_bytes(signature[32:64], "big")
    return signature[:32] + s.to_bytes(32, "big") + bytes([27 + 28 - signature[64]])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda s: s[:64], "65 bytes, not 64"),
        (lambda s: s + b"\0", "65 bytes, not 66"),
        (lambda s: b"", "65 bytes, not 0"),
        (lambda s: s[:64] + b"\x00", "27 or 28, not 0"),
        (lambda s: s[:64] + b"\x1d", "27 or 28, not 29"),
        (malleated, "upper half"),
        (lambda s: bytes(32) + s[32:], "no point"),
        (lambda s: s[:32] + bytes(32) + s[64:], "no point"),
        (lambda s: b"\xff" * 32 + s[32:], "no point"),
    ],
)
def test_malformed_signatures_are_refused(change, reason):
    digest = bytes(range(32))
    changed = change(sign(digest, KEY))
    with pytest.raises(MalformedSignature, match=reason):
        recover(digest, changed)
    assert not verify(digest, changed, address_of(KEY))


def test_development_accounts_follow_from_seed_and_name():
    assert development_key(7, "o1") == development_key(7, "o1")
    keys = {development_key(seed, name) for seed in (7, 71, -7) for name in ("o1", "o2", "1o1", "")}
    assert len(keys) == 12
    assert development_account(7, "o1").address == address_of(development_key(7, "o1"))


def test_no_key_shows_in_text():
    account = development_account(7, "o1")
    assert development_key(7, "o1").hex() not in repr(account) + str(account) + repr(DOMAIN)
