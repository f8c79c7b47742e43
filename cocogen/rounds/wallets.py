"""Signatures that are not made here: those of contract wallets, whose owners sign elsewhere (EIP-1271).

The steps of a round leave such a signature open and name the 32 bytes that the owners sign; what they made is added
later. Left out: how a wallet's owners sign, and whether the wallet accepts it, which the ledger asks it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from cocogen.errors import EvidenceRejected, KeyUnavailable, WorkspaceError
from cocogen.ledger import Ledger
from cocogen.rounds.attested import Attested
from cocogen.rounds.workspace import Workspace
from cocogen.terms.resolved import ResolvedTerms

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "UNSIGNED",
    "add_attestations",
    "add_evidence_signature",
    "or_unsigned",
    "unsigned_attestations",
    "unsigned_evidence",
]

UNSIGNED = b""
"""Stands for the signature of a bundle whose owners have not signed yet."""


def or_unsigned(sign: Callable[[], bytes]) -> bytes:
    """The signature that ``sign`` makes, or UNSIGNED where a contract wallet would have to; other errors pass."""
    try:
        return sign()
    except KeyUnavailable as error:
        if error.wallet:
            return UNSIGNED
        raise


def unsigned_attestations(attested: Attested, ledger: Ledger, names: tuple[str, ...]) -> dict[str, bytes]:
    """What the attester's owners still have to sign: organization → 32 bytes."""
    return {
        name: ledger.attestation_digest(n, contribution)
        for n, (name, contribution) in enumerate(zip(names, attested.contributions, strict=True))
        if contribution is not None and attested.signatures[n] is None
    }


def add_attestations(
    workspace: Workspace, number: int, names: tuple[str, ...], signatures: Mapping[str, bytes]
) -> Attested:
    """Keep the signatures that the attester's owners made for a round; the ledger judges each on submission.

    Raises
    ------
    WorkspaceError
        The round is not attested, or a name has no contribution in it.
    """
    path = workspace.attested(number)
    attested = Attested.from_dict(workspace.read_json(path), file=path)
    given = list(attested.signatures)
    for name, signature in signatures.items():
        if name not in names or attested.contributions[names.index(name)] is None:
            raise WorkspaceError(
                f"there is no contribution of {name!r} to sign in round {number}",
                hint="`cocogen attest` shows what the attester found",
            )
        given[names.index(name)] = signature
    attested = replace(attested, signatures=tuple(given))
    workspace.write_json(path, attested.to_dict())
    return attested


def unsigned_evidence(path: Path, ledger: Ledger) -> bytes | None:
    """The 32 bytes that a wallet's owners still have to sign for a bundle; None when it is signed."""
    from cocogen.evidence.bundle import Bundle

    bundle = Bundle.load(path)
    return ledger.evidence_digest(bundle.digest()) if bundle.signature == UNSIGNED else None


def add_evidence_signature(
    workspace: Workspace, ledger: Ledger, resolved: ResolvedTerms, number: int, index: int, signature: bytes
) -> Path:
    """Complete an organization's bundle with the signature that its wallet's owners made.

    Raises
    ------
    EvidenceRejected
        There is no bundle, or the organization's account does not accept the signature; nothing is changed.
    """
    from cocogen.evidence.bundle import Bundle

    organization = resolved.organization[index]
    path = workspace.bundle(number, organization.name)
    bundle = Bundle.load(path)
    if not ledger.verify(organization.address, bundle.digest(), signature):
        raise EvidenceRejected(
            organization.name,
            f"{organization.address} does not accept the signature",
            hint="its owners sign the digest that `cocogen train` shows, in the form that the wallet takes",
        )
    replace(bundle, signature=signature).save(path)
    return path
