"""The audit's check of own data: what was agreed follows from what was registered and signed, without any rows."""

from __future__ import annotations

from cocogen.errors import LearningError
from cocogen.evidence.registered import ATTESTER
from cocogen.operations.registration import registered_disagreements
from cocogen.operations.sources import registrations
from cocogen.rounds.evidence_audit import Signers
from cocogen.rounds.workspace import Workspace
from cocogen.terms.resolved import ResolvedTerms

__all__ = ["registered_check"]


def registered_check(workspace: Workspace | None, resolved: ResolvedTerms, signers: Signers | None) -> tuple[str, str]:
    """Derive the agreed samples, label mixes and skew of own data from the signed registrations: status and detail of
    the check. Nobody's data are needed."""
    names = (*resolved.names, ATTESTER)
    missing = names if workspace is None else [n for n in names if not workspace.registration(n).exists()]
    if workspace is None or missing:
        return "SKIPPED", f"the registrations of {', '.join(missing)} are not here; NAME.consortium holds them"
    try:
        registered = registrations(workspace, resolved)
        found = registered_disagreements(resolved, registered)
    except LearningError as error:
        return "FAIL", str(error)
    if found:
        return "FAIL", f"the registrations contradict the terms in {', '.join(found)}"
    if signers is None:
        return "INCOMPLETE", "the log does not replay, so whose signatures the registrations bear cannot be told"
    for name, registration in registered.items():
        said = registration.document
        signed = signers.registration(said.address, said.digest(), registration.signature)
        if signed is None:
            return "INCOMPLETE", f"only its wallet could say whether {name} signed its registration"
        if not signed:
            return "FAIL", f"the registration of {name} is not signed by {said.address}"
    return "PASS", f"samples, label mixes and skew follow from the signed registrations of {len(registered)} parties"
