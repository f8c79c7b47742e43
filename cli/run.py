"""``cocogen run``: the whole job in one go, resumable at any point."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING

import click

from cli.options import common, device_option
from cli.output import announced, emit, note, progress

if TYPE_CHECKING:
    from chain.keys.accounts import KeySource
    from cli.request import Request
    from cocogen.operations.session import Session
    from cocogen.rounds.loop import Progress
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
    # the first line is shown before anything is loaded that takes its time
    from chain.audit import audit_deployment
    from chain.open import EPHEMERAL
    from chain.twin.ledger import MemoryProvider
    from cli.audit import EXIT_CODES
    from cli.memorization import warn
    from cli.outcome import show
    from cocogen.operations.run import run as play_rounds
    from cocogen.operations.session import stated_addresses
    from cocogen.rounds.workspace import Workspace

    consortium = request.consortium()
    workspace = request.new_workspace(consortium)
    with contextlib.ExitStack() as stack:
        spec = request.ledger_specification()
        if runtime == "flower":
            from cli.flower.runtime import check_ready

            check_ready(spec, deadline, consortium.settlement.submit_window)
        if spec in EPHEMERAL:
            import tempfile

            workspace = Workspace(stack.enter_context(tempfile.TemporaryDirectory(prefix="cocogen-")))
        bars = stack.enter_context(progress())
        bars("preparing", 0, 1)
        keys = request.key_source(stated_addresses(consortium))
        if runtime == "flower":
            _play_on_flower(request, consortium, workspace, spec, keys, bars, deadline)
        stack.enter_context(workspace.locked())
        session = _session(request, consortium, workspace, spec, keys, stack, bars, played=runtime == "flower")
        study_ledger = None if no_study else partial(MemoryProvider, consortium.consortium.seed)
        result = play_rounds(
            session, audit_deployment, consortium=consortium, study_ledger=study_ledger, progress=bars, note=note
        )
    data = result.plain()
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
    return EXIT_CODES[result.audit.status]


def _session(
    request: Request,
    consortium: Consortium,
    workspace: Workspace,
    spec: str,
    keys: KeySource,
    stack: contextlib.ExitStack,
    bars: Progress,
    *,
    played: bool = False,
) -> Session:
    """Go on with an unfinished run of these terms, or start a new one; an earlier one is set aside, never lost.

    ``played``: the run in the workspace is this command's own.
    """
    from chain.backends.journal import Journal
    from chain.open import open_ledger, storable
    from cli.request import ledger_location
    from cli.sites import register_all
    from cocogen.operations.deploy import put_on_ledger
    from cocogen.operations.run import take_up
    from cocogen.operations.session import Session, load_resolved
    from cocogen.terms.sections import OWN

    record = take_up(workspace, consortium, own=played, note=note)
    if record is not None:
        recorded = str(record.details["ledger"])
        # a node's URL is recorded without its secrets: the one given now may have them
        spec = spec if storable(spec) == recorded else recorded
    journal = Journal(workspace.sent)
    provider = open_ledger(
        ledger_location(spec, workspace), seed=consortium.consortium.seed, keys=keys, journal=journal
    )
    stack.callback(provider.close)
    if record is None:
        own_data = register_all(request, consortium, bars) if consortium.learning.dataset == OWN else None
        record = put_on_ledger(
            consortium,
            workspace,
            provider,
            name=storable(spec),
            journal=journal,
            data_dir=request.data_dir,
            own_data=own_data,
            progress=bars,
            note=note,
        ).deployment
    session = Session(
        workspace,
        load_resolved(workspace),
        provider,
        record,
        data_dir=request.data_dir,
        sites=request.site_files(),
        journal=journal,
    )
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
        session = _session(request, consortium, workspace, spec, keys, stack, bars)
        state = session.ledger.state()
        recorded = str(session.deployment.details["ledger"])
    if state.round < rounds or state.phase != "idle":
        play(request, workspace, spec if storable(spec) == recorded else recorded, rounds, deadline, bars)
