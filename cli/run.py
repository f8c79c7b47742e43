"""``cocogen run``: the whole job in one go, resumable at any point."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import click

from cli.options import common, device_option
from cli.output import announced, emit, note, progress
from cocogen.operations.sent import once_by_state

if TYPE_CHECKING:
    from chain.keys.accounts import KeySource
    from cli.request import Request
    from cocogen.data.sets import DataFolders
    from cocogen.operations.session import Session
    from cocogen.operations.study import Study
    from cocogen.rounds.loop import Progress
    from cocogen.rounds.report import RoundReport
    from cocogen.rounds.workspace import Workspace
    from cocogen.terms.consortium import Consortium

__all__ = ["run"]


@click.command(short_help="Plan, train, attest and settle all rounds, then audit.")
@click.option("--no-study", is_flag=True, help="Leave out the comparison over all test folds.")
@click.option(
    "--runtime",
    type=click.Choice(["local", "flower"]),
    default="local",
    help="Train in this process, or on Flower: a server and one node per organization as processes of their own.  "
    "[default: local]",
)
@click.option(
    "--deadline",
    type=click.FloatRange(min=1),
    default=300.0,
    metavar="SECONDS",
    help="On Flower: how long the nodes have for a round, and to appear before the first; whoever is later is left "
    "out.  [default: 300]",
)
@click.option("-v", "--verbose", is_flag=True, help="Show every table and every check, not only what came out.")
@device_option
@announced("loading")
@common(config_argument=True)
def run(request: Request, no_study: bool, runtime: str, deadline: float, verbose: bool) -> int:
    """Run the whole consortium that CONFIG describes on this machine.

    Plan, generate, train, attest and settle every round on the ledger, audit it, and compare over all test folds
    with training alone and without generation. If it is interrupted, the same command goes on where it stopped;
    an earlier finished run is kept beside the new one. What came out fits one screen; report.json in the workspace has
    every number.
    """
    from chain.open import EPHEMERAL
    from cli.audit import EXIT_CODES
    from cli.memorization import warn
    from cli.outcome import show
    from cocogen.operations.session import stated_addresses

    consortium = request.consortium()
    workspace = request.new_workspace(consortium)
    with contextlib.ExitStack() as stack:
        spec = request.ledger_specification()
        if runtime == "flower":
            from cli.flower.runtime import check_ready

            check_ready(spec, deadline, consortium.settlement.submit_window)
        if spec in EPHEMERAL:
            import tempfile

            from cocogen.rounds.workspace import Workspace

            workspace = Workspace(stack.enter_context(tempfile.TemporaryDirectory(prefix="cocogen-")))
        bars = stack.enter_context(progress())
        bars("preparing", 0, 1)
        keys = request.key_source(stated_addresses(consortium))
        if runtime == "flower":
            _play_on_flower(request, consortium, workspace, spec, keys, bars, deadline)
        stack.enter_context(workspace.locked())
        session = _session(consortium, workspace, spec, keys, stack, bars, request.data_dir, played=runtime == "flower")
        data = _play(session, consortium, stack, bars, no_study=no_study, folders=request.folders(consortium))
        workspace.write_json(workspace.report, data)
    if flagged := data["memorization"]["flagged"]:
        worst = data["memorization"]["worst"]
        warn(
            worst["round"],
            worst["organization"],
            worst,
            f"{len(flagged)} of {data['memorization']['checked']} sets of synthetic samples are like that; know why "
            "before you use these terms on data that must not leave the house (docs/generators.md)",
        )
    emit(
        data,
        lambda: show(
            data, request.config or "", kept=spec not in EPHEMERAL, verbose=verbose, data_dir=request.data_dir
        ),
        as_json=request.as_json,
    )
    return EXIT_CODES[data["audit"]["status"]]


def _session(
    consortium: Consortium,
    workspace: Workspace,
    spec: str,
    keys: KeySource,
    stack: contextlib.ExitStack,
    bars: Progress,
    data_dir: str | None,
    *,
    played: bool = False,
) -> Session:
    """Go on with an unfinished run of these terms, or start a new one; an earlier one is set aside, never lost.

    ``played``: the run in the workspace is this command's own.
    """
    from chain.backends.journal import Journal
    from chain.open import open_ledger, storable
    from cli.request import ledger_location
    from cocogen.errors import WorkspaceError
    from cocogen.operations.deploy import put_on_ledger
    from cocogen.operations.deployment import load_deployment
    from cocogen.operations.session import Session, load_resolved

    if workspace.deployment.exists():
        finished = workspace.report.exists()
        disagreements = load_resolved(workspace).disagreements(consortium)
        if not finished and disagreements:
            raise WorkspaceError(
                f"{workspace.root} holds an unfinished run of other terms; they differ in {', '.join(disagreements)}",
                hint="finish it with its own terms file, or choose another folder with --workspace",
            )
        if finished:
            note(f"an earlier run is kept in {workspace.set_aside()}")
        elif not played:
            note(f"going on with the unfinished run in {workspace.root}")
    deployed = workspace.deployment.exists()
    if deployed:
        record = load_deployment(workspace.deployment)
        recorded = str(record.details["ledger"])
        # a node's URL is recorded without its secrets: the one given now may have them
        spec = spec if storable(spec) == recorded else recorded
    journal = Journal(workspace.sent)
    provider = open_ledger(
        ledger_location(spec, workspace), seed=consortium.consortium.seed, keys=keys, journal=journal
    )
    stack.callback(provider.close)
    if not deployed:
        record = put_on_ledger(
            consortium,
            workspace,
            provider,
            name=storable(spec),
            journal=journal,
            data_dir=data_dir,
            progress=bars,
            note=note,
        ).deployment
    session = Session(workspace, load_resolved(workspace), provider, record, data_dir=data_dir, journal=journal)
    session.progress = bars
    return session


def _play_on_flower(
    request: Request,
    consortium: Consortium,
    workspace: Workspace,
    spec: str,
    keys: KeySource,
    bars: Progress,
    deadline: float,
) -> None:
    """Deploy if need be, let go of ledger and workspace, and leave them with all rounds played by Flower's server."""
    from chain.open import storable
    from cli.flower.runtime import play

    rounds = consortium.consortium.rounds
    with contextlib.ExitStack() as stack:
        stack.enter_context(workspace.locked())
        session = _session(consortium, workspace, spec, keys, stack, bars, request.data_dir)
        state = session.ledger.state()
        recorded = str(session.deployment.details["ledger"])
    if state.round < rounds or state.phase != "idle":
        play(request, workspace, spec if storable(spec) == recorded else recorded, rounds, deadline, bars)


def _play(
    session: Session,
    consortium: Consortium,
    stack: contextlib.ExitStack,
    bars: Progress,
    *,
    no_study: bool,
    folders: DataFolders,
) -> dict[str, Any]:
    from chain.audit import audit_deployment
    from cli.memorization import inspect_run
    from cocogen.operations.verdict import audit

    loop, rounds = session.loop, consortium.consortium.rounds
    comparison = None
    if not no_study:
        from functools import partial

        from chain.twin.ledger import MemoryProvider
        from cocogen.operations.study import StudyRun

        provider = partial(MemoryProvider, consortium.consortium.seed)
        comparison = StudyRun(consortium, session.resolved.incentive, provider, first_fold=False, folders=folders)
        stack.callback(comparison.cancel)
    while True:
        state = session.ledger.state()
        done = state.round if state.phase == "idle" else state.round - 1
        bars("rounds", done, rounds)
        if done >= rounds:
            break
        if state.phase == "idle":
            once_by_state(session.journal, loop.bond, note)
        report = loop.play()
        found = f", accuracy {report.evaluation['accuracy']:.4f}" if report.evaluation else ""
        note(f"round {report.round} of {rounds} {report.status}{found}")
    loop.deliver()
    reports = [loop.report(number) for number in range(1, rounds + 1)]
    bars("auditing the ledger", 0, 1)
    audited = audit(session, audit_deployment, terms_file=consortium.file).plain()
    bars("auditing the ledger", 1, 1)
    bars("comparing synthetic with training samples", 0, 1)
    looked_at = inspect_run(session, rounds)
    bars("comparing synthetic with training samples", 1, 1)
    settled = next((r.evaluation["accuracy"] for r in reversed(reports) if r.evaluation), None)
    compared = None
    if comparison is not None and settled is not None:
        compared = comparison.result(settled=settled, progress=bars)
    return _data(session, reports, audited, looked_at, compared)


def _data(
    session: Session,
    reports: list[RoundReport],
    audited: dict[str, Any],
    looked_at: dict[str, Any],
    compared: Study | None,
) -> dict[str, Any]:
    from cli.privacy import privacy_data
    from cocogen.operations.results import plain_deployment

    resolved, ledger = session.resolved, session.ledger
    names, unit = resolved.names, resolved.settlement.wei_per_unit
    state = ledger.state()
    return {
        "consortium": resolved.consortium.name,
        "mechanism": resolved.consortium.mechanism,
        "workspace": str(session.workspace.root),
        "ledger": plain_deployment(session.deployment),
        "incentive": resolved.incentive,
        "wei_per_unit": str(unit),
        "rounds": [_round_data(report, names) for report in reports],
        "organizations": {
            name: {
                "local": resolved.organization[n].local,
                "heterogeneity": resolved.organization[n].heterogeneity,
                "data": sum(c.data for r in reports if (c := r.contributions[n]) is not None),
                "generated": sum(c.generated for r in reports if (c := r.contributions[n]) is not None),
                "transfers": str(sum(report.transfers[n] for report in reports)),
                "payoff": sum(p for r in reports if (p := r.payoffs[n]) is not None),
                "surplus": sum(
                    p - float(r.plan.outside_options[n]) for r in reports if (p := r.payoffs[n]) is not None
                ),
                "balance": str(state.balances[n]),
                "liability": str(state.liabilities[n]),
            }
            for n, name in enumerate(names)
        },
        "privacy": privacy_data(session, names),
        "welfare": _welfare(session, reports),
        "study": None
        if compared is None
        else {
            "splits": len(compared.federated),
            "federated": list(compared.federated),
            "no_generation": list(compared.no_generation),
            "alone": list(compared.alone),
            "alone_by_organization": {
                name: [row[n] for row in compared.alone_by_organization] for n, name in enumerate(names)
            },
            "mean": compared.mean,
        },
        "memorization": looked_at,
        "audit": audited,
    }


def _round_data(report: RoundReport, names: tuple[str, ...]) -> dict[str, Any]:
    return {
        "round": report.round,
        "status": report.status,
        "accuracy": report.evaluation.get("accuracy"),
        "loss": report.evaluation.get("loss"),
        "strategies": {name: float(g) for name, g in zip(names, report.plan.strategies, strict=True)},
        "epsilon": float(report.plan.epsilon),
        "epsilon_executed": float(report.plan.epsilon_executed),
        "quality": dict(zip(names, report.quality, strict=True)),
        "contributions": {
            name: None if c is None else {"data": c.data, "generated": c.generated, "compute": c.compute}
            for name, c in zip(names, report.contributions, strict=True)
        },
        "payoffs": dict(zip(names, report.payoffs, strict=True)),
        "transfers": {name: str(wei) for name, wei in zip(names, report.transfers, strict=True)},
        "rejected": report.rejected,
    }


def _welfare(session: Session, reports: list[RoundReport]) -> dict[str, Any]:
    """Welfare summed over the rounds as planned, against the planner and the baselines in the same markets."""
    import numpy as np

    from cocogen.mechanisms import BASELINES, mechanism

    planner = sum(float(report.plan.planner_welfare) for report in reports)
    achieved = sum(float(report.plan.welfare) for report in reports)
    seed = session.resolved.consortium.seed
    baselines = {
        name: sum(
            float(mechanism(name).plan(report.market, np.random.default_rng([seed, 0, report.round])).welfare)
            for report in reports
        )
        for name in BASELINES
    }
    return {
        "mechanism": achieved,
        "planner": planner,
        "efficiency": achieved / planner,
        "baselines": baselines,
    }
