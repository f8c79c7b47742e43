"""One bundle that was attested, against its document, the terms, and what was asked to be opened of it.

Nobody's data are needed: a bit of a bitmap is a row that was registered. Left out: where documents come from, and that
they are the signed ones (:mod:`.evidence_audit`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from cocogen.errors import EvidenceRejected, LearningError, WorkspaceError
from cocogen.evidence.bundle import Bundle, Manifest
from cocogen.evidence.challenge import Challenge
from cocogen.evidence.leaves import check_leaves
from cocogen.rounds.workspace import Workspace
from cocogen.terms.resolved import ResolvedTerms

__all__ = ["check_bundle"]


def check_bundle(
    path: Path,
    workspace: Workspace,
    resolved: ResolvedTerms,
    n: int,
    document: Mapping[str, Any],
    signed: Callable[[str, bytes, bytes], bool | None],
) -> Iterator[str]:
    """In words what is wrong with the bundle of organization ``n`` in the file ``path``.

    ``signed``: whether an address signed a digest; None where only a contract wallet could say.
    """
    organization, measurement = resolved.organization[n], document.get("measurement")
    try:
        bundle = Bundle.load(path)
    except EvidenceRejected as error:
        yield error.reason
        return
    if not isinstance(measurement, dict) or bundle.digest().hex() != measurement.get("bundle"):
        yield "it is not the bundle that was attested"
    elif not bundle.is_intact():
        yield "an array in it is not the one that was signed"
    elif signed(organization.address, bundle.digest(), bundle.signature) is False:
        yield f"{organization.name} has not signed it"
    else:
        yield from _rows(resolved, n, bundle.manifest, measurement.get("data"))
        yield from _opened(workspace, resolved, bundle.manifest, "openings" in document)


def _rows(resolved: ResolvedTerms, n: int, manifest: Manifest, counted: object) -> Iterator[str]:
    """Compare the rows that it names with the registration, and with what counted."""
    organization = resolved.organization[n]
    if organization.registration is None or manifest.leaves is None or manifest.commitments:
        if organization.registration is not None or manifest.leaves is not None:
            named = "registered rows" if organization.registration is not None else "commitments"
            yield f"it does not name its samples by {named} alone, as the terms say"
        return
    try:
        check_leaves(organization.name, manifest.leaves, organization.local)
    except EvidenceRejected as error:
        yield error.reason
    if counted != (named_rows := min(manifest.real, organization.data_cap)):
        yield f"it names {named_rows} registered rows, and {counted} counted"


def _opened(workspace: Workspace, resolved: ResolvedTerms, manifest: Manifest, told: bool) -> Iterator[str]:
    """Compare what the attester asked with what the member had been told before it trained."""
    agreed, path = resolved.attestation.openings, workspace.challenge(manifest.round)
    if (manifest.challenge is not None, told) != (bool(agreed), bool(agreed)):
        yield f"the terms say that {agreed} rows are opened, and the evidence says otherwise"
    elif manifest.challenge is not None and path.exists():
        try:
            asked = Challenge.from_plain(workspace.read_json(path))
        except (WorkspaceError, LearningError) as error:
            yield f"{path}: {error.message}"
            return
        if asked.commitment != manifest.challenge:
            yield f"the nonce in {path} is not the one that {manifest.organization} was told to be bound to"
        elif manifest.digest().hex() not in asked.bundles:
            yield f"it was attested, and is not among the bundles that {path} asks about"
