"""``cocogen audit``: replay the ledger and check everything against the agreed terms."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chain.audit import audit_deployment, incomplete
from chain.audit import audit_export as audit_file
from chain.encoding.codec import decode, encode
from chain.encoding.terms import FIRST_LAYOUT
from cli.options import common
from cli.output import emit, note, progress, say, table, units
from cocogen.errors import AuditError, ConfigurationError, LedgerError, WorkspaceError
from cocogen.files import read_bounded
from cocogen.operations.consortium_file import SUFFIX, read_consortium_file
from cocogen.operations.deployment import load_deployment
from cocogen.operations.session import EMBEDDED, data_folders, deployed_folders, load_resolved
from cocogen.operations.verdict import Verdict, audit_export
from cocogen.operations.verdict import audit as audit_of
from cocogen.rounds.workspace import Workspace
from cocogen.terms.resolved import ResolvedTerms

if TYPE_CHECKING:
    from cli.request import Request
    from cocogen.rounds.loop import Progress

__all__ = ["EXIT_CODES", "audit", "print_audit"]

EXIT_CODES = {"PASS": 0, "FAIL": 1, "INCOMPLETE": 5}


@click.command(short_help="Replay the ledger and check everything.")
@click.option(
    "--offline",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Audit a ledger that `cocogen export` wrote, without any chain.",
)
@click.option(
    "--terms",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Resolved terms (JSON) to audit an exported ledger against.  [default: those of the workspace]",
)
@click.option("--second-node", metavar="URL", help="Compare with what this node says of the same contract and block.")
@common(config_argument=True)
def audit(request: Request, offline: str | None, terms: str | None, second_node: str | None) -> int:
    """Rebuild every balance from the ledger alone and compare; CONFIG (default: the terms file that was deployed)
    must still be what the members accepted. CONFIG may be NAME.consortium, as the operator hands it over: then nothing
    else is needed but a node (--ledger) or an exported ledger (--offline).

    A file can be consistent with the terms and yet not be the chain's: only --second-node shows that.

    Exit code 0: all checks pass; 1: tampering or mismatch; 5: something could not be checked.
    """
    if terms is not None and offline is None:
        raise click.UsageError("--terms goes with --offline: a deployed consortium has its own resolved terms")
    if second_node is not None and not second_node.lower().startswith(("http://", "https://")):
        raise click.UsageError(
            f"--second-node is {second_node!r}; give a node's URL, for example http://127.0.0.1:8545"
        )

    with progress() as bars, _handed_over(request, live=offline is None) as request:
        try:
            if offline is not None:
                verdict = _offline(request, Path(offline), terms, second_node, bars)
            else:
                verdict = _live(request, second_node, bars)
        except (AuditError, LedgerError) as error:
            # what cannot be read is a reason, not a verdict
            reason = f"{error}; {error.hint}" if error.hint else str(error)
            verdict = Verdict.of(incomplete(reason, origin="node" if offline is None else "file"))
    data = verdict.plain()
    emit(data, lambda: print_audit(data), as_json=request.as_json)
    return EXIT_CODES[verdict.status]


@contextlib.contextmanager
def _handed_over(request: Request, *, live: bool) -> Iterator[Request]:
    """The request about the consortium in a file that was handed over, opened in a folder of its own for as long."""
    if request.config is None or not request.config.endswith(SUFFIX):
        yield request
        return
    file = read_consortium_file(Path(request.config))
    if live and request.ledger is None:
        raise ConfigurationError(
            "no ledger was named", hint="name your own node: --ledger http://…, or an exported ledger: --offline FILE"
        )
    with tempfile.TemporaryDirectory(prefix="cocogen-") as folder:
        workspace = Workspace(Path(folder) / "workspace")
        with workspace.locked():
            file.unpack(workspace, ledger=request.ledger or EMBEDDED, terms_file=str(workspace.terms))
        yield replace(request, config=None, workspace=str(workspace.root))


def _live(request: Request, second_node: str | None, bars: Progress) -> Verdict:
    """Audit the deployed consortium."""
    if (missing := _missing_chain(request)) is not None:
        raise AuditError(f"there is no chain file {missing}", hint="restore it, or audit an exported ledger")
    with request.opened(reading=True) as session:
        return audit_of(session, audit_deployment, terms_file=request.config, second_node=second_node, progress=bars)


def _missing_chain(request: Request) -> Path | None:
    """The file of the embedded chain if it is not there: opening it would begin a new one."""
    workspace = request.find_workspace()
    if not workspace.deployment.exists():
        return None
    deployment = load_deployment(workspace.deployment)
    kind, _, path = request.deployed_ledger(workspace, deployment).partition(":")
    return Path(path) if kind == EMBEDDED and not Path(path).is_file() else None


def _offline(request: Request, file: Path, terms_file: str | None, second_node: str | None, bars: Progress) -> Verdict:
    """Audit an exported ledger against resolved terms: two files, no chain."""
    if not file.is_file():
        raise click.UsageError(f"there is no file {file}; `cocogen export` writes one")
    if terms_file is not None:
        resolved = _resolved(Path(terms_file))
    else:
        try:
            resolved = load_resolved(request.find_workspace())
        except WorkspaceError as error:
            raise click.UsageError(f"{error}; name the resolved terms with --terms FILE") from error
    found = audit_file(file, resolved.settlement_terms(), second_node=second_node, progress=bars, note=note)
    workspace = request.find_workspace() if terms_file is None or request.workspace is not None else None
    if request.config is None and workspace is not None and workspace.deployment.exists():
        folders = deployed_folders(load_deployment(workspace.deployment), workspace, request.data_dir)
    else:
        folders = data_folders(Path(request.config or terms_file or "").parent, request.data_dir)
    return audit_export(
        found,
        resolved,
        folders,
        decode=lambda terms: decode(encode(terms)),
        terms_file=None if request.config is None else Path(request.config),
        workspace=workspace,
        asked=request.data_dir is not None,
        progress=bars,
    )


def _resolved(path: Path) -> ResolvedTerms:

    try:
        text = read_bounded(path).decode("utf-8")
    except (OSError, ValueError) as error:
        hint = "name the resolved.json that the operator's workspace holds"
        raise ConfigurationError(f"the resolved terms cannot be read: {error}", file=str(path), hint=hint) from error
    return ResolvedTerms.from_json(text, file=str(path))


def print_audit(data: dict[str, Any]) -> None:
    """The checks with what each asks, who paid whom, what no audit can know, and the verdict on a line of its own."""
    for check in data["checks"]:
        where = f" (transaction {check['transaction']})" if check["transaction"] else ""
        say(f"{check['id']:>2} {check['name']:<12} {check['status']:<10}  {check['question']}")
        say(f"{'':28}{check['detail']}{where}")
    accounting = data["accounting"]
    if accounting is not None:
        unit = int(data["wei_per_unit"])
        columns = ("paid", "received", "net", "forfeits", "balance")
        table(
            f"who pays whom: {accounting['rounds']} rounds, in units of {unit} wei",
            ["organization", *columns, "runway"],
            [
                [name, *(units(int(account[key]), unit) for key in columns), _runway(account)]
                for name, account in accounting["organizations"].items()
            ],
            caption="runway: rounds that the balance covers at worst; --format json has exact wei, and pairs",
        )
    say("no audit can know:")
    for sentence in data["cannot_know"]:
        say(f"  {sentence}")
    say(f"audit: {_verdict(data)}")


def _verdict(data: dict[str, Any]) -> str:
    """The status, with what it does not say of a file that no node has confirmed, and of an earlier contract."""
    confirmed = any(check["name"] == "cross-check" and check["status"] == "PASS" for check in data["checks"])
    remarks = []
    if data.get("layout") == FIRST_LAYOUT:  # the report of an older run does not say
        remarks.append("a contract of before the rule for silence: the absent pay nothing")
    if data["status"] == "PASS" and data["origin"] == "file" and not confirmed:
        remarks.append(
            "consistent with the terms; only a node can show that the file is the chain's (--second-node URL)"
        )
    return " - ".join([str(data["status"]), *remarks])


def _runway(account: dict[str, Any]) -> str:
    return "no end" if account["runway"] is None else str(account["runway"])
