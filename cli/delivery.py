"""Who is given the model of a round, and why the others are not: as data, and in words."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from cli.output import wrapped

if TYPE_CHECKING:
    from cocogen.ledger import RoundOutcome
    from cocogen.operations.session import Session

__all__ = ["delivery_data", "delivery_text"]


def delivery_data(session: Session, outcome: RoundOutcome) -> dict[str, Any]:
    """Who gets the model of a round, and why somebody gets none; nothing of either while the round is open."""
    from cocogen.errors import WorkspaceError
    from cocogen.rounds.delivery import recipients, withheld

    names, number = session.resolved.names, outcome.round
    if outcome.status == "open":
        return {"round": number, "recipients": [], "withheld": {}}
    rejected: dict[str, str] = {}
    if session.workspace.attested(number).exists():
        with contextlib.suppress(WorkspaceError):  # an altered file gives no reasons; whoever works with it is told
            rejected = session.loop.attested(number).rejected
    given = [name for name, gets in zip(names, recipients(outcome), strict=True) if gets]
    return {"round": number, "recipients": given, "withheld": withheld(outcome, names, rejected)}


def delivery_text(data: dict[str, Any]) -> str:
    """Of a round that is not open, on lines of at most 80 columns."""
    number, given, reasons = data["round"], data["recipients"], data["withheld"]
    if not given:
        lines = [f"the model of round {number} goes to nobody: {next(iter(reasons.values()))}"]
    else:
        lines = [f"the model of round {number} goes to {_listed(given)} (models/NAME/{number:04d}.npz)"]
        by_reason: dict[str, list[str]] = {}
        for name, reason in reasons.items():
            by_reason.setdefault(reason, []).append(name)
        lines += [f"not to {_listed(names)}: {reason}" for reason, names in by_reason.items()]
    return "\n".join(wrapped(*lines))


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
