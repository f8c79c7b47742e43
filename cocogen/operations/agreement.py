"""Is a terms file the one that was agreed? It is compared with the resolved terms, and they with their own rules."""

from __future__ import annotations

import contextlib

from cocogen.errors import KeyUnavailable
from cocogen.operations.registration import measurement_disagreements, rule_disagreements
from cocogen.operations.session import Session, data_folders
from cocogen.terms.consortium import Consortium

__all__ = ["disagreements"]


def disagreements(session: Session, consortium: Consortium, *, measured: bool = True) -> list[str]:
    """In what the resolved terms are not those of a terms file: roles, rule and, if ``measured``, its data.

    Raises
    ------
    DatasetError
        The data are to be measured, and are not there.
    GameError
        The rule has no answer for these measurements.
    """
    resolved, provider = session.resolved, session.provider
    found = resolved.disagreements(consortium)
    if measured and not found:
        found = measurement_disagreements(resolved, data_folders(consortium.folder, session.data_dir))
    for role in ("attester", "arbiter"):
        if getattr(consortium.settlement, role) is not None:
            continue
        # whose keystore it was, only who has that keystore can tell
        with contextlib.suppress(KeyUnavailable):
            if getattr(resolved, role).lower() != provider.account(role).lower():
                found.append(f"settlement.{role}")
    return found or rule_disagreements(resolved, provider.decode)
