"""``cocogen status``: where the consortium stands and what comes next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from cli.options import common
from cli.output import emit, say, table, units

if TYPE_CHECKING:
    from cli.request import Request
    from cocogen.ledger import Dispute, LedgerState
    from cocogen.operations.session import Session

__all__ = ["status"]


@click.command(short_help="Where the consortium stands and what comes next.")
@common()
def status(request: Request) -> None:
    """Show bonds, the running round and the next step."""
    from cli.delivery import delivery_data, delivery_text
    from cocogen.files import duration
    from cocogen.operations.results import plain_deployment
    from cocogen.rounds.delivery import held_rounds

    with request.opened(reading=True) as session:
        state = session.ledger.state()
        outcomes = session.ledger.outcomes()
        upcoming = next_step(session, state)
        deployment = session.deployment
        models = [delivery_data(session, outcome) for outcome in outcomes]
        held = held_rounds(outcomes, len(session.resolved.names), state.round + 1)
    names = session.resolved.names
    unit = session.resolved.settlement.wei_per_unit
    data = {
        "consortium": session.resolved.consortium.name,
        "ledger": plain_deployment(deployment),
        "round": state.round,
        "rounds_agreed": session.resolved.consortium.rounds,
        "phase": state.phase,
        "now": state.now,
        "deadline": state.deadline or None,
        "organizations": {
            name: {
                "balance": str(state.balances[n]),
                "liability": str(state.liabilities[n]),
                "accepted": state.accepted[n],
                "solvent": state.solvent[n],
                "exiting": state.exiting[n],
                "participant": state.participants[n],
                "submitted": state.submitted[n],
                "model_of_round": held[n],
            }
            for n, name in enumerate(names)
        },
        "history": [
            {
                "round": outcome.round,
                "status": outcome.status,
                "transfers": {name: str(wei) for name, wei in zip(names, outcome.transfers, strict=True)},
                "dispute": _dispute_data(outcome.dispute, names),
                "model": model,
            }
            for outcome, model in zip(outcomes, models, strict=True)
        ],
        "next": upcoming,
        "unfinished": [
            {"operation": each.operation, "account": each.account, "amount": str(each.amount), "nonce": each.nonce}
            | {"transaction": each.hashes[-1] if each.hashes else None}
            for each in session.journal.intents
        ],
    }

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
            f"{session.resolved.consortium.name}: round {state.round} of {session.resolved.consortium.rounds}, "
            f"{state.phase}{when}",
            ["organization", "balance", "bond needed", "standing", "contribution"],
            rows,
            caption=f"{deployment.backend} ledger at {deployment.address}",
        )
        if state.disputant is not None:
            bond = units(session.resolved.settlement.dispute_bond, unit)
            say(f"disputed by {names[state.disputant]}, whose dispute bond of {bond} is locked")
        elif outcomes and outcomes[-1].status == "voided":
            say(f"round {outcomes[-1].round} was void: nothing was paid")
        if finished := [model for model, outcome in zip(models, outcomes, strict=True) if outcome.status != "open"]:
            say(*delivery_text(finished[-1]).split("\n"))
        for each in session.journal.intents:
            sent = each.hashes[-1] if each.hashes else f"nonce {each.nonce}"
            say(
                f"unfinished: a {each.name} by {each.account} ({sent}); the command that sent it ended before it could "
                "say so. Run again, it looks first for what became of it"
            )
        say(f"next: {upcoming}")

    emit(data, text, as_json=request.as_json)


def _dispute_data(dispute: Dispute | None, names: Sequence[str]) -> Any:
    if dispute is None:
        return None
    return {
        "organization": names[dispute.organization],
        "reason_hash": "0x" + dispute.reason_hash.hex(),
        "ruling": dispute.ruling,
        "forfeited": str(dispute.forfeited),
    }


def _standing(state: LedgerState, index: int) -> str:
    if not state.accepted[index]:
        return "has not accepted"
    if state.exiting[index]:
        return "leaving"
    return "ready" if state.solvent[index] else "bond too small"


def next_step(session: Session, state: LedgerState) -> str:
    """One sentence: which command brings the consortium forward."""
    from cocogen.files import duration

    names = session.resolved.names
    if state.phase == "idle":
        ready = sum(s and not e for s, e in zip(state.solvent, state.exiting, strict=True))
        if state.round >= session.resolved.consortium.rounds:
            return "all agreed rounds are over: `cocogen withdraw -o NAME`, `cocogen audit`"
        if ready < session.resolved.settlement.minimum_members:
            waiting = [n for n, s in zip(names, state.solvent, strict=True) if not s]
            return f"`cocogen deposit -o NAME` by {', '.join(waiting)}"
        if state.now < state.next_round_from:
            return f"`cocogen round open`, in {duration(state.next_round_from - state.now)} (local chains: at once)"
        return "`cocogen round open`"
    if state.phase == "open":
        number = state.round
        if state.now > state.deadline or all(s for p, s in zip(state.participants, state.submitted, strict=True) if p):
            return "`cocogen round record`"
        if session.workspace.attested(number).exists():
            attested = session.loop.attested(number)
            awaited = [
                names[n] for n, c in enumerate(attested.contributions) if c is not None and not state.submitted[n]
            ]
            if awaited:
                return f"`cocogen submit -o NAME` by {', '.join(awaited)}"
            left = duration(state.deadline - state.now)
            return f"`cocogen round record --advance`, or without it in {left}"
        absent = [
            name
            for n, name in enumerate(names)
            if state.participants[n] and not session.workspace.bundle(number, name).exists()
        ]
        return f"`cocogen train` by {', '.join(absent)}" if absent else "`cocogen attest`"
    if state.phase == "recorded":
        if state.now > state.deadline:
            return "`cocogen round settle`"
        return "`cocogen round settle --advance`, or wait; `cocogen dispute raise -o NAME` to object"
    if state.phase == "disputed":
        if state.now > state.deadline:
            return "`cocogen dispute resolve --default`"
        left = duration(state.deadline - state.now)
        return f"`cocogen dispute resolve RULING` by the arbiter, within {left}"
    return "`cocogen round settle`"
