"""Where a consortium stands: bonds, the running round, what became of the others, and what comes next."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cocogen.errors import WorkspaceError
from cocogen.files import duration
from cocogen.ledger import Deployment, Dispute, LedgerState, RoundOutcome
from cocogen.operations.plain import plain_deployment
from cocogen.operations.runway import warnings
from cocogen.operations.sent import Intent
from cocogen.operations.session import Session
from cocogen.rounds.delivery import withheld
from cocogen.rounds.history import contributors, held_rounds

__all__ = ["Delivery", "Status", "delivery", "next_step", "status"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """Who is given the model of a round, and why the others are not; nothing of either while the round is open."""

    round: int
    recipients: tuple[str, ...]
    withheld: dict[str, str]

    def plain(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"round": self.round, "recipients": list(self.recipients), "withheld": self.withheld}


@dataclass(frozen=True, slots=True)
class Status:
    """A snapshot of a consortium; lists are in the order of the terms file, rounds oldest first.

    ``rounds``: how many are agreed. ``held``: the round whose model each organization holds, 0 for the registered one.
    ``models``: who is given the model of each of the ``outcomes``. ``next``: one sentence, which command brings the
    consortium forward. ``unfinished``: what was sent, and nobody was told of yet. ``warnings``: who will fall out, and
    whose ether will not last, a sentence each.
    """

    consortium: str
    names: tuple[str, ...]
    rounds: int
    deployment: Deployment
    state: LedgerState
    held: tuple[int, ...]
    outcomes: tuple[RoundOutcome, ...]
    models: tuple[Delivery, ...]
    next: str
    unfinished: tuple[Intent, ...]
    warnings: tuple[str, ...]

    def plain(self) -> dict[str, Any]:
        """As plain JSON values, wei as strings."""
        state, names = self.state, self.names
        return {
            "consortium": self.consortium,
            "ledger": plain_deployment(self.deployment),
            "round": state.round,
            "rounds_agreed": self.rounds,
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
                    "model_of_round": self.held[n],
                }
                for n, name in enumerate(names)
            },
            "history": [
                {
                    "round": outcome.round,
                    "status": outcome.status,
                    "transfers": {name: str(wei) for name, wei in zip(names, outcome.transfers, strict=True)},
                    "dispute": _plain_dispute(outcome.dispute, names),
                    "model": model.plain(),
                }
                for outcome, model in zip(self.outcomes, self.models, strict=True)
            ],
            "next": self.next,
            "unfinished": [
                {"operation": each.operation, "account": each.account, "amount": str(each.amount), "nonce": each.nonce}
                | {"transaction": each.hashes[-1] if each.hashes else None}
                for each in self.unfinished
            ],
            "warnings": list(self.warnings),
        }


def _plain_dispute(dispute: Dispute | None, names: Sequence[str]) -> Any:
    if dispute is None:
        return None
    return {
        "organization": names[dispute.organization],
        "reason_hash": "0x" + dispute.reason_hash.hex(),
        "ruling": dispute.ruling,
        "forfeited": str(dispute.forfeited),
    }


def status(session: Session) -> Status:
    """Where an opened consortium stands.

    Raises
    ------
    LedgerError
        The ledger cannot be read, or does not hold these terms.
    WorkspaceError
        The attestation of the running round, or what was sent, cannot be read.
    """
    state = session.ledger.state()
    outcomes = session.ledger.outcomes()
    names = session.resolved.names
    return Status(
        consortium=session.resolved.consortium.name,
        names=names,
        rounds=session.resolved.consortium.rounds,
        deployment=session.deployment,
        state=state,
        held=tuple(held_rounds(outcomes, len(names), state.round + 1)),
        outcomes=outcomes,
        next=next_step(session, state),
        models=tuple(delivery(session, outcome) for outcome in outcomes),
        unfinished=tuple(session.journal.intents),
        warnings=warnings(session, state),
    )


def _after_training(session: Session, number: int) -> str:
    if not session.resolved.attestation.openings:
        return "`cocogen attest`"
    if not session.workspace.challenge(number).exists():
        return "`cocogen round challenge`"
    names = session.resolved.names
    closed = [
        name
        for name in names
        if session.workspace.bundle(number, name).exists() and not session.workspace.opening(number, name).exists()
    ]
    return f"`cocogen reveal` by {', '.join(closed)}, then `cocogen attest`" if closed else "`cocogen attest`"


def delivery(session: Session, outcome: RoundOutcome) -> Delivery:
    """Who gets the model of a round, and why somebody gets none."""
    names, number = session.resolved.names, outcome.round
    if outcome.status == "open":
        return Delivery(number, (), {})
    rejected: dict[str, str] = {}
    if session.workspace.attested(number).exists():
        with contextlib.suppress(WorkspaceError):  # an altered file gives no reasons; whoever works with it is told
            rejected = session.loop.history.attested(number).rejected
    given = tuple(name for name, gets in zip(names, contributors(outcome), strict=True) if gets)
    return Delivery(number, given, withheld(outcome, names, rejected))


def next_step(session: Session, state: LedgerState) -> str:
    """One sentence: which command brings the consortium forward."""
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
            attested = session.loop.history.attested(number)
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
        if absent:
            return f"`cocogen train` by {', '.join(absent)}"
        return _after_training(session, number)
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
