"""``cocogen audit``: replay the ledger and check everything against the agreed terms."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.options import common
from cli.output import emit, note, progress, say, table, units

if TYPE_CHECKING:
    from collections.abc import Callable

    from chain.audit import AuditReport
    from chain.encoding.terms import EncodedTerms
    from chain.record.values import LedgerRecord
    from cli.audit_files import Verdict
    from cli.request import Request
    from cocogen.operations.session import Session
    from cocogen.rounds.loop import Progress
    from cocogen.rounds.workspace import Workspace
    from cocogen.terms.resolved import ResolvedTerms

__all__ = ["EXIT_CODES", "audit", "audit_data", "print_audit"]

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
    must still be what the members accepted.

    A file can be consistent with the terms and yet not be the chain's: only --second-node shows that.

    Exit code 0: all checks pass; 1: tampering or mismatch; 5: something could not be checked.
    """
    if terms is not None and offline is None:
        raise click.UsageError("--terms goes with --offline: a deployed consortium has its own resolved terms")
    if second_node is not None and not second_node.lower().startswith(("http://", "https://")):
        raise click.UsageError(
            f"--second-node is {second_node!r}; give a node's URL, for example http://127.0.0.1:8545"
        )
    from chain.audit import incomplete
    from cocogen.errors import AuditError, LedgerError

    with progress() as bars:
        try:
            if offline is not None:
                data = _offline_data(request, Path(offline), terms, second_node, bars)
            else:
                data = _live_data(request, second_node, bars)
        except (AuditError, LedgerError) as error:
            # what cannot be read is a reason, not a verdict
            reason = f"{error}; {error.hint}" if error.hint else str(error)
            data = _report_data(incomplete(reason, origin="node" if offline is None else "file"))
    emit(data, lambda: print_audit(data), as_json=request.as_json)
    return EXIT_CODES[data["status"]]


def _live_data(request: Request, second_node: str | None, bars: Progress) -> dict[str, Any]:
    """Audit the deployed consortium."""
    from cocogen.errors import AuditError

    if (missing := _missing_chain(request)) is not None:
        raise AuditError(f"there is no chain file {missing}", hint="restore it, or audit an exported ledger")
    with request.opened(reading=True) as session:
        return audit_data(session, request.config, second_node=second_node, bars=bars)


def _missing_chain(request: Request) -> Path | None:
    """The file of the embedded chain if it is not there: opening it would begin a new one."""
    from cocogen.operations.deployment import load_deployment
    from cocogen.operations.session import EMBEDDED

    workspace = request.find_workspace()
    if not workspace.deployment.exists():
        return None
    deployment = load_deployment(workspace.deployment)
    kind, _, path = request.deployed_ledger(workspace, deployment).partition(":")
    return Path(path) if kind == EMBEDDED and not Path(path).is_file() else None


def _offline_data(
    request: Request, file: Path, terms_file: str | None, second_node: str | None, bars: Progress
) -> dict[str, Any]:
    """Audit an exported ledger against resolved terms: two files, no chain."""
    from chain.audit import audit as replay
    from chain.contract.bytecode import in_layout_of, shipped_artifact
    from chain.encoding.codec import encode
    from chain.record.export import read_ledger
    from cli.audit_files import data_verdict
    from cocogen.errors import WorkspaceError
    from cocogen.operations.deployment import load_deployment
    from cocogen.operations.session import data_folders, deployed_folders, load_resolved

    if not file.is_file():
        raise click.UsageError(f"there is no file {file}; `cocogen export` writes one")
    if terms_file is not None:
        resolved = _resolved(Path(terms_file))
    else:
        try:
            resolved = load_resolved(request.find_workspace())
        except WorkspaceError as error:
            raise click.UsageError(f"{error}; name the resolved terms with --terms FILE") from error
    exported = read_ledger(file, progress=bars)
    record, terms = exported.record, encode(resolved.settlement_terms())
    deployed = in_layout_of(terms, record.runtime_code, record.storage.terms_hash)
    if exported.artifact != shipped_artifact(deployed).input_sha256:
        note("the ledger was exported by a version of CoCoGen with another build of the contract")
    second = None if second_node is None else _second(second_node, record, terms)
    report = replay(record, terms, second=second, offline=True, progress=bars)
    data = _report_data(report, resolved.settlement.wei_per_unit)
    _add_layout(data, resolved, record, terms)
    if request.config is not None:
        _add_mismatch(data, *_config_mismatch(resolved, Path(request.config)))
    workspace = request.find_workspace() if terms_file is None or request.workspace is not None else None
    if workspace is not None:
        _add_evidence(data, workspace, resolved, record, terms, None, bars)
    if request.config is None and workspace is not None and workspace.deployment.exists():
        folders = deployed_folders(load_deployment(workspace.deployment), workspace, request.data_dir)
    else:
        folders = data_folders(Path(request.config or terms_file or "").parent, request.data_dir)
    _fill(data, "data", data_verdict(resolved, folders, asked=request.data_dir is not None))
    return data


def audit_data(
    session: Session, config: str | None, *, second_node: str | None = None, bars: Progress | None = None
) -> dict[str, Any]:
    """Run all checks; ``config`` names the terms file to compare with, default the one that was deployed."""
    from chain.audit import audit as replay
    from chain.audit import incomplete
    from chain.encoding.codec import encode
    from chain.errors.chain import NoContract, UnknownRevert
    from chain.errors.reverts import ContractError
    from cli.audit_files import data_verdict
    from cocogen.operations.session import data_folders

    settlement = session.resolved.settlement_terms()
    terms = encode(settlement)
    if bars is not None:
        bars("collecting the ledger", 0, 1)
    try:
        record = session.provider.inspect(settlement, session.deployment)
    except (ContractError, NoContract, UnknownRevert) as error:
        data = _report_data(incomplete("there is no such contract"))
        data["checks"][0].update(status="FAIL", detail=str(error))
        data["status"] = "FAIL"
    else:
        second = None if second_node is None else _second(second_node, record, terms)
        data = _report_data(replay(record, terms, second=second, progress=bars), settlement.wei_per_unit)
        _add_layout(data, session.resolved, record, terms)
        _add_evidence(data, session.workspace, session.resolved, record, terms, session.provider.is_wallet, bars)
    _add_mismatch(data, *_terms_mismatch(session, config))
    folders = session.folders() if config is None else data_folders(Path(config).parent, session.data_dir)
    _fill(data, "data", data_verdict(session.resolved, folders, asked=session.data_dir is not None))
    return data


def _add_layout(data: dict[str, Any], resolved: ResolvedTerms, record: LedgerRecord, terms: EncodedTerms) -> None:
    """Say which contract it is, and let the check of the terms fail where a present one has no rule for silence.

    Every version that deploys the present contract writes the rule down; left out, whoever is absent pays nothing.
    """
    from chain.contract.bytecode import in_layout_of
    from chain.encoding.terms import LAYOUT

    deployed = in_layout_of(terms, record.runtime_code, record.storage.terms_hash)
    data["layout"] = deployed.layout
    is_present = deployed.layout == LAYOUT and deployed.terms_hash == record.storage.terms_hash
    if is_present and resolved.settlement.absence is None:
        _add_mismatch(data, "FAIL", "the resolved terms leave out settlement.absence, the rule for silence")


def _add_evidence(
    data: dict[str, Any],
    workspace: Workspace,
    resolved: ResolvedTerms,
    record: LedgerRecord,
    terms: EncodedTerms,
    is_wallet: Callable[[str], bool] | None,
    bars: Progress | None,
) -> None:
    """Compare the consortium's files with the ledger, if it is one."""
    from chain.contract.bytecode import in_layout_of
    from cli.audit_files import evidence_verdict

    terms = in_layout_of(terms, record.runtime_code, record.storage.terms_hash)
    if next(check for check in data["checks"] if check["name"] == "events")["status"] == "PASS":
        _fill(data, "evidence", evidence_verdict(workspace, resolved, record, terms, is_wallet, bars))
    else:
        _fill(data, "evidence", ("INCOMPLETE", "the log does not replay, so nothing can be compared with it"))


def _fill(data: dict[str, Any], name: str, verdict: Verdict) -> None:
    """Put the verdict of a check that is made here into the report."""
    status, detail = verdict
    check = next(check for check in data["checks"] if check["name"] == name)
    check.update(status=status, detail=detail)
    if status != "SKIPPED":
        data["status"] = _worse(data["status"], status)


def _second(url: str, record: LedgerRecord, terms: EncodedTerms) -> LedgerRecord | str:
    """What the second node says at the record's block, or why it says nothing."""
    from chain.audit.second import ask_second_node
    from chain.backends.urls import masked
    from cocogen.errors import LedgerError

    try:
        return ask_second_node(url, record, terms.contract_name)
    except LedgerError as error:
        return f"the second node {masked(url)} gave no answer: {error}"


def _resolved(path: Path) -> ResolvedTerms:
    from cocogen.errors import ConfigurationError
    from cocogen.files import read_bounded
    from cocogen.terms.resolved import ResolvedTerms

    try:
        text = read_bounded(path).decode("utf-8")
    except (OSError, ValueError) as error:
        hint = "name the resolved.json that the operator's workspace holds"
        raise ConfigurationError(f"the resolved terms cannot be read: {error}", file=str(path), hint=hint) from error
    return ResolvedTerms.from_json(text, file=str(path))


def _report_data(report: AuditReport, wei_per_unit: int | None = None) -> dict[str, Any]:
    """A report as plain JSON values, wei as strings. ``wei_per_unit`` is None where no terms could be read."""
    from dataclasses import asdict

    from chain.audit import CANNOT_KNOW, QUESTIONS

    checks = [asdict(check) | {"question": QUESTIONS[check.name]} for check in report.checks]
    accounting = None
    if (found := report.accounting) is not None:
        accounting = {
            "rounds": found.rounds,
            "organizations": {
                account.name: {
                    name: str(value) for name, value in asdict(account).items() if name not in ("name", "runway")
                }
                | {"runway": account.runway}
                for account in found.organizations
            },
            "pairs": [{"payer": pair.payer, "payee": pair.payee, "wei": str(pair.wei)} for pair in found.pairs],
        }
    return {
        "status": report.status,
        "origin": report.origin,
        "checks": checks,
        "accounting": accounting,
        "cannot_know": list(CANNOT_KNOW),
        "wei_per_unit": None if wei_per_unit is None else str(wei_per_unit),
        "layout": None,
    }


def _add_mismatch(data: dict[str, Any], status: str, mismatch: str) -> None:
    """Let the check of the terms fail when the terms file is not the one that was agreed, and be incomplete when that
    cannot be told."""
    if mismatch:
        check = next(check for check in data["checks"] if check["name"] == "terms")
        if check["status"] == "FAIL":
            mismatch = f"{check['detail']}; {mismatch}"
        check.update(status=_worse(check["status"], status), detail=mismatch)
        data["status"] = _worse(data["status"], status)


def _worse(first: str, second: str) -> str:
    return max(first, second, key=("PASS", "SKIPPED", "INCOMPLETE", "FAIL").index)


def _terms_mismatch(session: Session, config: str | None) -> tuple[str, str]:
    """Why the terms file on disk is not the one that was agreed; empty when it is."""
    from cocogen.operations.agreement import disagreements

    copy = session.workspace.terms
    deployed = Path(str(session.deployment.details.get("config", "")))
    if config is None:
        try:
            digest = hashlib.sha256(copy.read_bytes()).hexdigest()
        except OSError as error:
            return "FAIL", f"the agreed terms file {copy} cannot be read: {error.strerror}"
        if digest != session.resolved.terms_sha256:
            return "FAIL", f"terms file {copy} was altered after it was agreed"
    path = Path(config) if config else deployed if deployed.is_file() else copy
    return _disagreements(path, partial(disagreements, session, measured=False))


def _config_mismatch(resolved: ResolvedTerms, path: Path) -> tuple[str, str]:
    """Why a terms file is not that of the resolved terms, or these do not follow their own rule."""
    from chain.encoding.codec import decode, encode
    from cocogen.operations.registration import rule_disagreements

    return _disagreements(
        path,
        lambda consortium: (
            resolved.disagreements(consortium) or rule_disagreements(resolved, lambda terms: decode(encode(terms)))
        ),
    )


def _disagreements(path: Path, compare: Any) -> tuple[str, str]:
    from cocogen.errors import ConfigurationError, GameError, LearningError, SolverError
    from cocogen.terms.consortium import load_consortium

    try:
        found = compare(load_consortium(path))
    except (ConfigurationError, GameError, SolverError) as error:
        return "FAIL", "; ".join(line.strip() for line in error.lines)
    except LearningError as error:
        return "INCOMPLETE", f"{error}; {error.hint}" if error.hint else str(error)
    if not found:
        return "PASS", ""
    return "FAIL", f"terms file {path} is not the one that was agreed; it differs in {', '.join(found)}"


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
    from chain.encoding.terms import FIRST_LAYOUT

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
