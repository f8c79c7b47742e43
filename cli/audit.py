"""``cocogen audit``: replay the ledger and check everything against the agreed terms."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.options import common
from cli.output import emit, table

if TYPE_CHECKING:
    from cli.session import Request, Session

__all__ = ["EXIT_CODES", "audit", "audit_data", "print_audit"]

EXIT_CODES = {"PASS": 0, "FAIL": 1, "INCOMPLETE": 5}


@click.command(short_help="Replay the ledger and check everything.")
@common(config_argument=True)
def audit(request: Request) -> int:
    """Rebuild every balance from the ledger alone and compare; CONFIG (default: the terms file that was deployed)
    must still be what the members accepted.

    Exit code 0: all checks pass; 1: tampering or mismatch; 5: something could not be checked.
    """
    from cli.session import Session

    with Session.opened(request) as session:
        data = audit_data(session, request.config)
    emit(data, lambda: print_audit(data), as_json=request.as_json)
    return EXIT_CODES[data["status"]]


def audit_data(session: Session, config: str | None) -> dict[str, Any]:
    """Run all checks; ``config`` names the terms file to compare with, default the one that was deployed."""
    from dataclasses import asdict

    from chain.audit import CHECKS
    from chain.audit import audit as replay
    from chain.errors import NoContract

    terms = session.resolved.settlement_terms()
    try:
        report = replay(session.provider.inspect(terms, session.deployment), terms)
        checks = [asdict(check) for check in report.checks]
    except NoContract as error:
        checks = [
            {"id": number, "name": name, "status": "INCOMPLETE", "detail": "there is no contract", "transaction": None}
            for number, name in enumerate(CHECKS, start=1)
        ]
        checks[0].update(status="FAIL", detail=str(error))
    mismatch = _terms_mismatch(session, config)
    if mismatch:
        check = next(check for check in checks if check["name"] == "terms")
        detail = mismatch if check["status"] == "PASS" else f"{check['detail']}; {mismatch}"
        check.update(status="FAIL", detail=detail)
    statuses = {check["status"] for check in checks}
    status = "FAIL" if "FAIL" in statuses else "INCOMPLETE" if "INCOMPLETE" in statuses else "PASS"
    return {"status": status, "checks": checks}


def _terms_mismatch(session: Session, config: str | None) -> str:
    """Why the terms file on disk is not the one that was agreed; empty when it is."""
    from cocogen.consortium import load_consortium
    from cocogen.errors import ConfigurationError, GameError, SolverError

    copy = session.workspace.terms
    deployed = Path(str(session.deployment.details.get("config", "")))
    if config is None:
        try:
            digest = hashlib.sha256(copy.read_bytes()).hexdigest()
        except OSError as error:
            return f"the agreed terms file {copy} cannot be read: {error.strerror}"
        if digest != session.resolved.terms_sha256:
            return f"terms file {copy} was altered after it was agreed"
    path = Path(config) if config else deployed if deployed.is_file() else copy
    try:
        found = session.disagreements(load_consortium(path))
    except (ConfigurationError, GameError, SolverError) as error:
        return str(error)
    return f"terms file {path} is not the one that was agreed; it differs in {', '.join(found)}" if found else ""


def print_audit(data: dict[str, Any]) -> None:
    """The checks as a table, and the verdict on a line of its own."""
    rows = [[f"{check['id']} {check['name']}", check["status"]] for check in data["checks"]]
    table("audit", ["check", "result"], rows)
    for check in data["checks"]:
        if check["status"] != "PASS" or check["detail"]:
            where = f" (transaction {check['transaction']})" if check["transaction"] else ""
            click.echo(f"  {check['id']} {check['name']}: {check['detail']}{where}")
    click.echo(f"audit: {data['status']}")
