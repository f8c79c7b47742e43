"""The bond of one organization: what it still has to add, and what it can take out."""

from __future__ import annotations

from cocogen.errors import LedgerError
from cocogen.ledger import Receipt
from cocogen.operations.session import Session

__all__ = ["free_amount", "top_up"]


def top_up(session: Session, index: int, amount: int | None = None) -> tuple[Receipt | None, int]:
    """Deposit ``amount`` wei, by default what is missing to twice the liability.

    None where the default leaves nothing to send: a member with a balance has accepted the terms.
    """
    state = session.ledger.state()
    if amount is None:
        amount = max(0, 2 * state.liabilities[index] - state.balances[index])
        if amount == 0 and state.balances[index] > 0:
            return None, 0
    return session.ledger.deposit(index, amount), amount


def free_amount(session: Session, index: int, *, everything: bool) -> int:
    """Wei that an organization can take now: what its bond does not need, or ``everything`` that no round holds."""
    state = session.ledger.state()
    live = state.phase != "idle" and state.participants[index]
    leaving = state.exiting[index] or state.round >= session.resolved.consortium.rounds
    kept = state.liabilities[index] if live or not (everything or leaving) else 0
    if state.disputant == index:
        kept = max(kept, _disputed(session, index) + session.resolved.settlement.dispute_bond)
    free = max(0, state.balances[index] - kept)
    if free == 0:
        name = session.resolved.names[index]
        raise LedgerError(
            f"{name} has nothing to withdraw: {state.balances[index]} wei, and its bond takes {kept} wei",
            hint="wait until the running round is settled" if live else "--all takes the bond too",
        )
    return free


def _disputed(session: Session, index: int) -> int:
    """Wei that the round which an organization disputes can still take: of an absent one that is fixed."""
    ledger = session.ledger
    recorded = ledger.outcomes()[-1].contributions
    if recorded[index] is not None or ledger.decoded.stand_in_scores is None:
        return ledger.decoded.liabilities[index]
    return -ledger.predict(recorded, absent=[index])[index]
