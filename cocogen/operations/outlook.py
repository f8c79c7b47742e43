"""The coming round as it looks now: who takes part, and what handing in nothing would cost each of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cocogen.errors import CoCoGenError
from cocogen.mechanisms import Plan
from cocogen.operations.session import Session
from cocogen.rounds.silence import silence

__all__ = ["coming_round", "coming_silence", "plain_silence"]


def coming_round(session: Session) -> tuple[int, list[bool]]:
    """The running round and who takes part in it; between rounds the next one, and who would."""
    state = session.ledger.state()
    if state.phase != "idle":
        return state.round, list(state.participants)
    ready = [s and not e for s, e in zip(state.solvent, state.exiting, strict=True)]
    enough = sum(ready) >= session.resolved.settlement.minimum_members
    return state.round + 1, ready if enough else [True] * len(ready)


def plain_silence(session: Session, plan: Plan, participants: Sequence[bool]) -> dict[str, Any]:
    """By organization, as plain JSON values, the transfers in wei if it contributes as planned and if it alone hands in
    nothing, and what that saves; None for whoever takes no part."""
    found = silence(session.ledger, plan.profile, participants)
    return {
        name: None
        if entry is None
        else {
            "contributing": str(entry.contributing),
            "silent": str(entry.silent),
            "saved": str(entry.saved),
            "most_saved": str(entry.most_saved),
            "settles_without": entry.settles,
        }
        for name, entry in zip(session.resolved.names, found, strict=True)
    }


def coming_silence(session: Session, index: int) -> tuple[int, dict[str, Any] | None]:
    """The coming round, and what silence costs in it an organization that takes part, as everybody else should.

    None where no agreed round is left, or the files that the plan needs are not here: a deposit does not depend on it.
    """
    number, participants = coming_round(session)
    state = session.ledger.state()
    if state.phase == "idle":
        participants = [not exiting for exiting in state.exiting]
    if number > session.resolved.consortium.rounds or not participants[index]:
        return number, None
    try:
        plan = session.loop.plan(number, participants)
    except CoCoGenError:
        return number, None
    silent: dict[str, Any] | None = plain_silence(session, plan, participants)[session.resolved.names[index]]
    return number, silent
