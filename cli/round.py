"""``cocogen round open|record|settle``: the steps of a round on the ledger."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.delivery import delivery_text
from cli.options import common
from cli.output import emit, note, say, table, units, wrapped
from cocogen.errors import ConfigurationError
from cocogen.files import duration
from cocogen.operations.plain import plain_receipt
from cocogen.operations.runway import warnings
from cocogen.operations.status import delivery

if TYPE_CHECKING:
    from cli.request import Request

__all__ = ["round_"]


@click.group("round", short_help="Open, record and settle rounds.")
def round_() -> None:
    """Move the current round along; every step but opening is open to anyone."""


@round_.command("open")
@common()
def open_(request: Request) -> None:
    """Open the next round (attester); local clocks jump over the agreed gap."""
    with request.opened() as session:
        before = session.ledger.state()
        if before.phase == "idle" and before.next_round_from > before.now:
            note(f"the agreed gap ends in {duration(before.next_round_from - before.now)}; waiting (Ctrl-C is safe)")
        receipt = session.loop.open()
        state = session.ledger.state()
    left_out = [
        f"{name} ({'leaving' if state.exiting[n] else 'bond too small' if state.accepted[n] else 'has not accepted'})"
        for n, name in enumerate(session.resolved.names)
        if not state.participants[n]
    ]
    names = [n for n, p in zip(session.resolved.names, state.participants, strict=True) if p]
    data = {
        "round": state.round,
        "participants": names,
        "deadline": state.deadline,
        "now": state.now,
        "receipt": plain_receipt(receipt),
    }
    window = state.deadline - state.now
    emit(
        data,
        f"round {state.round} is open for {duration(window)}; participants: {', '.join(names)}\n"
        + (f"left out: {', '.join(left_out)}\n" if left_out else "")
        + "next: `cocogen train`, then `cocogen attest`, then `cocogen submit -o NAME`",
        as_json=request.as_json,
    )


@round_.command()
@click.argument("bundles", nargs=-1, type=click.Path(exists=True, dir_okay=False), metavar="[BUNDLE]...")
@common()
def challenge(request: Request, bundles: tuple[str, ...]) -> None:
    """Draw the rows that are opened of the evidence BUNDLEs that are in (default: all in the workspace), as the
    attester, where the terms say openings.

    They are drawn once: evidence that comes later is not attested, for who made it may have known which.
    """
    with request.opened() as session:
        drawn = session.loop.challenge([Path(bundle) for bundle in bundles] or None)
        openings = session.resolved.attestation.openings
    if drawn is None:
        raise ConfigurationError(
            "the terms say that no rows are opened", hint="attestation.openings says how many; `cocogen attest` is next"
        )
    data = {"openings": openings, **drawn.to_plain(), "file": str(session.workspace.challenge(drawn.round))}
    count = len(drawn.bundles)
    emit(
        data,
        f"round {drawn.round}: {openings} rows are drawn of {count} bundle{'s' * (count != 1)}\n  {data['file']}\n"
        "next: `cocogen reveal` by each member, then `cocogen attest`",
        as_json=request.as_json,
    )


@round_.command()
@click.option("--advance", is_flag=True, help="On local chains, jump to the deadline if somebody is missing.")
@common()
def record(request: Request, advance: bool) -> None:
    """Freeze the contributions of the round: when all are in, or after the deadline."""
    with request.opened() as session:
        receipt = session.loop.record(advance=advance)
        state = session.ledger.state()
        outcome = session.ledger.outcomes()[-1]
        model = delivery(session, outcome)
    names = session.resolved.names
    missing = [n for n, p, c in zip(names, outcome.participants, outcome.contributions, strict=True) if p and c is None]
    data = {
        "round": outcome.round,
        "status": outcome.status,
        "missing": missing,
        "deadline": state.deadline,
        "now": state.now,
        "model": model.plain(),
        "receipt": plain_receipt(receipt),
    }
    if outcome.status == "voided":
        text = (
            f"round {outcome.round} is void: too few contributions; nothing is paid, nobody is given its model, and "
            "the next round may open"
        )
    else:
        charged = "" if session.resolved.masks else " (charged by stand-in)"
        absent = f"; without {', '.join(missing)}{charged}" if missing else ""
        wait = state.deadline + 1 - state.now
        text = (
            f"round {outcome.round} is recorded{absent}; it can be settled in {duration(wait)}\n"
            f"{delivery_text(model)}\n"
            "next: `cocogen round settle` then (--advance on local chains); `cocogen dispute raise -o NAME` to object"
        )
    emit(data, text, as_json=request.as_json)


@round_.command()
@common()
def deliver(request: Request) -> None:
    """Write the model of every recorded round for those who contributed to it, as the attester.

    `record` and `settle` do so too; this is for rounds that somebody else brought so far. Each member is handed its
    own files, models/NAME/ in the workspace, and no others.
    """
    with request.opened() as session:
        written = session.loop.deliver()
        outcomes = [outcome for outcome in session.ledger.outcomes() if outcome.status != "open"]
        rounds = [delivery(session, outcome) for outcome in outcomes]
    files = [str(path) for paths in written.values() for path in paths]
    data = {"files": files, "rounds": [model.plain() for model in rounds]}
    new = f"{len(files)} new file{'s' * (len(files) != 1)}"
    emit(data, "\n".join([*map(delivery_text, rounds), new]), as_json=request.as_json)


@round_.command()
@click.option("--advance", is_flag=True, help="On local chains, jump to the end of the dispute window.")
@common()
def settle(request: Request, advance: bool) -> None:
    """Calculate the redistribution of the recorded round and move the money."""
    with request.opened() as session:
        outcome = session.loop.settle(advance=advance)
        state = session.ledger.state()
        warned = warnings(session, state)
    names = session.resolved.names
    unit = session.resolved.settlement.wei_per_unit
    data = {
        "round": outcome.round,
        "status": outcome.status,
        "transfers": {name: str(wei) for name, wei in zip(names, outcome.transfers, strict=True)},
        "sum": str(sum(outcome.transfers)),
        "balances": {name: str(wei) for name, wei in zip(names, state.balances, strict=True)},
        "receipts": [plain_receipt(receipt) for receipt in outcome.receipts],
        "warnings": list(warned),
    }

    def text() -> None:
        if outcome.status == "voided":
            say(f"round {outcome.round} is void: nothing is paid")
            return
        rows = [
            [name, units(transfer, unit), str(transfer), units(balance, unit)]
            for name, transfer, balance in zip(names, outcome.transfers, state.balances, strict=True)
        ]
        table(
            f"{session.resolved.consortium.name}, round {outcome.round}: settled",
            ["organization", "received (+) or paid (-)", "in wei", "balance"],
            rows,
            caption=f"transfers sum to {sum(outcome.transfers)} wei",
        )
        for warning in warned:
            say(*wrapped(f"warning: {warning}"))

    emit(data, text, as_json=request.as_json)
