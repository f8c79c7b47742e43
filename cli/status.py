"""``cocogen status``: where the consortium stands and what comes next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.delivery import delivery_text
from cli.options import common
from cli.output import emit, say, table, units, wrapped
from cocogen.files import duration
from cocogen.operations.status import status as status_of

if TYPE_CHECKING:
    from cli.request import Request
    from cocogen.ledger import LedgerState

__all__ = ["status"]


@click.command(short_help="Where the consortium stands and what comes next.")
@common()
def status(request: Request) -> None:
    """Show bonds, the running round and the next step."""
    with request.opened(reading=True) as session:
        found = status_of(session)
        unit, bond = session.resolved.settlement.wei_per_unit, session.resolved.settlement.dispute_bond
    state, names, outcomes = found.state, found.names, found.outcomes

    def text() -> None:
        rows = [
            [
                name,
                units(state.balances[n], unit),
                units(state.liabilities[n], unit),
                _standing(state, n),
                "in" if state.submitted[n] else "awaited" if state.participants[n] and state.phase == "open" else "",
            ]
            for n, name in enumerate(names)
        ]
        when = f" for {duration(state.deadline - state.now)} more" if state.deadline >= state.now else ""
        table(
            f"{found.consortium}: round {state.round} of {found.rounds}, {state.phase}{when}",
            ["organization", "balance", "bond needed", "standing", "contribution"],
            rows,
            caption=f"{found.deployment.backend} ledger at {found.deployment.address}",
        )
        if state.disputant is not None:
            say(f"disputed by {names[state.disputant]}, whose dispute bond of {units(bond, unit)} is locked")
        elif outcomes and outcomes[-1].status == "voided":
            say(f"round {outcomes[-1].round} was void: nothing was paid")
        if finished := [m for m, outcome in zip(found.models, outcomes, strict=True) if outcome.status != "open"]:
            say(*delivery_text(finished[-1]).split("\n"))
        for each in found.unfinished:
            sent = each.hashes[-1] if each.hashes else f"nonce {each.nonce}"
            say(
                f"unfinished: a {each.name} by {each.account} ({sent}); the command that sent it ended before it could "
                "say so. Run again, it looks first for what became of it"
            )
        for warning in found.warnings:
            say(*wrapped(f"warning: {warning}"))
        say(f"next: {found.next}")

    emit(found.plain(), text, as_json=request.as_json)


def _standing(state: LedgerState, index: int) -> str:
    if not state.accepted[index]:
        return "has not accepted"
    if state.exiting[index]:
        return "leaving"
    return "ready" if state.solvent[index] else "bond too small"
