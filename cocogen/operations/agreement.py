"""Is a terms file the one that was agreed? It is compared with the resolved terms, and they with their own rules."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

from cocogen.errors import ConfigurationError, GameError, KeyUnavailable, LearningError, SolverError
from cocogen.ledger import DecodedTerms, SettlementTerms
from cocogen.operations.registration import measurement_disagreements, rule_disagreements
from cocogen.operations.session import Session, data_folders
from cocogen.systems import load_consortium
from cocogen.terms.consortium import Consortium
from cocogen.terms.resolved import ResolvedTerms

__all__ = ["agreed_terms", "deployed_terms", "disagreements", "stated_terms"]


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


def agreed_terms(session: Session, terms_file: Path | None = None) -> tuple[str, str]:
    """Whether a terms file, by default the one that was deployed, still is the one that was agreed: "PASS", "FAIL" or,
    where that cannot be told, "INCOMPLETE"; and why, empty when it is."""
    copy = session.workspace.terms
    if terms_file is None:
        try:
            digest = hashlib.sha256(copy.read_bytes()).hexdigest()
        except OSError as error:
            return "FAIL", f"the agreed terms file {copy} cannot be read: {error.strerror}"
        if digest != session.resolved.terms_sha256:
            return "FAIL", f"terms file {copy} was altered after it was agreed"
    return _compared(terms_file or deployed_terms(session), partial(disagreements, session, measured=False))


def deployed_terms(session: Session) -> Path:
    """The terms file that was deployed, or the copy of it in the workspace where it is no longer there."""
    deployed = Path(str(session.deployment.details.get("config", "")))
    return deployed if deployed.is_file() else session.workspace.terms


def stated_terms(
    resolved: ResolvedTerms, terms_file: Path, decode: Callable[[SettlementTerms], DecodedTerms]
) -> tuple[str, str]:
    """Whether a terms file is that of the resolved terms, and these follow their own rule, as :func:`agreed_terms`
    says it; ``decode``: what settlement terms become on the ledger."""
    return _compared(
        terms_file, lambda consortium: resolved.disagreements(consortium) or rule_disagreements(resolved, decode)
    )


def _compared(path: Path, compare: Callable[[Consortium], list[str]]) -> tuple[str, str]:
    try:
        found = compare(load_consortium(path))
    except (ConfigurationError, GameError, SolverError) as error:
        return "FAIL", "; ".join(line.strip() for line in error.lines)
    except LearningError as error:
        return "INCOMPLETE", f"{error}; {error.hint}" if error.hint else str(error)
    if not found:
        return "PASS", ""
    return "FAIL", f"terms file {path} is not the one that was agreed; it differs in {', '.join(found)}"
